/* aws-tool COMMAND ARG... - net's AWS and S3, from a shell. For the tests only.
 *
 *	describe                    where credentials would come from, without a request
 *	region | notice | whoami [N]  whoami asks STS, N times with 0.3 s between
 *	ecr DOMAIN                  the password
 *	sign                        requests as JSON lines on stdin, Authorization on stdout
 *	get KEY [OFFSET LEN]        to stdout
 *	put KEY FILE [absent|ETAG]  prints "written" or "lost"; FILE "-": bytes of stdin
 *	put-hashed KEY FILE         the same with the SHA-256 known before
 *	head KEY | etag KEY | delete KEY | list PREFIX
 *
 * The bucket is $BUCKET. Errors are one line on stderr, with the code: exit 1.
 */
#include <stdio.h>
#include <unistd.h>

#include "net/aws_sign.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/num.h"

#define INPUT_MAX (256u << 20)

struct tool {
	struct http_client *http;
	struct aws *aws;
	struct s3_client *s3;
	char **args; /* after the command; ends with NULL */
};

static int write_out(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)ctx;
	return fs_write_all(1, p, n, "stdout", err);
}

static int open_s3(struct tool *t, struct cairn_err *err)
{
	struct s3_opts o = { .aws = t->aws, .http = t->http, .bucket = getenv("BUCKET") };

	return s3_new(&o, &t->s3, err);
}

static int describe(struct tool *t, struct cairn_err *err)
{
	struct strbuf b cleanup_strbuf;

	(void)err;
	strbuf_init(&b, 1000);
	aws_describe(t->aws, &b);
	(void)puts(b.ptr);
	return 0;
}

static int region(struct tool *t, struct cairn_err *err)
{
	const char *name;

	TRY(aws_region(t->aws, &name, err));
	(void)puts(name);
	return 0;
}

static int notice(struct tool *t, struct cairn_err *err)
{
	static const char *const names[] = { "none", "rebalance", "stop" };
	enum aws_notice n;

	TRY(aws_notice(t->aws, &n, err));
	(void)puts(names[n]);
	return 0;
}

static int ask_sts(struct tool *t, struct cairn_err *err)
{
	static const struct http_field form = { "Content-Type",
		                                "application/x-www-form-urlencoded" };
	struct http_response r cleanup_http_response;
	char endpoint[AWS_ENDPOINT_MAX];
	cleanup_free char *url = NULL;
	struct http_request req = { .method = "POST",
		                    .fields = &form,
		                    .n_fields = 1,
		                    .body = S("Action=GetCallerIdentity&Version=2011-06-15"),
		                    .max_body = 1u << 16 };
	const char *name;

	http_response_init(&r);
	TRY(aws_region(t->aws, &name, err));
	TRY(aws_endpoint(t->aws, "sts", name, endpoint, err));
	url = xasprintf("%s/", endpoint);
	req.url = url;
	TRY(aws_send(t->aws, "sts", NULL, &req, &r, err));
	if (r.status != 200)
		return aws_fail(&r, "whoami", err);
	(void)puts(r.body.ptr);
	return 0;
}

static int whoami(struct tool *t, struct cairn_err *err)
{
	const struct timespec pause = { .tv_nsec = 300000000 };
	uint64_t n = 1;

	if (t->args[0])
		TRY(num_u64(str_of(t->args[0]), 100, &n, err));
	for (uint64_t i = 0; i < n; i++) {
		if (i)
			(void)nanosleep(&pause, NULL);
		TRY(ask_sts(t, err));
	}
	return 0;
}

static int ecr(struct tool *t, struct cairn_err *err)
{
	cleanup_free char *password = NULL;

	TRY(aws_ecr_login(t->aws, t->args[0], NULL, &password, err));
	(void)puts(password);
	return 0;
}

/* {"method","url","service","region","id","secret","token","time","body","fields":[[name,value]]}
 */
static int sign_one(const json_t *j, struct cairn_err *err)
{
	struct http_field fields[32];
	const char *method, *url, *service, *where, *token, *id, *secret, *body;
	struct aws_creds creds cleanup_aws_creds = { 0 };
	struct aws_signed is cleanup_aws_signed = { 0 };
	json_t *list = json_object_get(j, "fields"), *pair;
	size_t n;

	if (json_unpack((json_t *)(uintptr_t)j, "{ssssssssssssssss}", "method", &method, "url",
	                &url, "service", &service, "region", &where, "id", &id, "secret", &secret,
	                "token", &token, "body", &body) < 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "not a request");
	TRY(aws_creds_set(&creds, str_of(id), str_of(secret), str_of(token), "stdin", err));
	json_array_foreach(list, n, pair)
	{
		fields[n].name = json_string_value(json_array_get(pair, 0));
		fields[n].value = json_string_value(json_array_get(pair, 1));
	}
	struct aws_sign sign = { &creds, service, where,
		                 json_integer_value(json_object_get(j, "time")) * CLOCK_SEC };
	struct http_request req = { .method = method,
		                    .url = url,
		                    .fields = fields,
		                    .n_fields = json_array_size(list),
		                    .body = str_of(body) };

	TRY(aws_sign(&sign, &req, &is, err));
	(void)puts(is.authorization);
	return 0;
}

static int sign(struct tool *t, struct cairn_err *err)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	(void)t;
	while (rc == 0 && (n = getline(&line, &cap, stdin)) > 0) {
		cleanup_json json_t *j = NULL;

		rc = json_parse(str_n(line, (size_t)n), "stdin", &j, err);
		if (rc == 0)
			rc = sign_one(j, err);
	}
	free(line);
	return rc;
}

static int get(struct tool *t, struct cairn_err *err)
{
	const struct http_sink sink = { .write = write_out };
	struct s3_get g = { .key = t->args[0], .sink = &sink };
	bool found;

	if (t->args[1]) {
		TRY(num_u64(str_of(t->args[1]), UINT64_MAX, &g.offset, err));
		TRY(num_u64(str_of(t->args[2]), UINT64_MAX, &g.len, err));
	}
	TRY(s3_get(t->s3, &g, &found, NULL, err));
	return found ? 0 : cairn_fail(err, CAIRN_E_NOT_FOUND, "no object");
}

static int etag(struct tool *t, struct cairn_err *err)
{
	struct strbuf out cleanup_strbuf;
	struct s3_get g = { .key = t->args[0], .out = &out };
	cleanup_free char *value = NULL;
	bool found;

	strbuf_init(&out, INPUT_MAX);
	TRY(s3_get(t->s3, &g, &found, &value, err));
	(void)puts(value ? value : "none");
	return 0;
}

static int put_with(struct tool *t, bool hashed, struct cairn_err *err)
{
	struct strbuf b cleanup_strbuf;
	struct s3_put p = { .key = t->args[0], .fd = -1 };
	const char *file = t->args[1], *condition = t->args[2];
	cleanup_fd int fd = -1;
	struct digest d;
	struct stat st;
	bool lost;

	strbuf_init(&b, INPUT_MAX);
	if (strcmp(file, "-") == 0 || hashed)
		TRY(fs_read_file(AT_FDCWD, hashed ? file : "/dev/stdin", &b, err));
	if (strcmp(file, "-") == 0) {
		p.bytes = strbuf_view(&b);
	} else {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			return cairn_fail_sys(err, "%s", file);
		p.fd = fd;
		p.size = (uint64_t)st.st_size;
	}
	if (hashed) {
		d = digest_of(b.ptr, b.len);
		p.sha256 = &d;
	}
	if (condition && strcmp(condition, "absent") == 0)
		p.if_absent = true;
	else
		p.if_etag = condition;
	TRY(s3_put(t->s3, &p, &lost, err));
	(void)puts(lost ? "lost" : "written");
	return 0;
}

static int put(struct tool *t, struct cairn_err *err)
{
	return put_with(t, false, err);
}

static int put_hashed(struct tool *t, struct cairn_err *err)
{
	return put_with(t, true, err);
}

static int head(struct tool *t, struct cairn_err *err)
{
	uint64_t size;
	bool found;

	TRY(s3_head(t->s3, t->args[0], &found, &size, err));
	if (found)
		(void)printf("%llu\n", (unsigned long long)size);
	else
		(void)puts("none");
	return 0;
}

static int delete (struct tool *t, struct cairn_err *err)
{
	return s3_delete(t->s3, t->args[0], err);
}

static int print_object(void *ctx, const struct s3_object *o, struct cairn_err *err)
{
	char when[CLOCK_TEXT_MAX];

	(void)ctx;
	(void)err;
	(void)printf("%s %llu %.4s\n", o->key, (unsigned long long)o->size,
	             clock_text(o->modified, when));
	return 0;
}

static int list(struct tool *t, struct cairn_err *err)
{
	return s3_list(t->s3, t->args[0], print_object, NULL, err);
}

static const struct {
	const char *name;
	int n_args; /* at least */
	bool s3;
	int (*run)(struct tool *t, struct cairn_err *err);
} commands[] = {
	{ "describe", 0, false, describe },
	{ "region", 0, false, region },
	{ "notice", 0, false, notice },
	{ "whoami", 0, false, whoami },
	{ "ecr", 1, false, ecr },
	{ "sign", 0, false, sign },
	{ "get", 1, true, get },
	{ "put", 2, true, put },
	{ "put-hashed", 2, true, put_hashed },
	{ "head", 1, true, head },
	{ "etag", 1, true, etag },
	{ "delete", 1, true, delete },
	{ "list", 1, true, list },
};

int main(int argc, char **argv)
{
	struct http_opts ho = HTTP_OPTS_INIT;
	struct cairn_err err = { .code = CAIRN_E_USAGE, .msg = "see aws_tool.c" };
	struct tool t = { .args = argv + 2 };
	struct aws_opts ao = { .envp = environ };
	int rc = CAIRN_E_USAGE;

	ho.backoff_ns = 20000000;
	ho.ca_file = getenv("TOOL_CA");
	t.http = ao.http = http_client_new(&ho);
	t.aws = aws_new(&ao);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[1]) != 0 || argc - 2 < commands[i].n_args)
			continue;
		rc = commands[i].s3 ? open_s3(&t, &err) : 0;
		if (rc == 0)
			rc = commands[i].run(&t, &err);
	}
	if (rc < 0)
		(void)fprintf(stderr, "%d: %s\n", err.code, err.msg);
	s3_free(t.s3);
	aws_free(t.aws);
	http_client_free(t.http);
	return rc < 0;
}

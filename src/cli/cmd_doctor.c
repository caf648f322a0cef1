#include "commands.h"
#include "engine/engine.h"
#include "exit.h"
#include "net/net.h"
#include "util/fs.h"
#include "util/json.h"

struct doctor_opts {
	bool json;
};

static const struct {
	const char *word, *paint;
} states[] = {
	[PROBE_OK] = { "ok", "\033[32m" },
	[PROBE_DEGRADED] = { "degraded", "\033[33m" },
	[PROBE_BROKEN] = { "broken", "\033[31m" },
};

/* Where credentials for AWS would come from: known without asking anybody. */
static void describe_aws(const struct cairn_ctx *ctx, struct strbuf *out)
{
	struct http_opts ho = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *http = http_client_new(&ho);
	cleanup_aws struct aws *aws =
		aws_new(&(struct aws_opts){ .http = http, .envp = ctx->envp });

	aws_describe(aws, out);
}

static void print_table(struct cairn_ctx *ctx, const struct machine *m)
{
	cleanup_strbuf struct strbuf aws;

	strbuf_init(&aws, 1024);
	describe_aws(ctx, &aws);
	(void)fprintf(ctx->out, "store: %s\n", ctx->home);
	for (size_t i = 0; i < PROBE_N_; i++) {
		const struct probe_row *row = &m->rows[i];

		(void)fprintf(ctx->out, "%-16s %s%-8s%s  %s\n", row->name,
		              ctx->color_out ? states[row->state].paint : "",
		              states[row->state].word, ctx->color_out ? "\033[0m" : "", row->found);
		if (row->instead[0])
			(void)fprintf(ctx->out, "%-16s %-8s  instead: %s\n", "", "", row->instead);
	}
	(void)fprintf(ctx->out, "AWS credentials: %s\n",
	              aws.len ? aws.ptr
	                      : "none configured; the role of an instance, if it has one");
	(void)fputs(probe_blocker(m) ? "RUN steps do not work on this machine.\n"
	                             : "cairn builds on this machine.\n",
	            ctx->out);
}

static void print_json(struct cairn_ctx *ctx, const struct machine *m)
{
	cleanup_json json_t *j = json_object();
	json_t *rows = json_array();
	cleanup_strbuf struct strbuf out, aws;

	strbuf_init(&out, 1 << 20);
	strbuf_init(&aws, 1024);
	describe_aws(ctx, &aws);
	for (size_t i = 0; i < PROBE_N_; i++) {
		const struct probe_row *row = &m->rows[i];
		json_t *o = json_object();

		json_object_set_new(o, "name", json_str(str_of(row->name)));
		json_object_set_new(o, "state", json_string(states[row->state].word));
		json_object_set_new(o, "found", json_str(str_of(row->found)));
		json_object_set_new(o, "instead", json_str(str_of(row->instead)));
		json_array_append_new(rows, o);
	}
	json_object_set_new(j, "store", json_str(str_of(ctx->home)));
	json_object_set_new(j, "usable", json_boolean(!probe_blocker(m)));
	json_object_set_new(j, "checks", rows);
	json_object_set_new(j, "aws_credentials", json_str(strbuf_view(&aws)));
	json_write(j, &out);
	strbuf_char(&out, '\n');
	(void)fwrite(out.ptr, 1, out.len, ctx->out);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct doctor_opts *o = call->opts;
	struct cairn_ctx *ctx = call->ctx;
	struct machine *m = xcalloc(1, sizeof(*m));
	int r = fs_mkdir_p(AT_FDCWD, ctx->home, 0700, err);

	if (r == 0)
		r = probe_machine(ctx->home, m, err);
	if (r == 0) {
		if (o->json)
			print_json(ctx, m);
		else
			print_table(ctx, m);
		call->exit_code = probe_blocker(m) ? EXIT_CODE_DENIED : EXIT_CODE_OK;
	}
	free(m);
	return r;
}

static const struct cli_opt opts[] = {
	{ "json", 0, OPT_FLAG(struct doctor_opts, json), .help = "Print JSON" },
	{ 0 },
};

const struct cli_cmd cmd_doctor = {
	.name = "doctor",
	.group = "This program",
	.summary = "Say what this machine allows, and what cairn does instead",
	.description =
		"Tries what builds need: user namespaces, overlayfs in the store, subordinate ids, "
		"cgroups, limits, disk space. Exits with 9 when RUN steps cannot work here. Says "
		"where credentials for AWS would come from, without asking for them.",
	.args = "[OPTIONS]",
	.needs = CLI_NEED_HOME,
	.opts = opts,
	.opts_size = sizeof(struct doctor_opts),
	.run = run,
};

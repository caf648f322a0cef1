/* codebuild-tool COMMAND ARG... - ci's CodeBuild, from a shell. For the tests only.
 *
 *	start PROJECT [NAME=VALUE...]  prints the id, or "limit"
 *	watch ID                       phases and log lines until it has ended; then the status
 *	stop ID
 *
 * Errors are one line on stderr, with the code: exit 1.
 */
#include <stdio.h>
#include <unistd.h>

#include "ci/ci.h"

#define POLL_US   20000
#define POLLS_MAX 1000

extern char **environ;

static int start(struct aws *aws, char **args, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct http_field env[8];
	struct codebuild_start s = { .project = str_of(args[0]),
		                     .compute_type = S("BUILD_GENERAL1_LARGE"),
		                     .env = env };
	struct codebuild_build b;
	bool limit = false;
	int rc;

	for (char **v = args + 1; *v && s.n_env < ARRAY_SIZE(env); v++) {
		str name, value;

		(void)str_cut(str_of(*v), '=', &name, &value);
		env[s.n_env++] = (struct http_field){ arena_cstr(a, name), arena_cstr(a, value) };
	}
	rc = codebuild_start(aws, &s, a, &b, &limit, err);
	if (rc < 0 && limit)
		(void)puts("limit");
	TRY(rc);
	(void)printf("%.*s\n", STR(b.id));
	return 0;
}

static int watch(struct aws *aws, char **args, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_free char *token = NULL;
	cleanup_strbuf struct strbuf lines;
	str id = str_of(args[0]), phase = { 0 };
	struct codebuild_build b;

	strbuf_init(&lines, 1u << 20);
	for (int i = 0; i < POLLS_MAX; i++) {
		TRY(codebuild_get(aws, NULL, &id, 1, a, &b, err));
		if (!str_eq(b.phase, phase))
			(void)printf("phase %.*s\n", STR(b.phase));
		phase = b.phase;
		strbuf_clear(&lines);
		TRY(codebuild_logs(aws, NULL, &b, &token, &lines, err));
		(void)printf("%.*s", STR(strbuf_view(&lines)));
		if (b.status != CODEBUILD_IN_PROGRESS)
			break;
		(void)usleep(POLL_US);
	}
	for (size_t i = 0; i < b.n_phases; i++)
		(void)printf("%.*s %.*s %.*s\n", STR(b.phases[i].name), STR(b.phases[i].status),
		             STR(b.phases[i].message));
	(void)printf("%s%s\n", codebuild_status_name(b.status), b.out_of_memory ? " memory" : "");
	return 0;
}

static int stop(struct aws *aws, char **args, struct cairn_err *err)
{
	return codebuild_stop(aws, NULL, str_of(args[0]), err);
}

static const struct {
	const char *name;
	int (*run)(struct aws *aws, char **args, struct cairn_err *err);
} commands[] = { { "start", start }, { "watch", watch }, { "stop", stop } };

int main(int argc, char **argv)
{
	struct http_opts ho = HTTP_OPTS_INIT;
	struct cairn_err err = { .code = CAIRN_E_USAGE, .msg = "see codebuild_tool.c" };
	struct aws_opts ao = { .envp = environ };
	struct aws *aws;
	int rc = CAIRN_E_USAGE;

	ho.backoff_ns = 20000000;
	ao.http = http_client_new(&ho);
	aws = aws_new(&ao);
	for (size_t i = 0; argc > 2 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, argv[1]) == 0)
			rc = commands[i].run(aws, argv + 2, &err);
	if (rc < 0)
		(void)fprintf(stderr, "%d: %s\n", err.code, err.msg);
	aws_free(aws);
	http_client_free(ao.http);
	return rc < 0;
}

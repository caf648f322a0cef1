#include "harness.h"

#include <stdio.h>

#include "graph/graph.h"
#include "util/map.h"
#include "util/mem.h"

/* A registry with three images: "debian:12", "trigger" with an ONBUILD, and "only-arm". */
static int resolve(void *ctx, struct arena *a, str ref, const struct platform *p,
                   struct graph_base *ret, struct cairn_err *err)
{
	struct image_config *c = arena_new_of(a, struct image_config);
	struct image_strs cmd = { (str[]){ S("bash") }, 1 };
	const struct platform arm = { .os = "linux", .arch = "arm64" };

	(*(int *)ctx)++;
	if (!str_ends(ref, S("debian:12")) && !str_ends(ref, S("trigger:latest")) &&
	    !str_ends(ref, S("only-arm:latest")))
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "no such image");
	image_config_init(c, a, str_ends(ref, S("only-arm:latest")) ? &arm : p);
	image_config_env_set(c, S("PATH"), S("/bin"));
	image_config_strs_set(c, &c->cmd, &cmd);
	if (str_ends(ref, S("trigger:latest")))
		image_config_onbuild_add(c, S("COPY . /onbuild"));
	*ret = (struct graph_base){ .ref = ref,
		                    .config = c,
		                    .config_digest = digest_of(ref.ptr, ref.len) };
	return 0;
}

struct lowered {
	struct dockerfile *df;
	struct graph *g;
	struct map args, contexts;
	struct graph_opts opts;
	int n_resolved;
};

static int lower(struct lowered *l, const char *text, struct cairn_err *err)
{
	l->opts.platform = platform_host();
	l->opts.build_args = &l->args;
	l->opts.contexts = &l->contexts;
	l->opts.resolve_base = resolve;
	l->opts.ctx = &l->n_resolved;
	TRY(dockerfile_parse(str_of(text), "Dockerfile", &l->df, err));
	return graph_lower(l->df, "Dockerfile", &l->opts, &l->g, err);
}

static void done(struct lowered *l)
{
	graph_free(l->g);
	dockerfile_free(l->df);
	map_done(&l->args);
	map_done(&l->contexts);
}

/* The steps' names, one a line. */
static void assert_steps(const struct graph *g, const char *want)
{
	struct strbuf b;

	strbuf_init(&b, 65536);
	for (size_t i = 0; i < g->n_nodes; i++)
		strbuf_printf(&b, "%.*s\n", STR(g->nodes[i]->name));
	assert_string_equal(b.ptr, want);
	strbuf_done(&b);
}

void test_lower__stages_that_are_not_reached_do_not_exist(void **state)
{
	struct lowered l = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(
		lower(&l,
	              "FROM nowhere AS unused\nRUN false\n"
	              "FROM debian:12 AS build\nRUN make\n"
	              "FROM debian:12\nWORKDIR /app\nCOPY --from=build /out ./\nCMD [\"./out\"]\n",
	              &err));
	assert_steps(l.g, "[stage-2 1/3] FROM docker.io/library/debian:12\n"
	                  "[stage-2 2/3] WORKDIR /app\n"
	                  "[build 1/2] FROM docker.io/library/debian:12\n"
	                  "[build 2/2] RUN make\n"
	                  "[stage-2 3/3] COPY --from=build /out ./\n");
	assert_int_equal(l.g->target->n_history, 3);
	assert_str(l.g->nodes[4]->copy.dest, "/app/");
	assert_str(l.g->target->history[1].created_by, "COPY /out ./ # buildkit");
	assert_str(l.g->target->history[2].created_by, "CMD [\"./out\"]");
	done(&l);
}

void test_lower__arguments(void **state)
{
	struct lowered l = { 0 };
	struct cairn_err err;
	const struct graph_node *run;
	static char given[] = "given", x[] = "x", proxy[] = "http://proxy";

	(void)state;
	map_put(&l.args, S("V"), given);
	map_put(&l.args, S("UNUSED"), x);
	map_put(&l.args, S("HTTP_PROXY"), proxy);
	assert_ok(lower(
		&l,
		"ARG TAG=12\nFROM debian:${TAG}\nARG TAG\nARG V=default\nARG NONE\nENV E=$V W=${NONE:-w}\n"
		"ARG E=later V\nENV V=env\nARG V\nENV TAG=hides\nRUN echo\n",
		&err));
	run = l.g->nodes[1];
	assert_int_equal(run->env.n, 5);
	assert_str(run->env.vars[0], "PATH=/bin");
	assert_str(run->env.vars[1], "E=later");
	assert_str(run->env.vars[2], "W=w");
	assert_str(run->env.vars[3], "V=given"); /* the ARG is later than the ENV */
	assert_str(run->env.vars[4], "TAG=hides");
	assert_int_equal(run->proxy_env.n, 2);
	assert_str(run->proxy_env.vars[0], "HTTP_PROXY=http://proxy");
	assert_str(run->proxy_env.vars[1], "http_proxy=http://proxy");
	assert_str(l.g->target->history[8].created_by,
	           "RUN |4 TAG=hides V=given NONE= E=later /bin/sh -c echo # buildkit");
	assert_str(l.g->target->config->env.ptr[3], "V=env");
	assert_int_equal(l.g->warnings.len, 1);
	done(&l);
}

void test_lower__variables_that_nothing_sets(void **state)
{
	static const struct {
		unsigned line;
		const char *text;
	} want[] = {
		{ 5, "Usage of undefined variable '$PAHT' (did you mean $PATH?)" },
		{ 5, "Usage of undefined variable '$unset'" },
		{ 6, "Usage of undefined variable '$VERSION'" }, /* is not declared in the stage */
		{ 6, "Usage of undefined variable '$TARGETARCH'" },
		{ 7, "Usage of undefined variable '$from'" },
		{ 11, "Usage of undefined variable '$body'" },
		{ 14, "Usage of undefined variable '$target'" },
	};
	struct lowered l = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(lower(&l,
	                "ARG VERSION=1\nFROM debian:12 AS below\nARG empty\nENV E=$PATH\n"
	                "ENV A=$PAHT:/x B=${unset:-$empty} C=$PAHT D='$quoted' E=\\$escaped\n"
	                "COPY a$VERSION$E b$TARGETARCH /\n"
	                "LABEL l=$from\n"
	                "RUN echo $shell\n"
	                "CMD [\"$json\"]\n"
	                "ARG TARGETARCH\n"
	                "COPY <<EOF /$TARGETARCH\n$body\nEOF\n"
	                "RUN --mount=type=tmpfs,target=/x$target true\n"
	                "FROM debian:12 AS unreached\nENV X=$nothing\n"
	                "FROM below\nENV X=$A$empty\n",
	                &err));
	assert_int_equal(l.g->findings.len, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(l.g->findings.ptr[i].line, want[i].line);
		assert_string_equal(l.g->findings.ptr[i].rule, "UndefinedVar");
		assert_str(l.g->findings.ptr[i].text, want[i].text);
	}
	done(&l);
}

void test_lower__base_images_of_other_platforms(void **state)
{
	struct lowered l = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(lower(&l,
	                "FROM debian:12 AS a\nFROM --platform=linux/riscv64 only-arm AS b\n"
	                "FROM a\nCOPY --from=b / /\n",
	                &err));
	assert_int_equal(l.g->findings.len, 1);
	assert_int_equal(l.g->findings.ptr[0].line, 2);
	assert_string_equal(l.g->findings.ptr[0].rule, "InvalidBaseImagePlatform");
	assert_str(l.g->findings.ptr[0].text,
	           "Base image only-arm was pulled with platform \"linux/arm64\", expected "
	           "\"linux/riscv64\" for current build");
	done(&l);
}

void test_lower__history(void **state)
{
	static const struct {
		const char *line, *created_by;
	} cases[] = {
		{ "WORKDIR rel", "WORKDIR /rel" },
		{ "EXPOSE 443 80 53/udp 9000-9001",
		  "EXPOSE [443/tcp 53/udp 80/tcp 9000/tcp 9001/tcp]" },
		{ "COPY --link --exclude=*.md a b/", "COPY a b/ # buildkit" },
		{ "COPY --chown=1:2 --chmod=600 a b/",
		  "COPY --chown=1:2 --chmod=600 a b/ # buildkit" },
		{ "USER app", "USER app" },
		{ "ONBUILD RUN x\nUSER app", "USER app" }, /* a trigger is no history */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lowered l = { 0 };
		struct cairn_err err;
		char text[200];

		(void)snprintf(text, sizeof(text), "FROM debian:12\n%s\n", cases[i].line);
		assert_ok(lower(&l, text, &err));
		assert_int_equal(l.g->target->n_history, 1);
		assert_str(l.g->target->history[0].created_by, cases[i].created_by);
		done(&l);
	}
}

void test_lower__entrypoint_resets_the_base_command(void **state)
{
	struct lowered a = { 0 }, b = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(lower(&a, "FROM debian:12\nENTRYPOINT [\"x\"]\n", &err));
	assert_int_equal(a.g->target->config->cmd.len, 0);
	assert_ok(lower(&b, "FROM debian:12\nCMD [\"y\"]\nENTRYPOINT x\n", &err));
	assert_int_equal(b.g->target->config->cmd.len, 1);
	assert_int_equal(b.g->target->config->entrypoint.len, 3);
	done(&a);
	done(&b);
}

void test_lower__triggers_and_inherited_stage(void **state)
{
	struct lowered l = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(lower(&l, "FROM trigger AS a\nENV A=1\nFROM a\nRUN id\n", &err));
	assert_steps(l.g, "[a 1/1] FROM docker.io/library/trigger:latest\n"
	                  "[a 2/2] COPY . /onbuild\n"
	                  "[stage-1 1/1] RUN id\n");
	assert_ptr_equal(l.g->nodes[2]->parent, l.g->nodes[1]);
	assert_int_equal(l.n_resolved, 1);
	assert_str(l.g->nodes[2]->env.vars[1], "A=1");
	done(&l);
}

void test_lower__mounts(void **state)
{
	struct lowered l = { 0 };
	struct cairn_err err;
	const struct graph_run *r;

	(void)state;
	assert_ok(lower(&l,
	                "FROM debian:12 AS a\nFROM debian:12\nWORKDIR /w\n"
	                "RUN --mount=type=cache,target=cache --mount=type=secret,id=tok "
	                "--mount=from=a,target=/a,source=x true\n",
	                &err));
	r = &l.g->nodes[l.g->n_nodes - 1]->run;
	assert_int_equal(r->n_mounts, 3);
	assert_str(r->mounts[0].target, "/a");
	assert_str(r->mounts[0].source, "/x");
	assert_int_equal(r->mounts[0].from.kind, GRAPH_FROM_NODE);
	assert_str(r->mounts[1].target, "/run/secrets/tok");
	assert_str(r->mounts[2].target, "/w/cache");
	assert_str(r->mounts[2].id, "/w/cache");
	done(&l);
}

void test_lower__mistakes(void **state)
{
	static const struct {
		const char *text, *message;
		int code;
		unsigned line;
	} cases[] = {
		{ "RUN x\nFROM debian:12\n", "stands before the first", CAIRN_E_SYNTAX, 1 },
		{ "FROM debian:12 AS a\nCOPY --from=b / /\nFROM debian:12 AS b\nCOPY --from=a / /\n",
		  "circle", CAIRN_E_SYNTAX, 3 },
		{ "FROM debian:12 AS a\nCOPY --from=a / /\n", "from itself", CAIRN_E_SYNTAX, 2 },
		{ "FROM debian:12\nENV A=\"${X:?must be set}\"\n", "must be set", CAIRN_E_SYNTAX,
		  2 },
		{ "FROM ${NOTHING}\n", "the name is empty", CAIRN_E_SYNTAX, 1 },
		{ "FROM debian:12\nRUN --mount=type=tmpfs,target=/ x\n", "cannot be '/'",
		  CAIRN_E_SYNTAX, 2 },
		{ "FROM debian:12\nADD https://example.com/x /x\n", "not built yet",
		  CAIRN_E_UNSUPPORTED, 2 },
		{ "FROM debian:12\nRUN --security=insecure x\n", "not built yet",
		  CAIRN_E_UNSUPPORTED, 2 },
		{ "FROM missing\nRUN x\n", "no such image", CAIRN_E_NOT_FOUND, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lowered l = { 0 };
		struct cairn_err err = { 0 };
		int r = lower(&l, cases[i].text, &err);

		if (r != cases[i].code || !strstr(err.msg, cases[i].message) ||
		    (cases[i].line && err.line != cases[i].line))
			fail_msg("case %zu: %d line %u '%s'", i, r, err.line, err.msg);
		done(&l);
	}
}

void test_lower__unknown_target_gets_a_suggestion(void **state)
{
	struct lowered l = { .opts.target = S("biuld") };
	struct cairn_err err;

	(void)state;
	assert_fails(lower(&l, "FROM debian:12 AS build\n", &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "did you mean 'build'?"));
	done(&l);
}

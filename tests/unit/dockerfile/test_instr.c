#include "harness.h"

#include "dockerfile/dockerfile.h"
#include "util/strbuf.h"

/* One instruction behind "FROM x"; typed. */
static int type(const char *text, struct dockerfile **df, struct instr *ret, struct cairn_err *err)
{
	struct instr_list list = { 0 };
	struct strbuf b;
	int r;

	strbuf_init(&b, 1 << 20);
	strbuf_printf(&b, "FROM x\n%s", text);
	dockerfile_free(*df);
	*df = NULL;
	r = dockerfile_parse(strbuf_view(&b), "Dockerfile", df, err);
	strbuf_done(&b);
	if (r == 0)
		r = dockerfile_instrs(*df, &list, err);
	if (r == 0) {
		assert_int_equal(list.len, 2);
		*ret = list.ptr[1];
	}
	return r;
}

void test_instr__errors(void **state)
{
	static const struct {
		const char *text, *message; /* at line 2 */
	} cases[] = {
		{ "RUN", "RUN needs an argument" },
		{ "FROM", "FROM needs an image, or 'image AS name'" },
		{ "FROM a b", "FROM needs an image, or 'image AS name'" },
		{ "FROM a AS", "FROM needs an image, or 'image AS name'" },
		{ "FROM a AS 1b",
		  "stage name '1b' is not a letter and then letters, digits, - _ ." },
		{ "FROM a AS b/c",
		  "stage name 'b/c' is not a letter and then letters, digits, - _ ." },
		{ "COPY a", "COPY needs at least one source and a destination" },
		{ "ADD", "ADD needs at least one source and a destination" },
		{ "COPY --form=x a b", "COPY has no flag '--form' (did you mean --from?)" },
		{ "COPY --nonsense a b", "COPY has no flag '--nonsense'" },
		{ "ADD --from=x a b", "ADD has no flag '--from'" },
		{ "WORKDIR --x /a", "WORKDIR has no flags, but '--x' is given" },
		{ "COPY --from=a --from=b c d", "flag '--from' is given twice" },
		{ "COPY --link --link c d", "flag '--link' is given twice" },
		{ "COPY --from c d", "flag '--from' needs a value: --from=..." },
		{ "COPY --link=maybe c d", "flag '--link' is true or false, not 'maybe'" },
		{ "COPY --link= c d", "flag '--link' is true or false, not ''" },
		{ "RUN --network=hots x", "--network is default, none or host, not 'hots'" },
		{ "RUN --security=x x", "--security is sandbox or insecure, not 'x'" },
		{ "RUN --mount=type=cache x", "--mount=type=cache: it needs a target" },
		{ "ENV =b", "ENV has a value without a name" },
		{ "ENV", "ENV needs an argument" },
		{ "ARG", "ARG needs an argument" },
		{ "ARG =b", "ARG has a value without a name" },
		{ "LABEL", "LABEL needs an argument" },
		{ "EXPOSE", "EXPOSE needs an argument" },
		{ "VOLUME", "VOLUME needs an argument" },
		{ "VOLUME []", "VOLUME needs an argument" },
		{ "VOLUME [\" \"]", "VOLUME has an empty path" },
		{ "SHELL /bin/sh", "SHELL needs the JSON form: SHELL [\"/bin/bash\", \"-c\"]" },
		{ "SHELL []", "SHELL needs an argument" },
		{ "USER", "USER needs an argument" },
		{ "WORKDIR", "WORKDIR needs an argument" },
		{ "STOPSIGNAL", "STOPSIGNAL needs an argument" },
		{ "HEALTHCHECK", "HEALTHCHECK needs an argument" },
		{ "HEALTHCHECK CMD", "HEALTHCHECK CMD needs a command" },
		{ "HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments" },
		{ "HEALTHCHECK curl", "HEALTHCHECK is followed by CMD or NONE, not 'curl'" },
		{ "HEALTHCHECK --interval=5 CMD x",
		  "--interval=5 is no duration like 30s or 1m30s" },
		{ "HEALTHCHECK --timeout=1us CMD x", "--timeout=1us is less than 1ms" },
		{ "HEALTHCHECK --retries=-1 CMD x", "--retries=-1 is no number of tries" },
		{ "ONBUILD FROM x", "ONBUILD cannot hold FROM" },
		{ "ONBUILD maintainer x", "ONBUILD cannot hold maintainer" },
		{ "ONBUILD COPY --bad a b", "COPY has no flag '--bad'" },
		{ "COPY <<../x /d\n../x\n",
		  "heredoc '../x' becomes a file and cannot be called so" },
		{ "COPY <<.. /d\n..\n", "heredoc '..' becomes a file and cannot be called so" },
		{ "RUN <<a/b\n#!/x\na/b\n",
		  "heredoc 'a/b' becomes a file and cannot be called so" },
		{ "COPY a <<E\nE\n", "a heredoc cannot be the destination of COPY" },
	};
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;
	struct instr in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(type(cases[i].text, &df, &in, &err), CAIRN_E_SYNTAX);
		if (strcmp(err.msg, cases[i].message) != 0)
			fail_msg("%s says: %s\nnot: %s", cases[i].text, err.msg, cases[i].message);
		assert_string_equal(err.path, "Dockerfile");
		assert_int_equal(err.line, 2);
	}
}

void test_instr__order(void **state)
{
	struct instr_list list;
	struct cairn_err err;

	(void)state;
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_ok(dockerfile_parse(S("RUN x\nFROM a\n"), "D", &df, &err));
		assert_fails(dockerfile_instrs(df, &list, &err), CAIRN_E_SYNTAX);
		assert_string_equal(err.msg, "RUN stands before the first FROM; only ARG can");
		assert_int_equal(err.line, 1);
	}
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_ok(dockerfile_parse(S("ARG x\n"), "D", &df, &err));
		assert_fails(dockerfile_instrs(df, &list, &err), CAIRN_E_SYNTAX);
		assert_string_equal(err.msg, "no FROM in this file");
	}
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_ok(dockerfile_parse(
			S("ARG x=1 y\nFROM --platform=$P img:$x AS Build\nRUN a\n"), "D", &df,
			&err));
		assert_ok(dockerfile_instrs(df, &list, &err));
		assert_int_equal(list.len, 3);
		assert_int_equal(list.ptr[0].kind, INSTR_ARG);
		assert_int_equal(list.ptr[0].pairs.len, 2);
		assert_str(list.ptr[0].pairs.ptr[0].value, "1");
		assert_null(list.ptr[0].pairs.ptr[1].value.ptr);
		assert_str(list.ptr[1].from.image, "img:$x");
		assert_str(list.ptr[1].from.platform, "$P");
		assert_str(list.ptr[1].from.name, "build");
		assert_int_equal(list.ptr[2].line, 3);
	}
}

void test_instr__run(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;
	struct instr in;

	(void)state;
	assert_ok(type("RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=$T "
	               "--network=none make \\\n  all",
	               &df, &in, &err));
	assert_int_equal(in.kind, INSTR_RUN);
	assert_int_equal(in.line, 2);
	assert_int_equal(in.end_line, 3);
	assert_false(in.run.cmd.exec);
	assert_str(in.run.cmd.shell, "make   all");
	assert_int_equal(in.run.n_mounts, 2);
	assert_str(in.run.mounts[1], "type=tmpfs,target=$T");
	assert_str(in.run.network, "none");
	assert_null(in.run.security.ptr);
	assert_str(in.text, "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=$T "
	                    "--network=none make   all");

	assert_ok(type("RUN [\"a\", \"b c\"]", &df, &in, &err));
	assert_true(in.run.cmd.exec);
	assert_int_equal(in.run.cmd.argc, 2);
	assert_str(in.run.cmd.argv[1], "b c");
}

void test_instr__run_heredocs(void **state)
{
	static const struct {
		const char *text, *shell, *script;
	} cases[] = {
		{ "RUN <<EOF\na\nb\nEOF\n", "a\nb\n", NULL },
		{ "RUN <<-EOF\n\ta\n\tEOF\n", "a\n", NULL },
		{ "RUN <<'EOF'\na $b\nEOF\n", "a $b\n", NULL },
		{ "RUN <<EOF\n#!/usr/bin/python3\nprint()\nEOF\n", "/dev/pipes/EOF",
		  "#!/usr/bin/python3\nprint()\n" },
		{ "RUN cat <<EOF > /x\na\nEOF\n", "cat <<EOF > /x\na\nEOF", NULL },
		{ "RUN cat <<-EOF\n\ta\n\tEOF\n", "cat <<-EOF\n\ta\nEOF", NULL },
		{ "RUN <<A <<B\na\nA\nb\nB\n", "<<A <<B\na\nA\nb\nB", NULL },
		{ "RUN <<EOF bash\na\nEOF\n", "<<EOF bash\na\nEOF", NULL },
		{ "RUN --network=none <<EOF\na\nEOF\n", "a\n", NULL },
		{ "RUN <<EOF\nEOF\n", "", NULL },
	};
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;
	struct instr in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(type(cases[i].text, &df, &in, &err));
		assert_str(in.run.cmd.shell, cases[i].shell);
		assert_int_equal(in.run.script.ptr != NULL, cases[i].script != NULL);
		if (cases[i].script) {
			assert_str(in.run.script, cases[i].script);
			assert_str(in.run.script_name, "EOF");
		}
	}
}

void test_instr__copy(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;
	struct instr in;

	(void)state;
	assert_ok(type("COPY --from=b --chown=u:$G --chmod=u+rX --link --parents --exclude=*.o "
	               "--exclude=x a $B /d/",
	               &df, &in, &err));
	assert_int_equal(in.copy.n_sources, 2);
	assert_str(in.copy.sources[1].word, "$B");
	assert_str(in.copy.dest, "/d/");
	assert_str(in.copy.from, "b");
	assert_str(in.copy.chown, "u:$G");
	assert_str(in.copy.chmod, "u+rX");
	assert_true(in.copy.link && in.copy.parents);
	assert_int_equal(in.copy.n_excludes, 2);
	assert_str(in.copy.excludes[0], "*.o");
	assert_int_equal(in.copy.unpack, -1);

	assert_ok(type("COPY --link=false a b", &df, &in, &err));
	assert_false(in.copy.link);
	assert_null(in.copy.from.ptr);
	assert_null(in.copy.chown.ptr);

	assert_ok(type("ADD --checksum=sha256:00 --unpack=false --keep-git-dir https://x/y /d", &df,
	               &in, &err));
	assert_int_equal(in.kind, INSTR_ADD);
	assert_str(in.copy.checksum, "sha256:00");
	assert_int_equal(in.copy.unpack, 0);
	assert_true(in.copy.keep_git_dir);

	assert_ok(type("COPY [\"a b\", \"<<x\", \"/d/\"]", &df, &in, &err));
	assert_int_equal(in.copy.n_sources, 2);
	assert_str(in.copy.sources[0].word, "a b");
	assert_false(in.copy.sources[1].heredoc);

	assert_ok(type("COPY f <<A <<-'B' /d/\n$a\nA\n\t$b\nB\n", &df, &in, &err));
	assert_int_equal(in.copy.n_sources, 3);
	assert_false(in.copy.sources[0].heredoc);
	assert_true(in.copy.sources[1].heredoc && in.copy.sources[1].expand);
	assert_str(in.copy.sources[1].word, "A");
	assert_str(in.copy.sources[1].content, "$a\n");
	assert_true(in.copy.sources[2].heredoc && !in.copy.sources[2].expand);
	assert_str(in.copy.sources[2].content, "$b\n");
}

void test_instr__config(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;
	struct instr in;

	(void)state;
	assert_ok(type("ENV a=\"b c\" d=$e", &df, &in, &err));
	assert_int_equal(in.pairs.len, 2);
	assert_str(in.pairs.ptr[0].value, "\"b c\"");
	assert_ok(type("ARG a=", &df, &in, &err));
	assert_str(in.pairs.ptr[0].value, "");
	assert_non_null(in.pairs.ptr[0].value.ptr);
	assert_ok(type("CMD", &df, &in, &err));
	assert_str(in.cmd.shell, "");
	assert_ok(type("ENTRYPOINT []", &df, &in, &err));
	assert_true(in.cmd.exec);
	assert_int_equal(in.cmd.argc, 0);
	assert_ok(type("SHELL [\"/bin/bash\", \"-c\"]", &df, &in, &err));
	assert_int_equal(in.list.len, 2);
	assert_ok(type("EXPOSE 80 $P/udp", &df, &in, &err));
	assert_str(in.list.ptr[1], "$P/udp");
	assert_ok(type("WORKDIR /a b", &df, &in, &err));
	assert_str(in.word.word, "/a b");
	assert_ok(type("MAINTAINER A B <c>", &df, &in, &err));
	assert_str(in.word.word, "A B <c>");
	assert_ok(type("HEALTHCHECK --interval=1m30s --timeout=0s --start-period=2s "
	               "--start-interval=500ms --retries=3 CMD curl  -f x",
	               &df, &in, &err));
	assert_int_equal(in.health.interval, 90000000000);
	assert_int_equal(in.health.timeout, 0);
	assert_int_equal(in.health.start_period, 2000000000);
	assert_int_equal(in.health.start_interval, 500000000);
	assert_int_equal(in.health.retries, 3);
	assert_str(in.health.cmd.shell, "curl  -f x");
	assert_ok(type("HEALTHCHECK CMD [\"a\", \"b\"]", &df, &in, &err));
	assert_true(in.health.cmd.exec);
	assert_int_equal(in.health.cmd.argc, 2);
	assert_str(in.health.cmd.argv[0], "a");
	assert_ok(type("HEALTHCHECK none", &df, &in, &err));
	assert_true(in.health.none);
}

void test_instr__triggers(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_arena struct arena *arena = arena_new();
	struct cairn_err err;
	struct instr in, again;

	(void)state;
	assert_ok(type("ONBUILD  RUN --network=none a \\\n b", &df, &in, &err));
	assert_str(in.word.word, "RUN --network=none a  b");
	assert_ok(instr_parse_line(in.word.word, "ONBUILD of x", arena, &again, &err));
	assert_int_equal(again.kind, INSTR_RUN);
	assert_str(again.run.cmd.shell, "a  b");
	assert_str(again.run.network, "none");

	assert_ok(type("ONBUILD COPY <<A <<-B /d/\n1\nA\n\t2\n\tB\n", &df, &in, &err));
	assert_str(in.word.word, "COPY <<A <<-B /d/\n1\nA\n\t2\nB");
	assert_ok(instr_parse_line(in.word.word, "ONBUILD of x", arena, &again, &err));
	assert_int_equal(again.copy.n_sources, 2);
	assert_str(again.copy.sources[1].content, "2\n");

	assert_fails(instr_parse_line(S("FROM x"), "ONBUILD of x", arena, &again, &err),
	             CAIRN_E_SYNTAX);
	assert_string_equal(err.msg, "FROM cannot be an ONBUILD trigger");
	assert_string_equal(err.path, "ONBUILD of x");
	assert_fails(instr_parse_line(S("ONBUILD RUN x"), "w", arena, &again, &err),
	             CAIRN_E_SYNTAX);
	assert_fails(instr_parse_line(S(""), "w", arena, &again, &err), CAIRN_E_SYNTAX);
	assert_fails(instr_parse_line(S("RUN a\nRUN b"), "w", arena, &again, &err), CAIRN_E_SYNTAX);
	assert_fails(instr_parse_line(S("NOPE"), "w", arena, &again, &err), CAIRN_E_SYNTAX);
}

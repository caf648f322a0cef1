#include "harness.h"

#include <dirent.h>

#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/strbuf.h"

/* --- A form in which expectations are short ------------------------------- */

static void dump_strings(struct strbuf *b, const str *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_printf(b, " [%.*s]", STR(s[i]));
}

static void dump_node(struct strbuf *b, const struct dockerfile_node *n)
{
	strbuf_printf(b, "%u", n->line);
	if (n->end_line != n->line)
		strbuf_printf(b, "-%u", n->end_line);
	strbuf_printf(b, " %.*s%s%s", STR(n->name), n->json ? " json" : "",
	              n->legacy ? " legacy" : "");
	dump_strings(b, n->flags, n->n_flags);
	if (n->n_flags)
		strbuf_cstr(b, " |");
	dump_strings(b, n->args, n->n_args);
	if (n->onbuild) {
		strbuf_cstr(b, " (");
		dump_node(b, n->onbuild);
		strbuf_cstr(b, ")");
		return;
	}
	for (size_t i = 0; i < n->n_heredocs; i++) {
		const struct dockerfile_heredoc *h = &n->heredocs[i];

		strbuf_printf(b, " <%.*s%s%s%s", STR(h->name), h->expand ? "" : " literal",
		              h->chomp ? " chomp" : "", h->fd ? " fd" : "");
		if (h->fd)
			strbuf_printf(b, "%u", h->fd);
		strbuf_printf(b, ":%.*s>", STR(h->content));
	}
}

struct parse_case {
	const char *text, *want; /* want: nodes joined by '\n'; or "error: ..." */
};

static void check_parse(const struct parse_case *c)
{
	struct cairn_err err = { 0 };
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct strbuf b;

	strbuf_init(&b, 1 << 20);
	if (dockerfile_parse(str_of(c->text), "Dockerfile", &df, &err) < 0) {
		assert_int_equal(err.code, CAIRN_E_SYNTAX);
		assert_string_equal(err.path, "Dockerfile");
		strbuf_printf(&b, "error: %u: %s", err.line, err.msg);
	}
	for (size_t i = 0; df && i < df->n_nodes; i++) {
		if (i)
			strbuf_char(&b, '\n');
		dump_node(&b, &df->nodes[i]);
	}
	if (strcmp(b.ptr, c->want) != 0)
		fail_msg("%s\n--- gives\n%s\n--- not\n%s", c->text, b.ptr, c->want);
	strbuf_done(&b);
}

#define CHECK_ALL(cases)                                  \
	for (size_t i_ = 0; i_ < ARRAY_SIZE(cases); i_++) \
	check_parse(&(cases)[i_])

/* --- Lines ---------------------------------------------------------------- */

void test_parser__lines(void **state)
{
	static const struct parse_case cases[] = {
		{ "FROM a", "1 from [a]" },
		{ "\xef\xbb\xbf"
		  "FROM a\n",
		  "1 from [a]" },
		{ "from a\nRun b\n", "1 from [a]\n2 run [b]" },
		{ "\n\n  \t FROM a\n", "3 from [a]" },
		{ "FROM a\r\nRUN b\r\n", "1 from [a]\n2 run [b]" },
		{ "# comment\nFROM a # no comment\n", "2 from [a] [#] [no] [comment]" },
		{ "  # indented comment\nFROM a\n", "2 from [a]" },
		{ "FROM\ta\n", "1 from [a]" },
		{ "FROM    a   AS  b  \n", "1 from [a] [AS] [b]" },
		/* continuations keep the blanks of the following line */
		{ "RUN a \\\n  b\n", "1-2 run [a   b]" },
		{ "RUN a\\\nb\n", "1-2 run [ab]" },
		{ "RUN a \\   \t\n b\n", "1-2 run [a  b]" },
		{ "RUN a \\\r\n b\r\n", "1-2 run [a  b]" },
		{ "RUN a \\\n# note\n b\n", "1-3 run [a  b]" },
		{ "RUN a \\\n   # note \\\n b\n", "1-3 run [a  b]" },
		{ "RUN a \\\n\n\n b\nRUN c", "1-4 run [a  b]\n5 run [c]" },
		{ "RUN a \\\n # only a comment follows\n", "1-2 run [a]" },
		{ "RUN echo # \\\n b\n", "1-2 run [echo #  b]" },
		{ "RUN a \\\\\nRUN b\n", "1 run [a \\\\]\n2 run [b]" },
		{ "RUN \\\n a\n", "1-2 run [a]" },
		{ "RU\\\nN a\n", "1-2 run [a]" },
		{ "RUN a \\", "1 run [a]" },
		{ "\\\nRUN a\n", "1-2 run [a]" },
		/* blank lines around, no newline at the end */
		{ "\n# c\n\nRUN a\n\n\n", "4 run [a]" },
		{ "", "error: 0: no instructions in this file" },
		{ "# only\n\n", "error: 2: no instructions in this file" },
		{ "RNU x\n", "error: 1: unknown instruction 'RNU' (did you mean RUN?)" },
		{ "FROM a\n\nENTRYPONT x\n",
		  "error: 3: unknown instruction 'ENTRYPONT' (did you mean ENTRYPOINT?)" },
		{ "FOO x\n", "error: 1: unknown instruction 'FOO'" },
		{ "\\\n", "error: 1: unknown instruction ''" },
	};

	(void)state;
	CHECK_ALL(cases);
}

void test_parser__directives(void **state)
{
	static const struct parse_case cases[] = {
		{ "# escape=`\nRUN a `\n b\n", "2-3 run [a  b]" },
		{ "#escape=`\r\nRUN a `\r\n b\n", "2-3 run [a  b]" },
		{ "# Escape = `\nRUN a\\\nRUN b", "2 run [a\\]\n3 run [b]" },
		{ "# c\n# escape=`\nRUN a \\\n b\n", "3-4 run [a  b]" },
		{ "\n# escape=`\nRUN a \\\n b\n", "3-4 run [a  b]" },
		{ "# other=1\n# escape=`\nRUN a \\\n b\n", "3-4 run [a  b]" },
		{ "# syntax=x\n# escape=`\nRUN a `\n b\n", "3-4 run [a  b]" },
		{ "#!/usr/bin/env x\n# escape=`\nRUN a \\\n b\n", "3-4 run [a  b]" },
		{ "# escape=x\nRUN a", "error: 1: escape directive is 'x'; it can be \\ or `" },
		{ "# escape=\\\n# escape=\\\nRUN a",
		  "error: 2: directive 'escape' stands here a second time" },
		{ "# syntax=a\n# syntax=b\nRUN a",
		  "error: 2: directive 'syntax' stands here a second time" },
	};
	struct cairn_err err;

	(void)state;
	CHECK_ALL(cases);
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_ok(dockerfile_parse(S("#!/bin/x\n# syntax = docker/dockerfile:1 more \n"
		                             "#check=skip=all\nFROM a\n"),
		                           "D", &df, &err));
		assert_str(df->syntax, "docker/dockerfile:1");
		assert_str(df->check, "skip=all");
		assert_int_equal(df->escape, '\\');
	}
}

/* --- Arguments ------------------------------------------------------------ */

void test_parser__flags(void **state)
{
	static const struct parse_case cases[] = {
		{ "RUN --a=b c d", "1 run [--a=b] | [c d]" },
		{ "RUN --a --b=c   d", "1 run [--a] [--b=c] | [d]" },
		{ "RUN --a=\"b c\" d", "1 run [--a=b c] | [d]" },
		{ "RUN --a='b c' d", "1 run [--a=b c] | [d]" },
		{ "RUN --a=b\\ c d", "1 run [--a=b c] | [d]" },
		{ "RUN -- --a b", "1 run [--a b]" },
		{ "RUN --a -- --b c", "1 run [--a] | [--b c]" },
		{ "RUN -a b", "1 run [-a b]" },
		{ "RUN --a=b", "1 run [--a=b] |" },
		{ "RUN a --b=c", "1 run [a --b=c]" },
		{ "RUN --mount=type=cache,target=/x \\\n  --network=none \\\n  make\n",
		  "1-3 run [--mount=type=cache,target=/x] [--network=none] | [make]" },
		{ "COPY --from=x [\"a b\", \"c\"]", "1 copy json [--from=x] | [a b] [c]" },
	};

	(void)state;
	CHECK_ALL(cases);
}

void test_parser__json(void **state)
{
	static const struct parse_case cases[] = {
		{ "CMD [\"a\",\"b c\"]", "1 cmd json [a] [b c]" },
		{ "CMD   [ \"a\" , \"b\" ]  ", "1 cmd json [a] [b]" },
		{ "CMD []", "1 cmd json" },
		{ "CMD [\"\\u00e9\\n\"]", "1 cmd json [\xc3\xa9\n]" },
		{ "RUN [\"a\", \\\n \"b\"]", "1-2 run json [a] [b]" },
		/* what does not parse is for the shell */
		{ "CMD ['a']", "1 cmd [['a']]" },
		{ "CMD [\"a\"", "1 cmd [[\"a\"]" },
		{ "CMD [\"a\",]", "1 cmd [[\"a\",]]" },
		{ "CMD [\"a\"] x", "1 cmd [[\"a\"] x]" },
		{ "RUN [ -f x ] && y", "1 run [[ -f x ] && y]" },
		{ "RUN [\"c:\\windows\\x.exe\"]", "1 run [[\"c:\\windows\\x.exe\"]]" },
		{ "COPY [a, b]", "1 copy [[a,] [b]]" },
		{ "CMD [\"a\", 1]",
		  "error: 1: the JSON form of CMD takes only strings; element 2 is none" },
		{ "CMD [[\"a\"]]",
		  "error: 1: the JSON form of CMD takes only strings; element 1 is none" },
		{ "CMD [null]",
		  "error: 1: the JSON form of CMD takes only strings; element 1 is none" },
		{ "SHELL [\"/bin/bash\", \"-c\"]", "1 shell json [/bin/bash] [-c]" },
		{ "VOLUME [\"/a\", \"/b c\"]", "1 volume json [/a] [/b c]" },
		{ "VOLUME /a /b", "1 volume [/a] [/b]" },
	};

	(void)state;
	CHECK_ALL(cases);
}

void test_parser__shell_forms(void **state)
{
	static const struct parse_case cases[] = {
		{ "CMD echo  \"a  b\" ", "1 cmd [echo  \"a  b\"]" },
		{ "CMD", "1 cmd" },
		{ "ENTRYPOINT exec x", "1 entrypoint [exec x]" },
		{ "HEALTHCHECK NONE", "1 healthcheck [NONE]" },
		{ "HEALTHCHECK none", "1 healthcheck [NONE]" },
		{ "HEALTHCHECK --interval=5s CMD curl  -f x", "1 healthcheck [--interval=5s] | "
		                                              "[CMD] [curl  -f x]" },
		{ "HEALTHCHECK CMD [\"a\", \"b\"]", "1 healthcheck json [CMD] [a] [b]" },
		{ "HEALTHCHECK cmd a", "1 healthcheck [CMD] [a]" },
		{ "HEALTHCHECK", "1 healthcheck" },
		{ "HEALTHCHECK foo bar", "1 healthcheck [foo] [bar]" },
		{ "ONBUILD RUN a b", "1 onbuild (1 run [a b])" },
		{ "ONBUILD copy --from=x a \\\n b", "1-2 onbuild (1-2 copy [--from=x] | [a] [b])" },
		{ "ONBUILD", "error: 1: ONBUILD needs an instruction" },
		{ "ONBUILD ONBUILD RUN x", "error: 1: ONBUILD cannot hold another ONBUILD" },
		{ "ONBUILD RNU x", "error: 1: unknown instruction 'RNU' (did you mean RUN?)" },
		{ "MAINTAINER A B <c@d>", "1 maintainer [A] [B] [<c@d>]" },
		{ "EXPOSE 80 443/tcp $P", "1 expose [80] [443/tcp] [$P]" },
		{ "WORKDIR \"/a b\"", "1 workdir [\"/a] [b\"]" },
		{ "STOPSIGNAL SIGTERM", "1 stopsignal [SIGTERM]" },
		{ "USER a:b", "1 user [a:b]" },
		{ "COPY \"a\" 'b' /c", "1 copy [\"a\"] ['b'] [/c]" },
	};

	(void)state;
	CHECK_ALL(cases);
}

void test_parser__pairs(void **state)
{
	static const struct parse_case cases[] = {
		{ "ENV a=b", "1 env [a] [b]" },
		{ "ENV a=b c=d", "1 env [a] [b] [c] [d]" },
		{ "ENV a=\"b c\" d='e f'", "1 env [a] [\"b c\"] [d] ['e f']" },
		{ "ENV a=b\\ c d=e", "1 env [a] [b\\ c] [d] [e]" },
		{ "ENV a= b=", "1 env [a] [] [b] []" },
		{ "ENV a=b=c", "1 env [a] [b=c]" },
		{ "ENV a=b \\\n  c=d", "1-2 env [a] [b] [c] [d]" },
		{ "ENV \"a\"=b", "1 env [\"a\"] [b]" },
		{ "ENV a=\"b\\\"c d\"", "1 env [a] [\"b\\\"c d\"]" },
		{ "ENV a='b\\' c=d", "1 env [a] ['b\\'] [c] [d]" },
		{ "ENV a=b\\", "1 env [a] [b]" },
		{ "ENV a=\"\" b=''", "1 env [a] [\"\"] [b] ['']" },
		/* the old form */
		{ "ENV a b", "1 env legacy [a] [b]" },
		{ "ENV a b c  d ", "1 env legacy [a] [b c  d]" },
		{ "ENV a\tb=c", "1 env legacy [a] [b=c]" },
		{ "ENV a \"b c\"", "1 env legacy [a] [\"b c\"]" },
		{ "LABEL a b", "1 label legacy [a] [b]" },
		{ "LABEL \"a.b\"=\"c\" d=e", "1 label [\"a.b\"] [\"c\"] [d] [e]" },
		{ "LABEL a=\"b\\\n c\"", "1-2 label [a] [\"b c\"]" },
		{ "ENV a", "error: 1: ENV needs key=value, or a key and a value" },
		{ "ENV a=b c",
		  "error: 1: 'c' in ENV has no '='; a value with blanks needs quotes" },
		{ "ENV", "1 env" },
		{ "ARG a", "1 arg [a]" },
		{ "ARG a b=c d=\"e f\"", "1 arg [a] [b=c] [d=\"e f\"]" },
		{ "# escape=`\nENV a=b` c d=\\", "2 env [a] [b` c] [d] [\\]" },
	};

	(void)state;
	CHECK_ALL(cases);
}

/* --- Heredocs ------------------------------------------------------------- */

void test_parser__heredocs(void **state)
{
	static const struct parse_case cases[] = {
		{ "RUN <<EOF\na\nb\nEOF\n", "1-4 run [<<EOF] <EOF:a\nb\n>" },
		{ "RUN <<EOF\nEOF\nRUN x", "1-2 run [<<EOF] <EOF:>\n3 run [x]" },
		{ "RUN <<EOF\na\nEOF", "1-3 run [<<EOF] <EOF:a\n>" },
		{ "RUN <<-EOF\n\t\ta\n\t b\n\tEOF\n", "1-4 run [<<-EOF] <EOF chomp:a\n b\n>" },
		{ "RUN <<-EOF\n\n\ta\nEOF\n", "1-4 run [<<-EOF] <EOF chomp:\na\n>" },
		{ "RUN <<EOF\n\tEOF\nEOF\n", "1-3 run [<<EOF] <EOF:\tEOF\n>" },
		{ "RUN <<'EOF'\n$a\nEOF\n", "1-3 run [<<'EOF'] <EOF literal:$a\n>" },
		{ "RUN <<\"EOF\"\n$a\nEOF\n", "1-3 run [<<\"EOF\"] <EOF literal:$a\n>" },
		{ "RUN <<-\"E\"\n\t$a\nE\n", "1-3 run [<<-\"E\"] <E literal chomp:$a\n>" },
		{ "RUN <<eo'f'\nx\neof\n", "1-3 run [<<eo'f'] <eof literal:x\n>" },
		{ "RUN <<eo\\'f\nx\neo'f\n", "1-3 run [<<eo\\'f] <eo'f:x\n>" },
		{ "RUN <<'e'o\\'f\nx\neo'f\n", "1-3 run [<<'e'o\\'f] <eo'f literal:x\n>" },
		{ "RUN <<'one two'\nx\none two\n", "1-3 run [<<'one two'] <one two literal:x\n>" },
		{ "RUN <<$EOF\nx\n$EOF\n", "1-3 run [<<$EOF] <$EOF:x\n>" },
		{ "RUN 3<<EOF\nx\nEOF\n", "1-3 run [3<<EOF] <EOF fd3:x\n>" },
		{ "RUN << EOF\nx\nEOF\n", "1-3 run [<< EOF] <EOF:x\n>" },
		{ "RUN <<A cat <<B\na\nA\nb\nB\n", "1-5 run [<<A cat <<B] <A:a\n> <B:b\n>" },
		{ "RUN cat <<EOF > /x && y\na\nEOF\n", "1-3 run [cat <<EOF > /x && y] <EOF:a\n>" },
		{ "RUN <<EOF python3\nprint('x')\nEOF\n",
		  "1-3 run [<<EOF python3] <EOF:print('x')\n>" },
		{ "RUN <<EOF\n# no comment\n\na \\\nb\nEOF\n",
		  "1-6 run [<<EOF] <EOF:# no comment\n\na \\\nb\n>" },
		{ "RUN a \\\n <<EOF\nx\nEOF\n", "1-4 run [a  <<EOF] <EOF:x\n>" },
		{ "RUN --mount=type=cache,target=/x <<EOF\na\nEOF\n",
		  "1-3 run [--mount=type=cache,target=/x] | [<<EOF] <EOF:a\n>" },
		{ "RUN <<EOF\r\na\r\nEOF\r\nRUN b", "1-3 run [<<EOF] <EOF:a\r\n>\n4 run [b]" },
		{ "COPY <<a.txt <<b.txt /d/\n1\na.txt\n2\nb.txt\n",
		  "1-5 copy [<<a.txt] [<<b.txt] [/d/] <a.txt:1\n> <b.txt:2\n>" },
		{ "COPY <<X <<Y /d\nY\nX\nX\nY\n", "1-5 copy [<<X] [<<Y] [/d] <X:Y\n> <Y:X\n>" },
		{ "ADD <<E /x\na\nE\n", "1-3 add [<<E] [/x] <E:a\n>" },
		{ "ONBUILD RUN <<E\na\nE\nRUN b",
		  "1-3 onbuild (1-3 run [<<E] <E:a\n>)\n4 run [b]" },
		/* no heredocs */
		{ "RUN \"<<EOF\"", "1 run [\"<<EOF\"]" },
		{ "RUN '<<EOF'", "1 run ['<<EOF']" },
		{ "RUN cat <<<EOF", "1 run [cat <<<EOF]" },
		{ "RUN cat <<", "1 run [cat <<]" },
		{ "RUN echo $((1<<2))", "1 run [echo $((1<<2))]" },
		{ "RUN [\"<<EOF\"]", "1 run json [<<EOF]" },
		{ "USER <<EOF\n", "1 user [<<EOF]" },
		{ "RUN echo it's <<EOF\n", "1 run [echo it's <<EOF]" },
		{ "RUN a<<EOF\n", "1 run [a<<EOF]" },
		{ "RUN <<EOF\na\n", "error: 1: heredoc 'EOF' does not end: no line is 'EOF'" },
		{ "FROM x\nCOPY <<A <<B /\na\nA\nB2\n",
		  "error: 2: heredoc 'B' does not end: no line is 'B'" },
	};

	(void)state;
	CHECK_ALL(cases);
}

/* --- Limits, positions, JSON ---------------------------------------------- */

void test_parser__line_of_64_kib(void **state)
{
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 1 << 20);
	strbuf_cstr(&b, "RUN ");
	while (b.len < DOCKERFILE_LINE_MAX)
		strbuf_char(&b, 'x');
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_ok(dockerfile_parse(strbuf_view(&b), "D", &df, &err));
	}
	strbuf_char(&b, 'x');
	{
		cleanup_dockerfile struct dockerfile *df = NULL;

		assert_fails(dockerfile_parse(strbuf_view(&b), "D", &df, &err), CAIRN_E_SYNTAX);
		assert_int_equal(err.line, 1);
	}
	strbuf_done(&b);
}

void test_parser__nul(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;

	(void)state;
	assert_fails(dockerfile_parse(S("FROM a\nRUN a\0b\n"), "D", &df, &err), CAIRN_E_SYNTAX);
	assert_int_equal(err.line, 2);
}

void test_parser__line_of_text(void **state)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err;

	(void)state;
	assert_ok(dockerfile_parse(S("FROM a\r\n\nRUN b"), "D", &df, &err));
	assert_str(dockerfile_line(df, 1), "FROM a");
	assert_str(dockerfile_line(df, 2), "");
	assert_str(dockerfile_line(df, 3), "RUN b");
	assert_str(dockerfile_line(df, 4), "");
	assert_true(dockerfile_line(df, 4).ptr == NULL);
	assert_true(dockerfile_line(df, 0).ptr == NULL);
}

void test_parser__json_output(void **state)
{
	static const char *want =
		"{\"instructions\":["
		"{\"line\":2,\"end_line\":2,\"name\":\"from\",\"flags\":[],\"args\":[\"a\"],"
		"\"json\":false,\"heredocs\":[]},"
		"{\"line\":3,\"end_line\":6,\"name\":\"run\",\"flags\":[\"--mount=\\\"type=bind\\\"\"],"
		"\"args\":[\"x  <<-'E'\"],\"json\":false,\"heredocs\":[{\"name\":\"E\","
		"\"content\":\"b\\n\",\"expand\":false}]},"
		"{\"line\":7,\"end_line\":7,\"name\":\"onbuild\",\"flags\":[],\"args\":[],"
		"\"json\":false,\"heredocs\":[],\"onbuild\":{\"line\":7,\"end_line\":7,"
		"\"name\":\"env\",\"flags\":[],\"args\":[\"a\",\"\\\"b\\\"\"],\"json\":false,"
		"\"heredocs\":[]}}],"
		"\"directives\":{\"syntax\":\"s\",\"escape\":\"\\\\\"},\"warnings\":[]}";
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_json json_t *j = NULL;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 1 << 20);
	assert_ok(dockerfile_parse(S("# syntax=s\nFROM a\nRUN --mount=\"type=bind\" x \\\n <<-'E'\n"
	                             "\tb\n\tE\nONBUILD ENV a=\"b\"\n"),
	                           "D", &df, &err));
	j = dockerfile_to_json(df);
	json_write(j, &b);
	assert_string_equal(b.ptr, want);
	strbuf_done(&b);
}

/* --- tests/assets/dockerfile: X.Dockerfile with X.json, or with X.error ---- */

static void read_asset(const char *dir, const char *name, size_t stem, const char *suffix,
                       struct strbuf *out)
{
	struct cairn_err err;
	char *path = xasprintf("%s/%.*s%s", dir, (int)stem, name, suffix);

	strbuf_init(out, DOCKERFILE_MAX);
	assert_ok(fs_read_file(AT_FDCWD, path, out, &err));
	free(path);
}

static void check_asset(const char *dir, const char *name)
{
	size_t stem = strlen(name) - strlen(".Dockerfile");
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_json json_t *got = NULL;
	cleanup_json json_t *want = NULL;
	struct strbuf text, expected, out;
	struct cairn_err err = { 0 };

	strbuf_init(&out, DOCKERFILE_MAX);
	read_asset(dir, name, stem, ".Dockerfile", &text);
	read_asset(dir, name, stem, str_starts(str_of(name), S("bad-")) ? ".error" : ".json",
	           &expected);
	if (dockerfile_parse(strbuf_view(&text), name, &df, &err) < 0) {
		strbuf_printf(&out, "line %u: %s\n", err.line, err.msg);
		assert_string_equal(out.ptr, expected.ptr);
	} else {
		got = dockerfile_to_json(df);
		json_write(got, &out);
		assert_ok(json_parse(strbuf_view(&expected), name, &want, &err));
		if (!json_equal(got, want))
			fail_msg("%s gives %s", name, out.ptr);
	}
	strbuf_done(&text);
	strbuf_done(&expected);
	strbuf_done(&out);
}

void test_parser__assets(void **state)
{
	const char *path = TEST_ASSETS "/dockerfile";
	DIR *dir = opendir(path);
	const struct dirent *e;
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!str_ends(str_of(e->d_name), S(".Dockerfile")))
			continue;
		check_asset(path, e->d_name);
		n++;
	}
	(void)closedir(dir);
	assert_true(n >= 20);
}

/* 200 lines take well under a millisecond; the bound is loose for slow machines. */
void test_parser__is_fast(void **state)
{
	struct cairn_err err;
	struct strbuf b;
	int64_t start;

	(void)state;
	strbuf_init(&b, 1 << 20);
	strbuf_cstr(&b, "FROM debian\n");
	for (int i = 0; i < 66; i++)
		strbuf_printf(
			&b, "ENV A%d=\"x y\" B=$A\nRUN --mount=type=cache,target=/c \\\n make %d\n",
			i, i);
	start = harness_cpu_ns();
	for (int i = 0; i < 20; i++) {
		cleanup_dockerfile struct dockerfile *df = NULL;
		struct instr_list list;

		assert_ok(dockerfile_parse(strbuf_view(&b), "D", &df, &err));
		assert_ok(dockerfile_instrs(df, &list, &err));
	}
	assert_true((harness_cpu_ns() - start) / 20 < 20000000);
	if (getenv("CAIRN_TEST_TIMES"))
		print_message("parse: %lld ns\n", (long long)(harness_cpu_ns() - start) / 20);
	strbuf_done(&b);
}

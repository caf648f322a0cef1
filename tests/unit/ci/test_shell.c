/* A shell script as a list of commands. */
#include "harness.h"

#include "ci/ci.h"

/* "LINE:[word][word]>[target]", "|" before a command that is piped into. */
static void describe(const struct shell_script *s, struct strbuf *out)
{
	vec_foreach (c, &s->commands) {
		strbuf_printf(out, "%s%u:", c->piped ? "|" : "", c->line);
		for (size_t i = 0; i < c->n_words; i++)
			strbuf_printf(out, "[%.*s]", STR(c->words[i].text));
		for (size_t i = 0; i < c->n_redirects; i++)
			strbuf_printf(out, "%.*s[%.*s]", STR(c->redirects[i].op),
			              STR(c->redirects[i].target));
		strbuf_char(out, ' ');
	}
}

static const struct {
	const char *text, *want;
} cases[] = {
	{ "", "" },
	{ "\n\n  # only a comment\n", "" },
	{ "a b\nc", "1:[a][b] 2:[c] " },
	{ "a && b || c; d & e", "1:[a] 1:[b] 1:[c] 1:[d] 1:[e] " },
	{ "a | b |& c", "1:[a] |1:[b] |1:[c] " },
	{ "a \\\n  b \\\n  c\nd", "1:[a][b][c] 4:[d] " },
	{ "a 'b c' \"d 'e'\" f\\ g", "1:[a][b c][d 'e'][f g] " },
	{ "pip install torch>=2.0 x", "1:[pip][install][torch][x]>[=2.0] " },
	{ "pip install 'torch>=2.0'", "1:[pip][install][torch>=2.0] " },
	{ "a >b 2>>c 2>&1 <d", "1:[a]>[b]>>[c]<[d] " },
	{ "a &>b", "1:[a]>[b] " },
	{ "cat <<EOF >x\nnot a command\nEOF\nb", "1:[cat]>[x] 4:[b] " },
	{ "cat <<-'EOF' | b\n\tnot\n\tEOF\nc", "1:[cat] |1:[b] 4:[c] " },
	{ "cat <<EOF\nno end", "1:[cat] " },
	{ "a \"$(b c)\" d", "1:[b][c] 1:[a][$(b c)][d] " },
	{ "x=$(git diff \\\n HEAD~1)", "1:[git][diff][HEAD~1] 1:[x=$(git diff \\\n HEAD~1)] " },
	{ "a `b` $((1 + 2)) ${x:-y z}", "1:[b] 1:[a][`b`][$((1 + 2))][${x:-y z}] " },
	{ "a 'no end\nb", "1:[a][no end\nb] " },
	{ "a \"no end", "1:[a][no end] " },
	{ "a $(no end", "1:[no][en] 1:[a][$(no end] " },
	{ "a#b #c\nd", "1:[a#b] 2:[d] " },
	{ ">only", "1:>[only] " },
	{ "a \\", "1:[a][] " },
};

void test_shell__commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct shell_script s __attribute__((cleanup(shell_script_done))) = { 0 };
		cleanup_strbuf struct strbuf got;

		shell_split(str_of(cases[i].text), 1, a, &s);
		strbuf_init(&got, 4096);
		describe(&s, &got);
		strbuf_char(&got, '\0');
		if (strcmp(got.ptr, cases[i].want) != 0)
			fail_msg("%s\n got %s\nwant %s", cases[i].text, got.ptr, cases[i].want);
	}
}

/* Nothing that is nested deeply, or that does not end, takes the stack or much time. */
void test_shell__nested(void **state)
{
	cleanup_strbuf struct strbuf text;

	(void)state;
	strbuf_init(&text, 1u << 20);
	for (int i = 0; i < 100000; i++)
		strbuf_cstr(&text, i % 2 ? "$(" : "\"`");
	for (int i = 0; i < 2; i++) {
		cleanup_arena struct arena *a = arena_new();
		struct shell_script s __attribute__((cleanup(shell_script_done))) = { 0 };

		shell_split(strbuf_view(&text), 1, a, &s);
		assert_true(s.commands.len > 0);
		strbuf_clear(&text);
		for (int k = 0; k < 300000; k++)
			strbuf_cstr(&text, "$(");
	}
}

void test_shell__program(void **state)
{
	static const struct {
		const char *text, *want;
	} programs[] = {
		{ "docker build .", "docker" },  { "A=1 sudo -E docker pull x", "docker" },
		{ "if ! git diff", "git" },      { "A=1 B=$C", "" },
		{ "time env X=1 make", "make" }, { "a=b=c x", "x" },
		{ "--x=1 y", "--x=1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct shell_script s __attribute__((cleanup(shell_script_done))) = { 0 };

		shell_split(str_of(programs[i].text), 1, a, &s);
		assert_int_equal(s.commands.len, 1);
		assert_true(str_is(shell_arg(s.commands.ptr, shell_program(s.commands.ptr)),
		                   programs[i].want));
	}
}

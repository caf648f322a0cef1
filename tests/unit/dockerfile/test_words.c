#include "harness.h"

#include "dockerfile/dockerfile.h"
#include "util/clock.h"
#include "util/strbuf.h"

struct var {
	const char *name, *value;
};

static bool lookup(void *ctx, str name, str *ret_value)
{
	for (const struct var *v = ctx; v->name; v++) {
		if (str_is(name, v->name)) {
			*ret_value = str_of(v->value);
			return true;
		}
	}
	return false;
}

static struct var vars[] = {
	{ "PWD", "/home" },
	{ "SHELL", "bash" },
	{ "EMPTY", "" },
	{ "STR", "foobarbaz" },
	{ "PATHS", "/usr/local/lib:/usr/lib" },
	{ "V", "1.2.3" },
	{ "STAR", "a*b*c" },
	{ "SLASH", "a/b/c" },
	{ "UTF", "h\xc3\xa9llo" },
	{ "SPACE", "abc  def" },
	{ "LEADING", "  ab c" },
	{ "TRAILING", "ab c   " },
	{ "QUOTE", "a\"b'c" },
	{ "LINES", "a\nb" },
	{ NULL, NULL },
};

struct word_case {
	const char *word, *want; /* want NULL: an error */
};

static void check_words(const struct word_case *cases, size_t n, char escape, bool body)
{
	cleanup_arena struct arena *arena = arena_new();
	struct words w = { .lookup = lookup,
		           .ctx = vars,
		           .arena = arena,
		           .escape = escape,
		           .path = "Dockerfile",
		           .line = 7 };

	for (size_t i = 0; i < n; i++) {
		struct cairn_err err = { 0 };
		str got = { 0 };
		int r = body ? words_expand_body(&w, str_of(cases[i].word), &got, &err)
		             : words_expand(&w, str_of(cases[i].word), &got, &err);

		if (r < 0 && cases[i].want)
			fail_msg("%s: %s", cases[i].word, err.msg);
		if (r < 0) {
			assert_int_equal(r, CAIRN_E_SYNTAX);
			assert_string_equal(err.path, "Dockerfile");
			assert_int_equal(err.line, 7);
			continue;
		}
		if (!cases[i].want)
			fail_msg("%s gives '%.*s', not an error", cases[i].word, STR(got));
		if (!str_is(got, cases[i].want))
			fail_msg("%s gives '%.*s', not '%s'", cases[i].word, STR(got),
			         cases[i].want);
	}
}

void test_words__quotes(void **state)
{
	static const struct word_case cases[] = {
		{ "", "" },
		{ "hello", "hello" },
		{ "he'll'o", "hello" },
		{ "he'llo", NULL },
		{ "he\\'llo", "he'llo" },
		{ "he\\\\'llo", NULL },
		{ "abc\\tdef", "abctdef" },
		{ "\"abc\\tdef\"", "abc\\tdef" },
		{ "\"abc\\\\tdef\"", "abc\\tdef" },
		{ "'abc\\tdef'", "abc\\tdef" },
		{ "hello\\", "hello" },
		{ "hello\\\\", "hello\\" },
		{ "\"hello", NULL },
		{ "\"hello\\\"", NULL },
		{ "\"hel'lo\"", "hel'lo" },
		{ "'hello", NULL },
		{ "'hello\\'", "hello\\" },
		{ "'hello\\\\there'", "hello\\\\there" },
		{ "\"''\"", "''" },
		{ "'\"hello\"'", "\"hello\"" },
		{ "\"a b\"' c'", "a b c" },
		{ "\"\"", "" },
		{ "a b  c", "a b  c" },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '\\', false);
}

void test_words__variables(void **state)
{
	static const struct word_case cases[] = {
		{ "$.", "$." },
		{ "$", "$" },
		{ "a$", "a$" },
		{ "he$1x", "hex" },
		{ "he$12x", "hex" },
		{ "he$.x", "he$.x" },
		{ "he$pwd.", "he." },
		{ "he$PWD", "he/home" },
		{ "$PWD$SHELL", "/homebash" },
		{ "he\\$PWD", "he$PWD" },
		{ "he\\\\$PWD", "he\\/home" },
		{ "\"he\\$PWD\"", "he$PWD" },
		{ "\"he\\\\$PWD\"", "he\\/home" },
		{ "\\${}", "${}" },
		{ "\\${}aaa", "${}aaa" },
		{ "${}", NULL },
		{ "he${}xx", NULL },
		{ "he${hi}xx", "hexx" },
		{ "he${PWD}", "he/home" },
		{ "he${.}", NULL },
		{ "${:}", NULL },
		{ "${{x}}", NULL },
		{ "he${PWD", NULL },
		{ "${", NULL },
		{ "'he${XX}'", "he${XX}" },
		{ "\"he${PWD}\"", "he/home" },
		{ "\"he'$PWD'\"", "he'/home'" },
		{ "'$PWD'", "$PWD" },
		{ "'\\$PWD'", "\\$PWD" },
		{ "$QUOTE", "a\"b'c" },
		{ "$@ $* $# $? $- $! $0", "      " },
		{ "$$x", "x" },
		{ "${PWD}_x", "/home_x" },
		{ "$PWD_x", "" },
		{ "$\xc3\xa9", "$\xc3\xa9" },
		{ "$SPACE", "abc  def" },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '\\', false);
}

void test_words__defaults(void **state)
{
	static const struct word_case cases[] = {
		{ "he${XXX:-000}xx", "he000xx" },
		{ "he${PWD:-000}xx", "he/homexx" },
		{ "he${EMPTY:-000}xx", "he000xx" },
		{ "he${EMPTY-000}xx", "hexx" },
		{ "he${XXX-000}xx", "he000xx" },
		{ "he${XXX:-}xx", "hexx" },
		{ "he${XXX:-$PWD}xx", "he/homexx" },
		{ "he${XXX:-${PWD:-yyy}}xx", "he/homexx" },
		{ "he${XXX:-${YYY:-yyy}}xx", "heyyyxx" },
		{ "he${XXX:-\"a}b\"}xx", "hea}bxx" },
		{ "he${XXX:-a b}xx", "hea bxx" },
		{ "he${XXX:-\\$PWD:}xx", "he$PWD:xx" },
		{ "he${XXX:-\\${PWD}z}xx", "he${PWDz}xx" },
		{ "he${XXX:+000}xx", "hexx" },
		{ "he${PWD:+000}xx", "he000xx" },
		{ "he${EMPTY:+000}xx", "hexx" },
		{ "he${EMPTY+000}xx", "he000xx" },
		{ "he${XXX+000}xx", "hexx" },
		{ "he${XXX:+${PWD}}xx", "hexx" },
		{ "he${PWD:+${SHELL}}xx", "hebashxx" },
		{ "he${PWD:+${PWD}:}xx", "he/home:xx" },
		{ "he${XXX:YYY}", NULL },
		{ "he${XXX:=YYY}", NULL },
		{ "he${XXX=YYY}", NULL },
		{ "he${XXX?}", NULL },
		{ "he${XXX:?}", NULL },
		{ "he${PWD:?}", "he/home" },
		{ "he${PWD?}", "he/home" },
		{ "he${EMPTY:?}", NULL },
		{ "he${EMPTY?}", "he" },
		{ "he${XXX:-", NULL },
		{ "he${XXX:-${YYY}", NULL },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '\\', false);
}

void test_words__patterns(void **state)
{
	static const struct word_case cases[] = {
		{ "${STR#f*b}", "arbaz" },
		{ "${STR##f*b}", "az" },
		{ "${STR%b*}", "foobar" },
		{ "${STR%%b*}", "foo" },
		{ "${STR#x*}", "foobarbaz" },
		{ "${STR#}", "foobarbaz" },
		{ "${STR##*}", "" },
		{ "${STR#*}", "foobarbaz" },
		{ "${STR%%*}", "" },
		{ "${STR%*}", "foobarbaz" },
		{ "${STR#???}", "barbaz" },
		{ "${STR%???}", "foobar" },
		{ "${STR#foo}", "barbaz" },
		{ "${STR%baz}", "foobar" },
		{ "${STR#o}", "foobarbaz" },
		{ "${PATHS%%:*}", "/usr/local/lib" },
		{ "${PATHS##*:}", "/usr/lib" },
		{ "${PATHS##*/}", "lib" },
		{ "${V%.*}", "1.2" },
		{ "${V%%.*}", "1" },
		{ "${STAR#a\\*}", "b*c" },
		{ "${STAR##*\\*}", "c" },
		{ "${STAR%\\*c}", "a*b" },
		{ "${STAR#a\\x}", NULL },
		{ "${UTF#h?}", "llo" },
		{ "${UTF%%?llo}", "h" },
		{ "${LINES#?*}", "\nb" },
		{ "${LINES##*}", "\nb" },
		{ "${XXX#a}", "" },
		{ "${STR#$SHELL}", "foobarbaz" },
		{ "${STR/ba/fo}", "foofor"
		                  "baz" },
		{ "${STR//ba/fo}", "fooforfoz" },
		{ "${STR/b?/X}", "fooXrbaz" },
		{ "${STR/b*/X}", "fooX" },
		{ "${STR//o/}", "fbarbaz" },
		{ "${STR/x/y}", "foobarbaz" },
		{ "${STR//x/y}", "foobarbaz" },
		{ "${SLASH//\\//-}", "a-b-c" },
		{ "${SLASH/\\//\\/\\/}", "a\\/\\/b/c" },
		{ "${STR/foo/$SHELL}", "bashbarbaz" },
		{ "${STR/$XXX/_}", "_foobarbaz" },
		{ "${V//./_}", "1_2_3" },
		{ "${STR/a", NULL },
		{ "${STR/a/b", NULL },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '\\', false);
}

void test_words__backtick(void **state)
{
	static const struct word_case cases[] = {
		{ "a`$PWD", "a$PWD" },   { "a\\$PWD", "a\\/home" }, { "c:\\x\\y", "c:\\x\\y" },
		{ "\"a`\"b\"", "a\"b" }, { "a``b", "a`b" },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '`', false);
}

/* Heredoc bodies of COPY: quotes are text, the backslash escapes. */
void test_words__body(void **state)
{
	static const struct word_case cases[] = {
		{ "\"quotes $PWD in file\"\n", "\"quotes /home in file\"\n" },
		{ "it's\n", "it's\n" },
		{ "\\\n", "\n" },
		{ "\\\\\n", "\\\n" },
		{ "\\$\n", "$\n" },
		{ "a \\$PWD $PWD\n", "a $PWD /home\n" },
		{ "${SHELL:-x} ${XXX:-\"y\"}\n", "bash \"y\"\n" },
		{ "${XXX:?no XXX}\n", NULL },
	};

	(void)state;
	check_words(cases, ARRAY_SIZE(cases), '\\', true);
	check_words(cases, ARRAY_SIZE(cases), '`', true);
}

void test_words__split(void **state)
{
	static const struct word_case cases[] = {
		{ "hello", "hello" },
		{ "hello${hi}bye", "hellobye" },
		{ "hello${SPACE}bye", "helloabc,defbye" },
		{ "hello\"${SPACE}\"bye", "helloabc  defbye" },
		{ "hello \"${SPACE}\"bye", "hello,abc  defbye" },
		{ "hello${LEADING}def", "hello,ab,cdef" },
		{ "hello\"${LEADING}\" def", "hello  ab c,def" },
		{ "hello${TRAILING}d", "helloab,c,d" },
		{ "hello\"${TRAILING}\"d", "helloab c   d" },
		{ "hello\" there  \"", "hello there  " },
		{ "  hello there     ", "hello,there" },
		{ "hello\\ there", "hello there" },
		{ "hello\\\" there", "hello\",there" },
		{ "hello\"\\\\there\"", "hello\\there" },
		{ "hello'\\there'", "hello\\there" },
		{ "${XXX} a ${XXX}", "a" },
		{ "", "" },
		{ "\"\"", "" },
		{ "80 443", "80,443" },
	};
	cleanup_arena struct arena *arena = arena_new();
	struct words w = { .lookup = lookup, .ctx = vars, .arena = arena, .escape = '\\' };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf b;
		size_t n = 0;
		str *got = NULL;

		strbuf_init(&b, 4096);
		assert_ok(words_split(&w, str_of(cases[i].word), &got, &n, &err));
		for (size_t k = 0; k < n; k++)
			strbuf_printf(&b, "%s%.*s", k ? "," : "", STR(got[k]));
		if (strcmp(b.ptr, cases[i].want) != 0)
			fail_msg("%s gives %s, not %s", cases[i].word, b.ptr, cases[i].want);
		strbuf_done(&b);
	}
	assert_fails(words_split(&w, S("hello\" there"), &(str *){ NULL }, &(size_t){ 0 }, &err),
	             CAIRN_E_SYNTAX);
}

void test_words__message_of_required(void **state)
{
	static const struct {
		const char *word, *message;
	} cases[] = {
		{ "x${VERSION:?set it with --build-arg}",
		  "cannot expand 'x${VERSION:?set it with --build-arg}': VERSION: set it with "
		  "--build-arg" },
		{ "${VERSION:?}",
		  "cannot expand '${VERSION:?}': VERSION: is not allowed to be unset" },
		{ "${EMPTY:?}", "cannot expand '${EMPTY:?}': EMPTY: is not allowed to be empty" },
		{ "${VERSION:?no $SHELL}",
		  "cannot expand '${VERSION:?no $SHELL}': VERSION: no bash" },
		{ "${x", "cannot expand '${x': missing '}'" },
		{ "'x", "cannot expand ''x': missing closing single quote" },
	};
	cleanup_arena struct arena *arena = arena_new();
	struct words w = { .lookup = lookup, .ctx = vars, .arena = arena, .escape = '\\' };
	struct cairn_err err;
	str got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(words_expand(&w, str_of(cases[i].word), &got, &err), CAIRN_E_SYNTAX);
		assert_string_equal(err.msg, cases[i].message);
	}
}

/* Nesting, growth and patterns are bounded. */
void test_words__limits(void **state)
{
	cleanup_arena struct arena *arena = arena_new();
	char *big = xmalloc(65537);
	struct var v[] = { { "B", big }, { NULL, NULL } };
	struct words w = { .lookup = lookup, .ctx = v, .arena = arena, .escape = '\\' };
	struct cairn_err err;
	struct strbuf b;
	int64_t start;
	str got;

	(void)state;
	memset(big, 'a', 65536);
	big[65536] = '\0';
	strbuf_init(&b, 1 << 20);
	for (int i = 0; i < 100; i++)
		strbuf_cstr(&b, "${x:-");
	assert_fails(words_expand(&w, strbuf_view(&b), &got, &err), CAIRN_E_SYNTAX);
	strbuf_clear(&b);
	for (int i = 0; i < 17; i++)
		strbuf_cstr(&b, "$B");
	assert_fails(words_expand(&w, strbuf_view(&b), &got, &err), CAIRN_E_SYNTAX);
	start = harness_cpu_ns();
	assert_ok(words_expand(&w, S("${B##*a*a*a*a*a*a*a*a*a*a*b}"), &got, &err));
	assert_int_equal(got.len, 65536);
	assert_ok(words_expand(&w, S("${B//*a*a*a*a*a*a*b/x}"), &got, &err));
	assert_true(harness_cpu_ns() - start < 2 * CLOCK_SEC);
	strbuf_done(&b);
	free(big);
}

void test_words__plain(void **state)
{
	(void)state;
	assert_true(words_is_plain(S("a b-c:1"), '\\'));
	assert_false(words_is_plain(S("a$"), '\\'));
	assert_false(words_is_plain(S("a\\b"), '\\'));
	assert_true(words_is_plain(S("a\\b"), '`'));
	assert_false(words_is_plain(S("'a"), '`'));
}

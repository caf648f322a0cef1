#include "harness.h"

#include "dockerfile/dockerfile.h"
#include "util/clock.h"
#include "util/strbuf.h"

struct match_case {
	const char *patterns; /* lines of a .dockerignore */
	const char *path;
	bool excluded;
};

static void check(const struct match_case *c)
{
	cleanup_ignore struct ignore *set = NULL;
	struct cairn_err err = { 0 };

	assert_ok(ignore_parse(str_of(c->patterns), ".dockerignore", &set, &err));
	if (ignore_match(set, str_of(c->path)) != c->excluded)
		fail_msg("'%s' against '%s' is %s", c->path, c->patterns,
		         c->excluded ? "not excluded" : "excluded");
}

void test_ignore__patterns(void **state)
{
	static const struct match_case cases[] = {
		{ "", "a", false },
		{ "a", "a", true },
		{ "a", "b", false },
		{ "a", "a/b", true },
		{ "a", "a/b/c", true },
		{ "a", "b/a", false },
		{ "a", "ab", false },
		{ "a/b", "a", false },
		{ "a/b", "a/b", true },
		{ "/a", "a", true },
		{ "a/", "a", true },
		{ "./a", "a", true },
		{ "a//b", "a/b", true },
		{ "a/./b", "a/b", true },
		{ "a/../b", "b", true },
		{ "  a  ", "a", true },
		{ "a\r\n", "a", true },
		{ "\xef\xbb\xbf"
		  "a",
		  "a", true },
		{ "# a\na", "a", true },
		{ "#a", "#a", false },
		{ "#a", "a", false },
		{ " #a", "#a", true },
		{ "\n\n\na\n\n", "a", true },
		{ ".", "a", false },
		{ "/", "a", false },
		{ "..", "a", false },
		{ "../x", "x", false },
		/* one star stays within a name */
		{ "*", "a", true },
		{ "*", "a/b", true }, /* its parent matches */
		{ "*/b", "a/b", true },
		{ "*/b", "b", false },
		{ "*/b", "x/a/b", false },
		{ "*.go", "x.go", true },
		{ "*.go", "d/x.go", false },
		{ "a*c", "abc", true },
		{ "a*c", "ac", true },
		{ "a*c", "a/c", false },
		{ "a*b*c", "aXbYbZc", true },
		{ "?", "a", true },
		{ "?", "ab", false },
		{ "?", "\xc3\xa9", true },
		{ "a?c", "a/c", false },
		{ "[ab]", "a", true },
		{ "[ab]", "c", false },
		{ "[a-c]x", "bx", true },
		{ "[^a-c]x", "bx", false },
		{ "[^a-c]x", "dx", true },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "aXb", false },
		{ "\\[a]", "[a]", true },
		{ "a.b", "axb", false },
		{ "a+(b)|{c}$", "a+(b)|{c}$", true },
		/* two stars cross directories */
		{ "**", "a", true },
		{ "**", "a/b/c", true },
		{ "**/a", "a", true },
		{ "**/a", "b/a", true },
		{ "**/a", "b/c/a", true },
		{ "**/a", "ba", false },
		{ "**/a", "a/x", true },
		{ "a/**", "a", false },
		{ "a/**", "a/b", true },
		{ "a/**", "a/b/c", true },
		{ "a/**", "ab", false },
		{ "a**", "a", true },
		{ "a**", "ab/c", true },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "a/xb", false },
		{ "a/**/b", "ab", false },
		{ "**/*.pyc", "x.pyc", true },
		{ "**/*.pyc", "a/b/x.pyc", true },
		{ "**/*.pyc", "a/b/x.py", false },
		{ "**/a/**/b*", "x/a/y/z/bc", true },
		{ "**/a/*/b", "a/x/a/y/b", true },
		{ "**/node_modules", "a/node_modules/x/y.js", true },
		{ "**/.git", ".git/config", true },
		{ "**a", "xa", true }, /* as Docker: a suffix */
		{ "**a", "b/xa", true },
		{ "a**b", "ab", true },
		{ "a**b", "axx/b", true },
		{ "a**b", "axxb", false },
		{ "a*b**c", "axbbc", true }, /* needs the second place of a star */
		{ "*[^a]*j", "b/xj", true }, /* a class can take '/' here */
		{ "*[^a]*j", "b/x/j", false },
		{ "**/**", "a/b", true },
		{ "***", "a", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

void test_ignore__negation(void **state)
{
	static const struct match_case cases[] = {
		{ "*\n!a", "a", false },
		{ "*\n!a", "b", true },
		{ "!a\n*", "a", true }, /* the last one wins */
		{ "*.md\n!README.md", "README.md", false },
		{ "*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true },
		{ "*.md\n!README*.md\nREADME-secret.md", "README-x.md", false },
		{ "*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false },
		{ "a\n!a/b", "a/b", false },
		{ "a\n!a/b", "a/b/c", false },
		{ "a\n!a/b", "a/c", true },
		{ "a\n!a/b\na/b/c", "a/b/c", true },
		{ "a\n!a/b\na/b/c", "a/b/d", false },
		{ "*\n!a/b", "a/b", false },
		{ "*\n!a/b", "a/c", true },
		{ "*\n!*/b", "a/b", false },
		{ "**\n!**/*.go", "x/y/z.go", false },
		{ "**\n!**/*.go", "x/y/z.c", true },
		{ "! a ", "a", false },
		{ "*\n! a ", "a", false },
		{ "*\n!/a", "a", false },
		{ "*\n!./a/", "a/x", false },
		{ "dir\n!dir", "dir/x", false },
		/* what a directory did not try, its children do not inherit: x/y stays out */
		{ "x/y\n!x", "x/y", true },
	};
	cleanup_ignore struct ignore *set = NULL;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
	assert_fails(ignore_parse(S("a\n!\n"), ".dockerignore", &set, &err), CAIRN_E_SYNTAX);
	assert_int_equal(err.line, 2);
}

void test_ignore__malformed(void **state)
{
	static const char *const bad[] = { "[",    "[]",   "[a",  "a[", "[^]",
		                           "[a-]", "[-a]", "a\\", "[\\" };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_ignore struct ignore *set = NULL;
		struct strbuf b;

		strbuf_init(&b, 100);
		strbuf_printf(&b, "ok\n%s\n", bad[i]);
		if (ignore_parse(strbuf_view(&b), ".dockerignore", &set, &err) != CAIRN_E_SYNTAX)
			fail_msg("'%s' is accepted", bad[i]);
		assert_string_equal(err.path, ".dockerignore");
		assert_int_equal(err.line, 2);
		assert_fails(pattern_check(str_of(bad[i]), &err), CAIRN_E_SYNTAX);
		assert_false(pattern_match(str_of(bad[i]), str_of(bad[i])));
		strbuf_done(&b);
	}
}

void test_ignore__skip_dir(void **state)
{
	static const struct {
		const char *patterns, *dir;
		bool may;
	} cases[] = {
		{ "a", "a", true },
		{ "a\n!b", "a", true },
		{ "a\n!a/b", "a", false },
		{ "a\n!a/b", "a/x", true },
		{ "a\n!a/b/c", "a/b", false },
		{ "*\n!a/b", "x", true },
		{ "*\n!*/b", "x", false },
		{ "*\n!*/b", "x/y", true },
		{ "*\n!*.go", "x", true },
		{ "**\n!**/*.go", "x", false },
		{ "**\n!**/b", "x/y", false },
		{ "**\n!src/**", "x", true },
		{ "**\n!src/**", "src/x", false },
		{ "**\n!src/**/x", "src", false },
		{ "**\n!src/**/x", "srcs", true },
		{ "*\n!a?c/x", "abc", false },
		{ "*\n!a?c/x", "ab", true },
		{ "*\n!a/[a-c]/x", "a/b", false },
		{ "*\n!a/[a-c]/x", "a/d", true },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_ignore struct ignore *set = NULL;

		assert_ok(ignore_parse(str_of(cases[i].patterns), "x", &set, &err));
		if (ignore_may_skip_dir(set, str_of(cases[i].dir)) != cases[i].may)
			fail_msg("'%s' below '%s': %s", cases[i].patterns, cases[i].dir,
			         cases[i].may ? "must not be entered" : "must be entered");
	}
	assert_true(ignore_may_skip_dir(NULL, S("a")));
	assert_false(ignore_match(NULL, S("a")));
	assert_true(ignore_empty(NULL));
}

/* A walk with the parents' bits says the same as single questions, and leaving out what
 * ignore_may_skip_dir() allows loses nothing. */
void test_ignore__walk_agrees(void **state)
{
	static const char *const sets[] = {
		"a",
		"a\n!a/b",
		"*\n!a/b/c",
		"**/b\n!a/b\na/b/c",
		"*\n!*/b/c",
		"**\n!**/c\nb",
		"a/*\n!a/b/c",
		"!a\nb\n!b/a/*\nb/a/c",
		"a/**\n!a/*/c",
		"[ab]/?\n!a/[b-c]/a",
		"*/*/c\n!b",
	};
	static const char names[] = "abc";
	struct cairn_err err;

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		cleanup_ignore struct ignore *set = NULL;

		assert_ok(ignore_parse(str_of(sets[s]), "x", &set, &err));
		for (size_t i = 0; i < 27; i++) {
			char path[] = { names[i / 9], '/', names[i / 3 % 3], '/', names[i % 3], 0 };
			struct ignore_dir d1, d2;
			bool one, two, three;

			one = ignore_match_in(set, str_n(path, 1), NULL, &d1);
			two = ignore_match_in(set, str_n(path, 3), &d1, &d2);
			three = ignore_match_in(set, str_n(path, 5), &d2, NULL);
			assert_int_equal(one, ignore_match(set, str_n(path, 1)));
			assert_int_equal(two, ignore_match(set, str_n(path, 3)));
			assert_int_equal(three, ignore_match(set, str_n(path, 5)));
			if (one && ignore_may_skip_dir(set, str_n(path, 1)) && !(two && three))
				fail_msg("%s: %s is lost", sets[s], path);
			if (two && ignore_may_skip_dir(set, str_n(path, 3)) && !three)
				fail_msg("%s: %s is lost", sets[s], path);
		}
	}
}

/* Go's filepath.Match. */
void test_pattern__match(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} cases[] = {
		{ "abc", "abc", true },
		{ "*", "abc", true },
		{ "*c", "abc", true },
		{ "a*", "a", true },
		{ "a*", "ab/c", false },
		{ "a*/b", "abc/b", true },
		{ "a*/b", "a/c/b", false },
		{ "a*b*c*d*e*/f", "axbxcxdxe/f", true },
		{ "a*b*c*d*e*/f", "axbxcxdxexxx/f", true },
		{ "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false },
		{ "a*b?c*x", "abxbbxdbxebxczzx", true },
		{ "a*b?c*x", "abxbbxdbxebxczzy", false },
		{ "ab[c]", "abc", true },
		{ "ab[b-d]", "abc", true },
		{ "ab[e-g]", "abc", false },
		{ "ab[^c]", "abc", false },
		{ "ab[^e-g]", "abc", true },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "ab", false },
		{ "a?b",
		  "a\xe2\x98\xba"
		  "b",
		  true },
		{ "a[^a]b",
		  "a\xe2\x98\xba"
		  "b",
		  true },
		{ "a???b",
		  "a\xe2\x98\xba"
		  "b",
		  false },
		{ "[a-\xce\xb6]*", "\xce\xb1", true },
		{ "*[a-\xce\xb6]", "A", false },
		{ "a?b", "a/b", false },
		{ "a*b", "a/b", false },
		{ "a[^x]b", "a/b", false },
		{ "[\\]a]", "]", true },
		{ "[\\-]", "-", true },
		{ "[x\\-]", "-", true },
		{ "[x\\-]", "z", false },
		{ "**", "a/b", false },
		{ "**/a", "b/a", true },
		{ "**/a", "a", false },
		{ "*x", "xxx", true },
		{ "", "", true },
		{ "", "a", false },
		{ "src/*.c", "src/a.c", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (pattern_match(str_of(cases[i].pattern), str_of(cases[i].path)) !=
		    cases[i].match)
			fail_msg("%s against %s", cases[i].pattern, cases[i].path);
	assert_true(pattern_has_wildcard(S("a*")));
	assert_true(pattern_has_wildcard(S("[a]")));
	assert_false(pattern_has_wildcard(S("a/b")));
}

/* 50,000 files against 20 patterns. The bound is loose for sanitizers and slow machines. */
void test_ignore__is_fast(void **state)
{
	static const char patterns[] =
		".git\n**/.git\n**/node_modules\n**/*.pyc\n**/__pycache__\n*.md\n!README.md\nbuild\n"
		"dist/**\n**/*.o\n**/*.tmp\n.env*\ndocs/*/draft\n**/target\n**/.venv\ntests/**/out\n"
		"**/*.log\n.idea\n.vscode\n**/.DS_Store\n";
	cleanup_ignore struct ignore *set = NULL;
	struct cairn_err err;
	struct ignore_dir d1, d2;
	size_t hits = 0;
	int64_t start;

	(void)state;
	assert_ok(ignore_parse(str_of(patterns), "x", &set, &err));
	start = harness_cpu_ns();
	for (int i = 0; i < 50000; i++) {
		char path[64];
		int n = snprintf(path, sizeof(path), "src/pkg%03d/file_%05d.js", i / 100, i);

		if (i % 100 == 0) {
			ignore_match_in(set, S("src"), NULL, &d1);
			ignore_match_in(set, str_n(path, 10), &d1, &d2);
		}
		hits += ignore_match_in(set, str_n(path, (size_t)n), &d2, NULL);
	}
	assert_int_equal(hits, 0);
	if (getenv("CAIRN_TEST_TIMES"))
		print_message("ignore: %lld us\n", (long long)(harness_cpu_ns() - start) / 1000);
	assert_true(harness_cpu_ns() - start < CLOCK_SEC);
	start = harness_cpu_ns();
	for (int i = 0; i < 50000; i++) {
		char path[64];
		int n = snprintf(path, sizeof(path), "src/pkg%03d/file_%05d.js", i / 100, i);

		hits += ignore_match(set, str_n(path, (size_t)n));
	}
	if (getenv("CAIRN_TEST_TIMES"))
		print_message("ignore, single: %lld us\n",
		              (long long)(harness_cpu_ns() - start) / 1000);
}

void test_ignore__new(void **state)
{
	str patterns[] = { S("*.txt"), S("!keep.txt"), S("") };
	cleanup_ignore struct ignore *set = NULL;
	cleanup_ignore struct ignore *bad = NULL;
	struct cairn_err err;

	(void)state;
	assert_ok(ignore_new(patterns, 3, &set, &err));
	assert_true(ignore_match(set, S("a.txt")));
	assert_false(ignore_match(set, S("keep.txt")));
	patterns[2] = S("[");
	assert_fails(ignore_new(patterns, 3, &bad, &err), CAIRN_E_SYNTAX);
}

#include "harness.h"

#include "cli/progress_text.h"

/* S() for an initialiser that must be constant. */
#define S_(lit)                      \
	{                            \
		lit, sizeof(lit) - 1 \
	}

void test_text__clean(void **state)
{
	static const struct {
		str in;
		const char *want;
	} cases[] = {
		{ { "plain", 5 }, "plain" },
		{ S_("a\033[31mred\033[0mb"), "aredb" },
		{ S_("a\033]0;title\007b"), "ab" },
		{ S_("a\033]0;title\033\\b"), "ab" },
		{ S_("a\033(Bb\033=c"), "abc" },
		{ S_("a\033[31"), "a" },
		{ S_("a\033"), "a" },
		{ S_("10%\r20%"), "20%" },
		{ S_("100%\r"), "100%" },
		{ S_("a\tb"), "a       b" },
		{ S_("a\x01\x7f"
		     "b"),
		  "ab" },
		{ S_("\xff\xc3"), "??" },
		{ S_("\xc0\xaf"), "??" },
		{ S_("\xed\xa0\x80"), "???" },
		{ S_("\xe6\x97\xa5"), "\xe6\x97\xa5" },
		{ S_("a\xe2\x80\xae"
		     "b"),
		  "ab" },
		{ S_("a\0b"), "ab" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_strbuf struct strbuf out;

		strbuf_init(&out, 1000);
		text_clean(cases[i].in, &out);
		assert_str(strbuf_view(&out), cases[i].want);
		assert_int_equal(out.ptr[out.len], 0);
	}
}

void test_text__fit(void **state)
{
	static const struct {
		const char *in;
		size_t columns;
		const char *want;
		size_t used;
	} cases[] = {
		{ "abcdef", 6, "abcdef", 6 },
		{ "abcdefg", 6, "abc...", 6 },
		{ "abc", 2, "..", 2 },
		{ "abc", 0, "", 0 },
		{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 6, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		  6 },
		{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5, "\xe6\x97\xa5...", 5 },
		{ "e\xcc\x81", 1, "e\xcc\x81", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_strbuf struct strbuf out;

		strbuf_init(&out, 1000);
		assert_int_equal(text_fit(str_of(cases[i].in), cases[i].columns, &out),
		                 cases[i].used);
		assert_str(strbuf_view(&out), cases[i].want);
	}
}

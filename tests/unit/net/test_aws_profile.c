#include "harness.h"

#include "net/aws_profile.h"

void test_aws_profile__format(void **state)
{
	static const char config[] = "; comment\n"
				     "# comment\r\n"
				     "stray = 1\n"
				     "[default]\r\n"
				     "Region = eu-west-1\r\n"
				     "output=json\n"
				     "[profile  two words]\n"
				     "  a = 1\n"
				     "  b = 2 # comment\n"
				     "  c = 2;no comment#either\n"
				     "  s3 =\n"
				     "    a = nested\n"
				     "\td = x ; comment\n"
				     "[profile \"quoted\"]\n"
				     "a=q\n"
				     "a=r\n"
				     "[sso-session default]\n"
				     "region = wrong\n"
				     "[other]\n"
				     "a = wrong\n"
				     "[profile]\n"
				     "a = wrong\n"
				     "[profile empty]\n"
				     "[unclosed\n"
				     "a = lost\n"
				     "=\n"
				     "[profile last]\n"
				     "a = end";
	static const struct {
		const char *profile, *key, *want;
	} cases[] = {
		{ "default", "region", "eu-west-1" },
		{ "default", "output", "json" },
		{ "default", "stray", NULL },
		{ "two words", "a", "1" },
		{ "two words", "b", "2" },
		{ "two words", "c", "2;no comment#either" },
		{ "two words", "s3", NULL },
		{ "two words", "d", "x" },
		{ "quoted", "a", "r" },
		{ "other", "a", NULL },
		{ "empty", "a", NULL },
		{ "last", "a", "end" },
	};
	struct aws_profiles p cleanup_aws_profiles = { 0 };

	(void)state;
	aws_profiles_add(&p, str_of(config), true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = aws_profiles_get(&p, cases[i].profile, cases[i].key);

		if (!got != !cases[i].want || (got && strcmp(got, cases[i].want) != 0))
			fail_msg("%s %s is '%s'", cases[i].profile, cases[i].key,
			         got ? got : "(none)");
	}
	assert_true(aws_profiles_has(&p, "empty"));
	assert_false(aws_profiles_has(&p, "other"));
	assert_false(aws_profiles_has(&p, ""));
}

/* The keys of credentials come before those of config. */
void test_aws_profile__both_files(void **state)
{
	struct aws_profiles p cleanup_aws_profiles = { 0 };

	(void)state;
	aws_profiles_add(&p, S("[profile a]\nx=1\ny=1\n"), true);
	aws_profiles_add(&p, S("[a]\nx=2\n[profile b]\nx=3\n"), false);
	assert_string_equal(aws_profiles_get(&p, "a", "x"), "2");
	assert_string_equal(aws_profiles_get(&p, "a", "y"), "1");
	assert_null(aws_profiles_get(&p, "b", "x"));
}

#include "harness.h"

#include "util/digest.h"

void test_digest__empty_input(void **state)
{
	struct digest d = digest_of("", 0);

	(void)state;
	assert_string_equal(
		digest_text(&d).s,
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

void test_digest__parse_round_trip(void **state)
{
	struct digest d = digest_of("abc", 3), back;
	struct cairn_err err;

	(void)state;
	assert_ok(digest_parse(str_of(digest_text(&d).s), &back, &err));
	assert_true(digest_eq(&d, &back));
	assert_fails(digest_parse(S("sha256:AB"), &back, &err), CAIRN_E_SYNTAX);
	assert_fails(digest_parse(S("md5:00"), &back, &err), CAIRN_E_SYNTAX);
}

void test_digest__fields_are_framed(void **state)
{
	struct digest_fields f;
	struct digest a, b;

	(void)state;
	digest_fields_begin(&f, "t", 1);
	digest_field_str(&f, "x", S("ab"));
	digest_field_str(&f, "x", S("c"));
	a = digest_fields_end(&f);
	digest_fields_begin(&f, "t", 1);
	digest_field_str(&f, "x", S("a"));
	digest_field_str(&f, "x", S("bc"));
	b = digest_fields_end(&f);
	assert_false(digest_eq(&a, &b));
}

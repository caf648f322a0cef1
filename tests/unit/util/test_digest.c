#include "harness.h"

#include "util/digest.h"
#include "util/mem.h"

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

/* Two hashes at once give what each gives alone, wherever the bytes are cut. */
void test_digest__both_at_once(void **state)
{
	static const size_t sizes[] = { 0, 1, 63, 64, 65, 127, 128, 4096, 100001 };
	static const size_t before[][2] = {
		{ 0, 0 }, { 512, 0 }, { 10, 10 }, { 74, 10 }, { 1, 2 }
	};
	char *bytes = xmalloc(200000);

	(void)state;
	for (size_t i = 0; i < 200000; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(before) && sha256_both_pays(); i++) {
		const size_t *had = before[i % ARRAY_SIZE(before)];
		size_t n = sizes[i / ARRAY_SIZE(before)];
		struct digest a, b, want;
		struct sha256 x, y;

		sha256_init(&x);
		sha256_init(&y);
		sha256_add(&x, bytes, had[0]);
		sha256_add(&y, bytes, had[1]);
		sha256_add_both(&x, &y, bytes + 600, n);
		sha256_add_both(&x, &y, bytes + 600, 333);
		sha256_add(&x, bytes, 5);
		a = sha256_end(&x);
		b = sha256_end(&y);
		sha256_init(&x);
		sha256_add(&x, bytes, had[0]);
		sha256_add(&x, bytes + 600, n);
		sha256_add(&x, bytes + 600, 333);
		sha256_add(&x, bytes, 5);
		want = sha256_end(&x);
		assert_true(digest_eq(&a, &want));
		sha256_init(&y);
		sha256_add(&y, bytes, had[1]);
		sha256_add(&y, bytes + 600, n);
		sha256_add(&y, bytes + 600, 333);
		want = sha256_end(&y);
		assert_true(digest_eq(&b, &want));
	}
	free(bytes);
}

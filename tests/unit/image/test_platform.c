#include "harness.h"

#include "image/image.h"

void test_platform__parse(void **state)
{
	static const struct {
		const char *in, *want; /* want NULL = refused */
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/x86_64", "linux/amd64" },
		{ "Linux/AMD64", "linux/amd64" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/arm64/8", "linux/arm64" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/6", "linux/arm/v6" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armel", "linux/arm/v6" },
		{ "linux/i386", "linux/386" },
		{ "windows/amd64", "windows/amd64" },
		{ "macos/arm64", "darwin/arm64" },
		{ "arm64", "linux/arm64" },
		{ "riscv64", "linux/riscv64" },
		{ "", NULL },
		{ "foo", NULL },
		{ "linux/", NULL },
		{ "/amd64", NULL },
		{ "linux/arm/", NULL },
		{ "linux/arm/v7/x", NULL },
		{ "linux/a b", NULL },
		{ "linux/0123456789012345678901234567890123456789", NULL },
	};
	struct cairn_err err;
	struct platform p;
	char b[PLATFORM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].want) {
			assert_fails(platform_parse(str_of(cases[i].in), &p, &err), CAIRN_E_SYNTAX);
			continue;
		}
		assert_ok(platform_parse(str_of(cases[i].in), &p, &err));
		assert_string_equal(platform_text(&p, b), cases[i].want);
	}
}

void test_platform__host(void **state)
{
	struct platform host = platform_host(), p;
	struct cairn_err err;

	(void)state;
	assert_string_equal(host.os, "linux");
	assert_true(host.arch[0]);
	assert_ok(platform_parse(S("local"), &p, &err));
	assert_true(platform_eq(&p, &host));
	assert_ok(platform_parse(S("linux"), &p, &err));
	assert_true(platform_eq(&p, &host));
}

void test_platform__rank(void **state)
{
	static const struct {
		const char *want, *have;
		int rank;
	} cases[] = {
		{ "linux/amd64", "linux/amd64", 0 },
		{ "linux/amd64", "linux/arm64", -1 },
		{ "linux/amd64", "windows/amd64", -1 },
		{ "linux/amd64/v3", "linux/amd64", 2 },
		{ "linux/amd64/v3", "linux/amd64/v2", 1 },
		{ "linux/amd64", "linux/amd64/v2", -1 },
		{ "linux/arm/v7", "linux/arm/v6", 1 },
		{ "linux/arm/v6", "linux/arm/v7", -1 },
		{ "linux/arm64", "linux/arm/v7", -1 },
		{ "linux/amd64", "linux/386", -1 },
		{ "linux/arm64/v9", "linux/arm64", 1 },
		{ "linux/riscv64/x", "linux/riscv64", -1 },
	};
	struct cairn_err err;
	struct platform want, have;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(platform_parse(str_of(cases[i].want), &want, &err));
		assert_ok(platform_parse(str_of(cases[i].have), &have, &err));
		if (platform_rank(&want, &have) != cases[i].rank)
			fail_msg("%s from %s: %d", cases[i].want, cases[i].have,
			         platform_rank(&want, &have));
	}
}

#include "harness.h"

#include "image/image.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIG "@sha256:" HEX

void test_reference__normalises(void **state)
{
	static const struct {
		const char *in, *full, *familiar;
	} cases[] = {
		{ "debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "debian:12", "docker.io/library/debian:12", "debian:12" },
		{ "library/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "docker.io/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "nvidia/cuda:12.4.1-devel-ubuntu22.04",
		  "docker.io/nvidia/cuda:12.4.1-devel-ubuntu22.04",
		  "nvidia/cuda:12.4.1-devel-ubuntu22.04" },
		{ "a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest" },
		{ "library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest" },
		{ "localhost/app", "localhost/app:latest", "localhost/app:latest" },
		{ "localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest" },
		{ "localhost:5000", "docker.io/library/localhost:5000", "localhost:5000" },
		{ "Reg/app", "Reg/app:latest", "Reg/app:latest" },
		{ "[::1]:5000/app:x", "[::1]:5000/app:x", "[::1]:5000/app:x" },
		{ "123456789012.dkr.ecr.eu-central-1.amazonaws.com/aerial/sfm:main-4f2",
		  "123456789012.dkr.ecr.eu-central-1.amazonaws.com/aerial/sfm:main-4f2",
		  "123456789012.dkr.ecr.eu-central-1.amazonaws.com/aerial/sfm:main-4f2" },
		{ "docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest" },
		{ "debian" DIG, "docker.io/library/debian" DIG, "debian" DIG },
		{ "debian:12" DIG, "docker.io/library/debian:12" DIG, "debian:12" DIG },
		{ "x/a--b__c.d/e_f", "docker.io/x/a--b__c.d/e_f:latest", "x/a--b__c.d/e_f:latest" },
	};
	struct cairn_err err;
	struct reference r, again;
	char b[REFERENCE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(reference_parse(str_of(cases[i].in), &r, &err));
		assert_string_equal(reference_text(&r, b), cases[i].full);
		assert_ok(reference_parse(str_of(b), &again, &err));
		assert_true(reference_eq(&r, &again));
		assert_string_equal(reference_familiar(&r, b), cases[i].familiar);
		assert_ok(reference_parse(str_of(b), &again, &err));
		assert_true(reference_eq(&r, &again));
	}
}

void test_reference__refuses(void **state)
{
	static const struct {
		const char *in, *message; /* part of it */
	} cases[] = {
		{ "", "empty" },
		{ "Debian", "lower-case" },
		{ "reg.io/App", "lower-case" },
		{ "reg.io/", "no repository" },
		{ "/debian", "not a valid part" },
		{ "a//b", "not a valid part" },
		{ "a..b/c:1", "not a registry host" },
		{ "-a.b/c", "not a registry host" },
		{ "a.b:x/c", "not a registry host" },
		{ "a___b", "not a valid part" },
		{ "a_", "not a valid part" },
		{ "a:", "not a valid tag" },
		{ "a:.x", "not a valid tag" },
		{ "a:x y", "not a valid tag" },
		{ "a@sha256:12", "image name" },
		{ "a@md5:00", "image name" },
		{ HEX, "bare digest" },
		{ "https://reg.io/app", "not a registry host" },
		{ "a b", "not a valid part" },
	};
	struct cairn_err err;
	struct reference r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(reference_parse(str_of(cases[i].in), &r, &err), CAIRN_E_SYNTAX);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' says '%s'", cases[i].in, err.msg);
	}
}

void test_reference__length(void **state)
{
	struct cairn_err err;
	struct reference r;
	char name[600];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_fails(reference_parse(str_n(name, sizeof(name)), &r, &err), CAIRN_E_SYNTAX);
	assert_fails(reference_parse(str_n(name, 256), &r, &err), CAIRN_E_SYNTAX);
	assert_ok(reference_parse(str_n(name, REFERENCE_NAME_MAX - 18), &r, &err));
	memcpy(name, "a:", 2);
	assert_ok(reference_parse(str_n(name, 2 + REFERENCE_TAG_MAX), &r, &err));
	assert_fails(reference_parse(str_n(name, 3 + REFERENCE_TAG_MAX), &r, &err), CAIRN_E_SYNTAX);
}

#include "harness.h"

#include "registry/registry.h"

void test_auth_header__parses(void **state)
{
	static const struct {
		const char *in;
		enum auth_scheme scheme;
		const char *realm, *service, *scope;
	} cases[] = {
		{ "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
		  "scope=\"repository:library/debian:pull\"",
		  AUTH_BEARER, "https://auth.docker.io/token", "registry.docker.io",
		  "repository:library/debian:pull" },
		{ "bearer REALM = \"https://a\" , service=b", AUTH_BEARER, "https://a", "b", "" },
		{ "Basic realm=\"Registry Realm\"", AUTH_BASIC, "Registry Realm", "", "" },
		{ "Basic", AUTH_BASIC, "", "", "" },
		{ "Basic realm=\"a\", Bearer realm=\"https://b\",scope=\"c\"", AUTH_BEARER,
		  "https://b", "", "c" },
		{ "Bearer realm=\"https://b\", Basic realm=\"a\"", AUTH_BEARER, "https://b", "",
		  "" },
		{ "Negotiate abc==, Basic realm=x", AUTH_BASIC, "x", "", "" },
		{ "Negotiate", AUTH_OTHER, "", "", "" },
		{ "Bearer service=x", AUTH_OTHER, "", "x", "" },
		{ "Basic realm=\"a \\\"b\\\" \\\\ c, d\"", AUTH_BASIC, "a \"b\" \\ c, d", "", "" },
		{ "Bearer realm=\"https://a\",error=\"invalid_token\"", AUTH_BEARER, "https://a",
		  "", "" },
		{ ", ,Basic realm=x,,", AUTH_BASIC, "x", "", "" },
	};
	struct arena *a = arena_new();
	struct auth_challenge c;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(auth_header_parse(a, str_of(cases[i].in), &c, &err));
		if (c.scheme != cases[i].scheme)
			fail_msg("'%s' has scheme %d", cases[i].in, (int)c.scheme);
		assert_str(c.realm, cases[i].realm);
		assert_str(c.service, cases[i].service);
		assert_str(c.scope, cases[i].scope);
	}
	arena_free(a);
}

void test_auth_header__refuses(void **state)
{
	static const char *const cases[] = {
		"",
		" , ",
		"\"x\"",
		"=",
		"Bearer realm=\"https://a",
		"Bearer realm=\"a\" service=\"b\"",
		"a/b",
	};
	struct arena *a = arena_new();
	struct auth_challenge c;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_fails(auth_header_parse(a, str_of(cases[i]), &c, &err), CAIRN_E_SYNTAX);
	arena_free(a);
}

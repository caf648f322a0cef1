#include <stdlib.h>
#include <sys/stat.h>

#include "harness.h"

#include "net/net.h"

/* base64 of "user:pa:ss" */
#define AUTH "dXNlcjpwYTpzcw=="

static int find(const char *config, const char *registry, struct credentials *c,
                struct cairn_err *err)
{
	harness_write("config.json", str_of(config));
	return credentials_find(harness_dir(), str_of(registry), c, err);
}

void test_credentials__from_auths(void **state)
{
	static const struct {
		const char *config, *registry;
		enum credentials_kind kind;
		const char *user, *secret;
	} cases[] = {
		{ "{}", "a", CREDENTIALS_NONE, NULL, NULL },
		{ "{\"auths\":{\"a\":{\"auth\":\"" AUTH "\"}}}", "a", CREDENTIALS_BASIC, "user",
		  "pa:ss" },
		{ "{\"auths\":{\"a\":{\"auth\":\"" AUTH "\"}}}", "b", CREDENTIALS_NONE, NULL,
		  NULL },
		{ "{\"auths\":{\"https://a:5/v1/\":{\"auth\":\"" AUTH "\"}}}", "a:5",
		  CREDENTIALS_BASIC, "user", "pa:ss" },
		{ "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" AUTH "\"}}}",
		  "docker.io", CREDENTIALS_BASIC, "user", "pa:ss" },
		{ "{\"auths\":{\"a\":{\"auth\":\"" AUTH "\",\"identitytoken\":\"t\"}}}", "a",
		  CREDENTIALS_IDENTITY, NULL, "t" },
		{ "{\"auths\":{\"a\":{\"registrytoken\":\"t\"}}}", "a", CREDENTIALS_BEARER, NULL,
		  "t" },
		{ "{\"auths\":{\"a\":{\"username\":\"u\",\"password\":\"p\"}}}", "a",
		  CREDENTIALS_BASIC, "u", "p" },
		{ "{\"auths\":{\"a\":{}},\"credsStore\":\"\"}", "a", CREDENTIALS_NONE, NULL, NULL },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct credentials c cleanup_credentials = { 0 };

		assert_ok(find(cases[i].config, cases[i].registry, &c, &err));
		assert_int_equal(c.kind, cases[i].kind);
		if (cases[i].user)
			assert_string_equal(c.user, cases[i].user);
		if (cases[i].secret)
			assert_string_equal(c.secret, cases[i].secret);
	}
}

void test_credentials__broken_config(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{\"auths\":[]}",
		"{\"auths\":{\"a\":1}}",
		"{\"auths\":{\"a\":{\"auth\":\"secret!\"}}}",
		"{\"auths\":{\"a\":{\"auth\":\"c2VjcmV0\"}}}", /* "secret", without a colon */
		"{\"credsStore\":1}",
		"{\"credsStore\":\"../x\"}",
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct credentials c cleanup_credentials = { 0 };

		assert_fails(find(cases[i], "a", &c, &err), CAIRN_E_SYNTAX);
		assert_null(strstr(err.msg, "secret"));
	}
}

void test_credentials__nowhere(void **state)
{
	struct credentials c cleanup_credentials = { 0 };
	struct cairn_err err;

	(void)state;
	assert_ok(credentials_find(NULL, S("a"), &c, &err));
	assert_int_equal(c.kind, CREDENTIALS_NONE);
	assert_ok(credentials_find("/nonexistent", S("a"), &c, &err));
	assert_int_equal(c.kind, CREDENTIALS_NONE);
}

/* A helper that answers by what it is asked; put into $PATH for the test. */
static const char helper[] =
	"#!/bin/sh\n"
	"read -r url\n"
	"case \"$1 $url\" in\n"
	"'get good') echo '{\"ServerURL\":\"good\",\"Username\":\"u\",\"Secret\":\"p\"}';;\n"
	"'get token') echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}';;\n"
	"'get https://index.docker.io/v1/') echo '{\"Username\":\"hub\",\"Secret\":\"p\"}';;\n"
	"'get unknown') echo 'credentials not found in native keychain'; exit 1;;\n"
	"'get garbled') echo '{\"Username\":\"u\",\"Secret\":secret}';;\n"
	"*) echo 'vault is locked' >&2; exit 2;;\n"
	"esac\n";

static char *put_into_path(void)
{
	cleanup_free char *path = xasprintf("%s:%s", harness_dir(), getenv("PATH"));
	cleanup_free char *program = xasprintf("%s/docker-credential-fake", harness_dir());
	char *old = xstrdup(getenv("PATH"));

	harness_write("docker-credential-fake", str_of(helper));
	assert_int_equal(chmod(program, 0755), 0);
	(void)setenv("PATH", path, 1);
	return old;
}

void test_credentials__from_helper(void **state)
{
	static const struct {
		const char *registry;
		int code;
		enum credentials_kind kind;
		const char *secret, *message;
	} cases[] = {
		{ "good", 0, CREDENTIALS_BASIC, "p", NULL },
		{ "token", 0, CREDENTIALS_IDENTITY, "t", NULL },
		{ "docker.io", 0, CREDENTIALS_BASIC, "p", NULL },
		{ "unknown", 0, CREDENTIALS_NONE, NULL, NULL },
		{ "garbled", CAIRN_E_AUTH, CREDENTIALS_NONE, NULL, "did not print" },
		{ "other", CAIRN_E_AUTH, CREDENTIALS_NONE, NULL, "vault is locked" },
		{ "missing", CAIRN_E_AUTH, CREDENTIALS_NONE, NULL, "not installed" },
	};
	cleanup_free char *old = put_into_path();
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct credentials c cleanup_credentials = { 0 };
		int rc = find(
			"{\"credsStore\":\"fake\",\"credHelpers\":{\"missing\":\"not-there\"}}",
			cases[i].registry, &c, &err);

		if (rc != cases[i].code || c.kind != cases[i].kind)
			fail_msg("%s gave %d, kind %d", cases[i].registry, rc, (int)c.kind);
		if (cases[i].secret)
			assert_string_equal(c.secret, cases[i].secret);
		if (cases[i].message && !strstr(err.msg, cases[i].message))
			fail_msg("%s says '%s'", cases[i].registry, err.msg);
		if (rc < 0)
			assert_null(strstr(err.msg, "secret"));
	}
	(void)setenv("PATH", old, 1);
}

void test_credentials__basic_header(void **state)
{
	char user[] = "user", secret[] = "pa:ss";
	struct credentials c = { CREDENTIALS_BASIC, user, secret };
	struct strbuf b cleanup_strbuf;

	(void)state;
	strbuf_init(&b, 100);
	credentials_basic(&c, &b);
	assert_str(strbuf_view(&b), "Basic " AUTH);
}

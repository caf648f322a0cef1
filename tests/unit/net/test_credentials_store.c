/* Logins written into Docker's config.json. */
#include "harness.h"

#include "net/net.h"
#include "util/fs.h"
#include "util/json.h"

static int store(const char *registry, const char *user, const char *secret, struct cairn_err *err)
{
	struct credentials c = { CREDENTIALS_BASIC, (char *)(uintptr_t)user,
		                 (char *)(uintptr_t)secret };
	cleanup_free char *where = NULL;

	return credentials_store(harness_dir(), str_of(registry), &c, &where, err);
}

static void expect_login(const char *registry, const char *user, const char *secret)
{
	struct credentials c cleanup_credentials = { 0 };
	struct cairn_err err;

	assert_ok(credentials_find(harness_dir(), str_of(registry), &c, &err));
	if (!user) {
		assert_int_equal(c.kind, CREDENTIALS_NONE);
		return;
	}
	assert_int_equal(c.kind, CREDENTIALS_BASIC);
	assert_string_equal(c.user, user);
	assert_string_equal(c.secret, secret);
}

void test_credentials_store__round_trip(void **state)
{
	static const struct {
		const char *registry, *user, *secret;
	} cases[] = {
		{ "reg.example", "me", "secret" },
		{ "reg.example:5000", "me", "with:colon" },
		{ "docker.io", "hub", "\xc3\xa4" },
		{ "reg.example", "me", "changed" },
	};
	struct cairn_err err;
	bool was = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(store(cases[i].registry, cases[i].user, cases[i].secret, &err));
		expect_login(cases[i].registry, cases[i].user, cases[i].secret);
	}
	expect_login("reg.example:5000", "me", "with:colon");
	assert_ok(credentials_erase(harness_dir(), S("docker.io"), &was, &err));
	assert_true(was);
	expect_login("docker.io", NULL, NULL);
	expect_login("reg.example", "me", "changed");
	assert_ok(credentials_erase(harness_dir(), S("docker.io"), &was, &err));
	assert_false(was);
}

/* What else is in the file stays; other spellings of the registry go; the mode is 0600. */
void test_credentials_store__keeps_the_rest(void **state)
{
	static const char before[] =
		"{\"HttpHeaders\":{\"a\":\"b\"},\"auths\":{\"https://reg.example/v1/\":{\"auth\":\"YTpi\"},"
		"\"other\":{\"auth\":\"YTpi\",\"email\":\"x\"}},\"z\":[1,null,{\"k\":1.5}]}";
	struct strbuf text cleanup_strbuf;
	cleanup_json json_t *j = NULL;
	struct cairn_err err;
	struct stat st;

	(void)state;
	strbuf_init(&text, 1u << 20);
	harness_write("config.json", str_of(before));
	assert_ok(store("reg.example", "me", "secret", &err));
	assert_ok(fs_read_file(harness_dirfd(), "config.json", &text, &err));
	assert_ok(json_parse(strbuf_view(&text), "config.json", &j, &err));
	assert_int_equal(json_object_size(j), 3);
	assert_int_equal(json_object_size(json_object_get(j, "auths")), 2);
	assert_null(json_object_get(json_object_get(j, "auths"), "https://reg.example/v1/"));
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json_object_get(j, "auths"), "other"), "email")),
		"x");
	assert_int_equal(json_array_size(json_object_get(j, "z")), 3);
	assert_int_equal(fstatat(harness_dirfd(), "config.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

void test_credentials_store__broken_file_stays(void **state)
{
	static const char *const cases[] = { "{", "[]", "{\"auths\":1}",
		                             "{\"credHelpers\":{\"r\":\"a/b\"}}" };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf text cleanup_strbuf;

		strbuf_init(&text, 1u << 20);
		harness_write("config.json", str_of(cases[i]));
		assert_fails(store("r", "me", "secret", &err), CAIRN_E_SYNTAX);
		assert_ok(fs_read_file(harness_dirfd(), "config.json", &text, &err));
		assert_str(strbuf_view(&text), cases[i]);
	}
}

/* The file may be a link into somebody's dotfiles: the link stays. */
void test_credentials_store__through_a_link(void **state)
{
	struct cairn_err err;
	struct stat st;

	(void)state;
	harness_write("dotfiles/docker.json", S("{}"));
	assert_int_equal(symlinkat("dotfiles/docker.json", harness_dirfd(), "config.json"), 0);
	assert_ok(store("r.example", "me", "secret", &err));
	assert_int_equal(fstatat(harness_dirfd(), "config.json", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	expect_login("r.example", "me", "secret");
}

void test_credentials_store__missing_helper(void **state)
{
	struct cairn_err err;

	(void)state;
	harness_write("config.json", S("{\"credsStore\":\"cairn-test-has-none\"}"));
	assert_fails(store("r.example", "me", "secret", &err), CAIRN_E_AUTH);
	assert_null(strstr(err.msg, "secret"));
	assert_non_null(strstr(err.msg, "docker-credential-cairn-test-has-none"));
}

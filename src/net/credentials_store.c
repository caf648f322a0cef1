/* net/credentials_store.c - logins written into Docker's config.json, or given to its helper. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "credentials_priv.h"
#include "util/fs.h"

#define OUT_MAX (8u << 20)

/* config.json on its way from and to the disk. */
struct config {
	char *path; /* owned; links resolved, so that the file they lead to is replaced */
	json_t *json;
};

static void config_done(struct config *c)
{
	free(c->path);
	json_decref(c->json);
}
#define cleanup_config __attribute__((cleanup(config_done)))

static int config_open(const char *dir, struct config *c, struct cairn_err *err)
{
	char *real;

	c->path = xasprintf("%s/config.json", dir);
	real = realpath(c->path, NULL);
	if (real) {
		free(c->path);
		c->path = real;
	}
	TRY(credentials_load(c->path, &c->json, err));
	if (!c->json)
		c->json = json_object();
	if (!json_is_object(c->json))
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s is not an object", c->path);
	return 0;
}

/* As Docker writes it: readable, members where they were. */
static int config_write(const char *dir, const struct config *c, struct cairn_err *err)
{
	char *text = json_dumps(c->json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	struct strbuf out cleanup_strbuf;
	int rc;

	strbuf_init(&out, OUT_MAX);
	if (!text)
		return cairn_fail(err, CAIRN_E_SYSTEM, "cannot write JSON");
	strbuf_cstr(&out, text);
	strbuf_char(&out, '\n');
	explicit_bzero(text, strlen(text));
	free(text);
	rc = strbuf_check(&out, "config.json", err);
	if (rc == 0)
		rc = fs_mkdir_p(AT_FDCWD, dir, 0700, err);
	if (rc == 0)
		rc = fs_write_file(AT_FDCWD, c->path, strbuf_view(&out), 0600, err);
	if (out.cap)
		explicit_bzero(out.ptr, out.cap);
	return rc;
}

/* "auths", made when it is missing; borrowed. */
static int auths_of(const struct config *c, json_t **ret, struct cairn_err *err)
{
	TRY(json_get_object(c->json, "auths", ret, err));
	if (*ret)
		return 0;
	*ret = json_object();
	return json_object_set_new(c->json, "auths", *ret) == 0
	               ? 0
	               : cairn_fail(err, CAIRN_E_SYSTEM, "cannot write JSON");
}

/* Remove all entries of the registry, whatever their spelling; true: there were some. */
static bool drop_entries(json_t *auths, str registry)
{
	const char *key;
	json_t *value;
	void *next;
	bool any = false;

	json_object_foreach_safe(auths, next, key, value)
	{
		if (!credentials_same_registry(str_of(key), registry))
			continue;
		(void)json_object_del(auths, key);
		any = true;
	}
	return any;
}

static char *auth_value(const struct credentials *c)
{
	struct strbuf b;
	char *text;

	strbuf_init(&b, SIZE_MAX);
	credentials_basic(c, &b); /* "Basic dXNlcjpwYXNz" */
	text = xstrdup(b.ptr + strlen("Basic "));
	explicit_bzero(b.ptr, b.len);
	strbuf_done(&b);
	return text;
}

static int store_in_file(struct config *c, str registry, const struct credentials *creds,
                         struct cairn_err *err)
{
	cleanup_free char *key = str_dup(credentials_helper_key(registry));
	cleanup_free char *auth = creds ? auth_value(creds) : NULL;
	json_t *auths = NULL, *entry = json_object();
	int rc = auths_of(c, &auths, err);

	if (rc < 0) {
		json_decref(entry);
		return rc;
	}
	if (auth) {
		(void)json_object_set_new(entry, "auth", json_string(auth));
		explicit_bzero(auth, strlen(auth));
	}
	(void)drop_entries(auths, registry);
	return json_object_set_new(auths, key, entry) == 0
	               ? 0
	               : cairn_fail(err, CAIRN_E_SYSTEM, "cannot write JSON");
}

static int store_in_helper(const char *helper, str registry, const struct credentials *creds,
                           struct cairn_err *err)
{
	cleanup_json json_t *j = json_object();
	struct proc_result r cleanup_proc_result;
	struct strbuf in;
	int rc;

	strbuf_init(&in, OUT_MAX);
	(void)json_object_set_new(j, "ServerURL", json_str(credentials_helper_key(registry)));
	(void)json_object_set_new(j, "Username", json_str(str_of(creds->user)));
	(void)json_object_set_new(j, "Secret", json_str(str_of(creds->secret)));
	json_write(j, &in);
	rc = credentials_helper(helper, "store", strbuf_view(&in), &r, err);
	if (in.cap)
		explicit_bzero(in.ptr, in.cap);
	strbuf_done(&in);
	if (rc == 0 && r.exit_code != 0)
		rc = cairn_fail(err, CAIRN_E_AUTH, "docker-credential-%s failed with exit code %d",
		                helper, r.exit_code);
	return rc;
}

int credentials_store(const char *dir, str registry, const struct credentials *creds,
                      char **ret_where, struct cairn_err *err)
{
	struct config c cleanup_config = { 0 };
	const char *helper = NULL;

	TRY(config_open(dir, &c, err));
	TRY(credentials_find_helper(c.json, registry, &helper, err));
	if (helper && helper[0]) {
		TRY(store_in_helper(helper, registry, creds, err));
		TRY(store_in_file(&c, registry, NULL, err)); /* an empty entry, as Docker */
		TRY(config_write(dir, &c, err));
		*ret_where = xasprintf("docker-credential-%s", helper);
		return 0;
	}
	TRY(store_in_file(&c, registry, creds, err));
	TRY(config_write(dir, &c, err));
	*ret_where = xstrdup(c.path);
	return 0;
}

int credentials_erase(const char *dir, str registry, bool *ret_was, struct cairn_err *err)
{
	struct config c cleanup_config = { 0 };
	const char *helper = NULL;
	json_t *auths = NULL;

	*ret_was = false;
	TRY(config_open(dir, &c, err));
	TRY(credentials_find_helper(c.json, registry, &helper, err));
	if (helper && helper[0]) {
		struct proc_result r cleanup_proc_result;

		TRY(credentials_helper(helper, "erase", credentials_helper_key(registry), &r, err));
		*ret_was = r.exit_code == 0;
	}
	TRY(json_get_object(c.json, "auths", &auths, err));
	if (!auths || !drop_entries(auths, registry))
		return 0;
	*ret_was = true;
	return config_write(dir, &c, err);
}

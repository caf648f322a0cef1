#include "credentials.h"

#include "credentials_priv.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "util/clock.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/proc.h"

#define CONFIG_MAX        (4u << 20)
#define HELPER_OUTPUT_MAX (64u << 10)
#define HELPER_TIMEOUT    (30 * (uint64_t)CLOCK_SEC)
#define SECRET_MAX        (64u << 10)
#define HUB_DOMAIN        "docker.io"

/* What a helper prints when it does not know the registry; part of the protocol. */
#define HELPER_UNKNOWN "credentials not found"

/* The user name by which a helper says that the secret is a refresh token. */
#define HELPER_TOKEN_USER "<token>"

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void credentials_done(struct credentials *c)
{
	wipe(&c->user);
	wipe(&c->secret);
	c->kind = CREDENTIALS_NONE;
}

char *credentials_dir(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (dir && dir[0])
		return xstrdup(dir);
	return home && home[0] ? xasprintf("%s/.docker", home) : NULL;
}

/* A key of "auths" without scheme, path and trailing slash: old Dockers wrote URLs. */
static str bare_host(str key)
{
	ptrdiff_t at = str_search(key, S("://"));
	str host, path;

	if (at >= 0)
		key = str_skip(key, (size_t)at + 3);
	(void)str_cut(key, '/', &host, &path);
	return host;
}

bool credentials_same_registry(str key, str registry)
{
	if (str_is(registry, HUB_DOMAIN))
		return str_is(key, CREDENTIALS_HUB) || str_is(key, HUB_DOMAIN) ||
		       str_is(key, "index.docker.io") || str_is(key, "index.docker.io/v1/");
	return str_eq_nocase(bare_host(key), registry);
}

static int set_basic(struct credentials *c, str user, str secret, struct cairn_err *err)
{
	if (user.len + secret.len > SECRET_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "credentials are too long");
	c->kind = CREDENTIALS_BASIC;
	c->user = str_dup(user);
	c->secret = str_dup(secret);
	return 0;
}

static int set_secret(struct credentials *c, enum credentials_kind kind, const char *secret,
                      struct cairn_err *err)
{
	if (strlen(secret) > SECRET_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "credentials are too long");
	c->kind = kind;
	c->secret = xstrdup(secret);
	return 0;
}

/* base64("user:password"), as Docker's "auth" has it. */
static int decode_auth(struct credentials *c, str text, struct cairn_err *err)
{
	cleanup_free unsigned char *plain = NULL;
	size_t padding = 0;
	str user, secret;
	int n, rc;

	text = str_trim(text);
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	if (text.len > SECRET_MAX || text.len % 4)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'auth' is not base64");
	plain = xmalloc(text.len / 4 * 3 + 1);
	n = EVP_DecodeBlock(plain, (const unsigned char *)text.ptr, (int)text.len);
	if (n < (int)padding)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'auth' is not base64");
	if (!str_cut(str_n((char *)plain, (size_t)n - padding), ':', &user, &secret))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'auth' is not user:password in base64");
	while (secret.len && secret.ptr[secret.len - 1] == '\0') /* as Docker does */
		secret.len--;
	rc = set_basic(c, user, secret, err);
	explicit_bzero(plain, (size_t)n);
	return rc;
}

static int from_entry(struct credentials *c, const json_t *e, struct cairn_err *err)
{
	const char *auth = NULL, *identity = NULL, *bearer = NULL, *user = NULL, *password = NULL;

	if (!json_is_object(e))
		return cairn_fail(err, CAIRN_E_SYNTAX, "its entry in 'auths' is not an object");
	TRY(json_get_str(e, "identitytoken", &identity, err));
	TRY(json_get_str(e, "registrytoken", &bearer, err));
	TRY(json_get_str(e, "auth", &auth, err));
	TRY(json_get_str(e, "username", &user, err));
	TRY(json_get_str(e, "password", &password, err));
	if (bearer && bearer[0])
		return set_secret(c, CREDENTIALS_BEARER, bearer, err);
	if (identity && identity[0])
		return set_secret(c, CREDENTIALS_IDENTITY, identity, err);
	if (auth && auth[0])
		return decode_auth(c, str_of(auth), err);
	if (user && user[0] && password)
		return set_basic(c, str_of(user), str_of(password), err);
	return 0;
}

static int from_auths(struct credentials *c, const json_t *auths, str registry,
                      struct cairn_err *err)
{
	const char *key;
	json_t *entry;

	json_object_foreach(
		(json_t *)(uintptr_t)auths, key,
		entry) if (credentials_same_registry(str_of(key),
	                                             registry)) return from_entry(c, entry, err);
	return 0;
}

static int parse_helper_output(struct credentials *c, str output, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	const char *user = NULL, *secret = NULL;
	struct cairn_err hidden; /* a parser's message could quote the secret */

	if (json_parse(output, "output", &j, &hidden) < 0 ||
	    json_get_str(j, "Username", &user, &hidden) < 0 ||
	    json_get_str(j, "Secret", &secret, &hidden) < 0 || !user || !secret)
		return cairn_fail(err, CAIRN_E_AUTH, "it did not print {\"Username\",\"Secret\"}");
	if (strcmp(user, HELPER_TOKEN_USER) == 0)
		return set_secret(c, CREDENTIALS_IDENTITY, secret, err);
	return user[0] || secret[0] ? set_basic(c, str_of(user), str_of(secret), err) : 0;
}

/* A helper's name becomes part of a program's name. */
static bool valid_helper(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr("-_.", *p)))
			return false;
	return name[0] != '\0';
}

int credentials_helper(const char *name, const char *verb, str input, struct proc_result *ret,
                       struct cairn_err *err)
{
	cleanup_free char *program = xasprintf("docker-credential-%s", name);
	const char *argv[] = { program, verb, NULL };
	struct proc_opts o = { .argv = argv, .input = input, .timeout_ns = HELPER_TIMEOUT };
	int rc;

	proc_result_init(ret, HELPER_OUTPUT_MAX);
	if (!valid_helper(name))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%s' is not the name of a credential helper", name);
	rc = proc_run(&o, ret, err);
	if (rc == CAIRN_E_NOT_FOUND)
		return cairn_fail(
			err, CAIRN_E_AUTH,
			"the credential helper %s is not installed; install it or remove it "
			"from config.json",
			program);
	if (rc < 0) {
		err->code = CAIRN_E_AUTH;
		return CAIRN_E_AUTH;
	}
	if (ret->exit_code == 0 || str_search(strbuf_view(&ret->output), S(HELPER_UNKNOWN)) >= 0)
		return 0;
	return cairn_fail(err, CAIRN_E_AUTH, "%s failed with exit code %d: %.*s", program,
	                  ret->exit_code, STR(str_trim(strbuf_view(&ret->errors))));
}

str credentials_helper_key(str registry)
{
	return str_is(registry, HUB_DOMAIN) ? S(CREDENTIALS_HUB) : registry;
}

static int from_helper(struct credentials *c, const char *name, str registry, struct cairn_err *err)
{
	struct proc_result r cleanup_proc_result;

	TRY(credentials_helper(name, "get", credentials_helper_key(registry), &r, err));
	if (r.exit_code != 0) /* it does not know the registry */
		return 0;
	if (parse_helper_output(c, strbuf_view(&r.output), err) < 0)
		return cairn_wrap(err, "docker-credential-%s", name);
	return 0;
}

int credentials_find_helper(const json_t *config, str registry, const char **ret,
                            struct cairn_err *err)
{
	json_t *helpers = NULL, *name;
	const char *key;

	TRY(json_get_object(config, "credHelpers", &helpers, err));
	json_object_foreach(helpers, key,
	                    name) if (credentials_same_registry(str_of(key), registry) &&
	                              json_is_string(name))
	{
		*ret = json_string_value(name);
		return 0;
	}
	return json_get_str(config, "credsStore", ret, err);
}

static int lookup(const json_t *config, str registry, struct credentials *c, struct cairn_err *err)
{
	const char *helper = NULL;
	json_t *auths = NULL;

	if (!json_is_object(config))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(credentials_find_helper(config, registry, &helper, err));
	if (helper && helper[0])
		return from_helper(c, helper, registry, err);
	TRY(json_get_object(config, "auths", &auths, err));
	return auths ? from_auths(c, auths, registry, err) : 0;
}

int credentials_load(const char *path, json_t **ret, struct cairn_err *err)
{
	struct strbuf text cleanup_strbuf;
	int rc;

	strbuf_init(&text, CONFIG_MAX);
	*ret = NULL;
	rc = fs_read_file(AT_FDCWD, path, &text, err);
	if (rc == CAIRN_E_NOT_FOUND)
		return 0;
	TRY(rc);
	rc = json_parse(strbuf_view(&text), path, ret, err);
	explicit_bzero(text.ptr, text.len);
	return rc;
}

int credentials_find(const char *dir, str registry, struct credentials *ret, struct cairn_err *err)
{
	cleanup_free char *path = dir ? xasprintf("%s/config.json", dir) : NULL;
	struct credentials c cleanup_credentials = { 0 };
	cleanup_json json_t *config = NULL;

	if (path)
		TRY(credentials_load(path, &config, err));
	if (config && lookup(config, registry, &c, err) < 0)
		return cairn_wrap(err, "credentials for %.*s from %s", STR(registry), path);
	*ret = c;
	c = (struct credentials){ 0 };
	return 0;
}

void credentials_basic(const struct credentials *c, struct strbuf *out)
{
	cleanup_free char *plain = xasprintf("%s:%s", c->user, c->secret);
	size_t n = strlen(plain);
	cleanup_free unsigned char *text = xmalloc((n + 2) / 3 * 4 + 1);

	(void)EVP_EncodeBlock(text, (const unsigned char *)plain, (int)n);
	strbuf_cstr(out, "Basic ");
	strbuf_cstr(out, (const char *)text);
	explicit_bzero(plain, n);
	explicit_bzero(text, (n + 2) / 3 * 4);
}

/* net/aws_creds.c - keys, and the chain of their sources. */
#include "aws_creds.h"

#include <stdio.h>

#include "aws_priv.h"
#include "util/json.h"

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void aws_creds_done(struct aws_creds *c)
{
	wipe(&c->id);
	wipe(&c->secret);
	wipe(&c->token);
	c->expires = 0;
}

void aws_creds_copy(const struct aws_creds *from, struct aws_creds *ret)
{
	*ret = *from;
	ret->id = xstrdup(from->id);
	ret->secret = xstrdup(from->secret);
	ret->token = from->token ? xstrdup(from->token) : NULL;
}

static bool usable(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
			return false;
	return s.len <= AWS_TOKEN_MAX;
}

int aws_creds_set(struct aws_creds *ret, str id, str secret, str token, const char *source,
                  struct cairn_err *err)
{
	static const char *const names[] = { "access key id", "secret access key",
		                             "session token" };
	str members[] = { str_trim(id), str_trim(secret), str_trim(token) };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (!usable(members[i]) || (i < 2 && !members[i].len))
			return cairn_fail(err, CAIRN_E_AUTH, "AWS credentials from %s: the %s %s",
			                  source, names[i],
			                  members[i].len ? "makes no sense" : "is missing");
	ret->id = str_dup(members[0]);
	ret->secret = str_dup(members[1]);
	ret->token = members[2].len ? str_dup(members[2]) : NULL;
	ret->expires = AWS_CREDS_FOREVER;
	(void)snprintf(ret->source, sizeof(ret->source), "%s", source);
	return 0;
}

int aws_creds_json(struct aws_creds *ret, str text, const char *token_name, const char *source,
                   struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	const char *id = NULL, *secret = NULL, *token = NULL, *expires = NULL;
	int64_t at = AWS_CREDS_FOREVER;
	struct cairn_err hidden; /* a parser's message could quote the secret */

	if (json_parse(text, "answer", &j, &hidden) < 0 || !json_is_object(j) ||
	    json_get_str(j, "AccessKeyId", &id, &hidden) < 0 ||
	    json_get_str(j, "SecretAccessKey", &secret, &hidden) < 0 ||
	    json_get_str(j, token_name, &token, &hidden) < 0 ||
	    json_get_str(j, "Expiration", &expires, &hidden) < 0 ||
	    (expires && expires[0] && clock_parse(str_of(expires), &at, &hidden) < 0))
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS credentials from %s: the answer is not JSON with "
		                  "AccessKeyId, SecretAccessKey, %s and Expiration",
		                  source, token_name);
	TRY(aws_creds_set(ret, str_of(id), str_of(secret), str_of(token), source, err));
	ret->expires = at;
	return 0;
}

/* --- sources ---------------------------------------------------------------------------- */

int aws_env_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err)
{
	const char *id = aws_env(a, "AWS_ACCESS_KEY_ID");
	const char *secret = aws_env(a, "AWS_SECRET_ACCESS_KEY");

	*ret_found = false;
	if (!id && !secret)
		return 0;
	if (!id || !secret)
		return cairn_fail(err, CAIRN_E_AUTH, "AWS_%s is set and AWS_%s is not",
		                  id ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY",
		                  id ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
	*ret_found = true;
	return aws_creds_set(ret, str_of(id), str_of(secret),
	                     str_of(aws_env(a, "AWS_SESSION_TOKEN")), "the environment", err);
}

int aws_identity_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err)
{
	const char *file = aws_env(a, "AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *arn = aws_env(a, "AWS_ROLE_ARN");
	struct aws_role role = { .arn = arn,
		                 .token_file = file,
		                 .source = "AWS_WEB_IDENTITY_TOKEN_FILE" };

	*ret_found = false;
	if (!file)
		return 0; /* AWS_ROLE_ARN alone means nothing */
	if (!arn)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
	*ret_found = true;
	return aws_sts_assume(a, &role, ret, err);
}

static const struct {
	int (*find)(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err);
	const char *name; /* in the list of places that were looked at */
} sources[] = {
	{ aws_env_creds, "AWS_ACCESS_KEY_ID" },
	{ aws_identity_creds, "AWS_WEB_IDENTITY_TOKEN_FILE" },
	{ aws_profile_creds, "~/.aws/credentials and ~/.aws/config" },
	{ aws_container_creds, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" },
	{ aws_imds_creds, "a role of this instance" },
};

int aws_creds_find(struct aws *a, struct aws_creds *ret, struct cairn_err *err)
{
	struct strbuf names cleanup_strbuf;

	strbuf_init(&names, 400);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct aws_creds c cleanup_aws_creds = { 0 };
		bool found = false;

		TRY(sources[i].find(a, &c, &found, err));
		if (found) {
			*ret = c;
			c = (struct aws_creds){ 0 };
			return 0;
		}
		strbuf_printf(&names, "%s%s", i ? ", " : "", sources[i].name);
	}
	return cairn_fail(err, CAIRN_E_AUTH, "no AWS credentials found; looked for %s", names.ptr);
}

/* --- for people ---------------------------------------------------------------------------- */

static void describe_profile(struct aws *a, struct strbuf *out)
{
	static const struct {
		const char *key, *means;
	} ways[] = {
		{ "role_arn", "its role" },
		{ "aws_access_key_id", "its keys" },
		{ "credential_process", "its credential_process" },
	};
	const char *name = aws_env(a, "AWS_PROFILE");
	struct cairn_err ignored;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		cleanup_free char *value = NULL;

		if (aws_profile_value(a, ways[i].key, &value, &ignored) < 0) {
			strbuf_cstr(out, ignored.msg);
			return;
		}
		if (value) {
			strbuf_printf(out, "profile '%s': %s", name ? name : "default",
			              ways[i].means);
			return;
		}
	}
}

void aws_describe(struct aws *a, struct strbuf *out)
{
	const char *id = aws_env(a, "AWS_ACCESS_KEY_ID");
	size_t before = out->len;

	if (id)
		strbuf_printf(out, "the environment: AWS_ACCESS_KEY_ID ...%s",
		              strlen(id) > 4 ? id + strlen(id) - 4 : "");
	else if (aws_env(a, "AWS_WEB_IDENTITY_TOKEN_FILE"))
		strbuf_printf(out, "web identity: the token in %s",
		              aws_env(a, "AWS_WEB_IDENTITY_TOKEN_FILE"));
	else
		describe_profile(a, out);
	if (out->len > before)
		return;
	if (aws_env(a, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
	    aws_env(a, "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		strbuf_cstr(out, "the role of this container");
}

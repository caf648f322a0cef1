/* registry/errors.c - what a registry's refusals mean.
 *
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
#include <stdio.h>

#include "host.h"
#include "util/json.h"

#define MESSAGE_MAX 200 /* characters of a registry's own words in an error */

/* The first of {"errors":[{"code","message"}]}; "" where there is none. Borrowed from *ret_json. */
static void own_words(const struct http_response *resp, json_t **ret_json, const char **ret_code,
                      const char **ret_message)
{
	struct cairn_err ignored;
	const json_t *e;

	*ret_code = *ret_message = "";
	if (json_parse(strbuf_view(&resp->body), "", ret_json, &ignored) < 0)
		return;
	e = json_array_get(json_object_get(*ret_json, "errors"), 0);
	if (json_string_value(json_object_get(e, "code")))
		*ret_code = json_string_value(json_object_get(e, "code"));
	if (json_string_value(json_object_get(e, "message")))
		*ret_message = json_string_value(json_object_get(e, "message"));
}

bool registry_says(const struct http_response *resp, const char *code)
{
	cleanup_json json_t *j = NULL;
	const json_t *e;
	struct cairn_err ignored;
	size_t i;

	if (json_parse(strbuf_view(&resp->body), "", &j, &ignored) < 0)
		return false;
	json_array_foreach(json_object_get(j, "errors"), i, e)
	{
		const char *c = json_string_value(json_object_get(e, "code"));

		if (c && strcmp(c, code) == 0)
			return true;
	}
	return false;
}

/* The first row that fits. status 0: any; code NULL: any; word NULL: any, else a part of the
 * message. ECR calls an immutable tag TAG_INVALID; others answer 409 or 412. */
static const struct {
	int status;
	enum cairn_code code;
	const char *word_code, *word;
	const char *meaning;
} rows[] = {
	{ 0, CAIRN_E_NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", NULL,
	  "the registry lacks a blob that it names" },
	{ 0, CAIRN_E_EXISTS, "TAG_INVALID", NULL, "the tag is immutable" },
	{ 0, CAIRN_E_EXISTS, NULL, "immutable", "the tag is immutable" },
	{ 409, CAIRN_E_EXISTS, NULL, NULL, "there is something else already" },
	{ 412, CAIRN_E_EXISTS, NULL, NULL, "there is something else already" },
	{ 0, CAIRN_E_AUTH, "DENIED", NULL, "access denied; log in with 'cairn login'" },
	{ 403, CAIRN_E_AUTH, NULL, NULL, "access denied; check the login in Docker's config.json" },
	{ 0, CAIRN_E_NOT_FOUND, "NAME_UNKNOWN", NULL,
	  "there is no such repository; check the name, or create it" },
	{ 404, CAIRN_E_NOT_FOUND, NULL, NULL,
	  "not found; check the name, the tag and the registry" },
	{ 405, CAIRN_E_UNSUPPORTED, NULL, NULL, "the registry does not do that" },
	{ 0, CAIRN_E_DIGEST, "DIGEST_INVALID", NULL, "other bytes arrived than were announced" },
	{ 0, CAIRN_E_TRANSIENT, "TOOMANYREQUESTS", NULL,
	  "too many requests; log in for a higher limit or wait" },
	{ 429, CAIRN_E_TRANSIENT, NULL, NULL,
	  "too many requests; log in for a higher limit or wait" },
};

int registry_fail(const struct registry_call *call, const struct http_response *resp,
                  const char *what, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	const char *code, *message;
	char words[MESSAGE_MAX];

	own_words(resp, &j, &code, &message);
	(void)snprintf(words, sizeof(words), "%s%s%s%s", *code || *message ? ": " : "", code,
	               *code && *message ? " " : "", message);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((!rows[i].status || rows[i].status == resp->status) &&
		    (!rows[i].word_code || strcmp(rows[i].word_code, code) == 0) &&
		    (!rows[i].word || strstr(message, rows[i].word)))
			return cairn_fail(err, rows[i].code, "%s: %s (%s answered %d%s)", what,
			                  rows[i].meaning, call->domain, resp->status, words);
	return cairn_fail(err,
	                  http_status_transient(resp->status) ? CAIRN_E_TRANSIENT : CAIRN_E_SYNTAX,
	                  "%s: %s answered %d%s", what, call->domain, resp->status, words);
}

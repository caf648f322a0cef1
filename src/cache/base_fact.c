#include "base_fact.h"

#include "util/clock.h"

#define VERSION 1

struct digest base_fact_name(str ref, const struct platform *platform)
{
	char text[PLATFORM_TEXT_MAX];
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.base.fact", VERSION);
	digest_field_str(&f, "ref", ref);
	digest_field_str(&f, "platform", str_of(platform_text(platform, text)));
	return digest_fields_end(&f);
}

void base_fact_encode(const struct base_fact *f, struct strbuf *out)
{
	cleanup_json json_t *j = json_object();
	json_t *config = json_stringn(f->config.ptr, f->config.len);
	char seen[CLOCK_TEXT_MAX];

	if (!config)
		return;
	json_object_set_new(j, "version", json_integer(VERSION));
	json_object_set_new(j, "seen", json_string(clock_text(f->seen, seen)));
	json_object_set_new(j, "index", json_string(digest_text(&f->index).s));
	json_object_set_new(j, "manifest", json_string(digest_text(&f->manifest).s));
	json_object_set_new(j, "config", config);
	json_write(j, out);
}

static int get_text(const json_t *j, const char *key, str *ret, struct cairn_err *err)
{
	const char *text = NULL;

	TRY(json_get_str(j, key, &text, err));
	*ret = str_of(text);
	return text ? 0 : cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is missing", key);
}

static int decode(str text, struct arena *a, struct base_fact *f, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	str seen, index, manifest;

	TRY(json_parse_version(text, VERSION, &j, err));
	TRY(get_text(j, "seen", &seen, err));
	TRY(get_text(j, "index", &index, err));
	TRY(get_text(j, "manifest", &manifest, err));
	TRY(get_text(j, "config", &f->config, err));
	TRY(clock_parse(seen, &f->seen, err));
	TRY(digest_parse(index, &f->index, err));
	TRY(digest_parse(manifest, &f->manifest, err));
	f->config = arena_str(a, f->config);
	return 0;
}

int base_fact_decode(str text, struct arena *a, struct base_fact *ret, struct cairn_err *err)
{
	struct base_fact f = { 0 };

	if (decode(text, a, &f, err) < 0) {
		err->code = CAIRN_E_DIGEST;
		return cairn_wrap(err, "what is kept of a base image is damaged");
	}
	*ret = f;
	return 0;
}

#include "manifest.h"

#include <stdio.h>

/* Which types a document claims; NULL members are not claimed. */
static int check_claims(const struct media_type *in_body, const struct media_type *outside,
                        str body_name, str outside_name, struct cairn_err *err)
{
	if (in_body->kind == MEDIA_SCHEMA1 || outside->kind == MEDIA_SCHEMA1)
		return cairn_fail(
			err, CAIRN_E_UNSUPPORTED,
			"the image has a manifest of Docker's schema 1 (before 2016); pull and "
			"push it with a current Docker to convert it");
	if (body_name.len && in_body->kind != MEDIA_MANIFEST && in_body->kind != MEDIA_INDEX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not the media type of an image",
		                  STR(body_name));
	if (body_name.len && outside->kind != MEDIA_OTHER && outside != in_body)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "it calls itself '%.*s' but was served as '%.*s'", STR(body_name),
		                  STR(outside_name));
	return 0;
}

static int read_list(struct arena *a, const json_t *j, const char *key, struct descriptor **ret,
                     size_t *ret_n, struct cairn_err *err)
{
	json_t *list = NULL;
	struct descriptor *d;
	size_t n;

	TRY(json_get_array(j, key, &list, err));
	n = json_array_size(list);
	if (n > MANIFEST_ENTRIES_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has more than %u entries", key,
		                  MANIFEST_ENTRIES_MAX);
	d = arena_array(a, struct descriptor, n);
	for (size_t i = 0; i < n; i++)
		if (descriptor_from_json(a, json_array_get(list, i), &d[i], err) < 0)
			return cairn_wrap(err, "%s[%zu]", key, i);
	*ret = d;
	*ret_n = n;
	return 0;
}

static int read_manifest(struct arena *a, const json_t *j, str content_type, struct manifest *m,
                         struct cairn_err *err)
{
	const struct media_type *body, *outside = media_type_find(content_type);
	const char *name = NULL;
	int64_t version = 0;
	bool lists, config;

	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(json_get_str(j, "mediaType", &name, err));
	body = media_type_find(str_of(name));
	TRY(check_claims(body, outside, str_of(name), content_type, err));
	TRY(json_get_int(j, "schemaVersion", 0, &version, err));
	if (version == 1)
		return check_claims(media_type_find(S("application/vnd.docker.distribution."
		                                      "manifest.v1+json")),
		                    outside, str_of(name), content_type, err);
	if (version != 2)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'schemaVersion' is not 2");
	lists = json_object_get(j, "manifests") != NULL;
	config = json_object_get(j, "config") || json_object_get(j, "layers");
	if (lists == config)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  lists ? "it has members of a manifest and of an index"
		                        : "it has neither 'config' nor 'manifests'");
	if (body->kind == MEDIA_OTHER)
		body = outside;
	m->kind = lists ? MANIFEST_INDEX : MANIFEST_IMAGE;
	m->docker = body->docker;
	if (body->kind != MEDIA_OTHER && (body->kind == MEDIA_INDEX) != lists)
		return cairn_fail(err, CAIRN_E_SYNTAX, "its members contradict its media type '%s'",
		                  body->name);
	TRY(image_kvs_from_json(a, json_object_get(j, "annotations"), "annotations",
	                        &m->annotations, err));
	if (lists)
		return read_list(a, j, "manifests", &m->manifests, &m->n_manifests, err);
	if (descriptor_from_json(a, json_object_get(j, "config"), &m->config, err) < 0)
		return cairn_wrap(err, "config");
	return read_list(a, j, "layers", &m->layers, &m->n_layers, err);
}

int manifest_parse(struct arena *a, str bytes, str content_type, struct manifest *ret,
                   struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	struct manifest m = { 0 };

	if (bytes.len > MANIFEST_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "manifest is larger than %u bytes",
		                  MANIFEST_MAX);
	TRY(json_parse(bytes, "manifest", &j, err));
	if (read_manifest(a, j, content_type, &m, err) < 0)
		return cairn_wrap(err, "manifest");
	*ret = m;
	return 0;
}

const char *manifest_media_type(const struct manifest *m)
{
	if (m->kind == MANIFEST_INDEX)
		return m->docker ? MEDIA_DOCKER_LIST : MEDIA_OCI_INDEX;
	return m->docker ? MEDIA_DOCKER_MANIFEST : MEDIA_OCI_MANIFEST;
}

static json_t *list_to_json(const struct descriptor *d, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, descriptor_to_json(&d[i]));
	return list;
}

void manifest_encode(const struct manifest *m, struct strbuf *out)
{
	cleanup_json json_t *j = json_object();

	(void)json_object_set_new(j, "schemaVersion", json_integer(2));
	(void)json_object_set_new(j, "mediaType", json_str(str_of(manifest_media_type(m))));
	if (m->kind == MANIFEST_INDEX) {
		(void)json_object_set_new(j, "manifests",
		                          list_to_json(m->manifests, m->n_manifests));
	} else {
		(void)json_object_set_new(j, "config", descriptor_to_json(&m->config));
		(void)json_object_set_new(j, "layers", list_to_json(m->layers, m->n_layers));
	}
	if (m->annotations.len)
		(void)json_object_set_new(j, "annotations", image_kvs_to_json(&m->annotations));
	json_write(j, out);
}

/* "linux/amd64, linux/arm64" of the entries that are images. */
static void list_platforms(const struct manifest *m, struct strbuf *out)
{
	char b[PLATFORM_TEXT_MAX];

	for (size_t i = 0; i < m->n_manifests; i++) {
		const struct descriptor *d = &m->manifests[i];

		if (!d->has_platform || strcmp(d->platform.os, "unknown") == 0)
			continue;
		strbuf_printf(out, "%s%s", out->len ? ", " : "", platform_text(&d->platform, b));
	}
}

int manifest_choose(const struct manifest *m, const struct platform *want,
                    const struct descriptor **ret_entry, struct cairn_err *err)
{
	const struct descriptor *best = NULL;
	struct strbuf have cleanup_strbuf;
	char b[PLATFORM_TEXT_MAX];
	int best_rank = -1;

	strbuf_init(&have, 300);
	for (size_t i = 0; i < m->n_manifests; i++) {
		const struct descriptor *d = &m->manifests[i];
		int rank = d->has_platform ? platform_rank(want, &d->platform) : -1;

		if (rank >= 0 && (!best || rank < best_rank)) {
			best = d;
			best_rank = rank;
		}
	}
	if (!best && m->n_manifests == 1 && !m->manifests[0].has_platform)
		best = &m->manifests[0];
	if (best) {
		*ret_entry = best;
		return 0;
	}
	list_platforms(m, &have);
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "there is no image for %s; there are images for: %s",
	                  platform_text(want, b), have.len ? have.ptr : "nothing");
}

/* registry/pull.c - manifests, and what an image is. */
#include <stdio.h>

#include "host.h"

#define ACCEPT \
	MEDIA_OCI_MANIFEST ", " MEDIA_OCI_INDEX ", " MEDIA_DOCKER_MANIFEST ", " MEDIA_DOCKER_LIST

/* An index may name another index, which some tools make for attestations. */
#define INDEX_DEPTH_MAX 2

static const struct http_field accept_manifests = { "Accept", ACCEPT };

/* "manifests/TAG" or "manifests/sha256:..."; owned. */
static char *manifest_path(const struct reference *ref)
{
	if (digest_none(&ref->digest))
		return xasprintf("manifests/%s", ref->tag);
	return xasprintf("manifests/%s", digest_text(&ref->digest).s);
}

/* Docker-Content-Digest, when it is there and of a kind we know. */
static bool promised_digest(const struct http_response *resp, struct digest *ret)
{
	const char *s = http_header(resp, "Docker-Content-Digest");
	struct cairn_err ignored;

	return s && digest_parse(str_of(s), ret, &ignored) == 0;
}

static int check_digest(const struct reference *ref, const struct http_response *resp,
                        struct cairn_err *err)
{
	struct digest got = digest_of(resp->body.ptr, resp->body.len), want;

	if (!digest_none(&ref->digest) && !digest_eq(&got, &ref->digest))
		return cairn_fail(err, CAIRN_E_DIGEST, "%s sent a manifest with digest %s for %s",
		                  ref->domain, digest_text(&got).s, digest_text(&ref->digest).s);
	if (promised_digest(resp, &want) && !digest_eq(&got, &want))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "%s sent a manifest with digest %s and calls it %s", ref->domain,
		                  digest_text(&got).s, digest_text(&want).s);
	return 0;
}

static int fetch(struct registry *r, const struct reference *ref, const char *method,
                 struct http_response *resp, struct cairn_err *err)
{
	cleanup_free char *path = manifest_path(ref);
	struct registry_call call = { .domain = ref->domain,
		                      .repo = ref->path,
		                      .actions = "pull",
		                      .method = method,
		                      .path = path,
		                      .fields = &accept_manifests,
		                      .n_fields = 1,
		                      .max_body = MANIFEST_MAX };
	char what[REFERENCE_TEXT_MAX];

	TRY(registry_send(r, &call, resp, err));
	if (resp->status != 200)
		return registry_fail(&call, resp, reference_familiar(ref, what), err);
	return 0;
}

int registry_head(struct registry *r, const struct reference *ref, struct digest *ret_digest,
                  const struct media_type **ret_type, struct cairn_err *err)
{
	struct http_response resp cleanup_http_response;
	char what[REFERENCE_TEXT_MAX];
	struct digest d;

	http_response_init(&resp);
	TRY(fetch(r, ref, "HEAD", &resp, err));
	if (!promised_digest(&resp, &d))
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s: the registry does not tell its digest",
		                  reference_familiar(ref, what));
	*ret_digest = d;
	*ret_type = media_type_find(str_of(http_header(&resp, "Content-Type")));
	return 0;
}

int registry_manifest_get(struct registry *r, const struct reference *ref, struct strbuf *out,
                          char **ret_type, struct cairn_err *err)
{
	struct http_response resp cleanup_http_response;
	const char *type;

	http_response_init(&resp);
	TRY(fetch(r, ref, "GET", &resp, err));
	TRY(check_digest(ref, &resp, err));
	strbuf_str(out, strbuf_view(&resp.body));
	TRY(strbuf_check(out, "manifest", err));
	type = http_header(&resp, "Content-Type");
	*ret_type = xstrdup(type ? type : "");
	return 0;
}

int registry_manifest_find(struct registry *r, const struct reference *ref, struct strbuf *out,
                           char **ret_type, struct reference *ret_from, struct cairn_err *err)
{
	size_t n = 0;
	cleanup_free struct place *places = mirrors_places(r->mirrors, ref, false, &n);
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		strbuf_clear(out);
		rc = registry_manifest_get(r, &places[i].ref, out, ret_type, err);
		if (rc == 0) {
			mirrors_served(r->mirrors, ref, &places[i]);
			*ret_from = places[i].ref;
			return 0;
		}
		if (!mirrors_pass_over(r->mirrors, &places[i], false, err))
			break;
	}
	return rc;
}

/* Read a manifest or index into i, replacing what was there. */
static int read_manifest(struct registry *r, const struct reference *ref, struct registry_image *i,
                         struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	cleanup_free char *type = NULL;
	struct reference from;

	strbuf_init(&bytes, MANIFEST_MAX);
	TRY(registry_manifest_find(r, ref, &bytes, &type, &from, err));
	i->manifest_bytes = arena_str(i->arena, strbuf_view(&bytes));
	i->manifest_digest = digest_of(bytes.ptr, bytes.len);
	TRY(manifest_parse(i->arena, i->manifest_bytes, str_of(type), &i->manifest, err));
	i->manifest_type = str_of(manifest_media_type(&i->manifest));
	return 0;
}

/* Does the failure say that its own registry has nothing of that name? A mirror's may say less. */
static bool is_absent(struct registry *r, const struct reference *ref, int rc)
{
	size_t n = 0;

	free(mirrors_places(r->mirrors, ref, false, &n));
	return rc == CAIRN_E_NOT_FOUND && n == 1;
}

/* Down to the manifest of one platform. */
static int descend(struct registry *r, const struct platform *platform, struct registry_image *i,
                   bool *ret_absent, struct cairn_err *err)
{
	struct reference ref = i->ref;
	int rc = read_manifest(r, &ref, i, err);

	*ret_absent = is_absent(r, &ref, rc);
	TRY(rc);
	i->top_digest = i->manifest_digest;
	for (int depth = 0; i->manifest.kind == MANIFEST_INDEX; depth++) {
		const struct descriptor *entry = NULL;

		if (depth == INDEX_DEPTH_MAX)
			return cairn_fail(err, CAIRN_E_SYNTAX, "indexes are nested too deeply");
		TRY(manifest_choose(&i->manifest, platform, &entry, err));
		ref.digest = entry->digest;
		TRY(read_manifest(r, &ref, i, err));
	}
	return 0;
}

static bool known_config(const struct registry_resolving *with, const struct descriptor *d,
                         struct strbuf *bytes)
{
	struct digest got;

	if (!with->config || !with->config(with->ctx, &d->digest, bytes) || bytes->overflow)
		return false;
	got = digest_of(bytes->ptr, bytes->len);
	return bytes->len == d->size && digest_eq(&got, &d->digest);
}

static int read_config(struct registry *r, const struct registry_resolving *with,
                       struct registry_image *i, struct cairn_err *err)
{
	const struct descriptor *d = &i->manifest.config;
	struct strbuf bytes cleanup_strbuf;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	if (media_type_find(d->media_type)->kind != MEDIA_CONFIG)
		return cairn_fail(
			err, CAIRN_E_SYNTAX,
			"it is not a container image: its config has the media type '%.*s'",
			STR(d->media_type));
	if (!known_config(with, d, &bytes)) {
		strbuf_clear(&bytes);
		TRY(registry_blob_read(r, &i->ref, d, &bytes, err));
	}
	i->config_bytes = arena_str(i->arena, strbuf_view(&bytes));
	TRY(image_config_parse(i->arena, i->config_bytes, &i->config, err));
	if (i->config.n_diff_ids != i->manifest.n_layers)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "its manifest has %zu layers and its config %zu diff_ids",
		                  i->manifest.n_layers, i->config.n_diff_ids);
	return 0;
}

void registry_image_free(struct registry_image *i)
{
	if (!i)
		return;
	arena_free(i->arena);
	free(i);
}

int registry_resolve_with(struct registry *r, const struct reference *ref,
                          const struct platform *platform, struct registry_resolving *with,
                          struct registry_image **ret, struct cairn_err *err)
{
	cleanup_registry_image struct registry_image *i = xcalloc(1, sizeof(*i));
	char what[REFERENCE_TEXT_MAX];
	int rc;

	i->arena = arena_new();
	i->ref = *ref;
	rc = descend(r, platform, i, &with->absent, err);
	if (rc == 0)
		rc = read_config(r, with, i, err);
	if (rc < 0)
		return cairn_wrap(err, "image %s", reference_familiar(ref, what));
	*ret = steal_ptr(&i);
	return 0;
}

int registry_resolve(struct registry *r, const struct reference *ref,
                     const struct platform *platform, struct registry_image **ret,
                     struct cairn_err *err)
{
	struct registry_resolving with = { 0 };

	return registry_resolve_with(r, ref, platform, &with, ret, err);
}

/* cache/remote_registry.c - a remote in a repository of a registry.
 *
 * Each document is an OCI image manifest of its own under a tag of its own:
 *
 *	entry    cairn-SCOPE-<64 hex digits of the key>
 *	pointer  cairn.pointer-SCOPE-<32 hex digits of the name>[.N]
 *
 *	{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 *	 "config":{an image config without layers, the same for all},
 *	 "layers":[the blobs that the document brings],
 *	 "annotations":{"io.cairn.document":"<its text>","io.cairn.tag":"<the tag>"}}
 *
 * so that one GET answers, and so that the registry keeps the blobs as long as the document.  Only
 * media types of images are used: some registries refuse others, manifests without layers, and
 * indexes of what is not an image.  The tag stands in the manifest because registries delete by
 * digest: two tags must not share a manifest; a manifest under another tag is not believed.
 *
 * Entries.  A HEAD before the PUT, at most two seconds before it, keeps what is there.  Of two
 * writers that meet, the last wins: both wrote a complete entry for the same key.  Where tags are
 * immutable the first wins, which is as good; there a forced build cannot replace an entry.  The
 * manifest of the one that lost has no tag any more, and what only it names may be collected: so a
 * manifest names, behind the blobs that it brings, also those of the whole chain that it stands on.
 *
 * Pointers.  A registry has no conditional writes: HEAD, before or after the PUT, tells whether
 * another writer was there, and between the two requests the last one wins.  Where tags are
 * immutable the n-th value gets the tag with ".N" behind it; a reader takes the highest.  Its
 * version is "N sha256:...", of the manifest under that tag.
 */
#include <stdio.h>

#include "registry/registry.h"
#include "remote_number.h"
#include "remote_priv.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/num.h"

#define TEXT_ANNOTATION "io.cairn.document"
#define TAG_ANNOTATION  "io.cairn.tag"
#define POINTER_HEX     32
#define FRESH_NS        (2 * CLOCK_SEC) /* an entry that was not there is not there */

/* A config for no image: architecture "unknown" is what caches of other builders have. */
#define CONFIG                                              \
	"{\"architecture\":\"unknown\",\"os\":\"unknown\"," \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"

struct remote_registry {
	struct remote base;
	struct registry *registry;  /* borrowed */
	struct reference repo;      /* without tag and digest */
	pthread_mutex_t lock;       /* held while config and empty layer are sent */
	bool has_config, has_empty; /* they are there, as far as is known; with the lock */
	struct map absent;          /* tag -> int64_t *: when it was not there; with base.lock */
	struct arena *arena;        /* of those times; likewise */
};

/* A tar without members: for documents that bring nothing. */
static const char empty_tar[1024];

static struct remote_registry *reg_of(struct remote *r)
{
	return (struct remote_registry *)r;
}

/* --- names ------------------------------------------------------------------------ */

static void set_tag(struct remote *r, const struct remote_place *at, struct reference *ref)
{
	struct digest_text hex = digest_hex(at->name);

	*ref = reg_of(r)->repo;
	if (at->pointer)
		(void)snprintf(ref->tag, sizeof(ref->tag), "cairn.pointer-%s-%.*s", at->scope,
		               POINTER_HEX, hex.s);
	else
		(void)snprintf(ref->tag, sizeof(ref->tag), "cairn-%s-%s", at->scope, hex.s);
}

static struct descriptor config_blob(void)
{
	return (struct descriptor){ .media_type = S(MEDIA_OCI_CONFIG),
		                    .digest = digest_of(CONFIG, sizeof(CONFIG) - 1),
		                    .size = sizeof(CONFIG) - 1 };
}

static struct descriptor empty_blob(void)
{
	return (struct descriptor){ .media_type = S(MEDIA_OCI_LAYER),
		                    .digest = digest_of(empty_tar, sizeof(empty_tar)),
		                    .size = sizeof(empty_tar) };
}

/* --- reading ------------------------------------------------------------------------ */

/* What it names the registry has. */
static void note_shared(struct remote_registry *g, const struct manifest *m)
{
	const struct descriptor config = config_blob(), empty = empty_blob();

	(void)pthread_mutex_lock(&g->lock);
	g->has_config |= digest_eq(&m->config.digest, &config.digest);
	g->has_empty |= m->n_layers == 1 && digest_eq(&m->layers[0].digest, &empty.digest);
	(void)pthread_mutex_unlock(&g->lock);
}

/* The document in a manifest. One of something else, or of another tag, is not found. */
static int open_manifest(struct remote_registry *g, str bytes, const char *type, const char *tag,
                         struct strbuf *out, bool *ret_found, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	const str *text, *own_tag;
	struct manifest m;

	TRY(manifest_parse(a, bytes, str_of(type), &m, err));
	text = image_kvs_get(&m.annotations, S(TEXT_ANNOTATION));
	own_tag = image_kvs_get(&m.annotations, S(TAG_ANNOTATION));
	*ret_found = text && own_tag && str_is(*own_tag, tag);
	if (*ret_found) {
		note_shared(g, &m);
		strbuf_str(out, *text);
	}
	return 0;
}

static int get_tag(struct remote *r, const struct reference *ref, struct strbuf *out,
                   struct digest *ret_digest, bool *ret_found, struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	cleanup_free char *type = NULL;
	struct cairn_err e;
	int rc;

	strbuf_init(&bytes, MANIFEST_MAX);
	rc = registry_manifest_get(reg_of(r)->registry, ref, &bytes, &type, &e);
	*ret_found = false;
	if (rc == CAIRN_E_NOT_FOUND)
		return 0;
	if (rc < 0) {
		*err = e;
		return rc;
	}
	TRY(open_manifest(reg_of(r), strbuf_view(&bytes), type, ref->tag, out, ret_found, err));
	*ret_digest = digest_of(bytes.ptr, bytes.len);
	return 0;
}

/* The value of a pointer whose tag without a number holds *out already. */
static int get_numbered(struct remote *r, const struct number_look *look, struct strbuf *out,
                        unsigned *ret_n, struct digest *ret_digest, bool *ret_found,
                        struct cairn_err *err)
{
	struct reference ref;
	struct digest ignored;

	TRY(number_last(look, ret_n, &ignored, err));
	if (*ret_n == 0)
		return 0;
	number_tag(look->base, *ret_n, &ref);
	strbuf_clear(out);
	return get_tag(r, &ref, out, ret_digest, ret_found, err);
}

/* The tag and the one behind it are asked for at once: behind a long way the second would take as
 * long again. */
static int get_pointer(struct remote *r, const struct reference *base, struct strbuf *out,
                       unsigned *ret_n, struct digest *ret_digest, bool *ret_found,
                       struct cairn_err *err)
{
	struct number_look look = { 0 };
	struct cairn_err why;
	int rc;

	number_look_begin(reg_of(r)->registry, base, &look);
	rc = get_tag(r, base, out, ret_digest, ret_found, err);
	if (number_look_end(&look, &why) < 0 && rc == 0 && *ret_found) {
		*err = why;
		return why.code;
	}
	TRY(rc);
	return *ret_found ? get_numbered(r, &look, out, ret_n, ret_digest, ret_found, err) : 0;
}

static int doc_get(struct remote *r, const struct remote_place *at, struct strbuf *out,
                   char **ret_version, bool *ret_found, struct cairn_err *err)
{
	struct reference base;
	struct digest d;
	unsigned n = 0;

	set_tag(r, at, &base);
	if (at->pointer)
		TRY(get_pointer(r, &base, out, &n, &d, ret_found, err));
	else
		TRY(get_tag(r, &base, out, &d, ret_found, err));
	if (*ret_found)
		*ret_version = xasprintf("%u %s", n, digest_text(&d).s);
	return 0;
}

/* --- writing ------------------------------------------------------------------------ */

static int send_blob(struct remote *r, const struct descriptor *blob,
                     const struct remote_source *src, struct cairn_err *err)
{
	struct registry_source source = { .fd = src->fd, .bytes = src->bytes };

	return registry_blob_put(reg_of(r)->registry, &reg_of(r)->repo, blob, &source, err);
}

static int send_one(struct remote *r, const struct descriptor *blob, str bytes, bool *has,
                    struct cairn_err *err)
{
	const struct remote_source src = { .fd = -1, .bytes = bytes };
	bool there = false;

	if (*has)
		return 0;
	TRY(registry_blob_has(reg_of(r)->registry, &reg_of(r)->repo, &blob->digest, &there, err));
	if (!there)
		TRY(send_blob(r, blob, &src, err));
	*has = true;
	return 0;
}

/* Config and empty layer, which manifests share: asked for once, and not when a document that was
 * read names them. again: the registry says that something is missing. */
static int send_shared(struct remote *r, bool empty, bool again, struct cairn_err *err)
{
	const struct descriptor config = config_blob(), layer = empty_blob();
	struct remote_registry *g = reg_of(r);
	int rc;

	(void)pthread_mutex_lock(&g->lock);
	if (again)
		g->has_config = g->has_empty = false;
	rc = send_one(r, &config, S(CONFIG), &g->has_config, err);
	if (rc == 0 && empty)
		rc = send_one(r, &layer, str_n(empty_tar, sizeof(empty_tar)), &g->has_empty, err);
	(void)pthread_mutex_unlock(&g->lock);
	return rc;
}

/* A blob as a layer: what is no layer gets a layer's media type, and its own as annotation. */
static struct descriptor as_layer(struct arena *a, const struct descriptor *blob)
{
	struct descriptor d = *blob;

	if (media_type_find(blob->media_type)->kind == MEDIA_LAYER)
		return d;
	if (!image_kvs_get(&d.annotations, S(REMOTE_INDEX_ANNOTATION)))
		image_kvs_set(a, &d.annotations, S(REMOTE_INDEX_ANNOTATION), blob->media_type);
	d.media_type = S(MEDIA_OCI_LAYER "+zstd");
	return d;
}

static int put_manifest(struct remote *r, const struct remote_doc *doc, size_t n_below,
                        const struct reference *ref, struct digest *ret, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct strbuf bytes cleanup_strbuf;
	struct manifest m = { .kind = MANIFEST_IMAGE, .config = config_blob() };

	strbuf_init(&bytes, MANIFEST_MAX);
	m.layers = arena_array(a, struct descriptor, doc->n_blobs + n_below + 1);
	for (size_t i = 0; i < doc->n_blobs; i++)
		m.layers[m.n_layers++] = as_layer(a, &doc->blobs[i]);
	for (size_t i = 0; i < n_below; i++)
		m.layers[m.n_layers++] = as_layer(a, &doc->below[i]);
	if (!m.n_layers)
		m.layers[m.n_layers++] = empty_blob();
	image_kvs_set(a, &m.annotations, S(TEXT_ANNOTATION), doc->text);
	image_kvs_set(a, &m.annotations, S(TAG_ANNOTATION), str_of(ref->tag));
	manifest_encode(&m, &bytes);
	TRY(strbuf_check(&bytes, "its manifest", err));
	*ret = digest_of(bytes.ptr, bytes.len);
	return registry_manifest_put(reg_of(r)->registry, ref, str_of(manifest_media_type(&m)),
	                             strbuf_view(&bytes), err);
}

/* --- what was not there a moment ago */

static void set_absent(struct remote_registry *g, const struct reference *ref, bool absent)
{
	int64_t *when;

	(void)pthread_mutex_lock(&g->base.lock);
	when = map_get(&g->absent, str_of(ref->tag));
	if (!when && absent) {
		when = arena_new_of(g->arena, int64_t);
		(void)map_put(&g->absent, str_of(ref->tag), when);
	}
	if (when)
		*when = absent ? clock_monotonic() : clock_monotonic() - FRESH_NS - 1;
	(void)pthread_mutex_unlock(&g->base.lock);
}

static bool was_absent(struct remote_registry *g, const struct reference *ref)
{
	const int64_t *when;
	bool absent;

	(void)pthread_mutex_lock(&g->base.lock);
	when = map_get(&g->absent, str_of(ref->tag));
	absent = when && clock_monotonic() - *when <= FRESH_NS;
	(void)pthread_mutex_unlock(&g->base.lock);
	return absent;
}

static int doc_expect(struct remote *r, const struct remote_place *at, struct cairn_err *err)
{
	struct reference ref;
	struct digest ignored;
	bool there = false;

	set_tag(r, at, &ref);
	if (was_absent(reg_of(r), &ref))
		return 0;
	TRY(number_head(reg_of(r)->registry, &ref, &there, &ignored, err));
	set_absent(reg_of(r), &ref, !there);
	return 0;
}

/* Put, after what all manifests share; that is sent again when the registry has lost a blob. It may
 * be one below, which others have sent: better an entry without them than none. */
static int put_tag(struct remote *r, const struct remote_doc *doc, const struct reference *ref,
                   struct digest *ret, struct cairn_err *err)
{
	int rc;

	TRY(send_shared(r, doc->n_blobs + doc->n_below == 0, false, err));
	rc = put_manifest(r, doc, doc->n_below, ref, ret, err);
	if (rc != CAIRN_E_NOT_FOUND)
		return rc;
	TRY(send_shared(r, doc->n_blobs == 0, true, err));
	return put_manifest(r, doc, 0, ref, ret, err);
}

static int put_entry(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                     struct cairn_err *err)
{
	struct reference ref;
	struct digest ignored;
	bool there = false;
	int rc;

	set_tag(r, &doc->at, &ref);
	if (doc->when == REMOTE_ABSENT && !was_absent(reg_of(r), &ref))
		TRY(number_head(reg_of(r)->registry, &ref, &there, &ignored, err));
	*ret_lost = there;
	if (there)
		return 0;
	rc = put_tag(r, doc, &ref, &ignored, err);
	set_absent(reg_of(r), &ref, false);
	*ret_lost = rc == CAIRN_E_EXISTS;
	return *ret_lost ? 0 : rc;
}

/* The value that is there. */
struct standing {
	bool there;
	unsigned n;           /* number behind its tag */
	struct digest digest; /* of its manifest */
};

/* What doc_get() has told. */
static int parse_version(const char *version, struct standing *ret, struct cairn_err *err)
{
	uint64_t n = 0;
	str number, digest;

	*ret = (struct standing){ .there = version != NULL };
	if (!version)
		return 0;
	(void)str_cut(str_of(version), ' ', &number, &digest);
	TRY(num_u64(number, NUMBER_MAX * 2, &n, err));
	ret->n = (unsigned)n;
	return digest_parse(digest, &ret->digest, err);
}

/* Is what is there what the writer expects? */
static int look_before(struct remote *r, const struct remote_doc *doc, const struct reference *base,
                       struct standing *now, bool *ret_lost, struct cairn_err *err)
{
	struct number_look look = { 0 };
	struct standing then;
	struct cairn_err why;
	int rc;

	TRY(parse_version(doc->version, &then, err));
	*now = then;
	if (doc->when != REMOTE_ALWAYS && doc->look != REMOTE_LOOK_BEFORE)
		return 0;
	*now = (struct standing){ 0 };
	number_look_begin(reg_of(r)->registry, base, &look);
	rc = number_head(reg_of(r)->registry, base, &now->there, &now->digest, err);
	if (number_look_end(&look, &why) < 0 && rc == 0 && now->there) {
		*err = why;
		return why.code;
	}
	TRY(rc);
	if (now->there)
		TRY(number_last(&look, &now->n, &now->digest, err));
	*ret_lost = doc->when == REMOTE_ABSENT ? now->there
	            : doc->when == REMOTE_SAME
	                    ? !now->there || !digest_eq(&now->digest, &then.digest)
	                    : false;
	return 0;
}

/* Did another writer, who had not seen it, take the place of what was put? */
static int look_after(struct remote *r, const struct reference *ref, const struct digest *put,
                      bool *ret_lost, struct cairn_err *err)
{
	bool there = false;
	struct digest now;

	TRY(number_head(reg_of(r)->registry, ref, &there, &now, err));
	*ret_lost = !there || !digest_eq(&now, put);
	return 0;
}

static int put_pointer(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                       struct cairn_err *err)
{
	struct reference base, ref;
	struct standing now;
	struct digest put;
	int rc;

	*ret_lost = false;
	set_tag(r, &doc->at, &base);
	TRY(look_before(r, doc, &base, &now, ret_lost, err));
	if (*ret_lost)
		return 0;
	number_tag(&base, now.n ? now.n + 1 : 0, &ref);
	rc = put_tag(r, doc, &ref, &put, err);
	if (rc == CAIRN_E_EXISTS && now.there && now.n == 0) { /* immutable: begin to count */
		number_tag(&base, 1, &ref);
		rc = put_tag(r, doc, &ref, &put, err);
	}
	*ret_lost = rc == CAIRN_E_EXISTS;
	if (rc < 0)
		return *ret_lost ? 0 : rc;
	return doc->look == REMOTE_LOOK_AFTER ? look_after(r, &ref, &put, ret_lost, err) : 0;
}

static int doc_put(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                   struct cairn_err *err)
{
	return (doc->at.pointer ? put_pointer : put_entry)(r, doc, ret_lost, err);
}

/* --- blobs ------------------------------------------------------------------------ */

static int blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err)
{
	return registry_blob_has(reg_of(r)->registry, &reg_of(r)->repo, &blob->digest, ret, err);
}

static int blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	struct registry_sink to = { .write = sink->write,
		                    .verify = sink->verify,
		                    .ctx = sink->ctx };

	return registry_blob_get(reg_of(r)->registry, &reg_of(r)->repo, blob, &to, err);
}

static int blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err)
{
	struct registry_sink to = { .write = sink->write, .ctx = sink->ctx };

	return registry_blob_range(reg_of(r)->registry, &reg_of(r)->repo, blob, offset, len, &to,
	                           err);
}

static int check_write(struct remote *r, struct cairn_err *err)
{
	return registry_check_push(reg_of(r)->registry, &reg_of(r)->repo, err);
}

static const char *repository(const struct remote *r)
{
	return r->name;
}

static void remote_registry_free(struct remote *r)
{
	map_done(&reg_of(r)->absent);
	arena_free(reg_of(r)->arena);
	(void)pthread_mutex_destroy(&reg_of(r)->lock);
	remote_done(r);
	free(r);
}

static const struct remote_ops registry_ops = {
	.doc_get = doc_get,
	.doc_expect = doc_expect,
	.doc_put = doc_put,
	.blob_has = blob_has,
	.blob_get = blob_get,
	.blob_range = blob_range,
	.blob_put = send_blob,
	.check_write = check_write,
	.blind = REGISTRY_BLIND_MAX,
	.repository = repository,
	.free = remote_registry_free,
};

int remote_open_registry(struct registry *registry, const struct reference *repo,
                         const struct remote_scopes *scopes, struct remote **ret,
                         struct cairn_err *err)
{
	struct remote_registry *g = xcalloc(1, sizeof(*g));
	cleanup_remote struct remote *r = &g->base;
	char name[REFERENCE_TEXT_MAX];

	(void)pthread_mutex_init(&g->lock, NULL);
	g->arena = arena_new();
	g->registry = registry;
	g->base.http = registry_http(registry);
	g->repo = *repo;
	g->repo.tag[0] = '\0';
	g->repo.digest = (struct digest){ 0 };
	TRY(remote_init(r, &registry_ops, xstrdup(reference_name(&g->repo, name)), scopes, err));
	*ret = steal_ptr(&r);
	return 0;
}

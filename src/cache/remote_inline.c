/* cache/remote_inline.c - an image with a cache inside as a remote that is only read. */
#include "inline.h"
#include "record.h"
#include "registry/registry.h"
#include "remote_priv.h"

struct remote_inline {
	struct remote base;
	struct registry *registry; /* borrowed */
	struct reference ref;
	struct platform platform;
	char *repository;     /* "registry.example/repo" */
	pthread_mutex_t lock; /* of what follows, while it is looked at */
	bool looked;
	bool absent; /* nothing has that name */
	struct arena *arena;
	struct inline_entry *entries;
	size_t n;
	struct map texts; /* key (bytes) -> str *: entries as remotes keep them */
};

static struct remote_inline *inline_of(struct remote *r)
{
	return (struct remote_inline *)r;
}

/* The record, and where the image's manifest says that its layers lie. */
static int add_entry(struct remote_inline *g, const struct registry_image *im,
                     const struct inline_entry *e, struct cairn_err *err)
{
	struct remote_entry entry = { .record = e->record };
	struct record record;
	struct strbuf text;
	str *kept;

	TRY(record_decode(e->record, g->arena, &record, err));
	entry.n_layers = record.chain.n;
	entry.layers = arena_array(g->arena, struct remote_layer, record.chain.n + 1);
	for (size_t i = 0; i < record.chain.n; i++) {
		if (i >= im->manifest.n_layers ||
		    !digest_eq(&record.chain.layers[i].diff_id, &im->config.diff_ids[i]))
			return 0; /* not about this image */
		entry.layers[i] = (struct remote_layer){ .diff_id = im->config.diff_ids[i],
			                                 .blob = im->manifest.layers[i] };
	}
	strbuf_init(&text, REMOTE_ENTRY_MAX);
	remote_entry_encode(&entry, &text);
	if (!text.overflow) {
		kept = arena_new_of(g->arena, str);
		*kept = arena_str(g->arena, strbuf_view(&text));
		map_put(&g->texts, str_n((const char *)e->key.b, DIGEST_LEN), kept);
	}
	strbuf_done(&text);
	return 0;
}

/* A tag that is not there is an empty cache; so is an image of another platform. */
static int look(struct remote_inline *g, struct cairn_err *err)
{
	cleanup_registry_image struct registry_image *im = NULL;
	struct registry_resolving with = { 0 };
	int r = registry_resolve_with(g->registry, &g->ref, &g->platform, &with, &im, err);

	g->absent = with.absent;
	if (r == CAIRN_E_NOT_FOUND || r == CAIRN_E_SYNTAX || r == CAIRN_E_UNSUPPORTED)
		return 0; /* nor is what is no image, as a cache of BuildKit */
	TRY(r);
	if (inline_entries(im->config_bytes, g->arena, &g->entries, &g->n, err) < 0) {
		g->n = 0;
		return err->code;
	}
	for (size_t i = 0; i < g->n; i++)
		TRY(add_entry(g, im, &g->entries[i], err));
	return 0;
}

/* With the lock. */
static int look_once(struct remote_inline *g, struct cairn_err *err)
{
	int got = g->looked ? 0 : look(g, err);

	g->looked |= got == 0;
	return got;
}

int remote_inline_look(struct remote *r, struct cairn_err *err)
{
	struct remote_inline *g = inline_of(r);
	struct health_call call;
	int got;

	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	pthread_mutex_lock(&g->lock);
	got = look_once(g, err);
	pthread_mutex_unlock(&g->lock);
	return remote_end(r, &call, got, err);
}

static int doc_get(struct remote *r, const struct remote_place *at, struct strbuf *out,
                   char **ret_version, bool *ret_found, struct cairn_err *err)
{
	struct remote_inline *g = inline_of(r);
	const str *text = NULL;
	int got;

	*ret_found = false;
	pthread_mutex_lock(&g->lock);
	got = look_once(g, err);
	if (got == 0)
		text = map_get(&g->texts, str_n((const char *)at->name->b, DIGEST_LEN));
	pthread_mutex_unlock(&g->lock);
	if (got < 0 || !text)
		return got;
	strbuf_str(out, *text);
	*ret_version = xstrdup(digest_text(at->name).s);
	*ret_found = true;
	return 0;
}

static int doc_put(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                   struct cairn_err *err)
{
	(void)doc;
	(void)ret_lost;
	return cairn_fail(err, CAIRN_E_UNSUPPORTED, "%s is only read", r->name);
}

static int blob_put(struct remote *r, const struct descriptor *blob,
                    const struct remote_source *src, struct cairn_err *err)
{
	(void)blob;
	(void)src;
	return cairn_fail(err, CAIRN_E_UNSUPPORTED, "%s is only read", r->name);
}

static int blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err)
{
	return registry_blob_has(inline_of(r)->registry, &inline_of(r)->ref, &blob->digest, ret,
	                         err);
}

static int blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	struct registry_sink to = { .write = sink->write, .ctx = sink->ctx };

	return registry_blob_get(inline_of(r)->registry, &inline_of(r)->ref, blob, &to, err);
}

static int blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err)
{
	struct registry_sink to = { .write = sink->write, .ctx = sink->ctx };

	return registry_blob_range(inline_of(r)->registry, &inline_of(r)->ref, blob, offset, len,
	                           &to, err);
}

static int check_write(struct remote *r, struct cairn_err *err)
{
	(void)r;
	return cairn_fail(err, CAIRN_E_DENIED, "it is only read");
}

static const char *repository(const struct remote *r)
{
	return ((const struct remote_inline *)r)->repository;
}

static void inline_free(struct remote *r)
{
	struct remote_inline *g = inline_of(r);

	map_done(&g->texts);
	arena_free(g->arena);
	free(g->repository);
	pthread_mutex_destroy(&g->lock);
	remote_done(r);
	free(r);
}

static const struct remote_ops inline_ops = {
	.doc_get = doc_get,
	.doc_put = doc_put,
	.blob_has = blob_has,
	.blob_get = blob_get,
	.blob_range = blob_range,
	.blob_put = blob_put,
	.check_write = check_write,
	.no_pointers = true,
	.repository = repository,
	.free = inline_free,
};

int remote_open_inline(struct registry *registry, const struct reference *ref,
                       const struct platform *platform, struct remote **ret, struct cairn_err *err)
{
	struct remote_inline *g = xcalloc(1, sizeof(*g));
	cleanup_remote struct remote *r = &g->base;
	char name[REFERENCE_TEXT_MAX];

	(void)pthread_mutex_init(&g->lock, NULL);
	g->registry = registry;
	g->base.http = registry_http(registry);
	g->ref = *ref;
	g->platform = *platform;
	g->arena = arena_new();
	g->repository = xstrdup(reference_name(ref, name));
	TRY(remote_init(r, &inline_ops, xstrdup(reference_text(ref, name)), NULL, err));
	*ret = steal_ptr(&r);
	return 0;
}

bool remote_inline_absent(struct remote *r)
{
	struct remote_inline *g = inline_of(r);
	bool absent;

	pthread_mutex_lock(&g->lock);
	absent = g->looked && g->absent;
	pthread_mutex_unlock(&g->lock);
	return absent;
}

void remote_inline_entries(struct remote *r, const struct inline_entry **ret, size_t *ret_n)
{
	struct remote_inline *g = inline_of(r);

	pthread_mutex_lock(&g->lock);
	*ret = g->entries;
	*ret_n = g->n;
	pthread_mutex_unlock(&g->lock);
}

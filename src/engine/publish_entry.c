/* Publishing: entries, what those that are there say and what ours bring. */
#include "publish_priv.h"

void pub_entry_learn(struct pub_entry *e, str text)
{
	struct publisher *p = e->p;
	struct remote_entry there = { 0 };
	struct cairn_err ignored;

	if (remote_entry_decode(text, p->arena, &there, &ignored) < 0)
		return;
	for (size_t i = 0; i < e->n && i < there.n_layers; i++) {
		struct pub_part *part = &e->layers[i]->parts[e->target];
		const struct remote_layer *l = &there.layers[i];

		if (part->state != PUB_IDLE || digest_none(&l->blob.digest) ||
		    !digest_eq(&l->diff_id, &e->layers[i]->ids[e->layers[i]->n - 1]))
			continue;
		part->state = PUB_DONE;
		part->told = true;
		part->blob = l->blob;
		part->index = l->index;
		part->index_bytes = l->index_bytes;
		part->from = l->from;
	}
}

/* --- writing one ------------------------------------------------------------------ */

/* The blobs in this remote of the layers that an entry brings: its own, and those that no entry
 * which can be seen brings already; or of the others, which are below. With the lock. */
static size_t blobs_of(const struct pub_entry *e, bool below, struct descriptor *out)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct pub_part *part = &e->layers[i]->parts[e->target];

		if (((part->told || part->covered) && i + 1 != e->n) != below)
			continue;
		if (!part->from.len && !digest_none(&part->blob.digest))
			out[n++] = part->blob;
		if (!digest_none(&part->index.digest) && !part->index_bytes.len)
			out[n++] = part->index;
	}
	return n;
}

/* The text of the entry, and the blobs it brings. */
static int make_entry(struct pub_entry *e, struct arena *a, struct remote_put *put,
                      struct strbuf *text, struct cairn_err *err)
{
	struct descriptor *blobs = arena_array(a, struct descriptor, 2 * e->n + 1);
	struct descriptor *below = arena_array(a, struct descriptor, 2 * e->n + 1);
	struct remote_entry entry = { .record = e->record, .n_layers = e->n };

	entry.layers = arena_array(a, struct remote_layer, e->n + 1);
	pthread_mutex_lock(&e->p->lock);
	for (size_t i = 0; i < e->n; i++) {
		const struct pub_part *part = &e->layers[i]->parts[e->target];

		entry.layers[i] =
			(struct remote_layer){ .diff_id = e->layers[i]->ids[e->layers[i]->n - 1],
			                       .blob = part->blob,
			                       .index = part->index,
			                       .index_bytes = part->index_bytes,
			                       .from = part->from };
	}
	put->n_blobs = blobs_of(e, false, blobs);
	put->n_below = blobs_of(e, true, below);
	pthread_mutex_unlock(&e->p->lock);
	remote_entry_encode(&entry, text);
	TRY(strbuf_check(text, "cache entry", err));
	put->entry = strbuf_view(text);
	put->blobs = blobs;
	put->below = below;
	put->replace = e->forced;
	return 0;
}

/* Somebody else's entry stayed: only the blobs that it names, too, are safe from collection; the
 * others are brought by the next entry that stands on them. */
static void cover_same(struct pub_entry *e, str there)
{
	cleanup_arena struct arena *a = arena_new();
	struct remote_entry stays = { 0 };
	struct cairn_err ignored;

	if (remote_entry_decode(there, a, &stays, &ignored) < 0)
		return;
	pthread_mutex_lock(&e->p->lock);
	for (size_t i = 0; i < e->n && i < stays.n_layers; i++) {
		struct pub_part *part = &e->layers[i]->parts[e->target];
		const struct remote_layer *l = &stays.layers[i];

		part->covered |= digest_eq(&part->blob.digest, &l->blob.digest) &&
		                 digest_eq(&part->index.digest, &l->index.digest);
	}
	pthread_mutex_unlock(&e->p->lock);
}

static void cover_all(struct pub_entry *e)
{
	pthread_mutex_lock(&e->p->lock);
	for (size_t i = 0; i < e->n; i++)
		e->layers[i]->parts[e->target].covered = true;
	pthread_mutex_unlock(&e->p->lock);
}

struct putting {
	struct pub_entry *e;
	const struct remote_put *put;
};

/* Under one of its keys. */
static int put_key(void *ctx, size_t i, struct cairn_err *err)
{
	const struct putting *w = ctx;
	struct pub_entry *e = w->e;
	cleanup_strbuf struct strbuf there;
	bool lost = false;

	strbuf_init(&there, REMOTE_ENTRY_MAX);
	TRY(remote_entry_put(e->p->targets[e->target].opts->remote, &e->keys[i], w->put, &there,
	                     &lost, err));
	if (lost)
		cover_same(e, strbuf_view(&there));
	else
		cover_all(e);
	return 0;
}

int pub_entry_put(struct pub_entry *e, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf text;
	struct remote_put put = { 0 };
	struct putting w = { e, &put };

	strbuf_init(&text, REMOTE_ENTRY_MAX);
	TRY(make_entry(e, a, &put, &text, err));
	return pool_map(e->p->net, e->n_keys, put_key, &w, err);
}

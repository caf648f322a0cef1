/* registry/copy.c - images from repository to repository, and from and to OCI layouts.
 *
 * Top manifest, then level by level what it names; blobs of all of them; then the manifests,
 * deepest first.  A manifest that dst has by its digest is believed to have its blobs; when dst
 * says otherwise (MANIFEST_BLOB_UNKNOWN) everything is done once more without that belief.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "copy_end.h"
#include "util/map.h"
#include "util/pool.h"

#define PARALLEL   4u
#define LEVELS_MAX 3 /* an index may name an index, as in pull.c */

struct copied {
	struct digest digest;
	str bytes;      /* in the arena; ptr NULL: not read, dst has it */
	str type;       /* in the arena */
	bool there;     /* dst has it: it is not put again */
	char *raw_type; /* of the read, until it is in the arena */
	struct strbuf raw;
};

struct copy {
	struct copy_end src, dst;
	const struct registry_copy_opts *opts;
	struct arena *arena;
	struct pool *pool; /* NULL: one after the other */
	bool same_repo;
	bool trust; /* a manifest that is there has its blobs */
	VEC(struct descriptor) blobs;
	struct map seen;                       /* digests of blobs */
	VEC(struct copied) levels[LEVELS_MAX]; /* without the top */
	atomic_uint_least64_t moved;
	atomic_bool stop; /* something failed: */
	pthread_mutex_t lock;
	struct cairn_err why; /* code CAIRN_OK: nothing yet */
};

/* The first real failure is what the user gets to know. */
static int fail_copy(struct copy *c, struct cairn_err *err)
{
	(void)pthread_mutex_lock(&c->lock);
	if (c->why.code == CAIRN_OK)
		c->why = *err;
	(void)pthread_mutex_unlock(&c->lock);
	atomic_store(&c->stop, true);
	return err->code;
}

static int each(struct copy *c, size_t n, int (*fn)(void *ctx, size_t i, struct cairn_err *err),
                void *ctx, struct cairn_err *err)
{
	if (c->pool)
		return pool_map(c->pool, n, fn, ctx, err);
	for (size_t i = 0; i < n; i++)
		TRY(fn(ctx, i, err));
	return 0;
}

static int in_parallel(struct copy *c, size_t n,
                       int (*fn)(void *ctx, size_t i, struct cairn_err *err), struct cairn_err *err)
{
	int rc = each(c, n, fn, c, err);

	if (rc < 0 && c->why.code != CAIRN_OK) {
		*err = c->why;
		rc = err->code;
	}
	return rc;
}

/* --- manifests, read ------------------------------------------------------------------- */

static struct reference by_digest(const struct reference *ref, const struct digest *d)
{
	struct reference r = *ref;

	r.digest = *d;
	return r;
}

static int read_manifest(struct copy *c, const struct reference *ref, struct copied *m,
                         struct cairn_err *err)
{
	strbuf_init(&m->raw, MANIFEST_MAX);
	return copy_end_manifest(&c->src, ref, &m->raw, &m->raw_type, err);
}

/* What was read moves into the arena. Not in a pool thread. */
static void keep_manifest(struct copy *c, struct copied *m)
{
	if (m->raw_type) {
		m->bytes = arena_str(c->arena, strbuf_view(&m->raw));
		m->type = arena_str(c->arena, str_of(m->raw_type));
		m->digest = digest_of(m->bytes.ptr, m->bytes.len);
	}
	free(m->raw_type);
	m->raw_type = NULL;
	strbuf_done(&m->raw);
}

static int dst_has(struct copy *c, const struct digest *digest, bool *ret, struct cairn_err *err)
{
	*ret = c->same_repo;
	return c->same_repo || !c->trust ? 0 : copy_end_has(&c->dst, digest, ret, err);
}

/* Children of one index that are being looked at. */
struct children {
	struct copy *c;
	struct copied *ptr;
};

static int read_child(void *ctx, size_t i, struct cairn_err *err)
{
	struct children *all = ctx;
	struct copied *m = &all->ptr[i];
	struct reference ref = by_digest(&all->c->src.ref, &m->digest);

	if (atomic_load(&all->c->stop))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	if (dst_has(all->c, &m->digest, &m->there, err) < 0 ||
	    (!m->there && read_manifest(all->c, &ref, m, err) < 0))
		return fail_copy(all->c, err);
	return 0;
}

static void want_blob(struct copy *c, const struct descriptor *d)
{
	struct digest_text name = digest_text(&d->digest);

	if (media_type_find(d->media_type)->foreign || map_has(&c->seen, str_of(name.s)))
		return;
	map_put(&c->seen, str_of(name.s), c);
	vec_push(&c->blobs, *d);
}

static int walk(struct copy *c, const struct manifest *m, unsigned level, struct cairn_err *err);

static int walk_child(struct copy *c, const struct copied *child, unsigned level,
                      struct cairn_err *err)
{
	struct manifest m = { 0 };

	if (child->there)
		return 0;
	TRY(manifest_parse(c->arena, child->bytes, child->type, &m, err));
	return walk(c, &m, level, err);
}

static int walk_index(struct copy *c, const struct manifest *m, unsigned level,
                      struct cairn_err *err)
{
	struct children all = { c, arena_array(c->arena, struct copied, m->n_manifests) };
	int rc;

	if (level == LEVELS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "indexes are nested too deeply");
	for (size_t i = 0; i < m->n_manifests; i++)
		all.ptr[i] = (struct copied){ .digest = m->manifests[i].digest };
	rc = each(c, m->n_manifests, read_child, &all, err);
	for (size_t i = 0; i < m->n_manifests; i++)
		keep_manifest(c, &all.ptr[i]);
	if (rc < 0) {
		if (c->why.code != CAIRN_OK)
			*err = c->why;
		return err->code;
	}
	for (size_t i = 0; i < m->n_manifests; i++) {
		TRY(walk_child(c, &all.ptr[i], level + 1, err));
		vec_push(&c->levels[level], all.ptr[i]);
	}
	return 0;
}

/* Note the blobs and manifests below m. level: where its children go. */
static int walk(struct copy *c, const struct manifest *m, unsigned level, struct cairn_err *err)
{
	if (m->kind == MANIFEST_INDEX)
		return walk_index(c, m, level, err);
	want_blob(c, &m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		want_blob(c, &m->layers[i]);
	return 0;
}

/* --- a selection of platforms -------------------------------------------------------------- */

/* A single image: is it one of those? */
static int check_platform(struct copy *c, const struct manifest *m, struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	struct image_config config;
	char have[PLATFORM_TEXT_MAX];

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	TRY(copy_end_read(&c->src, &m->config, &bytes, err));
	TRY(image_config_parse(c->arena, arena_str(c->arena, strbuf_view(&bytes)), &config, err));
	for (size_t i = 0; i < c->opts->n_platforms; i++)
		if (platform_rank(&c->opts->platforms[i], &config.platform) >= 0)
			return 0;
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "the image is for %s alone",
	                  platform_text(&config.platform, have));
}

/* The index anew, with the selected images. */
static int select_many(struct copy *c, struct copied *top, struct manifest *m,
                       struct cairn_err *err)
{
	size_t n = c->opts->n_platforms, k = 0;
	struct descriptor *chosen = arena_array(c->arena, struct descriptor, n);
	struct strbuf bytes cleanup_strbuf;

	strbuf_init(&bytes, MANIFEST_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct descriptor *d = NULL;
		bool twice = false;

		TRY(manifest_choose(m, &c->opts->platforms[i], &d, err));
		for (size_t j = 0; j < k; j++)
			twice |= digest_eq(&chosen[j].digest, &d->digest);
		if (!twice)
			chosen[k++] = *d;
	}
	m->manifests = chosen;
	m->n_manifests = k;
	manifest_encode(m, &bytes);
	TRY(strbuf_check(&bytes, "index", err));
	top->bytes = arena_str(c->arena, strbuf_view(&bytes));
	top->type = str_of(manifest_media_type(m));
	top->digest = digest_of(top->bytes.ptr, top->bytes.len);
	return 0;
}

/* One platform of an index takes its place. */
static int select_one(struct copy *c, struct copied *top, struct manifest *m, struct cairn_err *err)
{
	const struct descriptor *d = NULL;
	struct reference ref;
	int rc;

	TRY(manifest_choose(m, c->opts->platforms, &d, err));
	ref = by_digest(&c->src.ref, &d->digest);
	*top = (struct copied){ 0 };
	rc = read_manifest(c, &ref, top, err);
	keep_manifest(c, top);
	TRY(rc);
	return manifest_parse(c->arena, top->bytes, top->type, m, err);
}

static int select_platforms(struct copy *c, struct copied *top, struct manifest *m,
                            struct cairn_err *err)
{
	size_t n = c->opts->n_platforms;

	if (n == 0)
		return 0;
	if (m->kind == MANIFEST_IMAGE)
		return check_platform(c, m, err);
	return n == 1 ? select_one(c, top, m, err) : select_many(c, top, m, err);
}

/* --- moving --------------------------------------------------------------------------------- */

static int move_blob(void *ctx, size_t i, struct cairn_err *err)
{
	struct copy *c = ctx;
	uint64_t moved = 0;

	if (atomic_load(&c->stop))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	if (copy_end_bring(&c->src, &c->dst, &c->blobs.ptr[i], c->opts->progress, &moved, err) < 0)
		return fail_copy(c, err);
	atomic_fetch_add(&c->moved, moved);
	return 0;
}

struct putting {
	struct copy *c;
	const struct copied *ptr;
};

static int put_child(void *ctx, size_t i, struct cairn_err *err)
{
	const struct putting *p = ctx;
	const struct copied *m = &p->ptr[i];
	struct reference ref = by_digest(&p->c->dst.ref, &m->digest);

	if (m->there)
		return 0;
	return copy_end_put(&p->c->dst, &ref, m->type, m->bytes, err);
}

static int put_manifests(struct copy *c, const struct copied *top, struct cairn_err *err)
{
	for (unsigned level = LEVELS_MAX; level-- > 0;) {
		struct putting p = { c, c->levels[level].ptr };

		TRY(each(c, c->levels[level].len, put_child, &p, err));
	}
	return copy_end_put(&c->dst, &c->dst.ref, top->type, top->bytes, err);
}

static int move_all(struct copy *c, const struct copied *top, const struct manifest *m,
                    struct cairn_err *err)
{
	TRY(walk(c, m, 0, err));
	if (!c->same_repo)
		TRY(in_parallel(c, c->blobs.len, move_blob, err));
	return put_manifests(c, top, err);
}

static void forget(struct copy *c)
{
	for (unsigned i = 0; i < LEVELS_MAX; i++)
		c->levels[i].len = 0;
	c->blobs.len = 0;
	map_done(&c->seen);
	c->seen = (struct map){ 0 };
}

static int copy(struct copy *c, struct digest *ret_digest, struct cairn_err *err)
{
	struct copied top = { 0 };
	struct manifest m = { 0 };
	int rc = read_manifest(c, &c->src.ref, &top, err);

	keep_manifest(c, &top);
	TRY(rc);
	TRY(manifest_parse(c->arena, top.bytes, top.type, &m, err));
	TRY(select_platforms(c, &top, &m, err));
	if (!digest_none(&c->dst.ref.digest) && !digest_eq(&c->dst.ref.digest, &top.digest))
		return cairn_fail(err, CAIRN_E_DIGEST, "what is copied has the digest %s, not %s",
		                  digest_text(&top.digest).s, digest_text(&c->dst.ref.digest).s);
	*ret_digest = top.digest;
	if (copy_end_is(&c->dst, &top.digest))
		return 0;
	c->trust = true;
	rc = move_all(c, &top, &m, err);
	if (rc == CAIRN_E_NOT_FOUND && !c->same_repo && !c->dst.layout && c->why.code == CAIRN_OK) {
		forget(c);
		c->trust = false;
		rc = move_all(c, &top, &m, err);
	}
	return rc;
}

static void copy_done(struct copy *c)
{
	pool_free(c->pool);
	forget(c);
	for (unsigned i = 0; i < LEVELS_MAX; i++)
		vec_free(&c->levels[i]);
	vec_free(&c->blobs);
	copy_end_done(&c->src);
	copy_end_done(&c->dst);
	(void)pthread_mutex_destroy(&c->lock);
	arena_free(c->arena);
}

static int open_ends(struct copy *c, struct registry *r, const struct registry_end *src,
                     const struct registry_end *dst, struct cairn_err *err)
{
	TRY(copy_end_open(r, src, false, &c->src, err));
	TRY(copy_end_open(r, dst, true, &c->dst, err));
	c->same_repo = !src->layout && !dst->layout &&
	               strcmp(src->ref.domain, dst->ref.domain) == 0 &&
	               strcmp(src->ref.path, dst->ref.path) == 0;
	if (!dst->layout)
		registry_expect_push(r, &dst->ref);
	return 0;
}

int registry_copy_ends(struct registry *r, const struct registry_end *src,
                       const struct registry_end *dst, const struct registry_copy_opts *opts,
                       struct digest *ret_digest, uint64_t *ret_moved, struct cairn_err *err)
{
	struct copy c = { .opts = opts };
	char from[REFERENCE_TEXT_MAX], to[REFERENCE_TEXT_MAX];
	unsigned parallel = opts->parallel ? opts->parallel : PARALLEL;
	int rc;

	if (pthread_mutex_init(&c.lock, NULL))
		CAIRN_BUG("cannot create a lock");
	c.arena = arena_new();
	c.pool = parallel > 1 ? pool_new(parallel - 1) : NULL; /* the calling thread helps */
	rc = open_ends(&c, r, src, dst, err);
	if (rc == 0)
		rc = copy(&c, ret_digest, err);
	*ret_moved = atomic_load(&c.moved);
	copy_done(&c);
	if (rc < 0)
		return cairn_wrap(err, "copy %s to %s", copy_end_name(src, from),
		                  copy_end_name(dst, to));
	return 0;
}

int registry_copy(struct registry *r, const struct reference *src, const struct reference *dst,
                  const struct registry_copy_opts *opts, struct digest *ret_digest,
                  uint64_t *ret_moved, struct cairn_err *err)
{
	const struct registry_end from = { .ref = *src }, to = { .ref = *dst };

	return registry_copy_ends(r, &from, &to, opts, ret_digest, ret_moved, err);
}

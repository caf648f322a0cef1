#include "base.h"

#include <poll.h>
#include <stdio.h>

#include "base_priv.h"
#include "util/clock.h"
#include "util/pool.h"

struct bases *bases_new(const struct base_opts *opts)
{
	struct bases *b = xcalloc(1, sizeof(*b));

	b->opts = *opts;
	if (pthread_mutex_init(&b->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	return b;
}

/* Warnings that came in other threads. Main thread. */
static void tell_notes(struct bases *b)
{
	for (;;) {
		cleanup_free char *text = NULL;

		pthread_mutex_lock(&b->lock);
		if (b->notes.len) {
			text = b->notes.ptr[0];
			b->notes.len--;
			memmove(b->notes.ptr, b->notes.ptr + 1,
			        b->notes.len * sizeof(*b->notes.ptr));
		}
		pthread_mutex_unlock(&b->lock);
		if (!text)
			return;
		b->opts.warn(b->opts.ctx, str_of(text));
	}
}

void bases_free(struct bases *b)
{
	if (!b)
		return;
	vec_foreach (i, &b->images) {
		registry_image_free(i->img);
		free(i->ref);
	}
	vec_free(&b->images);
	vec_free(&b->active);
	registry_session_free(b->session);
	tell_notes(b);
	vec_free(&b->notes);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* A mirror failed, in some thread. */
static void note(void *ctx, str text)
{
	struct bases *b = ctx;

	pthread_mutex_lock(&b->lock);
	vec_push(&b->notes, str_dup(text));
	pthread_mutex_unlock(&b->lock);
}

struct registry *bases_registry(struct bases *b)
{
	struct registry_session_opts opts = b->opts.net;

	pthread_mutex_lock(&b->lock);
	if (!b->session) {
		opts.cancel = &b->cancel;
		opts.warn = note;
		opts.warn_ctx = b;
		b->session = registry_session_new(&opts);
	}
	pthread_mutex_unlock(&b->lock);
	return registry_session_registry(b->session);
}

bool bases_cancelled(struct bases *b)
{
	return atomic_load(&b->cancel);
}

int bases_check_cancel(struct bases *b, struct cairn_err *err)
{
	return bases_cancelled(b) ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped") : 0;
}

void base_fetch_stop(void *ctx)
{
	struct bases *b = ctx;

	atomic_store(&b->cancel, true);
}

/* --- the store ------------------------------------------------------------- */

/* What is remembered about a digest: the image it stands for on this platform. */
static struct digest fact_key(const struct digest *digest, const struct platform *platform)
{
	char text[PLATFORM_TEXT_MAX];
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.base.digest", 1);
	digest_field_digest(&f, "digest", digest);
	digest_field_str(&f, "platform", str_of(platform_text(platform, text)));
	return digest_fields_end(&f);
}

static int put_fact(struct store *s, const struct digest *digest, const struct platform *platform,
                    const struct digest *config, struct cairn_err *err)
{
	struct store_ref ref = { STORE_REF_BLOB, *config };
	struct store_record r = { .key = fact_key(digest, platform),
		                  .kind = STORE_RECORD_FACT,
		                  .created = clock_now(),
		                  .payload = str_n((const char *)config->b, DIGEST_LEN),
		                  .refs = &ref,
		                  .n_refs = 1 };

	return store_record_put(s, &r, STORE_ADOPT, NULL, err);
}

static int find_digest(struct store *s, const struct digest *digest,
                       const struct platform *platform, struct digest *ret, bool *ret_found,
                       struct cairn_err *err)
{
	struct digest key = fact_key(digest, platform);
	struct store_found f = { 0 };

	TRY(store_records_find(s, &key, 1, &f, err));
	*ret_found = f.found && f.len == DIGEST_LEN;
	if (*ret_found)
		memcpy(ret->b, f.payload, DIGEST_LEN);
	store_found_done(&f);
	return 0;
}

/* The tag for exactly this platform, or the one set last when it serves as well. */
static int find_tag(struct store *s, str ref, const struct platform *platform, struct digest *ret,
                    bool *ret_found, struct cairn_err *err)
{
	struct store_tag tag = { 0 };
	char text[PLATFORM_TEXT_MAX];
	struct platform have;
	struct cairn_err ignored;

	TRY(store_tag_find(s, ref, str_of(platform_text(platform, text)), &tag, ret_found, err));
	if (!*ret_found) {
		TRY(store_tag_find(s, ref, S(""), &tag, ret_found, err));
		if (!*ret_found)
			return 0;
		*ret_found = platform_parse(str_of(tag.platform), &have, &ignored) == 0 &&
		             platform_rank(platform, &have) >= 0;
	}
	*ret = tag.config;
	store_tag_done(&tag);
	return 0;
}

static int load_config(struct store *s, const struct digest *config, struct arena *arena,
                       struct graph_base *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	TRY(store_blob_read(s, config, &bytes, err));
	ret->config = arena_new_of(arena, struct image_config);
	ret->config_digest = *config;
	return image_config_parse(arena, arena_str(arena, strbuf_view(&bytes)), ret->config, err);
}

/* The manifest that it was pulled with, if it was. */
static void known_manifest(struct store *s, const struct digest *config, struct digest *ret)
{
	struct cairn_err ignored;
	bool found = false;

	if (store_manifest_find(s, config, S(BASE_MANIFEST), ret, &found, &ignored) < 0 || !found)
		*ret = (struct digest){ 0 };
}

int bases_reference(const struct bases *b, str text, struct reference *ret, bool *ret_pinned,
                    struct cairn_err *err)
{
	TRY(reference_parse(text, ret, err));
	*ret_pinned = b->opts.pinned && digest_none(&ret->digest) &&
	              b->opts.pinned(b->opts.pinned_ctx, ret, &ret->digest);
	return 0;
}

/* What is looked for. */
struct wanted {
	str text;             /* normalised */
	struct reference ref; /* with the digest that a tag is pinned to */
	bool pinned;
	const struct platform *platform;
};

/* The image's id, where the store may be believed. */
static int find_local(struct bases *b, const struct wanted *w, struct digest *ret, bool *ret_found,
                      struct cairn_err *err)
{
	*ret_found = false;
	if (!digest_none(&w->ref.digest))
		return find_digest(b->opts.store, &w->ref.digest, w->platform, ret, ret_found, err);
	if (b->opts.pull)
		return 0;
	return find_tag(b->opts.store, w->text, w->platform, ret, ret_found, err);
}

/* --- the registry ----------------------------------------------------------- */

/* A name with a digest is no tag. */
static int tag(struct store *s, const struct registry_image *img, struct cairn_err *err)
{
	char text[REFERENCE_TEXT_MAX];

	if (!digest_none(&img->ref.digest))
		return 0;
	return store_tag_put(s, str_of(reference_text(&img->ref, text)),
	                     &img->manifest.config.digest, err);
}

/* Put what was resolved into the store, so that the next build needs no network. */
static int remember(struct bases *b, const struct registry_image *img,
                    const struct platform *platform, struct cairn_err *err)
{
	const struct digest *config = &img->manifest.config.digest;
	struct store *s = b->opts.store;
	char ptext[PLATFORM_TEXT_MAX];
	struct store_image si = { .config = *config,
		                  .platform = ptext,
		                  .created = img->config.created.ns,
		                  .diff_ids = img->config.diff_ids,
		                  .n_layers = img->config.n_diff_ids };
	struct digest canonical;

	if (store_read_only(s))
		return 0;
	(void)platform_text(&img->config.platform, ptext);
	TRY(store_blob_put(s, img->config_bytes, NULL, err));
	TRY(store_blob_put(s, img->manifest_bytes, NULL, err));
	TRY(store_image_put(s, &si, err));
	TRY(store_manifest_put(s, config, S(BASE_MANIFEST), &img->manifest_digest, &canonical,
	                       err));
	TRY(store_blob_source_put(s, &img->manifest_digest, str_of(img->ref.domain),
	                          str_of(img->ref.path), err));
	TRY(put_fact(s, &img->top_digest, platform, config, err));
	TRY(put_fact(s, &img->manifest_digest, platform, config, err));
	return b->opts.tag_later ? 0 : tag(s, img, err);
}

struct resolving {
	struct bases *b;
	str text; /* normalised */
	struct reference ref;
	struct platform platform;
	struct registry_image *img;
	int64_t began; /* clock_monotonic() */
	bool ended;
	int result;
	struct cairn_err err;
};

/* The config, of which the manifest says the digest. Who remembers it was asked when the registry
 * was: what takes twice as long is not waited for. */
static bool known_config(void *ctx, const struct digest *digest, struct strbuf *out)
{
	const struct resolving *r = ctx;
	const struct base_opts *o = &r->b->opts;
	cleanup_arena struct arena *a = arena_new();
	int64_t patience = clock_monotonic() - r->began;
	struct base_fact f = { 0 };
	struct cairn_err ignored;
	bool here = false;

	if (store_blob_find(o->store, digest, &here, NULL, &ignored) == 0 && here &&
	    store_blob_read(o->store, digest, out, &ignored) == 0)
		return true;
	if (!o->recall || !o->recall(o->recall_ctx, r->text, &r->platform, patience, a, &f))
		return false;
	strbuf_clear(out);
	strbuf_str(out, f.config);
	return true;
}

static int resolve_run(void *ctx, struct cairn_err *err)
{
	struct resolving *r = ctx;
	struct registry_resolving with = { .config = known_config, .ctx = r };

	r->began = clock_monotonic();
	return registry_resolve_with(bases_registry(r->b), &r->ref, &r->platform, &with, &r->img,
	                             err);
}

static void resolve_done(void *ctx, int result, const struct cairn_err *err)
{
	struct resolving *r = ctx;

	r->ended = true;
	r->result = result;
	if (result < 0)
		r->err = *err;
}

/* In a pool thread, so that the user can interrupt it. */
static int resolve(struct resolving *r, struct cairn_err *err)
{
	struct bases *b = r->b;

	if (b->opts.foresee)
		b->opts.foresee(b->opts.recall_ctx, r->text, &r->platform);
	pool_add(b->opts.pool,
	         (struct pool_task){ .run = resolve_run, .done = resolve_done, .ctx = r });
	while (!r->ended) {
		struct pollfd fds[] = { { .fd = pool_fd(b->opts.pool), .events = POLLIN },
			                { .fd = bases_cancelled(b) ? -1 : b->opts.cancel_fd,
			                  .events = POLLIN } };

		(void)poll(fds, ARRAY_SIZE(fds), -1); /* EINTR: looked at again */
		if (fds[1].revents)
			base_fetch_stop(b);
		pool_collect(b->opts.pool);
	}
	if (r->result < 0)
		*err = r->err;
	return r->result;
}

/* Where nothing else helps: say what does. The caller names the image. */
static int fail_resolve(struct bases *b, const struct wanted *w, struct cairn_err *err)
{
	const struct reference *ref = &w->ref;
	struct cairn_err why = *err;
	char name[REFERENCE_TEXT_MAX];
	cleanup_free char *prefix = xasprintf("image %s: ", reference_familiar(ref, name));
	const char *msg = why.msg;

	if (why.code == CAIRN_E_CANCELLED)
		return why.code;
	if (str_starts(str_of(msg), str_of(prefix)))
		msg += strlen(prefix);
	if (w->pinned)
		(void)cairn_fail(
			err, why.code,
			"%s; the lock file pins it to that digest, 'cairn base update' renews "
			"it",
			msg);
	else if (b->opts.pull && digest_none(&ref->digest))
		(void)cairn_fail(err, why.code,
		                 "%s; a pull asks registries only, a build without --pull uses an "
		                 "image in the store",
		                 msg);
	else
		(void)cairn_fail(err, why.code,
		                 "%s; it is not in the store either, 'cairn import FILE %s' puts "
		                 "one there",
		                 msg, name);
	err->sys = why.sys;
	return err->code;
}

/* One build sees one image under one name. */
static const struct base_image *known(const struct bases *b, const struct wanted *w)
{
	vec_foreach (i, &b->images)
		if (str_is(w->text, i->ref) && platform_eq(&i->platform, w->platform))
			return i;
	return NULL;
}

/* What a registry said, or why it did not. */
static int keep(struct bases *b, const struct wanted *w, const struct resolving *r,
                struct cairn_err *err)
{
	vec_push(&b->images, (struct base_image){ .ref = str_dup(w->text),
	                                          .platform = *w->platform,
	                                          .img = r->img,
	                                          .err = r->err });
	return r->img ? remember(b, r->img, w->platform, err) : 0;
}

int base_tag(struct bases *b, str ref, const struct platform *platform, struct cairn_err *err)
{
	const struct wanted w = { .text = ref, .platform = platform };
	const struct base_image *i = known(b, &w);

	return i && i->img && !store_read_only(b->opts.store) ? tag(b->opts.store, i->img, err) : 0;
}

static int from_registry(struct bases *b, const struct wanted *w, struct registry_image **ret,
                         struct cairn_err *err)
{
	const struct base_image *i = known(b, w);
	struct resolving r = { .b = b, .text = w->text, .ref = w->ref, .platform = *w->platform };

	if (i && !i->img) {
		*err = i->err;
		return fail_resolve(b, w, err);
	}
	if (!i) {
		if (resolve(&r, err) < 0)
			return err->code;
		TRY(keep(b, w, &r, err));
		i = vec_last(&b->images);
	}
	*ret = i->img;
	return 0;
}

/* Images that are asked for together. */
struct prefetching {
	struct wanted wanted;
	struct resolving resolving;
};

static int prefetch_one(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct resolving *r = &((struct prefetching *)ctx)[i].resolving;

	(void)ignored;
	(void)resolve_run(r, &r->err);
	return 0;
}

void base_prefetch(void *ctx, const str *refs, const struct platform *platforms, size_t n)
{
	struct bases *b = ctx;
	struct prefetching *all = xcalloc(n + 1, sizeof(*all));
	struct cairn_err ignored;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		struct wanted w = { .text = refs[i], .platform = &platforms[i] };
		struct digest config;
		bool found = false;

		if (bases_reference(b, refs[i], &w.ref, &w.pinned, &ignored) < 0 ||
		    find_local(b, &w, &config, &found, &ignored) < 0 || found || known(b, &w))
			continue;
		all[len++] = (struct prefetching){
			w, { .b = b, .text = w.text, .ref = w.ref, .platform = platforms[i] }
		};
	}
	/* One is asked for as well by who wants it, and can be interrupted there. */
	if (len > 1 && pool_map(b->opts.pool, len, prefetch_one, all, &ignored) == 0)
		for (size_t i = 0; i < len; i++)
			(void)keep(b, &all[i].wanted, &all[i].resolving, &ignored);
	free(all);
}

/* Where nobody is reached, what a cache remembers is enough for keys, and so for hits. */
static bool recall(struct bases *b, const struct wanted *w, struct arena *a, struct graph_base *ret,
                   const struct cairn_err *why)
{
	cleanup_free char *text = NULL;
	const struct digest *want = &w->ref.digest;
	char name[REFERENCE_TEXT_MAX], seen[CLOCK_TEXT_MAX];
	struct cairn_err ignored;
	struct base_fact f = { 0 };

	if (why->code != CAIRN_E_TRANSIENT || b->opts.pull || !b->opts.recall ||
	    !b->opts.recall(b->opts.recall_ctx, w->text, w->platform, -1, a, &f))
		return false;
	if (!digest_none(want) && !digest_eq(want, &f.index) && !digest_eq(want, &f.manifest))
		return false;
	ret->config = arena_new_of(a, struct image_config);
	if (image_config_parse(a, f.config, ret->config, &ignored) < 0)
		return false;
	ret->config_digest = digest_of(f.config.ptr, f.config.len);
	ret->names[0] = f.index;
	ret->names[1] = f.manifest;
	text = xasprintf("%s; what a cache remembers of %s is used, as of %s", why->msg,
	                 reference_familiar(&w->ref, name), clock_text(f.seen, seen));
	b->opts.warn(b->opts.ctx, str_of(text));
	return true;
}

int base_resolve(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                 struct graph_base *ret, struct cairn_err *err)
{
	struct bases *b = ctx;
	struct wanted w = { .text = ref, .platform = platform };
	struct registry_image *img = NULL;
	struct digest config = { 0 };
	bool found = false;
	int r;

	TRY(bases_reference(b, ref, &w.ref, &w.pinned, err));
	ret->ref = ref;
	TRY(find_local(b, &w, &config, &found, err));
	if (found) {
		r = load_config(b->opts.store, &config, arena, ret, err);
		ret->names[0] = w.ref.digest;
		known_manifest(b->opts.store, &config, &ret->names[1]);
		if (r != CAIRN_E_NOT_FOUND && r != CAIRN_E_DIGEST)
			return r; /* else it is gone or damaged: asked for again */
	}
	r = from_registry(b, &w, &img, err);
	tell_notes(b);
	if (r < 0)
		return recall(b, &w, arena, ret, err) ? 0 : fail_resolve(b, &w, err);
	ret->config = arena_new_of(arena, struct image_config);
	ret->config_digest = img->manifest.config.digest;
	ret->names[0] = img->top_digest;
	ret->names[1] = img->manifest_digest;
	return image_config_parse(arena, arena_str(arena, img->config_bytes), ret->config, err);
}

void base_places(struct bases *b,
                 void (*tell)(void *ctx, const struct digest *diff_id,
                              const struct descriptor *blob, str from),
                 void *tell_ctx)
{
	vec_foreach (i, &b->images) {
		char from[REFERENCE_TEXT_MAX];

		if (!i->img)
			continue;
		(void)snprintf(from, sizeof(from), "%s/%s", i->img->ref.domain, i->img->ref.path);
		for (size_t k = 0; k < i->img->manifest.n_layers; k++)
			tell(tell_ctx, &i->img->config.diff_ids[k], &i->img->manifest.layers[k],
			     str_of(from));
	}
}

/* Cache mounts of a build: what remotes have of them, restoring, and when to save. */
#include "mount_cache.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "mount_priv.h"
#include "userns.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/num.h"

#define NET_THREADS 6  /* packs on their way at once */
#define TICK_MS     80 /* between two looks at deadline and display */

/* Can files of any owner be made here? Without ranges in /etc/subuid only one exists. */
static bool has_all_ids(void)
{
	struct userns_map *map = xcalloc(1, sizeof(*map));
	struct cairn_err ignored;
	uint64_t n = 0;

	if (userns_read_map(map, &ignored) == 0)
		for (unsigned i = 0; i < map->n_uid; i++)
			n += map->uid[i].count;
	free(map);
	return n >= MOUNT_CACHE_IDS_FULL;
}

struct mount_cache *mount_cache_new(const struct mount_cache_opts *opts)
{
	struct mount_cache *c = xcalloc(1, sizeof(*c));

	c->o = *opts;
	if (!c->o.max_bytes)
		c->o.max_bytes = MOUNT_CACHE_MAX_BYTES;
	if (!c->o.ttl_ns)
		c->o.ttl_ns = MOUNT_CACHE_TTL;
	if (c->o.n_to > MOUNT_NAMES_MAX)
		c->o.n_to = MOUNT_NAMES_MAX;
	c->arena = arena_new();
	c->net = pool_new(NET_THREADS);
	c->bad = xcalloc(c->o.n_from + c->o.n_to, sizeof(*c->bad));
	c->all_ids = has_all_ids();
	return c;
}

void mount_cache_free(struct mount_cache *c)
{
	if (!c)
		return;
	atomic_store(&c->stop, true);
	pool_free(c->net);
	map_done(&c->mounts);
	arena_free(c->arena);
	free(c->bad);
	free(c);
}

int mount_cache_fd(const struct mount_cache *c)
{
	return pool_fd(c->net);
}

/* ---- for people ---- */

static void emit(struct mount_cache *c, struct build_event ev)
{
	ev.time_ns = clock_monotonic();
	c->o.observer->event(c->o.observer->ctx, &ev);
}

void mount_warn(struct mount_cache *c, unsigned step, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(c, (struct build_event){ .kind = EVENT_WARNING, .step = step, .text = str_of(text) });
}

void mount_tell(struct mount_cache *c, const struct cache_mount *m, const char *text,
                uint64_t bytes, uint64_t total)
{
	emit(c, (struct build_event){ .kind = EVENT_PROGRESS,
	                              .step = m->use.step,
	                              .text = str_of(text),
	                              .current = bytes,
	                              .total = total });
}

int mount_check_stop(const struct mount_cache *c, struct cairn_err *err)
{
	return atomic_load(&c->stop) ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped") : 0;
}

/* ---- pointers and snapshots ---- */

int mount_pointer_read(const struct mount_cache *c, struct remote *r, const struct digest *name,
                       struct mount_pointer *ret, char **ret_version, bool *ret_found,
                       struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;
	cleanup_free char *version = NULL;
	struct mount_pointer p;
	bool found = false;
	int64_t last;
	int rc;

	strbuf_init(&text, REMOTE_POINTER_MAX);
	*ret_found = false;
	rc = remote_pointer_get(r, name, &text, &version, &found, err);
	if (rc < 0 && rc != CAIRN_E_DIGEST)
		return rc;
	if (ret_version)
		*ret_version = steal_ptr(&version);
	/* Damaged is as good as absent: the next save puts it right. */
	if (rc < 0 || !found || mount_pointer_decode(strbuf_view(&text), &p, err) < 0)
		return 0;
	last = p.used > p.created ? p.used : p.created;
	*ret_found = last >= clock_now() - c->o.ttl_ns;
	*ret = p;
	return 0;
}

static int read_bytes(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	str *rest = ctx;

	(void)err;
	*ret_n = n < rest->len ? n : rest->len;
	if (*ret_n)
		memcpy(p, rest->ptr, *ret_n);
	*rest = str_skip(*rest, *ret_n);
	return 0;
}

int mount_snapshot_read(struct remote *r, const struct mount_pointer *p, struct snapshot **ret,
                        struct cairn_err *err)
{
	cleanup_strbuf struct strbuf blob, text;
	cleanup_decompressor struct decompressor *d = NULL;
	struct layer_reader from, in;
	str rest;
	size_t n = 0;
	char buf[65536];

	strbuf_init(&blob, SNAPSHOT_MAX);
	strbuf_init(&text, SNAPSHOT_MAX);
	TRY(remote_blob_read(r, &p->snapshot, &blob, err));
	rest = strbuf_view(&blob);
	from = (struct layer_reader){ read_bytes, &rest };
	d = decompress_new(&from, SNAPSHOT_MAX);
	in = decompress_reader(d);
	do {
		TRY(in.read(in.ctx, buf, sizeof(buf), &n, err));
		strbuf_add(&text, buf, n);
	} while (n);
	TRY(strbuf_check(&text, "a snapshot", err));
	return snapshot_decode(strbuf_view(&text), ret, err);
}

static int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

int mount_snapshot_pack(const struct snapshot *s, struct strbuf *blob, struct digest *ret,
                        struct cairn_err *err)
{
	struct layer_sink to = { add_bytes, blob };
	cleanup_compressor struct compressor *c = compress_new(COMPRESS_ZSTD, 0, NULL, &to);
	struct layer_sink in = compress_sink(c);
	struct compress_result made;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, SNAPSHOT_MAX);
	snapshot_encode(s, &text);
	TRY(strbuf_check(&text, "the list of its files", err));
	TRY(in.write(in.ctx, text.ptr, text.len, err));
	TRY(compress_finish(c, &made, err));
	TRY(strbuf_check(blob, "the list of its files", err));
	*ret = made.digest;
	return 0;
}

/* ---- what the remotes have ---- */

static struct cache_mount *mount_of(struct mount_cache *c, const struct mount_use *use)
{
	str key = str_n((const char *)use->key.b, DIGEST_LEN);
	struct cache_mount *m = map_get(&c->mounts, key);

	if (!m) {
		m = arena_new_of(c->arena, struct cache_mount);
		m->c = c;
		m->name = mount_pointer_name(use->id, &c->o.platform, c->all_ids);
		map_put(&c->mounts, key, m);
		m->use = *use;
		m->use.id = arena_str(c->arena, use->id);
		m->use.target = arena_str(c->arena, use->target);
	}
	m->use.step = use->step;
	return m;
}

struct question {
	struct cache_mount *m;
	struct remote *remote; /* the answer; NULL: nobody has it */
	struct mount_pointer newest;
	size_t failed; /* position of a remote that failed + 1 */
	struct cairn_err why;
};

static int ask(void *ctx, struct cairn_err *err)
{
	struct question *q = ctx;
	struct mount_cache *c = q->m->c;

	for (size_t i = 0; i < c->o.n_from; i++) {
		struct mount_pointer p;
		bool found = false;

		if (atomic_load(&c->bad[i]))
			continue;
		TRY(mount_check_stop(c, err));
		if (mount_pointer_read(c, c->o.from[i], &q->m->name, &p, NULL, &found, &q->why) < 0)
			q->failed = i + 1;
		if (!found || (q->remote && q->newest.created >= p.created))
			continue;
		q->remote = c->o.from[i];
		q->newest = p;
	}
	return 0;
}

/* Told once; then it is left alone. */
static void remote_failed(struct mount_cache *c, size_t i, const struct cairn_err *why)
{
	if (why->code == CAIRN_E_CANCELLED || atomic_exchange(&c->bad[i], true) ||
	    remote_told(c->o.from[i], why))
		return;
	mount_warn(c, 0, "%s: cache mounts: %s; building without", remote_name(c->o.from[i]),
	           why->msg);
}

static void asked(void *ctx, int result, const struct cairn_err *err)
{
	struct question *q = ctx;

	(void)result; /* stopped: nobody waits for the answer */
	(void)err;
	if (q->failed) {
		remote_failed(q->m->c, q->failed - 1, &q->why);
		q->m->keep = true;
	}
	q->m->remote = q->remote;
	q->m->newest = q->newest;
	q->m->asked = MOUNT_ASK_DONE;
	free(q);
}

bool mount_cache_asked(struct mount_cache *c, const struct mount_use *use)
{
	struct cache_mount *m = mount_of(c, use);
	struct question *q;

	if (c->o.n_from == 0)
		return true;
	if (m->asked == MOUNT_ASK_NOT) {
		q = xcalloc(1, sizeof(*q));
		q->m = m;
		m->asked = MOUNT_ASK_RUNNING;
		pool_add(c->net, (struct pool_task){ ask, asked, q, free });
	}
	return m->asked == MOUNT_ASK_DONE;
}

bool mount_cache_newer(struct mount_cache *c, const struct mount_use *use, struct store_mount *sm)
{
	struct cache_mount *m = mount_of(c, use);
	struct mount_local l = { 0 };
	bool found = false;

	if (!m->remote || m->newest.empty)
		return false;
	if (store_mount_fresh(sm))
		return true;
	mount_local_peek(c->o.store, store_mount_key(sm), &l, &found);
	/* Of one that was filled when no remote was used nothing is known: it stays. */
	if (!found || l.used >= m->newest.created)
		return false;
	for (size_t i = 0; i < l.n_names; i++)
		if (digest_eq(&l.names[i], &m->newest.snapshot.digest))
			return false;
	return true;
}

/* ---- restoring ---- */

struct restore_task {
	struct cache_mount *m;
	struct store_mount *sm; /* borrowed: the step holds it */
	struct remote *remote;
	struct mount_pointer p;
	void (*done)(void *ctx, bool ok);
	void *ctx;
	int64_t started;
	atomic_uint_least64_t bytes; /* that came */
	uint64_t shown;              /* of them */
	struct restore_task *next;   /* of those that run */
};

/* A pack on its way. */
struct transfer {
	struct restore_task *t;
	const struct layer_sink *to;
};

static int pass_on(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct transfer *x = ctx;
	struct mount_cache *c = x->t->m->c;

	TRY(mount_check_stop(c, err));
	if (atomic_load(&c->stop_restores))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	atomic_fetch_add(&x->t->bytes, n);
	return x->to->write(x->to->ctx, p, n, err);
}

static int fetch(void *ctx, const struct snapshot_pack *pack, const struct layer_sink *sink,
                 struct cairn_err *err)
{
	struct restore_task *t = ctx;
	struct transfer x = { t, sink };
	const struct remote_sink to = { pass_on, &x };
	const struct descriptor blob = { .media_type = t->p.snapshot.media_type,
		                         .digest = pack->digest,
		                         .size = pack->size };

	return remote_blob_get(t->remote, &blob, &to, err);
}

static int check_size(const struct restore_task *t, const struct snapshot *s, struct cairn_err *err)
{
	char have[32], max[32];

	if (s->bytes <= t->m->c->o.max_bytes)
		return 0;
	return cairn_fail(err, CAIRN_E_UNSUPPORTED, "it holds %s, more than the limit of %s",
	                  num_human_bytes(s->bytes, have, sizeof(have)),
	                  num_human_bytes(t->m->c->o.max_bytes, max, sizeof(max)));
}

/* Make the directory of the snapshot beside the mount and put it in its place. */
static int make_dir(struct restore_task *t, const struct snapshot *s, const char *dir,
                    struct cairn_err *err)
{
	struct mount_cache *c = t->m->c;
	cleanup_mount_local struct mount_local old = { 0 };
	struct snapshot_restore o = { .fetch = fetch, .ctx = t, .pool = c->net };
	cleanup_fd int out = -1, was = -1;
	uint64_t raw = 0;
	bool known = false;

	if (!store_mount_fresh(t->sm))
		mount_local_read(c->o.store, store_mount_key(t->sm), &old, &known);
	TRY(fs_open_dir(AT_FDCWD, dir, &out, err));
	if (known && old.snapshot) {
		TRY(fs_open_dir(AT_FDCWD, store_mount_path(t->sm), &was, err));
		o.old = (struct snapshot_base){ old.snapshot, old.stats };
		o.old_dirfd = was;
	}
	o.out_dirfd = out;
	TRY(snapshot_restore(s, &o, &raw, err));
	return store_mount_replace(t->sm, dir, err);
}

/* Without it the mount is only looked at more closely when it is saved. */
static int note_state(struct restore_task *t, struct snapshot **s, struct cairn_err *err)
{
	cleanup_mount_local struct mount_local l = { .n_names = 1 };
	cleanup_fd int fd = -1;

	l.snapshot = steal_ptr(s);
	l.names[0] = t->p.snapshot.digest;
	TRY(fs_open_dir(AT_FDCWD, store_mount_path(t->sm), &fd, err));
	TRY(snapshot_stats(fd, l.snapshot->index, &l.stats, err));
	return mount_local_write(t->m->c->o.store, store_mount_key(t->sm), &l, err);
}

static int restore(void *ctx, struct cairn_err *err)
{
	struct restore_task *t = ctx;
	struct store *store = t->m->c->o.store;
	cleanup_snapshot struct snapshot *s = NULL;
	cleanup_free char *dir = NULL;
	struct cairn_err ignored;
	int r;

	TRY(mount_snapshot_read(t->remote, &t->p, &s, err));
	TRY(check_size(t, s, err));
	TRY(store_tmp_dir(store, &dir, err));
	r = make_dir(t, s, dir, err);
	(void)fs_remove_tree(AT_FDCWD, dir, &ignored);
	TRY(r);
	if (note_state(t, &s, &ignored) < 0)
		log_debug("cache mount state: %s", ignored.msg);
	return 0;
}

static void restored(void *ctx, int result, const struct cairn_err *err)
{
	struct restore_task *t = ctx, **at;
	struct mount_cache *c = t->m->c;
	char text[512], time[32];

	for (at = &c->restores; *at != t;)
		at = &(*at)->next;
	*at = t->next;

	if (result == 0) {
		(void)num_human_ns((uint64_t)(clock_monotonic() - t->started), time, sizeof(time));
		(void)snprintf(text, sizeof(text), "restored cache mount %.*s from %s in %s,",
		               STR(t->m->use.target), remote_name(t->remote), time);
		mount_tell(c, t->m, text, atomic_load(&t->bytes), atomic_load(&t->bytes));
	} else if (result != CAIRN_E_CANCELLED && !remote_told(t->remote, err)) {
		mount_warn(c, t->m->use.step, "cache mount %.*s is not restored from %s: %s",
		           STR(t->m->use.target), remote_name(t->remote), err->msg);
	}
	t->m->damaged = result == CAIRN_E_DIGEST || result == CAIRN_E_NOT_FOUND;
	t->m->keep |= result < 0 && !t->m->damaged;
	if (result == CAIRN_E_TRANSIENT || result == CAIRN_E_AUTH)
		for (size_t i = 0; i < c->o.n_from; i++)
			if (c->o.from[i] == t->remote)
				atomic_store(&c->bad[i], true);
	t->done(t->ctx, result == 0);
	free(t);
}

void mount_cache_restore(struct mount_cache *c, const struct mount_use *use, struct store_mount *sm,
                         void (*done)(void *ctx, bool ok), void *ctx)
{
	struct cache_mount *m = mount_of(c, use);
	struct restore_task *t = xcalloc(1, sizeof(*t));

	*t = (struct restore_task){ .m = m,
		                    .sm = sm,
		                    .remote = m->remote,
		                    .p = m->newest,
		                    .done = done,
		                    .ctx = ctx,
		                    .started = clock_monotonic(),
		                    .next = c->restores };
	c->restores = t;
	pool_add(c->net, (struct pool_task){ restore, restored, t, free });
}

/* How far they are. */
static void show_restores(struct mount_cache *c)
{
	for (struct restore_task *t = c->restores; t; t = t->next) {
		uint64_t bytes = atomic_load(&t->bytes);
		char text[512];

		if (bytes == t->shown || bytes >= t->p.packed)
			continue;
		t->shown = bytes;
		(void)snprintf(text, sizeof(text), "restoring cache mount %.*s",
		               STR(t->m->use.target));
		mount_tell(c, t->m, text, bytes, t->p.packed);
	}
}

void mount_cache_collect(struct mount_cache *c)
{
	pool_collect(c->net);
	show_restores(c);
}

void mount_cache_stop_restores(struct mount_cache *c)
{
	atomic_store(&c->stop_restores, true);
}

/* ---- saving: when ---- */

static bool can_save(const struct cache_mount *m)
{
	return m->used && !m->failed && !m->keep && !m->saving && m->c->o.n_to > 0;
}

void mount_cache_used(struct mount_cache *c, const struct mount_use *use, const struct digest *copy,
                      bool ok, bool more)
{
	struct cache_mount *m = mount_of(c, use);

	mount_local_touch(c->o.store, copy);
	m->failed |= !ok;
	/* Of private copies the first is saved: the others are made when it is busy. */
	m->used |= ok && digest_eq(copy, &use->key);
	if (can_save(m) && !more)
		mount_save(m);
}

void mount_cache_finish(struct mount_cache *c, const struct mount_cache_wait *wait)
{
	struct pollfd fds[2] = { { .fd = pool_fd(c->net), .events = POLLIN },
		                 { .fd = wait->cancel_fd, .events = POLLIN } };

	atomic_store(&c->finishing, true);
	map_foreach (e, &c->mounts)
		if (can_save(e->value))
			mount_save(e->value);
	while (pool_pending(c->net)) {
		if (poll(fds, 2, TICK_MS) < 0)
			fds[0].revents = fds[1].revents = 0; /* EINTR */
		if (fds[1].revents || (wait->deadline && clock_monotonic() > wait->deadline)) {
			atomic_store(&c->stop, true);
			fds[1].fd = -1;
		}
		mount_cache_collect(c);
		if (wait->tick)
			wait->tick(wait->tick_ctx, clock_monotonic());
	}
}

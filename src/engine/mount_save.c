/* Saving a cache mount: look at it while nobody uses it, pack what is new, let go of it, send.
 *
 * What is new is decided against the snapshot that the remote has now, whatever this machine
 * restored: so it is right after a lost race, for a second remote, and after a machine that
 * was away for long.
 */
#include <stdio.h>
#include <time.h>

#include "mount_priv.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/num.h"

#define BUSY_WAIT   (5 * CLOCK_SEC) /* for other processes, once this build is over */
#define BUSY_PAUSE  (20 * 1000000l) /* ns between two attempts */
#define OTHER_LEVEL (COMPRESS_ZSTD_LEVEL + 1)
#define USED_EVERY  (24 * 3600 * CLOCK_SEC) /* an unchanged mount is said to be used so often */

enum outcome {
	SAVE_UNCHANGED, /* nothing to do */
	SAVE_USED,      /* only the time of use is told */
	SAVE_NEW,       /* a new snapshot */
	SAVE_DROP,      /* too large: what is kept is dropped */
	SAVE_TOO_LARGE, /* too large, and nothing is kept */
	SAVE_FAILED,
};

/* What is done for one remote. */
struct target {
	struct save_task *t;
	struct remote *remote;
	size_t number; /* in opts.to */
	enum outcome outcome;
	char *version;          /* of its pointer; NULL: it has none in the scope that is written */
	struct mount_pointer p; /* as it will be */
	struct snapshot *base;  /* what it has; NULL: nothing */
	struct snapshot_delta *delta;
	struct snapshot *snapshot; /* new */
	struct strbuf doc;         /* its document, compressed */
	char *dir;                 /* packs that are to be sent, by their number */
	uint64_t sent;             /* bytes */
	int64_t ns;
	struct cairn_err why;
};

struct save_task {
	struct cache_mount *m;
	struct mount_cache *c;
	bool no_base; /* the remote has lost something, or it is damaged: send all again, */
	int level;    /* not the same blobs */
	struct store_mount *sm;
	struct snapshot_scan scan;
	int dirfd;
	struct target *targets;
	int64_t started;
	uint64_t bytes; /* that the mount holds */
};

/* ---- the mount ---- */

/* t->sm stays NULL when others use the mount: who comes last saves it. */
static int take_mount(struct save_task *t, struct cairn_err *err)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE };
	int64_t until = 0;

	for (;;) {
		TRY(mount_check_stop(t->c, err));
		TRY(store_mount_try(t->c->o.store, &t->m->use.key, STORE_LOCKED, &t->sm, err));
		if (t->sm)
			break;
		if (atomic_load(&t->c->finishing) && !until)
			until = clock_monotonic() + BUSY_WAIT;
		if (until && clock_monotonic() > until)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	if (!store_mount_fresh(t->sm)) /* else somebody removed it */
		return fs_open_dir(AT_FDCWD, store_mount_path(t->sm), &t->dirfd, err);
	store_mount_free(t->sm);
	t->sm = NULL;
	return 0;
}

static int look(struct save_task *t, struct cairn_err *err)
{
	cleanup_mount_local struct mount_local l = { 0 };
	struct snapshot_base base;
	bool known = false;

	mount_local_read(t->c->o.store, &t->m->use.key, &l, &known);
	base = (struct snapshot_base){ l.snapshot, l.stats };
	TRY(snapshot_scan(t->dirfd, known ? &base : NULL, t->c->o.pool, &t->scan, err));
	t->bytes = t->scan.bytes;
	return 0;
}

/* ---- what is new for a remote ---- */

static int read_base(struct target *g, struct cairn_err *err)
{
	bool found = false;
	int r;

	TRY(mount_pointer_read(g->t->c, g->remote, &g->t->m->name, &g->p, &g->version, &found,
	                       err));
	if (!found || g->p.empty || g->t->no_base)
		return 0;
	r = mount_snapshot_read(g->remote, &g->p, &g->base, err);
	/* Lost, or of another time: everything is sent. */
	return r == CAIRN_E_NOT_FOUND || r == CAIRN_E_DIGEST ? 0 : r;
}

static enum outcome decide_size(const struct target *g)
{
	bool has = g->version && !digest_none(&g->p.snapshot.digest);

	return has ? SAVE_DROP : SAVE_TOO_LARGE;
}

static int make_pack(void *ctx, size_t i, struct cairn_err *err)
{
	struct target *g = ctx;
	cleanup_free char *path = xasprintf("%s/%zu", g->dir, i);
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct layer_fd file = { fd, path };
	struct layer_sink sink = layer_fd_sink(&file);

	TRY(mount_check_stop(g->t->c, err));
	if (fd < 0)
		return cairn_fail_sys(err, "create '%s'", path);
	return snapshot_delta_write(g->delta, i, g->t->dirfd, &sink, err);
}

static int make_new(struct target *g, struct cairn_err *err)
{
	struct mount_cache *c = g->t->c;

	TRY(store_tmp_dir(c->o.store, &g->dir, err));
	TRY(pool_map(c->o.pool, snapshot_delta_packs(g->delta), make_pack, g, err));
	g->snapshot = snapshot_delta_finish(g->delta, clock_now());
	g->p = (struct mount_pointer){ .created = g->snapshot->created,
		                       .used = g->snapshot->created,
		                       .bytes = g->snapshot->bytes };
	for (size_t i = 0; i < g->snapshot->n_packs; i++)
		g->p.packed += g->snapshot->packs[i].size;
	TRY(mount_snapshot_pack(g->snapshot, &g->doc, &g->p.snapshot.digest, err));
	g->p.snapshot.size = g->doc.len;
	g->p.snapshot.media_type = str_of(media_type_layer(LAYER_COMPRESS_ZSTD, false));
	return 0;
}

static int prepare(struct target *g, struct cairn_err *err)
{
	const struct snapshot_scan *scan = &g->t->scan;

	TRY(read_base(g, err));
	if (scan->bytes > g->t->c->o.max_bytes) {
		g->outcome = decide_size(g);
		return 0;
	}
	TRY(snapshot_delta_new(scan, g->base, g->t->level, &g->delta, err));
	if (!snapshot_delta_same(g->delta)) {
		g->outcome = SAVE_NEW;
		return make_new(g, err);
	}
	/* Found in a fallback scope it is not repeated in this one. */
	g->outcome =
		g->version && g->p.used < clock_now() - USED_EVERY ? SAVE_USED : SAVE_UNCHANGED;
	return 0;
}

/* From now on this machine's mount is what the remotes will have. */
static void note_state(struct save_task *t)
{
	struct mount_local l = { .stats = t->scan.stats };
	struct cairn_err err;

	for (size_t i = 0; i < t->c->o.n_to; i++) {
		struct target *g = &t->targets[i];
		struct snapshot *s = g->snapshot ? g->snapshot : g->base;

		if (g->outcome != SAVE_NEW && g->outcome != SAVE_USED &&
		    g->outcome != SAVE_UNCHANGED)
			continue;
		l.names[l.n_names++] = g->p.snapshot.digest;
		l.snapshot = l.snapshot ? l.snapshot : s;
	}
	if (l.snapshot && mount_local_write(t->c->o.store, &t->m->use.key, &l, &err) < 0)
		log_debug("cache mount state: %s", err.msg);
}

/* ---- sending ---- */

static int send_pack(void *ctx, size_t i, struct cairn_err *err)
{
	struct target *g = ctx;
	const struct snapshot_pack *p = snapshot_delta_pack(g->delta, i);
	const struct descriptor d = { .media_type = g->p.snapshot.media_type,
		                      .digest = p->digest,
		                      .size = p->size };
	cleanup_free char *path = xasprintf("%s/%zu", g->dir, i);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct remote_source src = { .fd = fd };

	TRY(mount_check_stop(g->t->c, err));
	if (fd < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	TRY(remote_blob_put(g->remote, &d, &src, err));
	(void)unlink(path); /* its bytes are not needed twice */
	return 0;
}

/* The blobs that a pointer to the snapshot stands on. */
static struct descriptor *list_blobs(const struct target *g, const struct snapshot *s,
                                     size_t *ret_n)
{
	struct descriptor *d = xcalloc(s->n_packs + 1, sizeof(*d));

	d[0] = g->p.snapshot;
	for (size_t i = 0; i < s->n_packs; i++)
		d[i + 1] = (struct descriptor){ .media_type = g->p.snapshot.media_type,
			                        .digest = s->packs[i].digest,
			                        .size = s->packs[i].size };
	*ret_n = s->n_packs + 1;
	return d;
}

/* Somebody else saved meanwhile: the later one wins, once. */
static int put_pointer(struct target *g, const struct snapshot *s, struct cairn_err *err)
{
	cleanup_free struct descriptor *blobs = NULL;
	cleanup_strbuf struct strbuf text;
	bool lost = true, found;
	size_t n = 0;

	strbuf_init(&text, REMOTE_POINTER_MAX);
	mount_pointer_encode(&g->p, &text);
	if (s)
		blobs = list_blobs(g, s, &n);
	for (int i = 0; i < 2 && lost; i++) {
		struct remote_pointer p = { strbuf_view(&text), blobs, n, NULL };
		struct mount_pointer ignored;

		if (i) {
			free(g->version);
			g->version = NULL;
			TRY(mount_pointer_read(g->t->c, g->remote, &g->t->m->name, &ignored,
			                       &g->version, &found, err));
		}
		p.version = g->version;
		TRY(remote_pointer_put(g->remote, &g->t->m->name, &p, &lost, err));
	}
	if (lost)
		log_debug("cache mount %.*s: others save it all the time",
		          STR(g->t->m->use.target));
	return 0;
}

static int send_new(struct target *g, struct cairn_err *err)
{
	const struct remote_source doc = { .fd = -1, .bytes = strbuf_view(&g->doc) };

	TRY(pool_map(g->t->c->net, snapshot_delta_packs(g->delta), send_pack, g, err));
	TRY(remote_blob_put(g->remote, &g->p.snapshot, &doc, err));
	for (size_t i = 0; i < snapshot_delta_packs(g->delta); i++)
		g->sent += snapshot_delta_pack(g->delta, i)->size;
	g->sent += g->doc.len;
	return put_pointer(g, g->snapshot, err);
}

static int send_target(struct target *g, struct cairn_err *err)
{
	switch (g->outcome) {
	case SAVE_NEW:
		return send_new(g, err);
	case SAVE_USED:
		g->p.used = clock_now();
		return put_pointer(g, g->base, err);
	case SAVE_DROP:
		g->p = (struct mount_pointer){ .created = clock_now(), .empty = true };
		g->p.used = g->p.created;
		return put_pointer(g, NULL, err);
	case SAVE_UNCHANGED:
	case SAVE_TOO_LARGE:
	case SAVE_FAILED:
		break;
	}
	return 0;
}

/* ---- all ---- */

static void target_done(struct target *g)
{
	struct cairn_err ignored;

	if (g->dir)
		(void)fs_remove_tree(AT_FDCWD, g->dir, &ignored);
	free(g->dir);
	snapshot_delta_free(g->delta);
	snapshot_free(g->snapshot);
	snapshot_free(g->base);
	strbuf_done(&g->doc);
	free(g->version);
	g->dir = NULL;
	g->delta = NULL;
	g->snapshot = g->base = NULL;
	g->version = NULL;
}

static void fail_target(struct target *g, const struct cairn_err *why)
{
	g->outcome = SAVE_FAILED;
	g->why = *why;
}

static int save_once(struct save_task *t, bool *ret_again, struct cairn_err *err)
{
	struct cairn_err why;

	TRY(take_mount(t, err));
	if (!t->sm)
		return 0;
	TRY(look(t, err));
	for (size_t i = 0; i < t->c->o.n_to; i++)
		if (t->targets[i].outcome != SAVE_FAILED && prepare(&t->targets[i], &why) < 0)
			fail_target(&t->targets[i], &why);
	note_state(t);
	store_mount_free(t->sm);
	t->sm = NULL;
	for (size_t i = 0; i < t->c->o.n_to; i++) {
		struct target *g = &t->targets[i];
		int r = g->outcome == SAVE_FAILED ? 0 : send_target(g, &why);

		if (r == CAIRN_E_NOT_FOUND && !t->no_base)
			*ret_again = true;
		else if (r < 0)
			fail_target(g, &why);
		g->ns = clock_monotonic() - t->started;
	}
	return 0;
}

static void task_clear(struct save_task *t)
{
	for (size_t i = 0; i < t->c->o.n_to; i++)
		target_done(&t->targets[i]);
	snapshot_scan_done(&t->scan);
	store_mount_free(t->sm);
	t->sm = NULL;
	fs_close_p_(&t->dirfd);
}

static int save(void *ctx, struct cairn_err *err)
{
	struct save_task *t = ctx;
	bool again = false;
	int r = save_once(t, &again, err);

	task_clear(t);
	if (r == 0 && again) {
		t->no_base = true;
		r = save_once(t, &again, err);
		task_clear(t);
	}
	return r;
}

/* ---- the main thread's part ---- */

static void tell_size(struct save_task *t, const struct target *g)
{
	char have[32], max[32];

	(void)num_human_bytes(t->bytes, have, sizeof(have));
	(void)num_human_bytes(t->c->o.max_bytes, max, sizeof(max));
	mount_warn(t->c, t->m->use.step,
	           "cache mount %.*s holds %s, more than its limit of %s: it is not saved to %s%s",
	           STR(t->m->use.target), have, max, remote_name(g->remote),
	           g->outcome == SAVE_DROP ? "; the next machine starts with an empty one" : "");
}

static void tell(struct save_task *t, const struct target *g)
{
	char text[512], time[32];

	switch (g->outcome) {
	case SAVE_NEW:
		(void)num_human_ns((uint64_t)g->ns, time, sizeof(time));
		(void)snprintf(text, sizeof(text), "saved cache mount %.*s to %s in %s,",
		               STR(t->m->use.target), remote_name(g->remote), time);
		mount_tell(t->c, t->m, text, g->sent, g->sent);
		break;
	case SAVE_DROP:
	case SAVE_TOO_LARGE:
		tell_size(t, g);
		break;
	case SAVE_FAILED:
		if (g->why.code == CAIRN_E_CANCELLED ||
		    atomic_exchange(&t->c->bad[t->c->o.n_from + g->number], true) ||
		    remote_told(g->remote, &g->why))
			break;
		mount_warn(t->c, t->m->use.step, "cache mount %.*s is not saved to %s: %s",
		           STR(t->m->use.target), remote_name(g->remote), g->why.msg);
		break;
	case SAVE_UNCHANGED:
	case SAVE_USED:
		break;
	}
}

static void saved(void *ctx, int result, const struct cairn_err *err)
{
	struct save_task *t = ctx;

	if (result < 0 && result != CAIRN_E_CANCELLED)
		mount_warn(t->c, t->m->use.step, "cache mount %.*s is not saved: %s",
		           STR(t->m->use.target), err->msg);
	for (size_t i = 0; result == 0 && i < t->c->o.n_to; i++)
		tell(t, &t->targets[i]);
	free(t->targets);
	free(t);
}

static void dropped(void *ctx)
{
	struct save_task *t = ctx;

	free(t->targets);
	free(t);
}

void mount_save(struct cache_mount *m)
{
	struct mount_cache *c = m->c;
	struct save_task *t = xcalloc(1, sizeof(*t));

	*t = (struct save_task){ .m = m, .c = c, .dirfd = -1, .started = clock_monotonic() };
	t->no_base = m->damaged;
	t->level = m->damaged ? OTHER_LEVEL : 0;
	t->targets = xcalloc(c->o.n_to, sizeof(*t->targets));
	for (size_t i = 0; i < c->o.n_to; i++) {
		t->targets[i] = (struct target){ .t = t, .remote = c->o.to[i], .number = i };
		strbuf_init(&t->targets[i].doc, SNAPSHOT_MAX);
		if (atomic_load(&c->bad[c->o.n_from + i]))
			t->targets[i].outcome = SAVE_FAILED;
	}
	m->saving = true;
	pool_add(c->net, (struct pool_task){ save, saved, t, dropped });
}

#include "context.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "context_walk.h"
#include "statcache.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/vec.h"

#define READ_SIZE  65536
#define READ_TRIES 4 /* of a file that changes while it is read */

struct context {
	int fd;
	char *name;          /* for messages */
	struct arena *arena; /* paths and link targets */
	VEC(struct layer_entry) entries;
	VEC(struct stat_id) ids; /* of the entries */
	struct statcache *cache;
	struct pool *pool;
	struct context_stats stats;
};

struct scan {
	struct context *c;
	const struct context_opts *opts;
};

static const char *special_name(mode_t mode)
{
	return S_ISSOCK(mode) ? "socket" : S_ISFIFO(mode) ? "fifo" : "device";
}

static void warn_special(const struct scan *s, const struct walk_file *f)
{
	cleanup_free char *text = NULL;

	if (!s->opts->warn)
		return;
	text = xasprintf("'%.*s' in %s is a %s; left out", STR(f->path), s->c->name,
	                 special_name(f->mode));
	s->opts->warn(s->opts->warn_ctx, text);
}

static int add_file(void *ctx, const struct walk_file *f, struct cairn_err *err)
{
	const struct scan *s = ctx;
	struct context *c = s->c;
	struct layer_entry e = { .mode = f->mode & 07777, .mtime = f->id.mtime_ns };

	switch (f->mode & S_IFMT) {
	case S_IFREG:
		e.type = LAYER_FILE;
		e.size = f->id.size;
		c->stats.files++;
		break;
	case S_IFDIR:
		e.type = LAYER_DIR;
		break;
	case S_IFLNK:
		e.type = LAYER_SYMLINK;
		e.mode = 0777;
		e.target = arena_str(c->arena, f->target);
		break;
	default:
		warn_special(s, f);
		return 0;
	}
	if (c->entries.len == CONTEXT_ENTRIES_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s has more than %u files; leave some out in .dockerignore",
		                  c->name, CONTEXT_ENTRIES_MAX);
	e.path = arena_str(c->arena, f->path);
	vec_push(&c->entries, e);
	vec_push(&c->ids, f->id);
	return 0;
}

static void make_room(void *ctx, size_t most)
{
	struct context *c = ((const struct scan *)ctx)->c;

	most = most < CONTEXT_ENTRIES_MAX ? most : CONTEXT_ENTRIES_MAX;
	vec_reserve(&c->entries, most);
	vec_reserve(&c->ids, most);
}

/* The root's path, by which its stat cache is found. */
static struct statcache *open_cache(int fd, struct store *store)
{
	char link[64], path[PATH_MAX] = "";
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return statcache_open(n > 0 ? store : NULL, path);
}

int context_scan(const struct context_opts *opts, struct context **ret, struct cairn_err *err)
{
	cleanup_context struct context *c = xcalloc(1, sizeof(*c));
	struct scan s = { c, opts };
	const struct walk_sink sink = { make_room, add_file, &s };

	c->name = xstrdup(opts->name);
	c->arena = arena_new();
	c->pool = opts->pool;
	c->fd = fcntl(opts->dirfd, F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0)
		return cairn_fail_sys(err, "open %s", opts->name);
	TRY(context_walk(c->fd, opts, &sink, err));
	c->cache = open_cache(c->fd, opts->store);
	*ret = steal_ptr(&c);
	return 0;
}

void context_free(struct context *c)
{
	if (!c)
		return;
	context_save(c);
	statcache_free(c->cache);
	vec_free(&c->entries);
	vec_free(&c->ids);
	arena_free(c->arena);
	fs_close_p_(&c->fd);
	free(c->name);
	free(c);
}

void context_save(struct context *c)
{
	if (c->cache)
		statcache_save(c->cache);
}

const struct layer_entry *context_entries(const struct context *c, size_t *ret_n)
{
	*ret_n = c->entries.len;
	return c->entries.ptr;
}

const struct layer_entry *context_find(const struct context *c, str path)
{
	size_t lo = 0, hi = c->entries.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = layer_path_cmp(c->entries.ptr[mid].path, path);

		if (cmp == 0)
			return &c->entries.ptr[mid];
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int context_dirfd(const struct context *c)
{
	return c->fd;
}

struct context_stats context_stats(const struct context *c)
{
	return c->stats;
}

int context_open(const struct context *c, const struct layer_entry *e, int *ret_fd,
                 struct cairn_err *err)
{
	/* Whatever has taken the file's place: opening it must not block. */
	int fd = fs_open_beneath(c->fd, e->path.ptr, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return cairn_fail_sys(err,
		                      "cannot read '%.*s' of %s; make it readable or list it in "
		                      ".dockerignore",
		                      STR(e->path), c->name);
	*ret_fd = fd;
	return 0;
}

/* A file whose digest is wanted and not known. */
struct job {
	size_t i;     /* into entries */
	bool settled; /* may go to the stat cache */
};

struct hashing {
	struct context *c;
	VEC(struct job) jobs;
};

/* Digest of what fd holds, up to the size that it has now. */
static int hash_fd(int fd, const char *path, uint64_t size, struct digest *ret, uint64_t *ret_n,
                   struct cairn_err *err)
{
	char buf[READ_SIZE];
	struct sha256 h;
	uint64_t sum = 0;
	size_t n = 1;

	sha256_init(&h);
	while (n && sum < size) {
		uint64_t left = size - sum;

		TRY(fs_read_full(fd, buf, left < sizeof(buf) ? (size_t)left : sizeof(buf), &n, path,
		                 err));
		sha256_add(&h, buf, n);
		sum += n;
	}
	*ret = sha256_end(&h);
	*ret_n = sum;
	return 0;
}

/* The file is as `before` says, all the time until it was read: that is its digest. *ret_done
 * stays false when it is not. */
static int hash_state(struct context *c, struct job *j, int fd, const struct stat_id *before,
                      bool *ret_done, struct cairn_err *err)
{
	struct layer_entry *e = &c->entries.ptr[j->i];
	int64_t now = clock_now();
	struct stat after;
	struct stat_id id;
	struct digest d;
	uint64_t n = 0;

	TRY(hash_fd(fd, e->path.ptr, before->size, &d, &n, err));
	if (fstat(fd, &after) < 0)
		return cairn_fail_sys(err, "stat '%.*s'", STR(e->path));
	id = stat_id_of(&after);
	if (!S_ISREG(after.st_mode) || !stat_id_eq(before, &id) || n != id.size)
		return 0;
	e->size = id.size;
	e->mode = after.st_mode & 07777;
	e->mtime = id.mtime_ns;
	e->digest = d;
	c->ids.ptr[j->i] = id;
	j->settled = stat_id_settled(&id, now);
	*ret_done = true;
	return 0;
}

/* One attempt. The first one believes what the walk saw, which spares most files a system call:
 * when that is not so any more, whatever fails says nothing. */
static int hash_once(struct context *c, struct job *j, bool first, bool *ret_done,
                     struct cairn_err *err)
{
	struct stat_id id = c->ids.ptr[j->i];
	struct cairn_err ignored;
	cleanup_fd int fd = -1;
	struct stat st;

	TRY(context_open(c, &c->entries.ptr[j->i], &fd, err));
	if (first) {
		(void)hash_state(c, j, fd, &id, ret_done, &ignored);
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "stat '%.*s'", STR(c->entries.ptr[j->i].path));
	if (!S_ISREG(st.st_mode))
		return 0;
	id = stat_id_of(&st);
	return hash_state(c, j, fd, &id, ret_done, err);
}

static int hash_one(void *ctx, size_t i, struct cairn_err *err)
{
	struct hashing *h = ctx;
	struct job *j = &h->jobs.ptr[i];
	bool done = false;

	for (int n = 0; n < READ_TRIES && !done; n++)
		TRY(hash_once(h->c, j, !n, &done, err));
	if (done)
		return 0;
	return cairn_fail(
		err, CAIRN_E_TRANSIENT,
		"'%.*s' of %s changes while it is read; run the build when nothing writes to "
		"it, or list it in .dockerignore",
		STR(h->c->entries.ptr[j->i].path), h->c->name);
}

static int by_index(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	return (x->i > y->i) - (x->i < y->i);
}

/* What has to be read: in order, each once. */
static void collect(struct hashing *h, const struct layer_entry *const *entries, size_t n)
{
	struct context *c = h->c;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = (size_t)(entries[i] - c->entries.ptr);

		if (at >= c->entries.len)
			CAIRN_BUG("an entry of another context");
		if (entries[i]->type == LAYER_FILE && digest_none(&entries[i]->digest))
			vec_push(&h->jobs, (struct job){ .i = at });
	}
	if (h->jobs.len)
		qsort(h->jobs.ptr, h->jobs.len, sizeof(*h->jobs.ptr), by_index);
	for (size_t i = 0; i < h->jobs.len; i++) {
		size_t at = h->jobs.ptr[i].i;

		if (i && h->jobs.ptr[i - 1].i == at)
			continue;
		if (statcache_find(c->cache, c->entries.ptr[at].path, &c->ids.ptr[at],
		                   &c->entries.ptr[at].digest))
			c->stats.known++;
		else
			h->jobs.ptr[kept++] = (struct job){ .i = at };
	}
	h->jobs.len = kept;
}

int context_hash(struct context *c, const struct layer_entry *const *entries, size_t n,
                 struct cairn_err *err)
{
	struct hashing h = { .c = c };
	int r = 0;

	collect(&h, entries, n);
	if (h.jobs.len)
		r = pool_map(c->pool, h.jobs.len, hash_one, &h, err);
	vec_foreach (j, &h.jobs) {
		const struct layer_entry *e = &c->entries.ptr[j->i];

		if (digest_none(&e->digest)) /* only after a failure */
			continue;
		c->stats.hashed++;
		c->stats.hashed_bytes += e->size;
		if (j->settled)
			statcache_add(c->cache, e->path, &c->ids.ptr[j->i], &e->digest);
	}
	vec_free(&h.jobs);
	return r;
}

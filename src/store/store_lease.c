/* Leases and temporary directories of a process.
 *
 * leases/OWNER is flocked by its process as long as it lives and holds what the process
 * has leased: records of LEASE_LEN bytes, a kind and a digest. They are appended inside
 * the IMMEDIATE transaction that looked the thing up, and read inside the IMMEDIATE
 * transaction of the garbage collection: so that either sees the other, and a look-up
 * writes nothing to the database. */
#include <dirent.h>
#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "store_priv.h"
#include "util/fs.h"
#include "util/log.h"

#define LEASE_LEN (1 + DIGEST_LEN)
/* A process that leases more has gone wrong; 33 MB. */
#define LEASES_MAX ((size_t)LEASE_LEN << 20)

/* One attempt: *ret_fd stays -1 when somebody who looks for dead owners was faster. */
static int try_owner(struct store *s, const char *name, int *ret_fd, struct cairn_err *err)
{
	cleanup_free char *path = xasprintf("leases/%s", name);
	cleanup_fd int fd =
		openat(s->fd, path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return store_fail_io(s, err, "create a lease");
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 1)
		*ret_fd = steal_fd(&fd);
	return 0;
}

static int owner_open(struct store *s, struct cairn_err *err)
{
	while (s->lease_fd < 0) {
		free(s->owner);
		s->owner = fs_random_name("");
		TRY(try_owner(s, s->owner, &s->lease_fd, err));
	}
	return 0;
}

void lease_add(struct store *s, int kind, const struct digest *digest)
{
	char rec[LEASE_LEN];

	rec[0] = (char)kind;
	memcpy(rec + 1, digest->b, DIGEST_LEN);
	if (s->read_only || map_has(&s->leased, str_n(rec, sizeof(rec))))
		return;
	map_put(&s->leased, str_n(rec, sizeof(rec)), s);
	strbuf_add(&s->new_leases, rec, sizeof(rec));
}

int lease_flush(struct store *s, struct cairn_err *err)
{
	struct cairn_err why;

	if (s->new_leases.len == 0)
		return 0;
	TRY(strbuf_check(&s->new_leases, "the list of leases", err));
	TRY(owner_open(s, err));
	if (fs_write_all(s->lease_fd, s->new_leases.ptr, s->new_leases.len, "lease", &why) < 0) {
		errno = why.sys;
		return store_fail_io(s, err, "write a lease");
	}
	strbuf_clear(&s->new_leases);
	return 0;
}

/* The owner of leases/NAME is dead, and fd holds its flock: remove what it left. A
 * tree that we may not remove (made in another user namespace) keeps its lease
 * file, so that somebody else can try. */
static void bury(struct store *s, const char *name)
{
	cleanup_free char *tmp = xasprintf("tmp/%s", name);
	cleanup_free char *lease = xasprintf("leases/%s", name);
	struct cairn_err err;

	if (fs_remove_tree(s->fd, tmp, &err) < 0)
		log_debug("left behind: %s", err.msg);
	else
		(void)unlinkat(s->fd, lease, 0);
}

static int read_leases(int fd, int (*fn)(void *, int, const struct digest *, struct cairn_err *),
                       void *ctx, struct cairn_err *err)
{
	cleanup_free unsigned char *buf = NULL;
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "stat a lease");
	if ((size_t)st.st_size > LEASES_MAX)
		return cairn_fail(err, CAIRN_E_DIGEST, "a lease file of the store is too long");
	buf = xmalloc((size_t)st.st_size);
	TRY(fs_read_full(fd, buf, (size_t)st.st_size, &n, "lease", err));
	for (size_t i = 0; i + LEASE_LEN <= n; i += LEASE_LEN) {
		struct digest d;

		memcpy(d.b, buf + i + 1, DIGEST_LEN);
		TRY(fn(ctx, buf[i], &d, err));
	}
	return 0;
}

/* fn NULL: only look for the dead. */
static int visit(struct store *s, const char *name,
                 int (*fn)(void *, int, const struct digest *, struct cairn_err *), void *ctx,
                 struct cairn_err *err)
{
	cleanup_free char *path = xasprintf("leases/%s", name);
	cleanup_fd int fd = openat(s->fd, path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : store_fail_io(s, err, "open a lease");
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		bury(s, name);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return cairn_fail_sys(err, "lock a lease");
	return fn ? read_leases(fd, fn, ctx, err) : 0;
}

int lease_each(struct store *s,
               int (*fn)(void *ctx, int kind, const struct digest *digest, struct cairn_err *err),
               void *ctx, struct cairn_err *err)
{
	int fd = openat(s->fd, "leases", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;
	int r = 0;

	if (!d) {
		r = store_fail_io(s, err, "read the leases");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (de = readdir(d)))
		if (de->d_name[0] != '.')
			r = visit(s, de->d_name, fn, ctx, err);
	closedir(d);
	return r;
}

int tmp_open(struct store *s, struct cairn_err *err)
{
	cleanup_free char *path = NULL;

	if (s->has_tmp)
		return 0;
	TRY(store_need_write(s, err));
	TRY(owner_open(s, err));
	TRY(lease_each(s, NULL, NULL, err));
	path = xasprintf("tmp/%s", s->owner);
	if (mkdirat(s->fd, path, 0700) < 0)
		return store_fail_io(s, err, "create a temporary directory");
	s->has_tmp = true;
	return store_clean_dir(s->fd, path, 0700, err);
}

int tmp_name(struct store *s, char **ret, struct cairn_err *err)
{
	cleanup_free char *random = fs_random_name("");
	int r;

	pthread_mutex_lock(&s->lock);
	r = tmp_open(s, err);
	if (r == 0)
		*ret = xasprintf("tmp/%s/%s", s->owner, random);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int store_tmp_dir(struct store *s, char **ret_path, struct cairn_err *err)
{
	cleanup_free char *name = NULL;

	TRY(tmp_name(s, &name, err));
	if (mkdirat(s->fd, name, 0700) < 0)
		return store_fail_io(s, err, "create a temporary directory");
	*ret_path = xasprintf("%s/%s", s->path, name);
	return 0;
}

void lease_close(struct store *s)
{
	if (s->lease_fd >= 0)
		bury(s, s->owner);
	fs_close_p_(&s->lease_fd);
	free(s->owner);
	s->owner = NULL;
	map_done(&s->leased);
	strbuf_done(&s->new_leases);
}

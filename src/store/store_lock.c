#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_priv.h"
#include "util/fs.h"

/* Private copies of one cache mount that can be in use at the same time. */
#define MOUNT_COPIES_MAX 1000

struct store_lock {
	struct store *s;
	char *path; /* locks/NAME */
	int fd;
};

struct store_mount {
	struct store_lock *lock;
	struct digest key;
	enum store_sharing sharing;
	bool fresh;
	bool first; /* not a further private copy */
	bool alone; /* a shared one that is held exclusively for now */
	char *rel;  /* relative to the home directory; in tmp/ while fresh */
	char *path; /* absolute */
};

/* One attempt. *ret_fd stays -1 when the lock is busy. The file of a released lock is
 * unlinked, so a lock counts only while the file still has its name. */
static int lock_once(struct store *s, const char *path, int op, int *ret_fd, bool *ret_again,
                     struct cairn_err *err)
{
	cleanup_fd int fd = openat(s->fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat ours, named;

	*ret_again = false;
	if (fd < 0)
		return store_fail_io(s, err, "create a lock");
	if (flock(fd, op | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : cairn_fail_sys(err, "lock '%s'", path);
	if (fstat(fd, &ours) < 0)
		return cairn_fail_sys(err, "stat '%s'", path);
	if (fstatat(s->fd, path, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != ours.st_ino ||
	    named.st_dev != ours.st_dev)
		*ret_again = true;
	else
		*ret_fd = steal_fd(&fd);
	return 0;
}

static int lock_take(struct store *s, const char *prefix, const struct digest *key, int op,
                     struct store_lock **ret, struct cairn_err *err)
{
	cleanup_free char *path = xasprintf("locks/%s-%s", prefix, digest_hex(key).s);
	struct store_lock *l;
	bool again = true;
	int fd = -1;

	TRY(store_need_write(s, err));
	while (again)
		TRY(lock_once(s, path, op, &fd, &again, err));
	*ret = NULL;
	if (fd < 0)
		return 0;
	l = xcalloc(1, sizeof(*l));
	*l = (struct store_lock){ .s = s, .path = steal_ptr(&path), .fd = fd };
	*ret = l;
	return 0;
}

int store_lock_try(struct store *s, const struct digest *key, struct store_lock **ret,
                   struct cairn_err *err)
{
	return lock_take(s, "step", key, LOCK_EX, ret, err);
}

void store_lock_free(struct store_lock *l)
{
	if (!l)
		return;
	/* A shared one becomes exclusive when we are the last user: only then may the file go. */
	if (flock(l->fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(l->s->fd, l->path, 0);
	fs_close_p_(&l->fd);
	free(l->path);
	free(l);
}

static int mount_lookup(struct store *s, const struct digest *key, char **ret_rel,
                        struct cairn_err *err)
{
	struct object o;
	bool found = false;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, object_find(s, OBJECT_MOUNT, key, &o, &found, err), err));
	*ret_rel = found ? object_path(OBJECT_MOUNT, &o) : NULL;
	return 0;
}

static int mount_make(struct store *s, char **ret_rel, struct cairn_err *err)
{
	cleanup_free char *rel = NULL;

	TRY(tmp_name(s, &rel, err));
	if (mkdirat(s->fd, rel, 0755) < 0)
		return store_fail_io(s, err, "create a cache mount");
	TRY(store_clean_dir(s->fd, rel, 0755, err));
	*ret_rel = steal_ptr(&rel);
	return 0;
}

/* Lock, look, and make the directory when it is missing and nobody else can be
 * making it. *ret_lock is NULL when busy. */
static int mount_take(struct store *s, const struct digest *key, bool shared,
                      struct store_lock **ret_lock, char **ret_rel, struct cairn_err *err)
{
	cleanup_store_lock struct store_lock *lock = NULL;
	cleanup_free char *rel = NULL;

	TRY(lock_take(s, "mount", key, shared ? LOCK_SH : LOCK_EX, &lock, err));
	if (!lock)
		return 0;
	TRY(mount_lookup(s, key, &rel, err));
	/* Not atomic: another user may come between, so look again. */
	if (!rel && shared) {
		if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? 0
			                            : cairn_fail_sys(err, "lock '%s'", lock->path);
		TRY(mount_lookup(s, key, &rel, err));
		if (rel && flock(lock->fd, LOCK_SH) < 0)
			return cairn_fail_sys(err, "lock '%s'", lock->path);
	}
	*ret_rel = steal_ptr(&rel);
	*ret_lock = steal_ptr(&lock);
	return 0;
}

/* The n-th private copy of a mount has a key of its own. */
static struct digest copy_key(const struct digest *id, unsigned n)
{
	struct digest_fields f;

	if (n == 0)
		return *id;
	digest_fields_begin(&f, "cairn.store.mount-copy", 1);
	digest_field_digest(&f, "id", id);
	digest_field_u64(&f, "n", n);
	return digest_fields_end(&f);
}

int store_mount_try(struct store *s, const struct digest *id, enum store_sharing sharing,
                    struct store_mount **ret, struct cairn_err *err)
{
	unsigned copies = sharing == STORE_PRIVATE ? MOUNT_COPIES_MAX : 1;
	cleanup_store_lock struct store_lock *lock = NULL;
	cleanup_free char *rel = NULL;
	struct digest key = *id;
	struct store_mount *m;
	bool fresh, first = false;

	for (unsigned n = 0; n < copies && !lock; n++) {
		first = n == 0;
		key = copy_key(id, n);
		TRY(mount_take(s, &key, sharing == STORE_SHARED, &lock, &rel, err));
	}
	*ret = NULL;
	if (!lock)
		return 0;
	fresh = !rel;
	if (fresh)
		TRY(mount_make(s, &rel, err));
	m = xcalloc(1, sizeof(*m));
	*m = (struct store_mount){ .lock = steal_ptr(&lock),
		                   .key = key,
		                   .sharing = sharing,
		                   .fresh = fresh,
		                   .first = first,
		                   .path = xasprintf("%s/%s", s->path, rel) };
	m->rel = steal_ptr(&rel);
	*ret = m;
	return 0;
}

const char *store_mount_path(const struct store_mount *m)
{
	return m->path;
}

bool store_mount_fresh(const struct store_mount *m)
{
	return m->fresh;
}

const struct digest *store_mount_key(const struct store_mount *m)
{
	return &m->key;
}

bool store_mount_first(const struct store_mount *m)
{
	return m->first;
}

int store_mount_alone(struct store_mount *m, bool *ret_alone, bool *ret_lost, struct cairn_err *err)
{
	*ret_lost = false;
	*ret_alone = m->fresh || m->alone || m->sharing != STORE_SHARED;
	if (*ret_alone)
		return 0;
	if (flock(m->lock->fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_alone = m->alone = true;
		return 0;
	}
	/* A conversion that fails has given up the lock it was to convert. */
	*ret_lost = flock(m->lock->fd, LOCK_SH | LOCK_NB) < 0;
	return *ret_lost && errno != EWOULDBLOCK ? cairn_fail_sys(err, "lock '%s'", m->lock->path)
	                                         : 0;
}

int store_mount_replace(struct store_mount *m, const char *dir, struct cairn_err *err)
{
	struct store *s = m->lock->s;
	cleanup_free char *aside = NULL;

	if (!m->fresh && m->sharing == STORE_SHARED && !m->alone)
		CAIRN_BUG("a shared cache mount is replaced");
	if (renameat2(AT_FDCWD, dir, s->fd, m->rel, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return store_fail_io(s, err, "replace a cache mount");
	/* Killed between the two, the mount is gone: it is made anew. */
	TRY(tmp_name(s, &aside, err));
	if (renameat(s->fd, m->rel, s->fd, aside) < 0 ||
	    renameat(AT_FDCWD, dir, s->fd, m->rel) < 0 || renameat(s->fd, aside, AT_FDCWD, dir) < 0)
		return store_fail_io(s, err, "replace a cache mount");
	return 0;
}

static int mount_share(struct store_mount *m, struct cairn_err *err)
{
	m->alone = false;
	if (m->sharing == STORE_SHARED && flock(m->lock->fd, LOCK_SH) < 0)
		return cairn_fail_sys(err, "share '%s'", m->lock->path);
	return 0;
}

int store_mount_ready(struct store_mount *m, struct cairn_err *err)
{
	struct store *s = m->lock->s;
	struct object_new n = { .kind = OBJECT_MOUNT, .key = &m->key, .tmp = m->rel };
	struct object o = { 0 };
	int r;

	if (!m->fresh)
		return m->alone ? mount_share(m, err) : 0;
	TRY(tx_begin(s, TX_WRITE, err));
	r = tx_end(s, object_add(s, &n, &o, err), err);
	if (r < 0) {
		object_undo(s, OBJECT_MOUNT, &o);
		return r;
	}
	m->fresh = false;
	free(m->rel);
	free(m->path);
	m->rel = object_path(OBJECT_MOUNT, &o);
	m->path = xasprintf("%s/%s", s->path, m->rel);
	return mount_share(m, err);
}

void store_mount_free(struct store_mount *m)
{
	struct cairn_err ignored;

	if (!m)
		return;
	if (m->fresh)
		(void)fs_remove_tree(m->lock->s->fd, m->rel, &ignored);
	store_lock_free(m->lock);
	free(m->rel);
	free(m->path);
	free(m);
}

#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "store_priv.h"
#include "util/fs.h"
#include "util/num.h"

#define BUSY_MS_DEFAULT 20000

static const char version_prefix[] = "cairn store ";

#define FOLDER_TMP "tmp" /* where all layers are made, before they are moved */

static const char *const folders[] = { "blobs",    "indexes", "layers", "mounts",
	                               "contexts", "locks",   "leases", FOLDER_TMP };

static int absolute(const char *path, char **ret, struct cairn_err *err)
{
	size_t len = strlen(path);
	char cwd[PATH_MAX];

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (path[0] == '/') {
		*ret = xstrndup(path, len);
		return 0;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return cairn_fail_sys(err, "find the current directory");
	*ret = xasprintf("%s/%.*s", cwd, (int)len, path);
	return 0;
}

static int check_fs(struct store *s, struct cairn_err *err)
{
	const char *name = "";
	struct statfs st;

	if (fstatfs(s->fd, &st) < 0)
		return cairn_fail_sys(err, "find the file system of '%s'", s->path);
	switch (store_fs_policy((uint64_t)(uint32_t)st.f_type, &name)) {
	case FS_REFUSED:
		return cairn_fail(
			err, CAIRN_E_UNSUPPORTED,
			"the store '%s' lies on a network file system (%s), where it would "
			"be damaged; point CAIRN_HOME to a local directory",
			s->path, name);
	case FS_ROLLBACK:
		s->rollback = true;
		return 0;
	case FS_LOCAL:
		return 0;
	}
	return 0;
}

/* Whoever owns the store decides what is in every image and in the paths that cairn, maybe as
 * root, works on: only the caller may. Looking at somebody's store is fine. */
static int check_owner(const struct store *s, struct cairn_err *err)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return cairn_fail_sys(err, "find the owner of '%s'", s->path);
	if (st.st_uid == geteuid())
		return 0;
	return cairn_fail(err, CAIRN_E_DENIED,
	                  "the store '%s' belongs to user %u, not to you; point CAIRN_HOME to a "
	                  "directory of your own, or chown it with all in it",
	                  s->path, st.st_uid);
}

/* Make sure that the home directory is there. Its parents are made with the usual mode. */
static int open_home(struct store *s, struct cairn_err *err)
{
	const char *slash = strrchr(s->path, '/');
	cleanup_free char *parent = str_dup(str_n(s->path, (size_t)(slash - s->path)));

	if (fs_open_dir(AT_FDCWD, s->path, &s->fd, err) == 0)
		return check_fs(s, err);
	if (err->code != CAIRN_E_NOT_FOUND || s->read_only)
		return cairn_wrap(err, "open the store");
	if (*parent && fs_mkdir_p(AT_FDCWD, parent, 0755, err) < 0)
		return cairn_wrap(err, "create the store '%s'", s->path);
	if (mkdir(s->path, 0700) < 0 && errno != EEXIST)
		return cairn_fail_sys(err, "create the store '%s'", s->path);
	TRY(fs_open_dir(AT_FDCWD, s->path, &s->fd, err));
	return check_fs(s, err);
}

static int parse_version(struct store *s, str text, struct cairn_err *err)
{
	uint64_t version = 0;
	str line = str_trim(text);

	if (!str_starts(line, str_of(version_prefix)) ||
	    num_u64(str_skip(line, strlen(version_prefix)), UINT32_MAX, &version, err) < 0 ||
	    version == 0)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "'%s/version' is damaged; remove that directory to start with an "
		                  "empty store",
		                  s->path);
	if (version > STORE_VERSION)
		return cairn_fail(
			err, CAIRN_E_DIGEST,
			"the store '%s' has format %llu and this cairn knows %d; use a newer "
			"cairn, or another CAIRN_HOME",
			s->path, (unsigned long long)version, STORE_VERSION);
	return 0;
}

/* Fails with CAIRN_E_NOT_FOUND when there is no version file. */
static int check_version(struct store *s, struct cairn_err *err)
{
	struct strbuf text;
	int r;

	strbuf_init(&text, 4096);
	r = fs_read_file(s->fd, "version", &text, err);
	if (r == 0)
		r = parse_version(s, strbuf_view(&text), err);
	strbuf_done(&text);
	return r;
}

/* A store is made only in an empty directory: garbage collection must never meet files
 * that somebody else put there. */
static int check_empty(struct store *s, struct cairn_err *err)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;
	int r = 0;

	if (!d) {
		r = cairn_fail_sys(err, "read '%s'", s->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    strcmp(de->d_name, "lost+found") == 0 ||
		    str_starts(str_of(de->d_name), S("version.tmp-")))
			continue;
		r = cairn_fail(err, CAIRN_E_EXISTS,
		               "'%s' is neither empty nor a cairn store (it holds '%s'); point "
		               "CAIRN_HOME to an empty or new directory",
		               s->path, de->d_name);
	}
	closedir(d);
	return r;
}

static int create_version(struct store *s, struct cairn_err *err)
{
	char text[32];
	int r = check_version(s, err);

	if (r != CAIRN_E_NOT_FOUND)
		return r;
	TRY(check_empty(s, err));
	if (faccessat(s->fd, ".", W_OK, AT_EACCESS) < 0)
		return store_fail_io(s, err, "make a store");
	TRY(store_clean_dir(s->fd, ".", 0700, err));
	(void)snprintf(text, sizeof(text), "%s%d\n", version_prefix, STORE_VERSION);
	return fs_write_file(s->fd, "version", str_of(text), 0644, err);
}

/* ext4 puts what is in a directory near it, and passes over inodes that were freed in the last
 * minutes one by one: where a store was wiped or cleaned, every new file would wait for that. With
 * this flag each process's folder begins where the disk has fewest directories; other file systems
 * do not know it or do not need it. */
static void spread(struct store *s, const char *folder)
{
	cleanup_fd int fd = openat(s->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int flags = 0;

	if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_TOPDIR_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static int create_folders(struct store *s, struct cairn_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (mkdirat(s->fd, folders[i], 0700) < 0) {
			if (errno != EEXIST)
				return store_fail_io(s, err, "create a directory");
			continue;
		}
		TRY(store_clean_dir(s->fd, folders[i], 0700, err));
	}
	spread(s, FOLDER_TMP);
	return 0;
}

/* The version comes first, the database last: whoever finds the database's tables finds
 * everything else. */
static int create(struct store *s, struct cairn_err *err)
{
	int r;

	if (flock(s->fd, LOCK_EX) < 0)
		return cairn_fail_sys(err, "lock the store '%s'", s->path);
	r = create_version(s, err);
	if (r == 0)
		r = create_folders(s, err);
	(void)flock(s->fd, LOCK_UN);
	return r;
}

/* Is this everything that create() makes? Cheap, and heals a store whose making
 * was interrupted. */
static bool complete(struct store *s)
{
	return faccessat(s->fd, folders[ARRAY_SIZE(folders) - 1], F_OK, 0) == 0 &&
	       faccessat(s->fd, "db.sqlite", F_OK, 0) == 0;
}

int store_fail_none(const struct store *s, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "there is no store in '%s'", s->path);
}

static int open_all(struct store *s, const struct store_opts *opts, struct cairn_err *err)
{
	int r;

	TRY(absolute(opts->path, &s->path, err));
	TRY(open_home(s, err));
	r = check_version(s, err);
	if (r < 0 && r != CAIRN_E_NOT_FOUND)
		return r;
	if (r == 0 && faccessat(s->fd, ".", W_OK, AT_EACCESS) < 0)
		s->read_only = true;
	if (!s->read_only)
		TRY(check_owner(s, err));
	/* One that another process is making has no database yet, or one without tables. */
	if (s->read_only && (r < 0 || faccessat(s->fd, "db.sqlite", F_OK, 0) < 0))
		return store_fail_none(s, err);
	if (!s->read_only && (r < 0 || !complete(s)))
		TRY(create(s, err));
	return db_open(s, opts->boot_id, err);
}

int store_open(const struct store_opts *opts, struct store **ret, struct cairn_err *err)
{
	struct store *s = xcalloc(1, sizeof(*s));
	int r;

	s->fd = s->lease_fd = -1;
	s->pid = getpid();
	s->read_only = opts->read_only;
	s->busy_ms = opts->busy_ms ? opts->busy_ms : BUSY_MS_DEFAULT;
	strbuf_init(&s->new_leases, 64u << 20);
	if (pthread_mutex_init(&s->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	r = open_all(s, opts, err);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	lease_close(s);
	db_close(s);
	fs_close_p_(&s->fd);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

bool store_read_only(const struct store *s)
{
	return s->read_only;
}

const char *store_path(const struct store *s)
{
	return s->path;
}

int store_dirfd(const struct store *s)
{
	return s->fd;
}

/* cache/remote_dir.c - a remote in a directory.
 *
 * Files are written in tmp/ and renamed, so a reader sees all of a file or none, also one on
 * another machine that shares the disk.  What lies in tmp/ for a day belongs to nobody.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/file.h>

#include "remote_priv.h"
#include "util/clock.h"
#include "util/fs.h"

#define PIECE      (256u << 10) /* bytes read at once */
#define STALE      (24 * 3600)  /* seconds after which a temporary file is garbage */
#define NAME_LEN   (DIGEST_HEX_LEN + 100 + REMOTE_SCOPE_TEXT)
#define MODE_DIRS  0777 /* less the umask: who shares the cache is decided there */
#define MODE_FILES 0666

struct remote_dir {
	struct remote base;
	int fd; /* -1: there is none, and it is only read */
	bool read_only;
};

static struct remote_dir *dir_of(struct remote *r)
{
	return (struct remote_dir *)r;
}

/* Open a regular file below the directory; *ret_fd is -1 when it is not there. */
static int open_file(const struct remote_dir *d, const char *path, int *ret_fd, uint64_t *ret_size,
                     struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	*ret_fd = -1;
	if (d->fd < 0)
		return 0;
	fd = fs_open_beneath(d->fd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
		                                           : cairn_fail_sys(err, "open '%s'", path);
	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is not a file", path);
	*ret_size = (uint64_t)st.st_size;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Send len bytes at offset of a file to the sink; fewer where it ends. */
static int send_file(int fd, uint64_t offset, uint64_t len, const struct remote_sink *sink,
                     struct cairn_err *err)
{
	cleanup_free char *piece = xmalloc(PIECE);

	while (len) {
		ssize_t n = pread(fd, piece, len < PIECE ? (size_t)len : PIECE, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cairn_fail_sys(err, "read");
		if (n == 0)
			break;
		TRY(sink->write(sink->ctx, piece, (size_t)n, err));
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* --- temporary files ------------------------------------------------------------ */

static int need_write(const struct remote_dir *d, struct cairn_err *err)
{
	return d->read_only ? cairn_fail(err, CAIRN_E_DENIED, "it is only read") : 0;
}

/* Create a file in tmp/; its path is owned. */
static int make_temp(const struct remote_dir *d, int *ret_fd, char **ret_path,
                     struct cairn_err *err)
{
	cleanup_free char *path = fs_random_name("tmp/");
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = openat(d->fd, path, flags, MODE_FILES);

	if (fd < 0 && errno == ENOENT) {
		TRY(fs_mkdir_p(d->fd, "tmp", MODE_DIRS, err));
		fd = openat(d->fd, path, flags, MODE_FILES);
	}
	if (fd < 0)
		return cairn_fail_sys(err, "create '%s'", path);
	*ret_fd = fd;
	*ret_path = steal_ptr(&path);
	return 0;
}

/* Give a finished file its name; with `exclusive` only when nothing has it. */
static int place(const struct remote_dir *d, const char *temp, const char *path, bool exclusive,
                 bool *ret_lost, struct cairn_err *err)
{
	int rc;

	if (!exclusive) {
		rc = renameat(d->fd, temp, d->fd, path);
	} else {
		rc = renameat2(d->fd, temp, d->fd, path, RENAME_NOREPLACE);
		if (rc < 0 && (errno == EINVAL || errno == ENOSYS)) { /* NFS: it can link */
			rc = linkat(d->fd, temp, d->fd, path, 0);
			if (rc == 0)
				(void)unlinkat(d->fd, temp, 0);
		}
	}
	*ret_lost = rc < 0 && exclusive && errno == EEXIST;
	return rc < 0 && !*ret_lost ? cairn_fail_sys(err, "rename '%s' to '%s'", temp, path) : 0;
}

/* --- documents ------------------------------------------------------------------ */

static const char *folder(const struct remote_place *at)
{
	return at->pointer ? "pointers" : "entries";
}

static const char *doc_path(const struct remote_place *at, char buf[NAME_LEN])
{
	(void)snprintf(buf, NAME_LEN, "%s/%s/%s", folder(at), at->scope, digest_hex(at->name).s);
	return buf;
}

static int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

/* The version of a document is the digest of its file. */
static int doc_get(struct remote *r, const struct remote_place *at, struct strbuf *out,
                   char **ret_version, bool *ret_found, struct cairn_err *err)
{
	struct strbuf sealed cleanup_strbuf;
	struct remote_sink sink = { add_bytes, &sealed };
	cleanup_fd int fd = -1;
	char path[NAME_LEN];
	struct digest d;
	uint64_t size = 0;
	str text;

	strbuf_init(&sealed, out->max + REMOTE_SEAL_LEN);

	TRY(open_file(dir_of(r), doc_path(at, path), &fd, &size, err));
	*ret_found = fd >= 0;
	if (fd < 0)
		return 0;
	if (size > sealed.max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is larger than %zu bytes", path,
		                  sealed.max);
	TRY(send_file(fd, 0, size, &sink, err));
	TRY(remote_unseal(at, strbuf_view(&sealed), &text, err));
	strbuf_str(out, text);
	d = digest_of(sealed.ptr, sealed.len);
	*ret_version = xstrdup(digest_text(&d).s);
	return 0;
}

static int check_blobs(struct remote *r, const struct remote_doc *doc, struct cairn_err *err)
{
	for (size_t i = 0; i < doc->n_blobs; i++) {
		bool there = false;

		TRY(r->ops->blob_has(r, &doc->blobs[i], &there, err));
		if (!there)
			return remote_fail_missing(&doc->blobs[i], err);
	}
	return 0;
}

/* Compare and set: writers of one scope's pointers take turns. */
static int place_same(struct remote *r, const struct remote_doc *doc, const char *temp,
                      const char *path, bool *ret_lost, struct cairn_err *err)
{
	struct remote_dir *d = dir_of(r);
	cleanup_free char *version = NULL;
	struct strbuf now cleanup_strbuf;
	cleanup_fd int lock = -1;
	char lock_path[NAME_LEN];
	bool found = false;
	int rc;

	strbuf_init(&now, REMOTE_POINTER_MAX);
	(void)snprintf(lock_path, sizeof(lock_path), "%s/%s/.lock", folder(&doc->at),
	               doc->at.scope);
	lock = openat(d->fd, lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_FILES);
	if (lock < 0)
		return cairn_fail_sys(err, "create '%s'", lock_path);
	while ((rc = flock(lock, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (rc < 0)
		return cairn_fail_sys(err, "lock '%s'", lock_path);
	TRY(doc_get(r, &doc->at, &now, &version, &found, err));
	*ret_lost = !found || strcmp(version, doc->version) != 0;
	return *ret_lost ? 0 : place(d, temp, path, false, ret_lost, err);
}

static int place_doc(struct remote *r, const struct remote_doc *doc, const char *temp,
                     bool *ret_lost, struct cairn_err *err)
{
	char path[NAME_LEN], parent[NAME_LEN];

	(void)snprintf(parent, sizeof(parent), "%s/%s", folder(&doc->at), doc->at.scope);
	TRY(fs_mkdir_p(dir_of(r)->fd, parent, MODE_DIRS, err));
	(void)doc_path(&doc->at, path);
	if (doc->when == REMOTE_SAME)
		return place_same(r, doc, temp, path, ret_lost, err);
	return place(dir_of(r), temp, path, doc->when == REMOTE_ABSENT, ret_lost, err);
}

static int doc_put(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                   struct cairn_err *err)
{
	struct remote_dir *d = dir_of(r);
	struct strbuf sealed cleanup_strbuf;
	cleanup_free char *temp = NULL;
	cleanup_fd int fd = -1;
	bool lost = false;
	int rc;

	strbuf_init(&sealed, SIZE_MAX);
	TRY(need_write(d, err));
	TRY(check_blobs(r, doc, err));
	TRY(make_temp(d, &fd, &temp, err));
	remote_seal(&doc->at, doc->text, &sealed);
	rc = fs_write_all(fd, sealed.ptr, sealed.len, temp, err);
	if (rc == 0)
		rc = place_doc(r, doc, temp, &lost, err);
	if (rc < 0 || lost)
		(void)unlinkat(d->fd, temp, 0);
	*ret_lost = lost;
	return rc;
}

/* --- blobs ------------------------------------------------------------------------ */

static const char *blob_path(const struct descriptor *blob, char buf[NAME_LEN])
{
	(void)snprintf(buf, NAME_LEN, "blobs/sha256/%s", digest_hex(&blob->digest).s);
	return buf;
}

/* A file of another size was cut short by a power cut: it is not there. */
static int blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	char path[NAME_LEN];
	uint64_t size = 0;

	TRY(open_file(dir_of(r), blob_path(blob, path), &fd, &size, err));
	*ret = fd >= 0 && size == blob->size;
	return 0;
}

static int open_blob(struct remote *r, const struct descriptor *blob, int *ret_fd,
                     struct cairn_err *err)
{
	char path[NAME_LEN];
	uint64_t size = 0;

	TRY(open_file(dir_of(r), blob_path(blob, path), ret_fd, &size, err));
	return *ret_fd < 0 ? remote_fail_missing(blob, err) : 0;
}

static int blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	struct remote_verify v;
	struct remote_sink verify = { remote_verify_write, &v };
	cleanup_fd int fd = -1;

	TRY(open_blob(r, blob, &fd, err));
	remote_verify_begin(&v, blob, sink);
	TRY(send_file(fd, 0, blob->size, &verify, err));
	return remote_verify_end(&v, err);
}

static int blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err)
{
	cleanup_fd int fd = -1;

	TRY(open_blob(r, blob, &fd, err));
	return send_file(fd, offset, len, sink, err);
}

static int write_fd(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	return fs_write_all(*(int *)ctx, p, n, "blob", err);
}

/* Copy the source into fd, verified. */
static int copy_source(const struct descriptor *blob, const struct remote_source *src, int fd,
                       struct cairn_err *err)
{
	struct remote_sink file = { write_fd, &fd };
	struct remote_verify v;
	struct remote_sink verify = { remote_verify_write, &v };

	remote_verify_begin(&v, blob, &file);
	if (src->fd >= 0)
		TRY(send_file(src->fd, 0, blob->size, &verify, err));
	else
		TRY(remote_verify_write(&v, src->bytes.ptr, src->bytes.len, err));
	return remote_verify_end(&v, err);
}

static int blob_put(struct remote *r, const struct descriptor *blob,
                    const struct remote_source *src, struct cairn_err *err)
{
	struct remote_dir *d = dir_of(r);
	cleanup_free char *temp = NULL;
	cleanup_fd int fd = -1;
	char path[NAME_LEN];
	bool lost = false;
	int rc;

	TRY(need_write(d, err));
	TRY(make_temp(d, &fd, &temp, err));
	rc = copy_source(blob, src, fd, err);
	if (rc == 0)
		rc = fs_mkdir_p(d->fd, "blobs/sha256", MODE_DIRS, err);
	if (rc == 0)
		rc = place(d, temp, blob_path(blob, path), false, &lost, err);
	if (rc < 0)
		(void)unlinkat(d->fd, temp, 0);
	return rc;
}

/* --- opening ----------------------------------------------------------------------- */

/* Remove what writers that were killed have left. Best effort. */
static void remove_stale(const struct remote_dir *d)
{
	int fd = fs_open_beneath(d->fd, "tmp", O_RDONLY | O_DIRECTORY);
	int64_t before = clock_now() / CLOCK_SEC - STALE;
	const struct dirent *e;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fs_close_p_(&fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		struct stat st;

		if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < before)
			(void)unlinkat(fd, e->d_name, 0);
	}
	(void)closedir(dir);
}

static int check_write(struct remote *r, struct cairn_err *err)
{
	struct remote_dir *d = dir_of(r);
	cleanup_free char *temp = NULL;
	cleanup_fd int fd = -1;

	TRY(need_write(d, err));
	TRY(make_temp(d, &fd, &temp, err));
	(void)unlinkat(d->fd, temp, 0);
	return 0;
}

static void dir_free(struct remote *r)
{
	fs_close_p_(&dir_of(r)->fd);
	remote_done(r);
	free(r);
}

static const struct remote_ops dir_ops = {
	.doc_get = doc_get,
	.doc_put = doc_put,
	.blob_has = blob_has,
	.blob_get = blob_get,
	.blob_range = blob_range,
	.blob_put = blob_put,
	.check_write = check_write,
	.free = dir_free,
};

int remote_open_dir(const char *dir, const struct remote_scopes *scopes, bool read_only,
                    struct remote **ret, struct cairn_err *err)
{
	struct remote_dir *d = xcalloc(1, sizeof(*d));
	cleanup_remote struct remote *r = &d->base;
	int rc;

	d->fd = -1;
	d->read_only = read_only;
	TRY(remote_init(r, &dir_ops, xstrdup(dir), scopes, err));
	if (!read_only && fs_mkdir_p(AT_FDCWD, dir, MODE_DIRS, err) < 0)
		return cairn_wrap(err, "cache %s", dir);
	rc = fs_open_dir(AT_FDCWD, dir, &d->fd, err);
	if (rc < 0 && (rc != CAIRN_E_NOT_FOUND || !read_only))
		return cairn_wrap(err, "cache %s", dir);
	if (!read_only)
		remove_stale(d);
	*ret = steal_ptr(&r);
	return 0;
}

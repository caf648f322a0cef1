#include "copy_archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "import_source.h"
#include "layer/layer.h"
#include "util/fs.h"
#include "util/vec.h"

#define BLOBS      "blobs/sha256/"
#define INDEX      "index.json"
#define LIST       "manifest.json" /* of archives for docker */
#define MARK       "oci-layout"
#define COPY_BYTES (256u << 10)
#define BLOBS_MAX  100000u

/* --- the folder --------------------------------------------------------------------- */

static int make_folder(const char *parent, struct copy_archive *ret, struct cairn_err *err)
{
	cleanup_free char *name = fs_random_name(".cairn-");

	ret->dir = xasprintf("%s/%s", parent, name);
	if (mkdir(ret->dir, 0700) == 0)
		return 0;
	cairn_fail_sys(err, "create the folder '%s'", ret->dir);
	free(steal_ptr(&ret->dir));
	return err->code;
}

void copy_archive_done(struct copy_archive *c)
{
	struct cairn_err ignored;

	if (c->dir)
		(void)fs_remove_tree(AT_FDCWD, c->dir, &ignored);
	free(steal_ptr(&c->dir));
}

static char *parent_of(const char *path)
{
	cleanup_free char *copy = xstrdup(path);

	return xstrdup(dirname(copy));
}

int copy_archive_begin(const char *file, struct copy_archive *ret, struct cairn_err *err)
{
	cleanup_free char *parent = parent_of(file);
	struct stat st;

	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
		return cairn_fail(err, CAIRN_E_EXISTS, "'%s' is no file", file);
	return make_folder(parent, ret, err);
}

/* --- out of an archive ------------------------------------------------------------------ */

static bool is_blob(str name)
{
	str hex = str_starts(name, S(BLOBS)) ? str_skip(name, sizeof(BLOBS) - 1) : S("");

	if (hex.len != DIGEST_HEX_LEN)
		return false;
	for (size_t i = 0; i < hex.len; i++)
		if (!strchr("0123456789abcdef", hex.ptr[i]))
			return false;
	return true;
}

/* The path in the layout; empty for what does not belong to one. */
static str wanted(const struct tar_member *m)
{
	str name = m->name;

	while (str_starts(name, S("./")))
		name = str_skip(name, 2);
	if (m->type != LAYER_FILE)
		return S("");
	return is_blob(name) || str_is(name, INDEX) || str_is(name, MARK) ? name : S("");
}

static int take_member(struct tar_reader *t, int dirfd, const char *path, struct cairn_err *err)
{
	cleanup_fd int fd =
		openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	str piece;

	if (fd < 0 && errno == EEXIST)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the archive holds '%s' twice", path);
	if (fd < 0)
		return cairn_fail_sys(err, "create '%s'", path);
	do {
		TRY(tar_content(t, &piece, err));
		if (piece.len)
			TRY(fs_write_all(fd, piece.ptr, piece.len, path, err));
	} while (piece.len);
	return 0;
}

static int take_all(struct tar_reader *t, int dirfd, bool *ret_index, struct cairn_err *err)
{
	const struct tar_member *m = NULL;

	for (;;) {
		char path[sizeof(BLOBS) + DIGEST_HEX_LEN];
		str name;

		TRY(tar_next(t, &m, err));
		if (!m)
			return 0;
		name = wanted(m);
		if (!name.len)
			continue;
		*ret_index |= str_is(name, INDEX);
		(void)snprintf(path, sizeof(path), "%.*s", STR(name));
		TRY(take_member(t, dirfd, path, err));
	}
}

static int unpack(const char *file, const char *dir, struct cairn_err *err)
{
	cleanup_import_source struct import_source *source = NULL;
	cleanup_tar_reader struct tar_reader *t = NULL;
	cleanup_fd int fd = -1;
	struct layer_reader in;
	bool index = false;

	TRY(import_source_open(file, &source, err));
	in = import_source_reader(source);
	t = tar_reader_new(&in);
	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	TRY(fs_mkdir_p(fd, "blobs/sha256", 0700, err));
	if (take_all(t, fd, &index, err) < 0)
		return cairn_wrap(err, "'%s'", file);
	TRY(import_source_end(source, err));
	return index ? 0
	             : cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is no OCI archive: it has no " INDEX,
	                          file);
}

int copy_archive_folder(struct copy_archive *ret, struct cairn_err *err)
{
	const char *tmp = getenv("TMPDIR");

	return make_folder(tmp && *tmp ? tmp : "/var/tmp", ret, err);
}

int copy_archive_unpack(const char *file, struct copy_archive *ret, struct cairn_err *err)
{
	TRY(copy_archive_folder(ret, err));
	return unpack(file, ret->dir, err);
}

/* --- into an archive ---------------------------------------------------------------------- */

struct packing {
	int dirfd, out;
	const char *file;
};

static int put_header(struct packing *p, const char *path, enum layer_type type, uint64_t size,
                      struct cairn_err *err)
{
	const struct layer_entry e = { .path = str_of(path),
		                       .type = type,
		                       .mode = type == LAYER_DIR ? 0755 : 0644,
		                       .size = size };
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, 16 * TAR_BLOCK);
	tar_put_entry(&b, &e, INT64_MAX);
	return fs_write_all(p->out, b.ptr, b.len, p->file, err);
}

static int put_file(struct packing *p, const char *path, struct cairn_err *err)
{
	static const char zeros[TAR_BLOCK];
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_fd int fd = openat(p->dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	TRY(put_header(p, path, LAYER_FILE, (uint64_t)st.st_size, err));
	do {
		TRY(fs_read_full(fd, buf, COPY_BYTES, &n, path, err));
		TRY(fs_write_all(p->out, buf, n, p->file, err));
	} while (n == COPY_BYTES);
	return fs_write_all(p->out, zeros, tar_padding((uint64_t)st.st_size), p->file, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int put_blobs(struct packing *p, struct cairn_err *err)
{
	int fd = openat(p->dirfd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	VEC(char *) names = { 0 };
	int r = 0;

	if (!d)
		return cairn_fail_sys(err, "read the folder of blobs");
	while (names.len < BLOBS_MAX && (e = readdir(d)))
		if (e->d_name[0] != '.')
			vec_push(&names, xasprintf(BLOBS "%s", e->d_name));
	(void)closedir(d);
	if (names.len)
		qsort(names.ptr, names.len, sizeof(*names.ptr), by_name);
	for (size_t i = 0; i < names.len; i++) {
		r = r < 0 ? r : put_file(p, names.ptr[i], err);
		free(names.ptr[i]);
	}
	vec_free(&names);
	return r;
}

static int put_all(struct packing *p, struct cairn_err *err)
{
	static const char zeros[TAR_END];

	TRY(put_file(p, MARK, err));
	TRY(put_file(p, INDEX, err));
	if (faccessat(p->dirfd, LIST, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		TRY(put_file(p, LIST, err));
	TRY(put_header(p, "blobs", LAYER_DIR, 0, err));
	TRY(put_header(p, "blobs/sha256", LAYER_DIR, 0, err));
	TRY(put_blobs(p, err));
	return fs_write_all(p->out, zeros, sizeof(zeros), p->file, err);
}

int copy_archive_pack(const struct copy_archive *c, const char *file, struct cairn_err *err)
{
	cleanup_free char *tmp = xasprintf("%s/archive", c->dir);
	cleanup_fd int dirfd = -1, out = -1;
	struct packing p = { .file = file };

	TRY(fs_open_dir(AT_FDCWD, c->dir, &dirfd, err));
	out = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (out < 0)
		return cairn_fail_sys(err, "create '%s'", file);
	p.dirfd = dirfd;
	p.out = out;
	TRY(put_all(&p, err));
	if (close(steal_fd(&out)) < 0)
		return cairn_fail_sys(err, "write '%s'", file);
	return rename(tmp, file) < 0 ? cairn_fail_sys(err, "rename to '%s'", file) : 0;
}

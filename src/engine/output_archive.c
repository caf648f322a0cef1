/* Files by path, in a tar or in a folder. */
#include "output_priv.h"
#include "util/fs.h"

int out_archive_open(const char *dest, bool folder, struct out_archive *ret, struct cairn_err *err)
{
	struct out_archive ar = { .dest = dest, .folder = folder, .fd = -1, .dirfd = -1 };
	struct stat st;

	ar.file.fd = -1;
	if (!folder) {
		TRY(out_file_open(dest, &ar.file, err));
		*ret = ar;
		return 0;
	}
	ar.made = stat(dest, &st) < 0;
	if (fs_mkdir_p(AT_FDCWD, dest, 0777, err) < 0 ||
	    fs_open_dir(AT_FDCWD, dest, &ar.dirfd, err) < 0)
		return cairn_wrap(err, "--output");
	*ret = ar;
	return 0;
}

void out_archive_done(struct out_archive *ar)
{
	struct cairn_err ignored;

	out_file_done(&ar->file);
	fs_close_p_(&ar->fd);
	if (ar->tmp)
		(void)unlinkat(ar->dirfd, ar->tmp, 0);
	free(steal_ptr(&ar->tmp));
	fs_close_p_(&ar->dirfd);
	if (ar->made)
		(void)fs_remove_tree(AT_FDCWD, ar->dest, &ignored);
}

/* --- a tar ------------------------------------------------------------------ */

static int tar_header(struct out_archive *ar, const char *path, enum layer_type type, uint64_t size,
                      struct cairn_err *err)
{
	const struct layer_entry e = { .path = str_of(path),
		                       .type = type,
		                       .mode = type == LAYER_DIR ? 0755 : 0644,
		                       .size = size };
	struct layer_sink sink = out_file_sink(&ar->file);
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, 16 * TAR_BLOCK);
	tar_put_entry(&b, &e, INT64_MAX);
	return sink.write(sink.ctx, b.ptr, b.len, err);
}

static int tar_zeros(struct out_archive *ar, size_t n, struct cairn_err *err)
{
	static const char zeros[TAR_END];
	struct layer_sink sink = out_file_sink(&ar->file);

	return n ? sink.write(sink.ctx, zeros, n, err) : 0;
}

int out_archive_commit(struct out_archive *ar, struct cairn_err *err)
{
	if (!ar->folder) {
		TRY(tar_zeros(ar, TAR_END, err));
		TRY(out_file_commit(&ar->file, err));
	}
	ar->made = false;
	return 0;
}

/* --- either ----------------------------------------------------------------- */

int out_archive_dir(struct out_archive *ar, const char *path, struct cairn_err *err)
{
	if (!ar->folder)
		return tar_header(ar, path, LAYER_DIR, 0, err);
	return fs_mkdir_p(ar->dirfd, path, 0777, err);
}

int out_archive_put(struct out_archive *ar, const char *path, str bytes, struct cairn_err *err)
{
	const struct layer_sink *sink = NULL;

	if (ar->folder)
		return fs_write_file(ar->dirfd, path, bytes, 0644, err);
	TRY(out_archive_begin(ar, path, bytes.len, &sink, err));
	TRY(sink->write(sink->ctx, bytes.ptr, bytes.len, err));
	return out_archive_end(ar, path, err);
}

bool out_archive_has(const struct out_archive *ar, const char *path, uint64_t size)
{
	struct stat st;

	return ar->folder && fstatat(ar->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

static int archive_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct out_archive *ar = ctx;
	int fd = ar->folder ? ar->fd : ar->file.fd;

	if (n > ar->left)
		return cairn_fail(err, CAIRN_E_DIGEST, "a blob is longer than it was");
	ar->left -= n;
	return fs_write_all(fd, p, n, ar->folder ? ar->dest : ar->file.dest, err);
}

int out_archive_begin(struct out_archive *ar, const char *path, uint64_t size,
                      const struct layer_sink **ret_sink, struct cairn_err *err)
{
	ar->left = ar->size = size;
	ar->sink = (struct layer_sink){ archive_write, ar };
	*ret_sink = &ar->sink;
	if (!ar->folder)
		return tar_header(ar, path, LAYER_FILE, size, err);
	ar->tmp = fs_random_name(".cairn-");
	ar->fd = openat(ar->dirfd, ar->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return ar->fd < 0 ? cairn_fail_sys(err, "create '%s/%s'", ar->dest, path) : 0;
}

int out_archive_end(struct out_archive *ar, const char *path, struct cairn_err *err)
{
	if (ar->left)
		return cairn_fail(err, CAIRN_E_DIGEST, "a blob is shorter than it was");
	if (!ar->folder)
		return tar_zeros(ar, (size_t)(-ar->size % TAR_BLOCK), err);
	if (close(steal_fd(&ar->fd)) < 0)
		return cairn_fail_sys(err, "write '%s/%s'", ar->dest, path);
	if (renameat(ar->dirfd, ar->tmp, ar->dirfd, path) < 0)
		return cairn_fail_sys(err, "rename to '%s/%s'", ar->dest, path);
	free(steal_ptr(&ar->tmp));
	return 0;
}

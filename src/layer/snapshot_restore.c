/* A snapshot becomes a directory again.
 *
 * First everything that has no bytes in packs, then the packs side by side (each thread
 * creates the files of its pack), then hard links, large files' metadata and, deepest first,
 * directories'.
 */
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <zstd.h>

#include "outdir.h"
#include "snapshot.h"
#include "snapshot_code.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/map.h"
#include "util/pool.h"

#define WINDOW_LOG_MAX 23 /* packs are made of frames of 1 MiB */
#define OUT_SIZE       131072u

struct restore {
	const struct snapshot *s;
	const struct snapshot_restore *o;
	bool *done;    /* by position in s->files: it is there already */
	size_t *packs; /* numbers of those that are fetched */
	size_t n_packs;
	size_t *first; /* by pack: position of the first file that begins in it or before */
};

static bool is_large(const struct layer_entry *e)
{
	return e->size > SNAPSHOT_PACK;
}

/* ---- one pack ---- */

/* Where in a pack's stream we are, and the file that is being written. */
struct unpacker {
	struct restore *r;
	const struct snapshot_pack *pack;
	struct outdir out;
	ZSTD_DStream *zstd;
	char *raw;      /* OUT_SIZE bytes */
	bool mid_frame; /* the input must not end here */
	uint64_t at;    /* in the stream of all packs */
	size_t file;    /* position in s->files of the next or current one */
	int fd;         /* of the current file, or -1 */
	struct sha256 hash;
};

static int fail_pack(struct cairn_err *err, const char *what)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "a pack %s", what);
}

static int copy_all(int from, int to, uint64_t size, const struct layer_entry *e,
                    struct cairn_err *err)
{
	off_t at = 0;

	while ((uint64_t)at < size) {
		ssize_t n = sendfile(to, from, &at, size - (uint64_t)at);

		if (n == 0)
			return cairn_fail(err, CAIRN_E_DIGEST, "'/%.*s' is too short",
			                  STR(e->path));
		if (n < 0 && errno != EINTR)
			return cairn_fail_sys(err, "copy '/%.*s'", STR(e->path));
	}
	return 0;
}

/* Another file with the content of `from`, which lies in the directory already. */
static int duplicate(struct outdir *out, const struct layer_entry *from,
                     const struct layer_entry *e, struct cairn_err *err)
{
	cleanup_free char *path = str_dup(from->path);
	cleanup_fd int in = fs_open_beneath(out->root, path, O_RDONLY | O_NONBLOCK), to = -1;

	if (in < 0)
		return cairn_fail_sys(err, "open '/%s'", path);
	TRY(outdir_create(out, e, &to, err));
	TRY(copy_all(in, to, e->size, e, err));
	return outdir_set_file(to, e, err);
}

static int open_large(struct unpacker *u, const struct layer_entry *e, struct cairn_err *err)
{
	cleanup_free char *path = str_dup(e->path);

	u->fd = fs_open_beneath(u->out.root, path, O_WRONLY | O_NONBLOCK);
	if (u->fd < 0 || lseek(u->fd, (off_t)(u->at - e->tar_offset), SEEK_SET) < 0)
		return cairn_fail_sys(err, "open '/%s'", path);
	return 0;
}

static int begin_file(struct unpacker *u, const struct layer_entry *e, struct cairn_err *err)
{
	sha256_init(&u->hash);
	return is_large(e) ? open_large(u, e, err) : outdir_create(&u->out, e, &u->fd, err);
}

/* The file is whole, or all of a large one that this pack has. */
static int end_file(struct unpacker *u, const struct layer_entry *e, struct cairn_err *err)
{
	const struct snapshot *s = u->r->s;
	struct digest d = sha256_end(&u->hash);
	int r = 0;

	if (!is_large(e) && !digest_eq(&d, &e->digest))
		r = cairn_fail(err, CAIRN_E_DIGEST, "a pack has other bytes for '/%.*s'",
		               STR(e->path));
	if (r == 0 && !is_large(e))
		r = outdir_set_file(u->fd, e, err);
	fs_close_p_(&u->fd);
	TRY(r);
	if (is_large(e))
		return 0;
	for (u->file++; u->file < s->n_files; u->file++) {
		if (s->files[u->file]->tar_offset != e->tar_offset)
			break;
		if (!u->r->done[u->file])
			TRY(duplicate(&u->out, e, s->files[u->file], err));
	}
	return 0;
}

/* The next file with bytes at or after u->at that is not there yet; NULL: none in this pack. */
static const struct layer_entry *next_file(struct unpacker *u)
{
	const struct snapshot *s = u->r->s;

	for (; u->file < s->n_files; u->file++) {
		const struct layer_entry *e = s->files[u->file];

		if (e->tar_offset >= u->pack->start + u->pack->raw)
			return NULL;
		if (e->tar_offset + e->size > u->at && !u->r->done[u->file])
			return e;
	}
	return NULL;
}

/* Uncompressed bytes of the pack. */
static int take(struct unpacker *u, const char *p, size_t n, struct cairn_err *err)
{
	uint64_t end = u->pack->start + u->pack->raw;

	if (n > end - u->at)
		return fail_pack(err, "is longer than it should be");
	while (n) {
		const struct layer_entry *e = next_file(u);
		uint64_t skip = !e ? n : e->tar_offset > u->at ? e->tar_offset - u->at : 0, part;

		if (skip) {
			part = skip < n ? skip : n;
		} else {
			part = e->tar_offset + e->size - u->at;
			part = part < n ? part : n;
			if (u->fd < 0)
				TRY(begin_file(u, e, err));
			sha256_add(&u->hash, p, part);
			TRY(fs_write_all(u->fd, p, part, "a file of a snapshot", err));
		}
		u->at += part;
		p += part;
		n -= part;
		if (!skip && (u->at == e->tar_offset + e->size || u->at == end))
			TRY(end_file(u, e, err));
	}
	return 0;
}

/* Compressed bytes. */
static int take_blob(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct unpacker *u = ctx;
	ZSTD_inBuffer in = { p, n, 0 };

	while (in.pos < in.size) {
		ZSTD_outBuffer out = { u->raw, OUT_SIZE, 0 };
		size_t left = ZSTD_decompressStream(u->zstd, &out, &in);

		if (ZSTD_isError(left))
			return fail_pack(err, "cannot be decompressed");
		TRY(take(u, u->raw, out.pos, err));
		while (out.pos == OUT_SIZE && left) { /* there may be more of what was read */
			out.pos = 0;
			left = ZSTD_decompressStream(u->zstd, &out, &in);
			if (ZSTD_isError(left))
				return fail_pack(err, "cannot be decompressed");
			TRY(take(u, u->raw, out.pos, err));
		}
		u->mid_frame = left != 0;
	}
	return 0;
}

static int unpack(struct unpacker *u, struct cairn_err *err)
{
	struct layer_sink sink = { take_blob, u };

	TRY(u->r->o->fetch(u->r->o->ctx, u->pack, &sink, err));
	if (u->mid_frame || u->at != u->pack->start + u->pack->raw)
		return fail_pack(err, "is shorter than it should be");
	return 0;
}

static int unpack_pack(void *ctx, size_t i, struct cairn_err *err)
{
	struct restore *r = ctx;
	size_t number = r->packs[i];
	struct unpacker u = { .r = r,
		              .pack = &r->s->packs[number],
		              .zstd = ZSTD_createDStream(),
		              .raw = xmalloc(OUT_SIZE),
		              .at = r->s->packs[number].start,
		              .file = r->first[number],
		              .fd = -1 };
	int result;

	outdir_init(&u.out, r->o->out_dirfd, LAYER_XATTR_TRUSTED);
	if (!u.zstd ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(u.zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		CAIRN_BUG("no zstd");
	result = unpack(&u, err);
	fs_close_p_(&u.fd);
	outdir_done(&u.out);
	ZSTD_freeDStream(u.zstd);
	free(u.raw);
	return result;
}

/* ---- what is there already ---- */

/* Is the file as the entry wants it, without capabilities on either side? */
static bool same_meta(const struct stat *st, const struct layer_entry *was,
                      const struct layer_entry *e)
{
	return (st->st_mode & 07777) == e->mode && st->st_uid == e->uid && st->st_gid == e->gid &&
	       snapshot_time(&st->st_mtim) == e->mtime && !was->n_xattrs && !e->n_xattrs;
}

/* Does the file hold what the entry says? */
static bool has_content(int fd, const struct layer_entry *e)
{
	cleanup_free char *buf = xmalloc(OUT_SIZE);
	struct cairn_err ignored;
	struct sha256 h;
	struct digest d;
	size_t n = 0;

	sha256_init(&h);
	do {
		if (fs_read_full(fd, buf, OUT_SIZE, &n, "a file of a cache mount", &ignored) < 0)
			return false;
		sha256_add(&h, buf, n);
	} while (n == OUT_SIZE);
	d = sha256_end(&h);
	return digest_eq(&d, &e->digest);
}

/* The old directory's file of that entry, when it is still what it was; else -1. */
static int open_old(const struct snapshot_restore *o, const struct layer_entry *e,
                    struct stat *ret_st)
{
	const struct snapshot_stat *known = &o->old.stats[e - o->old.snapshot->index->entries];
	cleanup_free char *path = str_dup(e->path);
	cleanup_fd int fd = fs_open_beneath(o->old_dirfd, path, O_RDONLY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode) ||
	    (uint64_t)ret_st->st_size != e->size)
		return -1;
	/* Reading it is cheaper than having it sent. */
	if ((uint64_t)ret_st->st_ino != known->ino ||
	    snapshot_time(&ret_st->st_ctim) != known->changed)
		return has_content(fd, e) ? steal_fd(&fd) : -1;
	return steal_fd(&fd);
}

static int link_old(int fd, struct outdir *out, str path)
{
	char from[64];
	struct cairn_err ignored;
	int dir;

	if (outdir_parent(out, path, &dir, &ignored) < 0)
		return -1;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, from, dir, out->name, AT_SYMLINK_FOLLOW);
}

/* Take a file from the old directory; *ret_done stays false when it has none such. */
static int take_old(struct restore *r, struct outdir *out, const struct layer_entry *have,
                    const struct layer_entry *e, bool *ret_done, struct cairn_err *err)
{
	cleanup_fd int fd = -1, to = -1;
	struct stat st;

	fd = open_old(r->o, have, &st);
	if (fd < 0)
		return 0;
	*ret_done = true;
	/* Its second name is the only one soon, unless it has more of them. */
	if (same_meta(&st, have, e) && st.st_nlink == 1 && link_old(fd, out, e->path) == 0)
		return 0;
	TRY(outdir_create(out, e, &to, err));
	TRY(copy_all(fd, to, e->size, e, err));
	return outdir_set_file(to, e, err);
}

static int take_all_old(struct restore *r, struct outdir *out, struct cairn_err *err)
{
	const struct snapshot *old = r->o->old.snapshot;
	cleanup_map struct map by_digest = { 0 };

	if (!old)
		return 0;
	for (size_t i = 0; i < old->n_files; i++)
		map_put(&by_digest, str_n((const char *)old->files[i]->digest.b, DIGEST_LEN),
		        (void *)(uintptr_t)old->files[i]);
	for (size_t i = 0; i < r->s->n_files; i++) {
		const struct layer_entry *e = r->s->files[i], *have;

		/* The same path first: then it is a link and not a copy. */
		have = layer_index_find(old->index, e->path);
		if (!have || have->type != LAYER_FILE || !digest_eq(&have->digest, &e->digest))
			have = map_get(&by_digest, str_n((const char *)e->digest.b, DIGEST_LEN));
		if (have && have->size == e->size)
			TRY(take_old(r, out, have, e, &r->done[i], err));
	}
	return 0;
}

/* ---- what has no bytes in packs ---- */

static int make_plain(struct outdir *out, const struct layer_entry *e, struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	bool absent = false;

	switch (e->type) {
	case LAYER_DIR:
		return e->path.len ? outdir_mkdir(out, e->path, err) : 0;
	case LAYER_SYMLINK:
		return outdir_make(out, e, &absent, err);
	case LAYER_FILE:
		if (e->size)
			return 0;
		TRY(outdir_create(out, e, &fd, err));
		return outdir_set_file(fd, e, err);
	case LAYER_HARDLINK: /* when all files are there */
		return 0;
	case LAYER_CHAR:
	case LAYER_BLOCK:
	case LAYER_FIFO:
	case LAYER_WHITEOUT:
	case LAYER_TYPE_N_:
		break;
	}
	CAIRN_BUG("a snapshot with a %s", layer_type_name(e->type));
}

/* Large files are written by several packs, so they are there before. Equal ones are each
 * other's copies in the end. */
static int make_large(struct restore *r, struct outdir *out, struct cairn_err *err)
{
	for (size_t i = 0; i < r->s->n_files; i++) {
		struct layer_entry e = *r->s->files[i];
		cleanup_fd int fd = -1;

		if (!is_large(&e) || r->done[i])
			continue;
		e.mode = 0600; /* it is opened again */
		TRY(outdir_create(out, &e, &fd, err));
	}
	return 0;
}

static int finish_large(struct restore *r, struct cairn_err *err)
{
	const struct layer_entry *first = NULL;

	for (size_t i = 0; i < r->s->n_files; i++) {
		const struct layer_entry *e = r->s->files[i];
		bool again = first && first->tar_offset == e->tar_offset;
		cleanup_free char *path = str_dup(e->path);
		cleanup_fd int fd = -1, in = -1;

		if (!is_large(e) || r->done[i])
			continue;
		fd = fs_open_beneath(r->o->out_dirfd, path, O_WRONLY | O_NONBLOCK);
		if (fd < 0)
			return cairn_fail_sys(err, "open '/%s'", path);
		if (again) {
			cleanup_free char *from = str_dup(first->path);

			in = fs_open_beneath(r->o->out_dirfd, from, O_RDONLY | O_NONBLOCK);
			if (in < 0)
				return cairn_fail_sys(err, "open '/%s'", from);
			TRY(copy_all(in, fd, e->size, e, err));
		} else {
			first = e;
		}
		TRY(outdir_set_file(fd, e, err));
	}
	return 0;
}

/* ---- all ---- */

/* Which packs have bytes that are missing, and the first file of each. */
static void choose_packs(struct restore *r, uint64_t *ret_bytes)
{
	const struct snapshot *s = r->s;
	cleanup_free bool *need = xcalloc(s->n_packs, sizeof(*need));

	for (size_t i = s->n_files; i-- > 0;) {
		const struct layer_entry *e = s->files[i];
		size_t k = snapshot_pack_at(s, e->tar_offset);
		size_t last = snapshot_pack_at(s, e->tar_offset + e->size - 1);

		for (; k <= last; k++) {
			r->first[k] = i;
			need[k] |= !r->done[i];
		}
	}
	for (size_t k = 0; k < s->n_packs; k++)
		if (need[k]) {
			r->packs[r->n_packs++] = k;
			*ret_bytes += s->packs[k].raw;
		}
}

static int make_links_and_dirs(struct restore *r, struct outdir *out, struct cairn_err *err)
{
	const struct layer_index *ix = r->s->index;

	for (size_t i = 0; i < ix->n_entries; i++)
		if (ix->entries[i].type == LAYER_HARDLINK)
			TRY(outdir_link(out, ix->entries[i].target, ix->entries[i].path, err));
	for (size_t i = ix->n_entries; i-- > 0;)
		if (ix->entries[i].type == LAYER_DIR)
			TRY(outdir_set_dir(out, &ix->entries[i], err));
	return 0;
}

static int restore(struct restore *r, struct outdir *out, uint64_t *ret_fetched,
                   struct cairn_err *err)
{
	const struct layer_index *ix = r->s->index;

	*ret_fetched = 0;
	for (size_t i = 0; i < ix->n_entries; i++)
		TRY(make_plain(out, &ix->entries[i], err));
	TRY(take_all_old(r, out, err));
	TRY(make_large(r, out, err));
	choose_packs(r, ret_fetched);
	if (r->o->pool)
		TRY(pool_map(r->o->pool, r->n_packs, unpack_pack, r, err));
	else
		for (size_t i = 0; i < r->n_packs; i++)
			TRY(unpack_pack(r, i, err));
	TRY(finish_large(r, err));
	return make_links_and_dirs(r, out, err);
}

int snapshot_restore(const struct snapshot *s, const struct snapshot_restore *opts,
                     uint64_t *ret_fetched, struct cairn_err *err)
{
	struct restore r = { .s = s,
		             .o = opts,
		             .done = xcalloc(s->n_files, sizeof(bool)),
		             .packs = xcalloc(s->n_packs, sizeof(size_t)),
		             .first = xcalloc(s->n_packs, sizeof(size_t)) };
	struct outdir out;
	int result;

	outdir_init(&out, opts->out_dirfd, LAYER_XATTR_TRUSTED);
	result = restore(&r, &out, ret_fetched, err);
	outdir_done(&out);
	free(r.done);
	free(r.packs);
	free(r.first);
	return result;
}

#include "unpack_files.h"

#include "util/fs.h"

/* Bytes of etc/passwd* and etc/group* kept in all are bounded: the same name may come often. */
static bool may_be_inlined(const struct unpack *u, const struct layer_entry *e)
{
	return e->size <= LAYER_INLINE_MAX && e->size <= u->inline_left &&
	       (str_starts(e->path, S("etc/passwd")) || str_starts(e->path, S("etc/group")));
}

/* ---- behind the reader ---- */

static int write_piece(struct outdir *o, const struct file_piece *p, struct cairn_err *err)
{
	struct body *b = p->body;

	if (p->first)
		TRY(outdir_create(o, &b->e, &b->fd, err));
	TRY(fs_write_all(b->fd, p->bytes.ptr, p->bytes.len, b->e.path.ptr, err));
	return p->last ? outdir_set_file(b->fd, &b->e, err) : 0;
}

static int write_pieces(struct unpack *u, struct outdir *o, const struct file_piece *p, size_t n,
                        struct cairn_err *err)
{
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		if (!atomic_load(&u->stopped)) {
			result = write_piece(o, &p[i], err);
			if (result < 0)
				atomic_store(&u->stopped, true);
		}
		if (p[i].last)
			fs_close_p_(&p[i].body->fd);
	}
	return result;
}

/* The first piece of a buffer may go on with a file. */
static int write_part(void *ctx, uint64_t number, enum ahead_part part, struct cairn_err *err)
{
	struct unpack *u = ctx;
	const struct file_piece *p = u->pieces[number % AHEAD_BUFFERS].ptr;
	size_t heads = p[0].first ? 0 : 1, n = u->pieces[number % AHEAD_BUFFERS].len;
	struct outdir o;
	int r;

	outdir_init(&o, u->opts->out_dirfd, u->opts->xattr_ns);
	r = part == AHEAD_HEAD ? write_pieces(u, &o, p, heads, err)
	                       : write_pieces(u, &o, p + heads, n - heads, err);
	outdir_done(&o);
	return r;
}

/* ---- in the reader's thread ---- */

void files_init(struct unpack *u, const struct layer_reader *tar)
{
	const struct ahead_opts opts = {
		.in = tar, .pool = u->opts->pool, .behind = write_part, .ctx = u
	};

	u->tar = tar_reader_new_ahead(&opts);
}

static void note_piece(struct unpack *u, const struct file_piece *p)
{
	uint64_t number = tar_number(u->tar);
	size_t at = number % AHEAD_BUFFERS;

	if (number != u->number)
		u->pieces[at].len = 0; /* of a buffer that is gone */
	u->number = number;
	vec_push(&u->pieces[at], *p);
	tar_behind(u->tar, p->first);
	u->begun = p->last ? NULL : p->body;
}

int files_take(struct unpack *u, struct body *b, struct cairn_err *err)
{
	bool keep = may_be_inlined(u, &b->e);
	cleanup_free char *bytes = keep ? xmalloc(b->e.size + 1) : NULL;
	uint64_t done = 0;
	str part = S("");

	b->fd = -1;
	tar_digest(u->tar, &b->e.digest); /* b lives as long as the layer is read */
	do {
		if (b->e.size)
			TRY(tar_content(u->tar, &part, err));
		if (u->opts->out_dirfd >= 0)
			note_piece(u, &(struct file_piece){ b, part, done == 0,
			                                    done + part.len == b->e.size });
		if (keep && part.len)
			memcpy(bytes + done, part.ptr, part.len);
		done += part.len;
	} while (done < b->e.size);
	if (keep) {
		b->bytes = arena_str(u->arena, str_n(bytes, b->e.size));
		u->inline_left -= b->e.size;
	}
	return 0;
}

int files_drain(struct unpack *u, struct cairn_err *err)
{
	TRY(tar_drain(u->tar, err));
	u->pieces[u->number % AHEAD_BUFFERS].len = 0;
	return 0;
}

void files_done(struct unpack *u)
{
	struct cairn_err ignored;

	atomic_store(&u->stopped, true);
	(void)tar_drain(u->tar, &ignored);
	tar_reader_free(u->tar);
	if (u->begun)
		fs_close_p_(&u->begun->fd);
	for (size_t i = 0; i < AHEAD_BUFFERS; i++)
		vec_free(&u->pieces[i]);
}

/* One pass over the data in rounds.  A round is up to LAYER_ROUND_BYTES of
 * file content in one buffer, cut into tasks of some files each.  While the
 * pool's threads fill the buffer of one round (read, hash, copy out), one of
 * them feeds the round before into the tar's hash and sink, in order.  Only
 * pool_map() is used: with one thread the same happens one after the other.
 */
#include "write.h"

#include <sys/stat.h>

#include "canon.h"
#include "outdir.h"
#include "tar.h"
#include "util/fs.h"
#include "util/pool.h"

#define ROUND_ITEMS 8192u         /* items of a round: bounds its list of pieces */
#define TASK_WEIGHT (256u * 1024) /* bytes of a task; a file costs FILE_WEIGHT more */
#define FILE_WEIGHT 32768u        /* what opening and creating costs, in bytes of copying */
#define TAR_BUFFER  (64u * 1024)  /* small writes to the sink are gathered */

/* A piece of an item's content in a round's buffer; for everything but a FILE
 * with bytes an empty one, which stands for the headers. */
struct piece {
	struct layer_plan_item *item;
	uint64_t offset; /* in the file */
	size_t len;
	size_t at; /* in the buffer */
};

/* A file whose content spans rounds. */
struct big_file {
	int in, out; /* or -1 */
	struct sha256 hash;
};

struct round {
	char *buffer;
	VEC(struct piece) pieces;
	VEC(size_t) tasks; /* first piece of each task, and one more: the end */
};

struct tar_out {
	struct sha256 hash;
	const struct layer_sink *sink; /* or NULL */
	struct strbuf small;           /* gathered for the sink */
	struct strbuf headers;
	uint64_t size;
};

struct writer {
	struct layer_plan *plan;
	const struct layer_write_opts *opts;
	int64_t clamp_mtime;
	struct tar_out tar;
	struct round rounds[2];
	struct round *now, *before;     /* filled; written to the tar. before may be empty */
	struct big_file enters, leaves; /* across the border of the round that is filled */
	size_t next;                    /* item */
	uint64_t next_offset;           /* in its content */
	str inlined[LAYER_INLINE_N_];   /* owned */
	struct strbuf absent;           /* devices that could not be made */
};

/* ---- the tar ---- */

static int tar_flush(struct tar_out *t, struct cairn_err *err)
{
	if (t->sink && t->small.len)
		TRY(t->sink->write(t->sink->ctx, t->small.ptr, t->small.len, err));
	strbuf_clear(&t->small);
	return 0;
}

static int tar_emit(struct tar_out *t, const void *p, size_t n, struct cairn_err *err)
{
	sha256_add(&t->hash, p, n);
	t->size += n;
	if (!t->sink || n == 0)
		return 0;
	if (t->small.len + n > TAR_BUFFER || n > TAR_BUFFER / 2)
		TRY(tar_flush(t, err));
	if (n > TAR_BUFFER / 2)
		return t->sink->write(t->sink->ctx, p, n, err);
	strbuf_add(&t->small, p, n);
	return 0;
}

static int tar_zeros(struct tar_out *t, size_t n, struct cairn_err *err)
{
	static const char zeros[TAR_END];

	return tar_emit(t, zeros, n, err);
}

/* Write the pieces of a round: runs beside the filling of the next one, and alone
 * touches w->tar. */
static int drain_round(struct writer *w, struct cairn_err *err)
{
	vec_foreach (p, &w->before->pieces) {
		struct layer_entry *e = &p->item->entry;

		if (p->offset == 0) {
			strbuf_clear(&w->tar.headers);
			tar_put_entry(&w->tar.headers, e, w->clamp_mtime);
			TRY(tar_emit(&w->tar, w->tar.headers.ptr, w->tar.headers.len, err));
			if (e->type == LAYER_FILE)
				e->tar_offset = w->tar.size;
		}
		TRY(tar_emit(&w->tar, w->before->buffer + p->at, p->len, err));
		if (e->type == LAYER_FILE && p->offset + p->len == e->size)
			TRY(tar_zeros(&w->tar, tar_padding(e->size), err));
	}
	return 0;
}

/* ---- the content ---- */

static int open_big(struct outdir *o, const struct writer *w, const struct layer_plan_item *it,
                    struct big_file *f, struct cairn_err *err)
{
	*f = (struct big_file){ .in = -1, .out = -1 };
	sha256_init(&f->hash);
	if (it->source.kind != LAYER_SOURCE_BYTES)
		TRY(source_open(it, &f->in, err));
	if (w->opts->out_dirfd >= 0)
		TRY(outdir_create(o, &it->entry, &f->out, err));
	return 0;
}

static void close_big(struct big_file *f)
{
	fs_close_p_(&f->in);
	fs_close_p_(&f->out);
}

static int read_piece(const struct piece *p, const struct big_file *f, char *to,
                      struct cairn_err *err)
{
	const struct layer_source *s = &p->item->source;
	const struct layer_entry *e = &p->item->entry;
	bool last = p->offset + p->len == e->size;
	size_t n = 0, more = 0;
	char c;

	if (s->kind == LAYER_SOURCE_BYTES) {
		if (s->bytes.len != e->size)
			return fail_changed(e->path, err);
		if (p->len)
			memcpy(to, s->bytes.ptr + p->offset, p->len);
		return 0;
	}
	TRY(fs_read_full(f->in, to, p->len, &n, e->path.ptr, err));
	if (last)
		TRY(fs_read_full(f->in, &c, 1, &more, e->path.ptr, err));
	return n == p->len && more == 0 ? 0 : fail_changed(e->path, err);
}

static int check_digest(const struct layer_plan_item *it, struct cairn_err *err)
{
	const struct digest *want = &it->source.expected;

	if (digest_none(want) || digest_eq(want, &it->entry.digest))
		return 0;
	return cairn_fail(err, CAIRN_E_DIGEST,
	                  "the file for '/%.*s' changed while the build ran (%s, not %s); run it "
	                  "again when nothing writes to it",
	                  STR(it->entry.path), digest_text(&it->entry.digest).s,
	                  digest_text(want).s);
}

static void keep_inlined(struct writer *w, const struct piece *p, const char *bytes)
{
	for (enum layer_inline k = 0; k < LAYER_INLINE_N_; k++) {
		if (p->len != p->item->entry.size || p->len > LAYER_INLINE_MAX ||
		    !str_eq(p->item->entry.path, layer_inline_path(k)))
			continue;
		w->inlined[k] = str_n(str_dup(str_n(bytes, p->len)), p->len);
	}
}

static int do_piece(struct writer *w, struct outdir *o, const struct piece *p,
                    struct cairn_err *err)
{
	struct layer_entry *e = &p->item->entry;
	char *bytes = w->now->buffer + p->at;
	bool last = p->offset + p->len == e->size;
	struct big_file here, *f = p->offset ? &w->enters : last ? &here : &w->leaves;
	int r = 0;

	if (p->offset == 0)
		r = open_big(o, w, p->item, f, err);
	if (r == 0)
		r = read_piece(p, f, bytes, err);
	if (r == 0) {
		sha256_add(&f->hash, bytes, p->len);
		if (f->out >= 0)
			r = fs_write_all(f->out, bytes, p->len, e->path.ptr, err);
	}
	if (r == 0 && last) {
		e->digest = sha256_end(&f->hash);
		r = check_digest(p->item, err);
		if (r == 0 && f->out >= 0)
			r = outdir_set_file(f->out, e, err);
		keep_inlined(w, p, bytes);
	}
	if (r < 0 || last)
		close_big(f);
	else if (f == &w->enters) { /* it goes on into the next round */
		w->leaves = w->enters;
		w->enters = (struct big_file){ .in = -1, .out = -1 };
	}
	return r;
}

static int fill_task(struct writer *w, size_t task, struct cairn_err *err)
{
	struct outdir o;
	int r = 0;

	outdir_init(&o, w->opts->out_dirfd, w->opts->xattr_ns);
	for (size_t i = w->now->tasks.ptr[task]; r == 0 && i < w->now->tasks.ptr[task + 1]; i++)
		if (w->now->pieces.ptr[i].item->entry.type == LAYER_FILE)
			r = do_piece(w, &o, &w->now->pieces.ptr[i], err);
	outdir_done(&o);
	return r;
}

static int round_task(void *ctx, size_t i, struct cairn_err *err)
{
	return i == 0 ? drain_round(ctx, err) : fill_task(ctx, i - 1, err);
}

/* Put as many pieces as fit into w->now; false when nothing is left. */
static bool plan_round(struct writer *w)
{
	struct round *r = w->now;
	size_t used = 0, weight = TASK_WEIGHT;

	r->pieces.len = r->tasks.len = 0;
	while (w->next < w->plan->items.len && used < LAYER_ROUND_BYTES &&
	       r->pieces.len < ROUND_ITEMS) {
		struct layer_plan_item *it = &w->plan->items.ptr[w->next];
		uint64_t left = it->entry.type == LAYER_FILE ? it->entry.size - w->next_offset : 0;
		size_t len =
			left < LAYER_ROUND_BYTES - used ? (size_t)left : LAYER_ROUND_BYTES - used;

		if (len < left && used && left <= LAYER_INLINE_MAX)
			break; /* small files stay whole */
		if (weight >= TASK_WEIGHT) {
			vec_push(&r->tasks, r->pieces.len);
			weight = 0;
		}
		vec_push(&r->pieces, (struct piece){ it, w->next_offset, len, used });
		used += len;
		weight += len + FILE_WEIGHT * (it->entry.type == LAYER_FILE);
		w->next_offset += len;
		if (len < left)
			break;
		w->next++;
		w->next_offset = 0;
	}
	vec_push(&r->tasks, r->pieces.len);
	return r->pieces.len > 0;
}

static int run_rounds(struct writer *w, struct cairn_err *err)
{
	bool more;

	do {
		struct round *done = w->now;

		w->now = w->before;
		w->before = done;
		w->enters = w->leaves;
		w->leaves = (struct big_file){ .in = -1, .out = -1 };
		more = plan_round(w);
		TRY(run_all(w->opts->pool, w->now->tasks.len, round_task, w, err));
	} while (more);
	TRY(tar_zeros(&w->tar, TAR_END, err));
	return tar_flush(&w->tar, err);
}

/* ---- what is not a file ---- */

static int make_dirs(const struct writer *w, struct outdir *o, struct cairn_err *err)
{
	vec_foreach (it, &w->plan->items)
		if (it->entry.type == LAYER_DIR && it->entry.path.len)
			TRY(outdir_mkdir(o, it->entry.path, err));
	return 0;
}

static int make_other(struct writer *w, struct outdir *o, const struct layer_entry *e,
                      struct cairn_err *err)
{
	bool absent = false;

	switch (e->type) {
	case LAYER_FILE:
	case LAYER_DIR:
		return 0;
	case LAYER_HARDLINK:
		return outdir_link(o, e->target, e->path, err);
	case LAYER_WHITEOUT:
		return outdir_whiteout(o, e->path, err);
	case LAYER_SYMLINK:
	case LAYER_CHAR:
	case LAYER_BLOCK:
	case LAYER_FIFO:
		TRY(outdir_make(o, e, &absent, err));
		if (absent) {
			strbuf_str(&w->absent, e->path);
			strbuf_char(&w->absent, '\0');
		}
		return 0;
	case LAYER_TYPE_N_:
		break;
	}
	CAIRN_BUG("unknown type %d", (int)e->type);
}

static int finish_out(struct writer *w, struct outdir *o, struct cairn_err *err)
{
	vec_foreach (it, &w->plan->items)
		TRY(make_other(w, o, &it->entry, err));
	for (size_t i = w->plan->items.len; i-- > 0;)
		if (w->plan->items.ptr[i].entry.type == LAYER_DIR)
			TRY(outdir_set_dir(o, &w->plan->items.ptr[i].entry, err));
	return 0;
}

/* ---- the whole ---- */

static int write_all(struct writer *w, struct cairn_err *err)
{
	struct outdir o;
	int r = 0;

	outdir_init(&o, w->opts->out_dirfd, w->opts->xattr_ns);
	if (w->opts->out_dirfd >= 0)
		r = make_dirs(w, &o, err);
	if (r == 0)
		r = run_rounds(w, err);
	if (r == 0 && w->opts->out_dirfd >= 0)
		r = finish_out(w, &o, err);
	outdir_done(&o);
	return r;
}

static void writer_init(struct writer *w, struct layer_plan *plan,
                        const struct layer_write_opts *opts)
{
	*w = (struct writer){ .plan = plan, .opts = opts, .clamp_mtime = INT64_MAX };
	w->now = &w->rounds[0];
	w->before = &w->rounds[1];
	for (unsigned i = 0; i < 2; i++)
		w->rounds[i].buffer = xmalloc(LAYER_ROUND_BYTES);
	w->enters = w->leaves = (struct big_file){ .in = -1, .out = -1 };
	sha256_init(&w->tar.hash);
	w->tar.sink = opts->tar;
	strbuf_init(&w->tar.small, TAR_BUFFER);
	strbuf_init(&w->absent, LAYER_INDEX_MAX);
	strbuf_init(&w->tar.headers, 2u * LAYER_XATTRS_MAX * LAYER_XATTR_VALUE_MAX);
}

static void writer_done(struct writer *w)
{
	for (unsigned i = 0; i < 2; i++) {
		free(w->rounds[i].buffer);
		vec_free(&w->rounds[i].pieces);
		vec_free(&w->rounds[i].tasks);
	}
	close_big(&w->enters);
	close_big(&w->leaves);
	strbuf_done(&w->tar.small);
	strbuf_done(&w->tar.headers);
	strbuf_done(&w->absent);
	for (unsigned k = 0; k < LAYER_INLINE_N_; k++)
		free((char *)(uintptr_t)w->inlined[k].ptr);
}

/* The file that a hard link names: its content is known by now. */
static const struct layer_entry *link_file(const struct layer_entry *entries, size_t n, str path)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = layer_path_cmp(entries[mid].path, path);

		if (c == 0)
			return &entries[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	CAIRN_BUG("hard link to '%.*s', which is not in the plan", STR(path));
}

static void make_result(struct writer *w, struct layer_result *ret)
{
	size_t n = w->plan->items.len;
	struct layer_entry *entries = xcalloc(n, sizeof(*entries));

	*ret = (struct layer_result){ .tar_size = w->tar.size, .absent_len = w->absent.len };
	ret->absent = strbuf_steal(&w->absent);
	for (size_t i = 0; i < n; i++) {
		struct layer_entry *e = &entries[i];

		*e = w->plan->items.ptr[i].entry;
		if (e->type == LAYER_FILE) {
			ret->content_size += e->size;
		} else if (e->type == LAYER_HARDLINK) { /* its file sorts before it */
			const struct layer_entry *file = link_file(entries, i, e->target);

			e->digest = file->digest;
			e->tar_offset = file->tar_offset;
		}
	}
	ret->index = layer_index_new(entries, n, w->inlined);
	ret->diff_id = sha256_end(&w->tar.hash);
	free(entries);
}

int layer_write(struct layer_plan *plan, const struct tree *below,
                const struct layer_write_opts *opts, struct layer_result *ret,
                struct cairn_err *err)
{
	struct writer w;
	int r;

	TRY(canon_plan(plan, below, opts, err));
	writer_init(&w, plan, opts);
	r = write_all(&w, err);
	if (r == 0)
		make_result(&w, ret);
	writer_done(&w);
	return r;
}

void layer_result_done(struct layer_result *r)
{
	layer_index_unref(r->index);
	free(r->absent);
	*r = (struct layer_result){ 0 };
}

/* A plan that says what the index says, its files in dirfd. */
static struct layer_plan *plan_of_index(const struct layer_index *ix, int dirfd)
{
	struct layer_plan *plan = layer_plan_new();

	vec_reserve(&plan->items, ix->n_entries);
	for (size_t i = 0; i < ix->n_entries; i++) {
		struct layer_plan_item it = { .entry = ix->entries[i],
			                      .source = { .kind = LAYER_SOURCE_NONE } };

		if (it.entry.type == LAYER_FILE) {
			it.entry.path = arena_str(plan->arena, it.entry.path); /* with its NUL */
			it.source.kind = LAYER_SOURCE_FILE;
			it.source.dirfd = dirfd;
			it.source.path = it.entry.path;
			it.source.expected = it.entry.digest;
		}
		vec_push(&plan->items, it);
	}
	return plan;
}

int layer_tar(const struct layer_index *ix, int dirfd, const struct layer_tar_opts *opts,
              struct digest *ret_diff_id, uint64_t *ret_size, struct cairn_err *err)
{
	const struct layer_write_opts wopts = { .out_dirfd = -1,
		                                .tar = opts->sink,
		                                .pool = opts->pool };
	struct layer_plan *plan = plan_of_index(ix, dirfd);
	struct writer w;
	int r;

	writer_init(&w, plan, &wopts);
	w.clamp_mtime = opts->clamp_mtime;
	r = write_all(&w, err);
	if (r == 0) {
		*ret_diff_id = sha256_end(&w.tar.hash);
		if (ret_size)
			*ret_size = w.tar.size;
	}
	writer_done(&w);
	layer_plan_free(plan);
	return r;
}

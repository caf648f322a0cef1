#include "index.h"

#include <stdint.h>

#include "util/arena.h"

str layer_inline_path(enum layer_inline which)
{
	return which == LAYER_INLINE_PASSWD ? S("etc/passwd") : S("etc/group");
}

static str copy_str(struct arena *a, str s)
{
	return s.len ? arena_str(a, s) : str_n("", 0);
}

static void copy_entry(struct arena *a, struct layer_entry *to, const struct layer_entry *from)
{
	struct layer_xattr *x = NULL;

	*to = *from;
	to->path = copy_str(a, from->path);
	to->target = copy_str(a, from->target);
	if (from->n_xattrs)
		x = arena_array(a, struct layer_xattr, from->n_xattrs);
	for (uint32_t i = 0; i < from->n_xattrs; i++) {
		x[i].name = copy_str(a, from->xattrs[i].name);
		x[i].value = copy_str(a, from->xattrs[i].value);
	}
	to->xattrs = x;
}

struct layer_index *layer_index_new(const struct layer_entry *entries, size_t n_entries,
                                    const str inlined[LAYER_INLINE_N_])
{
	struct layer_index *ix = xcalloc(1, sizeof(*ix));
	struct layer_entry *copy;

	ix->refs = 1;
	ix->arena = arena_new();
	copy = arena_array(ix->arena, struct layer_entry, n_entries);
	for (size_t i = 0; i < n_entries; i++) {
		copy_entry(ix->arena, &copy[i], &entries[i]);
		if (i && layer_path_cmp(entries[i - 1].path, entries[i].path) >= 0)
			CAIRN_BUG("index entries are not sorted at '%.*s'", STR(entries[i].path));
	}
	ix->entries = copy;
	ix->n_entries = n_entries;
	for (unsigned k = 0; inlined && k < LAYER_INLINE_N_; k++)
		if (inlined[k].ptr)
			ix->inlined[k] = copy_str(ix->arena, inlined[k]);
	return ix;
}

/* The reference count is the one thing that changes in an index; an index is
 * never in read-only memory. */
static struct layer_index *mutable_index(const struct layer_index *ix)
{
	return (struct layer_index *)(uintptr_t)ix;
}

struct layer_index *layer_index_ref(const struct layer_index *ix)
{
	__atomic_add_fetch(&mutable_index(ix)->refs, 1, __ATOMIC_RELAXED);
	return mutable_index(ix);
}

void layer_index_unref(const struct layer_index *ix)
{
	struct layer_index *m = mutable_index(ix);

	if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	layer_index_unref(m->base);
	arena_free(m->arena);
	free(m->bytes);
	free(m);
}

struct layer_index *layer_index_with_frames(const struct layer_index *ix,
                                            const struct layer_frame *frames, size_t n_frames)
{
	struct layer_index *new = xcalloc(1, sizeof(*new));
	struct layer_frame *copy;

	*new = *ix;
	new->refs = 1;
	new->base = layer_index_ref(ix);
	new->bytes = NULL;
	new->arena = arena_new();
	copy = arena_array(new->arena, struct layer_frame, n_frames);
	if (n_frames)
		memcpy(copy, frames, n_frames * sizeof(*frames));
	new->frames = copy;
	new->n_frames = n_frames;
	return new;
}

const struct layer_entry *layer_index_find(const struct layer_index *ix, str path)
{
	size_t lo = 0, hi = ix->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = layer_path_cmp(ix->entries[mid].path, path);

		if (c == 0)
			return &ix->entries[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool layer_index_seek(const struct layer_index *ix, uint64_t tar_offset, uint64_t *ret_blob_offset,
                      uint64_t *ret_skip)
{
	size_t lo = 0, hi = ix->n_frames; /* the answer is in [lo, hi) */

	if (hi == 0)
		return false;
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (ix->frames[mid].tar_offset <= tar_offset)
			lo = mid;
		else
			hi = mid;
	}
	*ret_blob_offset = ix->frames[lo].blob_offset;
	*ret_skip = tar_offset - ix->frames[lo].tar_offset;
	return true;
}

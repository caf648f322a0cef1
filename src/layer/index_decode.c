#include "index_code.h"

#include "util/arena.h"

/* What is left to read. After the first mistake `bad` says what is wrong and
 * everything reads as zero, so that callers check once an entry. */
struct cursor {
	const unsigned char *p;
	size_t left;
	const char *bad; /* NULL while all is well */
};

static const unsigned char *take(struct cursor *c, size_t n)
{
	const unsigned char *p = c->p;

	if (n > c->left) {
		if (!c->bad)
			c->bad = "it ends early";
		c->left = 0;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

static uint64_t take_le(struct cursor *c, unsigned n)
{
	const unsigned char *p = take(c, n);
	uint64_t v = 0;

	for (unsigned i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static str take_str(struct cursor *c, size_t n)
{
	const unsigned char *p = take(c, n);

	return p ? str_n((const char *)p, n) : str_n("", 0);
}

static void check(struct cursor *c, bool fine, const char *what)
{
	if (!fine && !c->bad)
		c->bad = what;
}

static void take_xattrs(struct cursor *c, struct arena *a, struct layer_entry *e)
{
	struct layer_xattr *x;

	check(c, e->n_xattrs <= LAYER_XATTRS_MAX, "an entry has too many extended attributes");
	if (c->bad || e->n_xattrs == 0)
		return;
	x = arena_array(a, struct layer_xattr, e->n_xattrs);
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		size_t name_len = take_le(c, 2), value_len = take_le(c, 4);

		check(c, name_len > 0 && name_len <= LAYER_XATTR_NAME_MAX,
		      "the name of an extended attribute has a wrong length");
		check(c, value_len <= LAYER_XATTR_VALUE_MAX, "an extended attribute is too long");
		x[i].name = take_str(c, name_len);
		x[i].value = take_str(c, value_len);
		check(c, !memchr(x[i].name.ptr, '\0', x[i].name.len),
		      "the name of an extended attribute holds a NUL");
		check(c, i == 0 || str_cmp(x[i - 1].name, x[i].name) < 0,
		      "extended attributes are not sorted");
	}
	e->xattrs = x;
}

static bool target_valid(const struct layer_entry *e)
{
	if (e->type == LAYER_HARDLINK)
		return e->target.len && layer_path_valid(e->target);
	return e->target.len && e->target.len <= LAYER_PATH_MAX &&
	       !memchr(e->target.ptr, '\0', e->target.len);
}

static void take_entry(struct cursor *c, struct arena *a, struct layer_entry *e)
{
	unsigned type = (unsigned)take_le(c, 1), flags = (unsigned)take_le(c, 1);
	size_t path_len;

	check(c, type < LAYER_TYPE_N_, "an entry has an unknown type");
	check(c, flags <= (INDEX_FLAG_OPAQUE | INDEX_FLAG_OFFSET), "an entry has unknown flags");
	e->type = (enum layer_type)type;
	e->opaque = flags & INDEX_FLAG_OPAQUE;
	e->tar_offset = LAYER_NO_OFFSET;
	e->mode = (uint32_t)take_le(c, 2);
	path_len = take_le(c, 2);
	e->n_xattrs = (uint32_t)take_le(c, 2);
	e->path = take_str(c, path_len);
	check(c, e->mode <= 07777, "an entry has an impossible mode");
	check(c, !e->opaque || type == LAYER_DIR, "something else than a directory is opaque");
	check(c, layer_path_valid(e->path), "an entry has an impossible path");
	check(c, e->path.len || type == LAYER_DIR, "the root is not a directory");
	if (type == LAYER_WHITEOUT) {
		check(c, e->n_xattrs == 0 && e->path.len && !flags && !e->mode,
		      "a whiteout carries metadata");
		return;
	}
	e->uid = (uint32_t)take_le(c, 4);
	e->gid = (uint32_t)take_le(c, 4);
	e->mtime = (int64_t)take_le(c, 8);
	if (index_has_content(e->type)) {
		str sum;

		e->size = take_le(c, 8);
		sum = take_str(c, DIGEST_LEN);
		if (sum.len)
			memcpy(e->digest.b, sum.ptr, DIGEST_LEN);
		check(c, e->size <= LAYER_SIZE_MAX, "a file is impossibly large");
		check(c, !digest_none(&e->digest), "a file has no digest");
	}
	if (flags & INDEX_FLAG_OFFSET) {
		check(c, index_has_content(e->type), "something else than a file has an offset");
		e->tar_offset = take_le(c, 8);
		check(c, e->tar_offset <= LAYER_SIZE_MAX, "a file lies beyond every tar");
	}
	if (index_has_target(e->type)) {
		e->target = take_str(c, take_le(c, 2));
		check(c, target_valid(e), "a link has an impossible target");
	}
	if (index_is_device(e->type)) {
		e->major = (uint32_t)take_le(c, 4);
		e->minor = (uint32_t)take_le(c, 4);
	}
	take_xattrs(c, a, e);
}

/* Entries ascend, and each one's parent is a directory among them. `open` is
 * the path of directories from the last entry up. */
static void check_order(struct cursor *c, const struct layer_entry *entries, size_t n)
{
	const struct layer_entry *open[LAYER_PATH_MAX / 2 + 2];
	size_t depth = 0;

	for (size_t i = 0; i < n && !c->bad; i++) {
		const struct layer_entry *e = &entries[i];
		str parent = layer_path_parent(e->path);

		check(c, i == 0 || layer_path_cmp(e[-1].path, e->path) < 0,
		      "the entries are not sorted");
		while (depth && !layer_path_below(e->path, open[depth - 1]->path))
			depth--;
		check(c, parent.len == 0 || (depth && str_eq(open[depth - 1]->path, parent)),
		      "the directory of an entry is missing");
		if (e->type == LAYER_DIR && e->path.len)
			open[depth++] = e;
	}
}

static void check_links(struct cursor *c, const struct layer_index *ix)
{
	for (size_t i = 0; i < ix->n_entries && !c->bad; i++) {
		const struct layer_entry *e = &ix->entries[i], *to;

		if (e->type != LAYER_HARDLINK)
			continue;
		to = layer_index_find(ix, e->target);
		check(c, to && to->type == LAYER_FILE, "a hard link has no file");
	}
}

/* What --chown=name reads is what the image holds. */
static void check_inlined(struct cursor *c, const struct layer_index *ix)
{
	for (enum layer_inline k = 0; k < LAYER_INLINE_N_ && !c->bad; k++) {
		const struct layer_entry *e;
		struct digest d;

		if (!ix->inlined[k].ptr)
			continue;
		e = layer_index_find(ix, layer_inline_path(k));
		d = digest_of(ix->inlined[k].ptr, ix->inlined[k].len);
		check(c, e && index_has_content(e->type) && digest_eq(&d, &e->digest),
		      "an inlined file is not the file of that name");
	}
}

static void take_frames(struct cursor *c, struct layer_index *ix)
{
	struct layer_frame *f;

	if (c->bad || ix->n_frames == 0)
		return;
	f = arena_array(ix->arena, struct layer_frame, ix->n_frames);
	for (size_t i = 0; i < ix->n_frames && !c->bad; i++) {
		f[i].blob_offset = take_le(c, 8);
		f[i].tar_offset = take_le(c, 8);
		if (i == 0)
			check(c, !f[0].blob_offset && !f[0].tar_offset,
			      "the first frame is not at the start");
		else
			check(c,
			      f[i - 1].blob_offset < f[i].blob_offset &&
			              f[i - 1].tar_offset < f[i].tar_offset,
			      "the frames are not sorted");
	}
	ix->frames = f;
}

static void take_body(struct cursor *c, struct layer_index *ix)
{
	struct layer_entry *entries;

	ix->n_entries = take_le(c, 4);
	ix->n_frames = take_le(c, 4);
	check(c, ix->n_entries <= LAYER_ENTRIES_MAX && ix->n_entries <= c->left / INDEX_ENTRY_MIN,
	      "it has too many entries");
	check(c, ix->n_frames <= LAYER_FRAMES_MAX && ix->n_frames <= c->left / 16,
	      "it has too many frames");
	for (unsigned k = 0; k < LAYER_INLINE_N_ && !c->bad; k++) {
		size_t n = take_le(c, 4);

		if (n == INDEX_ABSENT)
			continue;
		check(c, n <= LAYER_INLINE_MAX, "an inlined file is too large");
		ix->inlined[k] = take_str(c, n);
	}
	if (c->bad)
		return;
	entries = arena_array(ix->arena, struct layer_entry, ix->n_entries);
	for (size_t i = 0; i < ix->n_entries && !c->bad; i++)
		take_entry(c, ix->arena, &entries[i]);
	ix->entries = entries;
	take_frames(c, ix);
	check(c, c->left == 0, "bytes are left over");
	check_order(c, entries, ix->n_entries);
	check_links(c, ix);
	check_inlined(c, ix);
}

static int check_header(str bytes, struct cairn_err *err)
{
	struct cursor c = { (const unsigned char *)bytes.ptr, bytes.len, NULL };
	const unsigned char *magic = take(&c, INDEX_MAGIC_LEN), *want;
	uint64_t version = take_le(&c, 4), zero = take_le(&c, 4), n = take_le(&c, 8);
	struct digest sum;

	want = take(&c, DIGEST_LEN);
	if (!magic || memcmp(magic, INDEX_MAGIC, INDEX_MAGIC_LEN) != 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "not a layer index");
	if (!want)
		return cairn_fail(err, CAIRN_E_DIGEST, "layer index is damaged: it ends early");
	if (version != LAYER_INDEX_VERSION || zero != 0)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "layer index has format version %u; this cairn reads version %u",
		                  (unsigned)version, LAYER_INDEX_VERSION);
	if (n != c.left || c.left > LAYER_INDEX_MAX)
		return cairn_fail(err, CAIRN_E_DIGEST, "layer index is damaged: wrong length");
	sum = digest_of(c.p, c.left);
	if (memcmp(sum.b, want, DIGEST_LEN) != 0)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "layer index is damaged: its checksum does not match");
	return 0;
}

int layer_index_decode(str bytes, struct layer_index **ret_owned, struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	struct cursor c = { 0 };

	TRY(check_header(bytes, err));
	ix = xcalloc(1, sizeof(*ix));
	ix->refs = 1;
	ix->arena = arena_new();
	ix->bytes = xmalloc(bytes.len);
	memcpy(ix->bytes, bytes.ptr, bytes.len);
	c.p = (unsigned char *)ix->bytes + INDEX_HEADER;
	c.left = bytes.len - INDEX_HEADER;
	take_body(&c, ix);
	if (c.bad)
		return cairn_fail(err, CAIRN_E_DIGEST, "layer index is damaged: %s", c.bad);
	*ret_owned = steal_ptr(&ix);
	return 0;
}

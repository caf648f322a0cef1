#include "index_code.h"

/* Which fields an encoding holds. */
enum content {
	WHOLE,       /* all: what is stored */
	ONLY_CONTENT /* neither mtimes nor offsets: what the content digest covers */
};

static void put_u16(struct strbuf *b, unsigned v)
{
	char c[2] = { (char)(v & 0xff), (char)(v >> 8) };

	strbuf_add(b, c, 2);
}

static void put_xattrs(struct strbuf *b, const struct layer_entry *e)
{
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		put_u16(b, (unsigned)e->xattrs[i].name.len);
		strbuf_u32le(b, (uint32_t)e->xattrs[i].value.len);
		strbuf_str(b, e->xattrs[i].name);
		strbuf_str(b, e->xattrs[i].value);
	}
}

static void put_entry(struct strbuf *b, const struct layer_entry *e, enum content what)
{
	bool has_offset =
		what == WHOLE && index_has_content(e->type) && e->tar_offset != LAYER_NO_OFFSET;
	unsigned flags = (e->opaque ? INDEX_FLAG_OPAQUE : 0) | (has_offset ? INDEX_FLAG_OFFSET : 0);

	strbuf_char(b, (char)e->type);
	strbuf_char(b, (char)flags);
	put_u16(b, e->mode);
	put_u16(b, (unsigned)e->path.len);
	put_u16(b, e->n_xattrs);
	strbuf_str(b, e->path);
	if (e->type == LAYER_WHITEOUT)
		return;
	strbuf_u32le(b, e->uid);
	strbuf_u32le(b, e->gid);
	strbuf_u64le(b, what == WHOLE ? (uint64_t)e->mtime : 0);
	if (index_has_content(e->type)) {
		strbuf_u64le(b, e->size);
		strbuf_add(b, e->digest.b, DIGEST_LEN);
	}
	if (has_offset)
		strbuf_u64le(b, e->tar_offset);
	if (index_has_target(e->type)) {
		put_u16(b, (unsigned)e->target.len);
		strbuf_str(b, e->target);
	}
	if (index_is_device(e->type)) {
		strbuf_u32le(b, e->major);
		strbuf_u32le(b, e->minor);
	}
	put_xattrs(b, e);
}

static void put_inlined(struct strbuf *b, str s)
{
	strbuf_u32le(b, s.ptr ? (uint32_t)s.len : INDEX_ABSENT);
	strbuf_str(b, s);
}

void layer_index_encode(const struct layer_index *ix, struct strbuf *out)
{
	size_t start = out->len;
	struct digest sum;
	uint64_t n;

	strbuf_add(out, INDEX_MAGIC, INDEX_MAGIC_LEN);
	strbuf_u32le(out, LAYER_INDEX_VERSION);
	strbuf_u32le(out, 0);
	strbuf_u64le(out, 0);
	strbuf_add(out, (struct digest){ { 0 } }.b, DIGEST_LEN);
	strbuf_u32le(out, (uint32_t)ix->n_entries);
	strbuf_u32le(out, (uint32_t)ix->n_frames);
	for (unsigned k = 0; k < LAYER_INLINE_N_; k++)
		put_inlined(out, ix->inlined[k]);
	for (size_t i = 0; i < ix->n_entries; i++)
		put_entry(out, &ix->entries[i], WHOLE);
	for (size_t i = 0; i < ix->n_frames; i++) {
		strbuf_u64le(out, ix->frames[i].blob_offset);
		strbuf_u64le(out, ix->frames[i].tar_offset);
	}
	if (out->overflow) /* the caller sees it with strbuf_check() */
		return;
	n = out->len - start - INDEX_HEADER;
	for (unsigned i = 0; i < 8; i++)
		out->ptr[start + INDEX_MAGIC_LEN + 8 + i] = (char)(n >> (8 * i));
	sum = digest_of(out->ptr + start + INDEX_HEADER, n);
	memcpy(out->ptr + start + INDEX_HEADER - DIGEST_LEN, sum.b, DIGEST_LEN);
}

struct digest layer_index_content_digest(const struct layer_index *ix)
{
	/* Each entry frames itself, so the sequence cannot be read in two ways. */
	static const char domain[] = "cairn.layer.content 1\n";
	struct sha256 h;
	struct strbuf b;
	struct digest d;

	sha256_init(&h);
	strbuf_init(&b, LAYER_INDEX_MAX);
	strbuf_cstr(&b, domain);
	for (size_t i = 0; i < ix->n_entries; i++) {
		put_entry(&b, &ix->entries[i], ONLY_CONTENT);
		if (b.len < 65536)
			continue;
		sha256_add(&h, b.ptr, b.len);
		strbuf_clear(&b);
	}
	sha256_add(&h, b.ptr, b.len);
	d = sha256_end(&h);
	strbuf_done(&b);
	return d;
}

#include "git_index.h"

#define HEADER_LEN 12
#define FIXED_LEN  40 /* of an entry, before the digest */
#define PAD        8  /* entries of versions 2 and 3 are padded to */

#define FLAG_ASSUMED  0x8000u
#define FLAG_EXTENDED 0x4000u
#define FLAG_STAGE    0x3000u
#define FLAG_SKIP     0x4000u /* of the extended ones */
#define FLAG_INTENT   0x2000u /* "git add -N" */
#define PATH_MAX_     4096u
#define EXTENSION_LEN 8

struct reading {
	str rest;
	uint32_t version;
	size_t hash_len;
	struct arena *a;
	str last; /* path of the entry before: version 4 has what differs from it */
};

static uint32_t u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static uint32_t u16(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 8 | (uint32_t)b[1];
}

static int damaged(struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "git's index is damaged");
}

/* Up to the NUL, which is passed over, too. */
static int take_text(struct reading *r, str *ret, struct cairn_err *err)
{
	const char *end = memchr(r->rest.ptr, '\0', r->rest.len);

	if (!end || end - r->rest.ptr > PATH_MAX_)
		return damaged(err);
	*ret = str_n(r->rest.ptr, (size_t)(end - r->rest.ptr));
	r->rest = str_skip(r->rest, ret->len + 1);
	return 0;
}

/* How much of the path before is left out at its end: git's offset encoding. */
static int take_cut(struct reading *r, size_t *ret, struct cairn_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < 3 && i < r->rest.len; i++) {
		unsigned char c = (unsigned char)r->rest.ptr[i];

		n = (n << 7) + (c & 0x7fu) + (i ? 128 : 0);
		if (c & 0x80u)
			continue;
		r->rest = str_skip(r->rest, i + 1);
		*ret = n;
		return 0;
	}
	return damaged(err);
}

static int take_path(struct reading *r, size_t before, str *ret, struct cairn_err *err)
{
	size_t cut = 0, used;
	str end = { 0 };

	if (r->version < 4) {
		TRY(take_text(r, ret, err));
		used = before + ret->len;
		used = PAD - used % PAD - 1; /* of the padding one is passed over already */
		if (used > r->rest.len)
			return damaged(err);
		r->rest = str_skip(r->rest, used);
		return 0;
	}
	TRY(take_cut(r, &cut, err));
	TRY(take_text(r, &end, err));
	if (cut > r->last.len || r->last.len - cut + end.len > PATH_MAX_)
		return damaged(err);
	*ret = str_of(arena_printf(r->a, "%.*s%.*s", STR(str_n(r->last.ptr, r->last.len - cut)),
	                           STR(end)));
	r->last = *ret;
	return 0;
}

static int take_entry(struct reading *r, struct git_entry *e, struct cairn_err *err)
{
	const char *p = r->rest.ptr;
	size_t len = FIXED_LEN + r->hash_len + 2;
	uint32_t flags, more = 0;

	if (r->rest.len < len + 2)
		return damaged(err);
	flags = u16(p + len - 2);
	if (flags & FLAG_EXTENDED) {
		more = u16(p + len);
		len += 2;
	}
	*e = (struct git_entry){ .mode = u32(p + 24),
		                 .size = u32(p + 36),
		                 .conflict = flags & FLAG_STAGE,
		                 .assumed = flags & FLAG_ASSUMED || more & FLAG_SKIP };
	if (!(more & FLAG_INTENT))
		e->mtime_ns = (int64_t)u32(p + 8) * 1000000000 + u32(p + 12);
	r->rest = str_skip(r->rest, len);
	return take_path(r, len, &e->path, err);
}

/* An extension without which the entries are not all. */
static int check_extensions(str rest, size_t hash_len, struct cairn_err *err)
{
	while (rest.len >= EXTENSION_LEN + hash_len) {
		str name = str_n(rest.ptr, 4);
		uint32_t len = u32(rest.ptr + 4);

		if (name.ptr[0] >= 'a') /* in small letters: it has to be understood */
			return cairn_fail(err, CAIRN_E_UNSUPPORTED, "git's index has '%.4s'",
			                  name.ptr);
		if (len > rest.len - EXTENSION_LEN)
			return damaged(err);
		rest = str_skip(rest, EXTENSION_LEN + len);
	}
	return 0;
}

int git_index_parse(str bytes, size_t hash_len, struct arena *a, struct git_index *ret,
                    struct cairn_err *err)
{
	struct reading r = { .hash_len = hash_len, .a = a, .last = S("") };
	struct git_index all = { 0 };
	uint32_t n;
	int result = 0;

	if (bytes.len < HEADER_LEN + hash_len || memcmp(bytes.ptr, "DIRC", 4) != 0)
		return damaged(err);
	r.version = u32(bytes.ptr + 4);
	n = u32(bytes.ptr + 8);
	if (r.version < 2 || r.version > 4)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "git's index has version %u",
		                  r.version);
	if (n > GIT_ENTRIES_MAX || n > bytes.len / (FIXED_LEN + hash_len))
		return damaged(err);
	r.rest = str_skip(bytes, HEADER_LEN);
	for (uint32_t i = 0; result == 0 && i < n; i++) {
		struct git_entry e;

		result = take_entry(&r, &e, err);
		if (result == 0 && i && str_cmp(vec_last(&all.entries)->path, e.path) > 0)
			result = damaged(err);
		if (result == 0)
			vec_push(&all.entries, e);
	}
	if (result == 0)
		result = check_extensions(r.rest, hash_len, err);
	if (result < 0)
		git_index_done(&all);
	else
		*ret = all;
	return result;
}

void git_index_done(struct git_index *i)
{
	vec_free(&i->entries);
}

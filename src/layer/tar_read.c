#include "tar_read.h"

#include "ahead.h"
#include "unpack.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/num.h"

#define LONGNAME_MAX 65536u       /* GNU long name: beyond every path that is accepted */
#define SECONDS_MAX  9000000000ll /* years 1684 to 2255: what fits into ns */

struct tar_reader {
	struct ahead *in;
	str at_hand;    /* read and not consumed */
	uint64_t taken; /* bytes consumed */
	uint64_t left;  /* of the member's content */
	size_t padding; /* after it */
	struct tar_member m;
	struct arena *arena;     /* strings of m */
	bool has_size, has_name; /* set by an extended header; and so on */
	bool has_target, has_mtime, has_uid, has_gid;
	size_t extended;       /* bytes of extended headers that wait for their member */
	struct digest *digest; /* of the member's content; NULL: nobody wants it */
	bool begun;            /* of that content some was read */
};

struct tar_reader *tar_reader_new(const struct layer_reader *in)
{
	const struct ahead_opts opts = { .in = in };

	return tar_reader_new_ahead(&opts);
}

struct tar_reader *tar_reader_new_ahead(const struct ahead_opts *opts)
{
	struct tar_reader *t = xcalloc(1, sizeof(*t));

	t->in = ahead_new(opts);
	t->arena = arena_new();
	return t;
}

void tar_reader_free(struct tar_reader *t)
{
	if (!t)
		return;
	arena_free(t->arena);
	ahead_free(t->in);
	free(t);
}

static int fail_tar(struct cairn_err *err, const char *what)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "tar is malformed: %s", what);
}

static int fail_short(const struct tar_reader *t, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "tar ends early, after %llu bytes",
	                  (unsigned long long)t->taken);
}

/* ---- bytes ---- */

/* The next n bytes, of at most `left` that follow, are content whose digest is wanted. */
static void hash_content(struct tar_reader *t, size_t n)
{
	if (n)
		ahead_content(t->in, n, !t->begun, n == t->left ? t->digest : NULL);
	t->begun |= n > 0;
}

/* Consume up to n bytes that are at hand; none only at the end of the source. */
static int take_some(struct tar_reader *t, uint64_t n, bool content, str *ret,
                     struct cairn_err *err)
{
	if (t->at_hand.len == 0)
		TRY(ahead_next(t->in, &t->at_hand, err));
	*ret = str_n(t->at_hand.ptr, n < t->at_hand.len ? (size_t)n : t->at_hand.len);
	t->at_hand = str_skip(t->at_hand, ret->len);
	if (content && t->digest)
		hash_content(t, ret->len);
	else
		ahead_other(t->in, ret->len);
	t->taken += ret->len;
	if (t->taken > LAYER_SIZE_MAX)
		return fail_tar(err, "it is larger than 16 TiB");
	return 0;
}

static int take(struct tar_reader *t, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	size_t got = 0;
	str part;

	while (got < n) {
		TRY(take_some(t, n - got, false, &part, err));
		if (part.len == 0)
			break;
		memcpy((char *)p + got, part.ptr, part.len);
		got += part.len;
	}
	*ret_n = got;
	return 0;
}

static int skip(struct tar_reader *t, uint64_t n, struct cairn_err *err)
{
	str part;

	for (; n; n -= part.len) {
		TRY(take_some(t, n, false, &part, err));
		if (part.len == 0)
			return fail_short(t, err);
	}
	return 0;
}

/* The content of an extended header, with its padding, in the arena. */
static int take_extended(struct tar_reader *t, uint64_t size, size_t max, str *ret,
                         struct cairn_err *err)
{
	size_t n = 0;
	char *p;

	if (size > max || t->extended + size > 2 * LAYER_PAX_MAX)
		return fail_tar(err, "an extended header is too large");
	t->extended += (size_t)size + TAR_BLOCK;
	p = arena_alloc(t->arena, (size_t)size + 1);
	TRY(take(t, p, (size_t)size, &n, err));
	if (n < size)
		return fail_short(t, err);
	*ret = str_n(p, n);
	return skip(t, tar_padding(size), err);
}

/* ---- fields of a header ---- */

/* GNU: the first bit set means a big-endian binary number. */
static int base256(const unsigned char *p, size_t n, int64_t *ret, struct cairn_err *err)
{
	bool negative = p[0] & 0x40;
	uint64_t v = negative ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = i ? p[i] : (unsigned char)((p[0] & 0x3f) | (negative ? 0xc0 : 0));

		if ((v >> 55) != (negative ? (1u << 9) - 1 : 0))
			return fail_tar(err, "a number is too large");
		v = v << 8 | c;
	}
	*ret = (int64_t)v;
	return 0;
}

static int number(const char *field, size_t n, int64_t *ret, struct cairn_err *err)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((unsigned char)field[0] & 0x80)
		return base256((const unsigned char *)field, n, ret, err);
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (unsigned)(field[i] - '0'); /* at most 12 digits */
	if (i < n && field[i] != '\0' && field[i] != ' ')
		return fail_tar(err, "a number is not octal");
	*ret = (int64_t)v;
	return 0;
}

static int id_number(const char *field, size_t n, uint32_t *ret, struct cairn_err *err)
{
	int64_t v = 0;

	TRY(number(field, n, &v, err));
	if (v < 0 || v > UINT32_MAX)
		return fail_tar(err, "a uid, gid or device number is out of range");
	*ret = (uint32_t)v;
	return 0;
}

static int check_sum(const struct tar_header *h, struct cairn_err *err)
{
	const size_t from = offsetof(struct tar_header, checksum), to = from + sizeof(h->checksum);
	const unsigned char *p = (const unsigned char *)h;
	int64_t want = 0, sum = 0, sum_signed = 0; /* old Sun tars added signed chars */

	for (size_t i = 0; i < sizeof(*h); i++) {
		unsigned char c = i >= from && i < to ? ' ' : p[i];

		sum += c;
		sum_signed += (signed char)c;
	}
	TRY(number(h->checksum, sizeof(h->checksum), &want, err));
	if (want != sum && want != sum_signed)
		return fail_tar(err, "the checksum of a header does not match");
	return 0;
}

static str field_str(const char *field, size_t n)
{
	return str_n(field, strnlen(field, n));
}

static str header_name(struct tar_reader *t, const struct tar_header *h)
{
	str name = field_str(h->name, sizeof(h->name));
	str prefix = field_str(h->prefix, sizeof(h->prefix));

	if (memcmp(h->magic, "ustar\0", 6) == 0 && prefix.len)
		return str_of(arena_printf(t->arena, "%.*s/%.*s", STR(prefix), STR(name)));
	return arena_str(t->arena, name);
}

/* ---- PAX ---- */

static int pax_id(str v, const char *what, uint32_t *ret, struct cairn_err *err)
{
	uint64_t n = 0;

	if (num_u64(v, UINT32_MAX, &n, err) < 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "tar is malformed: %s '%.*s'", what, STR(v));
	*ret = (uint32_t)n;
	return 0;
}

/* "[-]SECONDS[.FRACTION]" */
static int pax_time(str v, int64_t *ret, struct cairn_err *err)
{
	bool negative = str_starts(v, S("-"));
	str whole, fraction = { 0 };
	uint64_t s = 0;
	int64_t ns = 0, unit = CLOCK_SEC / 10;

	(void)str_cut(str_skip(v, negative), '.', &whole, &fraction);
	if (num_u64(whole, SECONDS_MAX, &s, err) < 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "tar is malformed: mtime '%.*s'", STR(v));
	for (size_t i = 0; i < fraction.len; i++, unit /= 10) {
		if (fraction.ptr[i] < '0' || fraction.ptr[i] > '9')
			return fail_tar(err, "the fraction of an mtime is no number");
		ns += (fraction.ptr[i] - '0') * unit;
	}
	ns += (int64_t)s * CLOCK_SEC;
	*ret = negative ? -ns : ns;
	return 0;
}

static int pax_xattr(struct tar_reader *t, str name, str value, struct cairn_err *err)
{
	if (name.len == 0 || name.len > LAYER_XATTR_NAME_MAX || value.len > LAYER_XATTR_VALUE_MAX ||
	    memchr(name.ptr, '\0', name.len))
		return fail_tar(err, "an extended attribute has an impossible name or size");
	if (t->m.n_xattrs == LAYER_XATTRS_MAX)
		return fail_tar(err, "a member has too many extended attributes");
	t->m.xattrs[t->m.n_xattrs++] = (struct layer_xattr){ name, value };
	return 0;
}

static int pax_one(struct tar_reader *t, str key, str value, struct cairn_err *err)
{
	uint64_t size = 0;

	if (str_is(key, "path")) {
		t->has_name = value.len > 0;
		t->m.name = value;
	} else if (str_is(key, "linkpath")) {
		t->has_target = value.len > 0;
		t->m.target = value;
	} else if (str_is(key, "size")) {
		if (num_u64(value, LAYER_SIZE_MAX, &size, err) < 0)
			return fail_tar(err, "the size of a member is impossible");
		t->has_size = true;
		t->m.size = size;
	} else if (str_is(key, "uid")) {
		t->has_uid = true;
		return pax_id(value, "uid", &t->m.uid, err);
	} else if (str_is(key, "gid")) {
		t->has_gid = true;
		return pax_id(value, "gid", &t->m.gid, err);
	} else if (str_is(key, "mtime")) {
		t->has_mtime = true;
		return pax_time(value, &t->m.mtime, err);
	} else if (str_starts(key, S(TAR_XATTR))) {
		return pax_xattr(t, str_skip(key, sizeof(TAR_XATTR) - 1), value, err);
	} else if (str_starts(key, S("GNU.sparse."))) {
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "tar holds a sparse file; make it with "
		                  "plain files (GNU tar: without --sparse)");
	}
	return 0;
}

/* Records "LENGTH KEY=VALUE\n", LENGTH counting all of the record. */
static int read_pax(struct tar_reader *t, uint64_t size, struct cairn_err *err)
{
	str all, rest;

	TRY(take_extended(t, size, LAYER_PAX_MAX, &all, err));
	for (rest = all; rest.len;) {
		str head, tail, key, value;
		uint64_t n = 0;

		if (!str_cut(rest, ' ', &head, &tail) || num_u64(head, rest.len, &n, err) < 0 ||
		    n < head.len + 3 || rest.ptr[n - 1] != '\n')
			return fail_tar(err, "a PAX record has a wrong length");
		tail = str_n(tail.ptr, (size_t)n - head.len - 2);
		if (!str_cut(tail, '=', &key, &value) || key.len == 0)
			return fail_tar(err, "a PAX record has no key");
		TRY(pax_one(t, key, value, err));
		rest = str_skip(rest, (size_t)n);
	}
	return 0;
}

/* ---- members ---- */

static int read_long(struct tar_reader *t, uint64_t size, str *ret, bool *ret_has,
                     struct cairn_err *err)
{
	str s;

	TRY(take_extended(t, size, LONGNAME_MAX, &s, err));
	*ret = str_n(s.ptr, strnlen(s.ptr, s.len));
	*ret_has = ret->len > 0;
	return 0;
}

static int member_type(const struct tar_header *h, str name, enum layer_type *ret,
                       struct cairn_err *err)
{
	switch (h->type) {
	case '\0':
	case '0':
	case '7':
		*ret = str_ends(name, S("/")) ? LAYER_DIR : LAYER_FILE;
		return 0;
	case '1':
		*ret = LAYER_HARDLINK;
		return 0;
	case '2':
		*ret = LAYER_SYMLINK;
		return 0;
	case '3':
		*ret = LAYER_CHAR;
		return 0;
	case '4':
		*ret = LAYER_BLOCK;
		return 0;
	case '5':
		*ret = LAYER_DIR;
		return 0;
	case '6':
		*ret = LAYER_FIFO;
		return 0;
	case 'S':
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "tar holds the sparse file '%.*s'; make "
		                  "it without --sparse",
		                  STR(name));
	default:
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "tar holds '%.*s' of the unknown type 0x%02x", STR(name),
		                  (unsigned char)h->type);
	}
}

static int read_member(struct tar_reader *t, const struct tar_header *h, uint64_t size,
                       struct cairn_err *err)
{
	struct tar_member *m = &t->m;
	uint32_t mode = 0;
	int64_t s = 0;

	if (!t->has_name)
		m->name = header_name(t, h);
	if (!t->has_target)
		m->target = arena_str(t->arena, field_str(h->linkname, sizeof(h->linkname)));
	TRY(member_type(h, m->name, &m->type, err));
	TRY(id_number(h->mode, sizeof(h->mode), &mode, err));
	m->mode = mode & 07777;
	if (!t->has_uid)
		TRY(id_number(h->uid, sizeof(h->uid), &m->uid, err));
	if (!t->has_gid)
		TRY(id_number(h->gid, sizeof(h->gid), &m->gid, err));
	TRY(number(h->mtime, sizeof(h->mtime), &s, err));
	if (!t->has_mtime && (s > SECONDS_MAX || s < -SECONDS_MAX))
		return fail_tar(err, "an mtime is out of range");
	if (!t->has_mtime)
		m->mtime = s * CLOCK_SEC;
	m->major = m->minor = 0;
	if (m->type == LAYER_CHAR || m->type == LAYER_BLOCK) {
		TRY(id_number(h->major, sizeof(h->major), &m->major, err));
		TRY(id_number(h->minor, sizeof(h->minor), &m->minor, err));
	}
	if (!t->has_size)
		m->size = size;
	if (m->type != LAYER_FILE) /* as Go: the others never have content */
		m->size = 0;
	t->left = m->size;
	t->padding = tar_padding(m->size);
	m->tar_offset = t->taken;
	return 0;
}

static void forget_member(struct tar_reader *t)
{
	arena_free(t->arena);
	t->arena = arena_new();
	t->m = (struct tar_member){ 0 };
	t->digest = NULL;
	t->has_size = t->has_name = t->has_target = false;
	t->has_mtime = t->has_uid = t->has_gid = false;
	t->extended = 0;
}

static bool all_zero(const struct tar_header *h)
{
	static const struct tar_header zero;

	return memcmp(h, &zero, sizeof(zero)) == 0;
}

/* A header that is no member: *ret_done is false then and the next one belongs to it. */
static int read_header(struct tar_reader *t, const struct tar_header *h, bool *ret_done,
                       struct cairn_err *err)
{
	int64_t size = 0;

	TRY(check_sum(h, err));
	TRY(number(h->size, sizeof(h->size), &size, err));
	if (size < 0 || (uint64_t)size > LAYER_SIZE_MAX)
		return fail_tar(err, "the size of a member is impossible");
	*ret_done = false;
	switch (h->type) {
	case 'x':
		return read_pax(t, (uint64_t)size, err);
	case 'L':
		return read_long(t, (uint64_t)size, &t->m.name, &t->has_name, err);
	case 'K':
		return read_long(t, (uint64_t)size, &t->m.target, &t->has_target, err);
	case 'g': /* git archive's comment, and the like: Docker ignores it, too */
	case 'V': /* GNU: name of the volume */
		return skip(t, (uint64_t)size + tar_padding((uint64_t)size), err);
	default:
		*ret_done = true;
		return read_member(t, h, (uint64_t)size, err);
	}
}

int tar_next(struct tar_reader *t, const struct tar_member **ret, struct cairn_err *err)
{
	struct tar_header h;
	bool done = false;
	size_t n = 0;

	TRY(skip(t, t->left, err));
	t->left = 0;
	TRY(skip(t, t->padding, err));
	t->padding = 0;
	forget_member(t);
	while (!done) {
		bool end;

		TRY(take(t, &h, sizeof(h), &n, err));
		/* A missing end mark is fine, as for Go: diff_id tells a truncated layer. */
		end = n == 0 || (n == sizeof(h) && all_zero(&h));
		if (end && t->extended == 0) {
			*ret = NULL;
			return 0;
		}
		if (n < sizeof(h))
			return fail_short(t, err);
		if (end)
			return fail_tar(err, "an extended header belongs to nothing");
		TRY(read_header(t, &h, &done, err));
	}
	*ret = &t->m;
	return 0;
}

void tar_digest(struct tar_reader *t, struct digest *ret)
{
	t->begun = false;
	t->digest = ret;
	if (t->left == 0)
		*ret = digest_of("", 0);
}

int tar_content(struct tar_reader *t, str *ret, struct cairn_err *err)
{
	TRY(take_some(t, t->left, true, ret, err));
	if (t->left && ret->len == 0)
		return fail_short(t, err);
	t->left -= ret->len;
	return 0;
}

uint64_t tar_number(const struct tar_reader *t)
{
	return ahead_number(t->in);
}

void tar_behind(struct tar_reader *t, bool first)
{
	ahead_behind(t->in, first ? AHEAD_REST : AHEAD_HEAD);
}

int tar_drain(struct tar_reader *t, struct cairn_err *err)
{
	return ahead_drain(t->in, err);
}

int tar_finish(struct tar_reader *t, struct digest *ret, uint64_t *ret_size, struct cairn_err *err)
{
	str part;

	do
		TRY(take_some(t, UINT64_MAX, false, &part, err));
	while (part.len);
	*ret = ahead_digest(t->in);
	*ret_size = t->taken;
	return 0;
}

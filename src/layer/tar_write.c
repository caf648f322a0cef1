#include "tar.h"

#include "util/clock.h"

#define OCTAL_MAX_7  07777777u     /* largest number in a field of 8 */
#define OCTAL_MAX_11 077777777777u /* largest number in a field of 12 */

/* Digits of v filling all of field but its last byte, which stays NUL. */
static void octal(char *field, size_t size, uint64_t v)
{
	for (size_t i = size - 1; i-- > 0; v >>= 3)
		field[i] = (char)('0' + (v & 7));
}

static char type_letter(enum layer_type t)
{
	switch (t) {
	case LAYER_FILE:
	case LAYER_WHITEOUT:
		return '0';
	case LAYER_HARDLINK:
		return '1';
	case LAYER_SYMLINK:
		return '2';
	case LAYER_CHAR:
		return '3';
	case LAYER_BLOCK:
		return '4';
	case LAYER_DIR:
		return '5';
	case LAYER_FIFO:
		return '6';
	case LAYER_TYPE_N_:
		break;
	}
	CAIRN_BUG("no tar type for %d", (int)t);
}

/* Add a PAX record: "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void pax_record(struct strbuf *b, const char *key, str name, str value)
{
	size_t rest = strlen(key) + name.len + value.len + 3, len = rest, digits;
	char text[24];

	do {
		digits = (size_t)snprintf(text, sizeof(text), "%zu", len);
		if (rest + digits == len)
			break;
		len = rest + digits;
	} while (true);
	strbuf_cstr(b, text);
	strbuf_char(b, ' ');
	strbuf_cstr(b, key);
	strbuf_str(b, name);
	strbuf_char(b, '=');
	strbuf_str(b, value);
	strbuf_char(b, '\n');
}

static void pax_number(struct strbuf *b, const char *key, int64_t v)
{
	char text[24];

	pax_record(b, key, S(""),
	           str_n(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v)));
}

/* Put the name into header fields; false when it does not fit. */
static bool put_name(struct tar_header *h, str name)
{
	if (name.len <= sizeof(h->name)) {
		memcpy(h->name, name.ptr, name.len);
		return true;
	}
	for (size_t i = 1; i < name.len && i <= sizeof(h->prefix); i++) {
		if (name.ptr[i] != '/' || name.len - i - 1 > sizeof(h->name))
			continue;
		if (i + 1 == name.len) /* the slash that ends a directory */
			break;
		memcpy(h->prefix, name.ptr, i);
		memcpy(h->name, name.ptr + i + 1, name.len - i - 1);
		return true;
	}
	memcpy(h->name, name.ptr, sizeof(h->name));
	return false;
}

static void finish_header(struct tar_header *h)
{
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	octal(h->checksum, 7, sum); /* six digits, NUL, blank */
	h->checksum[6] = '\0';
}

static void put_zeros(struct strbuf *b, size_t n)
{
	static const char zeros[TAR_BLOCK];

	strbuf_add(b, zeros, n);
}

static void put_pax(struct strbuf *b, const struct strbuf *records)
{
	struct tar_header h = { .name = "././@PaxHeader", .type = 'x' };

	octal(h.mode, sizeof(h.mode), 0644);
	octal(h.uid, sizeof(h.uid), 0);
	octal(h.gid, sizeof(h.gid), 0);
	octal(h.size, sizeof(h.size), records->len);
	octal(h.mtime, sizeof(h.mtime), 0);
	finish_header(&h);
	strbuf_add(b, &h, sizeof(h));
	strbuf_add(b, records->ptr, records->len);
	put_zeros(b, tar_padding(records->len));
}

/* A number that goes into a field of `size` bytes, or else into a PAX record. */
static void put_number(struct strbuf *pax, char *field, size_t size, int64_t v, const char *key)
{
	int64_t max = size == 8 ? OCTAL_MAX_7 : OCTAL_MAX_11;

	if (v >= 0 && v <= max) {
		octal(field, size, (uint64_t)v);
		return;
	}
	octal(field, size, 0);
	pax_number(pax, key, v);
}

static void put_file(struct strbuf *b, str name, const struct layer_entry *e, int64_t mtime)
{
	struct tar_header h = { .type = type_letter(e->type) };
	uint64_t size = e->type == LAYER_FILE ? e->size : 0;
	struct strbuf pax;

	strbuf_init(&pax, 2 * LAYER_XATTRS_MAX * LAYER_XATTR_VALUE_MAX);
	octal(h.mode, sizeof(h.mode), e->mode);
	put_number(&pax, h.gid, sizeof(h.gid), e->gid, "gid");
	memcpy(h.linkname, e->target.ptr ? e->target.ptr : "",
	       e->target.len < sizeof(h.linkname) ? e->target.len : sizeof(h.linkname));
	if (e->target.len > sizeof(h.linkname))
		pax_record(&pax, "linkpath", S(""), e->target);
	put_number(&pax, h.mtime, sizeof(h.mtime), layer_whole_seconds(mtime) / CLOCK_SEC, "mtime");
	if (!put_name(&h, name))
		pax_record(&pax, "path", S(""), name);
	put_number(&pax, h.size, sizeof(h.size), (int64_t)size, "size");
	put_number(&pax, h.uid, sizeof(h.uid), e->uid, "uid");
	octal(h.major, sizeof(h.major), e->major);
	octal(h.minor, sizeof(h.minor), e->minor);
	for (uint32_t i = 0; i < e->n_xattrs; i++)
		pax_record(&pax, TAR_XATTR, e->xattrs[i].name, e->xattrs[i].value);
	if (pax.len)
		put_pax(b, &pax);
	finish_header(&h);
	strbuf_add(b, &h, sizeof(h));
	strbuf_done(&pax);
}

/* An empty file in the directory of `path` that stands for something else. */
static void put_mark(struct strbuf *b, str dir, const char *prefix, str name)
{
	static const struct layer_entry mark = { .type = LAYER_WHITEOUT };
	struct strbuf full;

	strbuf_init(&full, LAYER_PATH_MAX + sizeof(TAR_OPAQUE) + 1);
	strbuf_str(&full, dir);
	if (dir.len)
		strbuf_char(&full, '/');
	strbuf_cstr(&full, prefix);
	strbuf_str(&full, name);
	put_file(b, strbuf_view(&full), &mark, 0);
	strbuf_done(&full);
}

void tar_put_entry(struct strbuf *b, const struct layer_entry *e, int64_t clamp_mtime)
{
	int64_t mtime = e->mtime < clamp_mtime ? e->mtime : clamp_mtime;
	char name[LAYER_PATH_MAX + 2];
	size_t n = e->path.len;

	if (e->type == LAYER_WHITEOUT) {
		put_mark(b, layer_path_parent(e->path), LAYER_WHITEOUT_PREFIX,
		         layer_path_name(e->path));
		return;
	}
	memcpy(name, e->path.ptr, n);
	if (n == 0)
		name[n++] = '.';
	if (e->type == LAYER_DIR)
		name[n++] = '/';
	put_file(b, str_n(name, n), e, mtime);
	if (e->opaque)
		put_mark(b, e->path, TAR_OPAQUE, S(""));
}

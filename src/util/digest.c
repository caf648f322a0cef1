#include "util/digest.h"

void sha256_init(struct sha256 *h)
{
	SHA256_Init(&h->ctx);
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
	SHA256_Update(&h->ctx, p, n);
}

struct digest sha256_end(struct sha256 *h)
{
	struct digest d;

	SHA256_Final(d.b, &h->ctx);
	return d;
}

struct digest digest_of(const void *p, size_t n)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, p, n);
	return sha256_end(&h);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_LEN) == 0;
}

int digest_cmp(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_LEN);
}

bool digest_none(const struct digest *d)
{
	static const struct digest none;

	return digest_eq(d, &none);
}

static void put_hex(char *out, const struct digest *d)
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_LEN; i++) {
		*out++ = hex[d->b[i] >> 4];
		*out++ = hex[d->b[i] & 15];
	}
	*out = '\0';
}

struct digest_text digest_text(const struct digest *d)
{
	struct digest_text t = { "sha256:" };

	put_hex(t.s + 7, d);
	return t;
}

struct digest_text digest_hex(const struct digest *d)
{
	struct digest_text t;

	put_hex(t.s, d);
	return t;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int digest_parse(str s, struct digest *ret, struct cairn_err *err)
{
	struct digest d;

	if (!str_starts(s, S("sha256:")) || s.len != DIGEST_STR_LEN)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a digest (sha256:<64 hex>)",
		                  (int)(s.len > 100 ? 100 : s.len), s.ptr ? s.ptr : "");
	for (int i = 0; i < DIGEST_LEN; i++) {
		int hi = nibble(s.ptr[7 + 2 * i]), lo = nibble(s.ptr[8 + 2 * i]);

		if (hi < 0 || lo < 0)
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "'%.*s' is not a digest (sha256:<64 hex>)", STR(s));
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = d;
	return 0;
}

static void frame(struct digest_fields *f, char type, const char *name, const void *p, size_t n)
{
	uint8_t len[8];
	size_t name_len = strlen(name);

	for (int i = 0; i < 8; i++)
		len[i] = (uint8_t)((uint64_t)n >> (8 * i));
	sha256_add(&f->h, &type, 1);
	sha256_add(&f->h, name, name_len + 1);
	sha256_add(&f->h, len, sizeof(len));
	sha256_add(&f->h, p, n);
}

void digest_fields_begin(struct digest_fields *f, const char *domain, uint32_t version)
{
	sha256_init(&f->h);
	digest_field_str(f, "domain", str_of(domain));
	digest_field_u64(f, "version", version);
}

void digest_field_str(struct digest_fields *f, const char *name, str value)
{
	frame(f, 's', name, value.ptr, value.len);
}

void digest_field_u64(struct digest_fields *f, const char *name, uint64_t value)
{
	uint8_t p[8];

	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> (8 * i));
	frame(f, 'u', name, p, sizeof(p));
}

void digest_field_digest(struct digest_fields *f, const char *name, const struct digest *value)
{
	frame(f, 'd', name, value->b, DIGEST_LEN);
}

struct digest digest_fields_end(struct digest_fields *f)
{
	return sha256_end(&f->h);
}

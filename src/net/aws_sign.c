#include "aws_sign.h"

#include <stdio.h>
#include <time.h>

#include "url.h"
#include "util/clock.h"
#include "util/digest.h"

#define ALGORITHM     "AWS4-HMAC-SHA256"
#define HASH_FIELD    "x-amz-content-sha256"
#define HMAC_BLOCK    64u
#define CANONICAL_MAX (HTTP_HEADERS_MAX + 4 * HTTP_URL_MAX)

/* What a proxy or libcurl may change on the way. */
static const char *const unsigned_fields[] = { "authorization",  "connection",       "expect",
	                                       "user-agent",     "x-amzn-trace-id",  "host",
	                                       "content-length", "transfer-encoding" };

/* A header or a parameter of the query. */
struct pair {
	char *name, *value; /* owned */
	size_t order;       /* where it stood: headers of one name keep their order */
};

struct pairs {
	VEC(struct pair) v;
};

static void pairs_done(struct pairs *p)
{
	vec_foreach (i, &p->v) {
		explicit_bzero(i->value, strlen(i->value)); /* may be a session token */
		free(i->name);
		free(i->value);
	}
	vec_free(&p->v);
}
#define cleanup_pairs __attribute__((cleanup(pairs_done)))

struct digest aws_hmac(str key, str data)
{
	uint8_t pad[HMAC_BLOCK] = { 0 };
	struct digest d;
	struct sha256 h;

	if (key.len > HMAC_BLOCK) {
		d = digest_of(key.ptr, key.len);
		memcpy(pad, d.b, sizeof(d.b));
	} else if (key.len) {
		memcpy(pad, key.ptr, key.len);
	}
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		pad[i] ^= 0x36;
	sha256_init(&h);
	sha256_add(&h, pad, sizeof(pad));
	sha256_add(&h, data.ptr, data.len);
	d = sha256_end(&h);
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_init(&h);
	sha256_add(&h, pad, sizeof(pad));
	sha256_add(&h, d.b, sizeof(d.b));
	d = sha256_end(&h);
	explicit_bzero(pad, sizeof(pad));
	return d;
}

/* --- path ------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode and encode again: "%7e" and "~" are the same. */
static void add_reencoded(struct strbuf *out, str s, bool keep_slash)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		int hi, lo;

		if (c == '%' && i + 2 < s.len && (hi = hex_digit(s.ptr[i + 1])) >= 0 &&
		    (lo = hex_digit(s.ptr[i + 2])) >= 0) {
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '/' && keep_slash)
			strbuf_char(out, c);
		else
			http_escape(out, str_n(&c, 1));
	}
}

/* RFC 3986, 5.2.4, and no empty segments. Returns the length of what is in buf. */
static size_t normalise(str path, char buf[HTTP_URL_MAX])
{
	str rest = path, piece;
	size_t n = 0;

	while (str_next(&rest, '/', &piece)) {
		if (piece.len == 0 || str_is(piece, "."))
			continue;
		if (str_is(piece, "..")) {
			while (n && buf[--n] != '/')
				;
			continue;
		}
		if (n + piece.len + 2 >= HTTP_URL_MAX)
			break;
		buf[n++] = '/';
		memcpy(buf + n, piece.ptr, piece.len);
		n += piece.len;
	}
	if (n == 0 || str_ends(path, S("/")))
		buf[n++] = '/';
	return n;
}

void aws_canonical_path(struct strbuf *out, str path, bool once)
{
	char buf[HTTP_URL_MAX];
	size_t n;

	if (path.len == 0) {
		strbuf_char(out, '/');
		return;
	}
	if (once) {
		add_reencoded(out, path, true);
		return;
	}
	n = normalise(path, buf);
	for (size_t i = 0; i < n; i++)
		if (buf[i] == '/')
			strbuf_char(out, '/');
		else
			http_escape(out, str_n(buf + i, 1));
}

/* --- query and headers -------------------------------------------------------------------- */

static int pair_cmp(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int c = strcmp(a->name, b->name);

	return c ? c : strcmp(a->value, b->value);
}

static int field_cmp(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;
	int c = strcmp(a->name, b->name);

	return c ? c : (a->order > b->order) - (a->order < b->order);
}

static char *reencoded(str s)
{
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, 3 * HTTP_URL_MAX);
	add_reencoded(&b, s, false);
	return strbuf_steal(&b);
}

void aws_canonical_query(struct strbuf *out, str query)
{
	struct pairs p cleanup_pairs = { 0 };
	str rest = query, piece, name, value;

	while (str_next(&rest, '&', &piece)) {
		if (piece.len == 0)
			continue;
		(void)str_cut(piece, '=', &name, &value);
		vec_push(&p.v, (struct pair){ reencoded(name), reencoded(value), p.v.len });
	}
	if (p.v.len > 1)
		qsort(p.v.ptr, p.v.len, sizeof(*p.v.ptr), pair_cmp);
	for (size_t i = 0; i < p.v.len; i++)
		strbuf_printf(out, "%s%s=%s", i ? "&" : "", p.v.ptr[i].name, p.v.ptr[i].value);
}

/* Trimmed, and runs of blanks as one. */
static char *folded(const char *value)
{
	str s = str_trim(str_of(value));
	char *out = xmalloc(s.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		bool blank = s.ptr[i] == ' ' || s.ptr[i] == '\t';

		if (!blank || out[n - 1] != ' ')
			out[n++] = blank ? ' ' : s.ptr[i];
	}
	out[n] = '\0';
	return out;
}

static void add_field(struct pairs *p, const char *name, const char *value)
{
	char *lower = xstrdup(name);

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	vec_push(&p->v, (struct pair){ lower, folded(value), p->v.len });
}

static bool is_signed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(unsigned_fields); i++)
		if (str_eq_nocase(str_of(name), str_of(unsigned_fields[i])))
			return false;
	return true;
}

/* The Host header as libcurl sends it: no port where it is the scheme's own. */
static char *host_value(const struct url *u)
{
	bool https = str_eq_nocase(u->scheme, S("https"));

	if (!u->port.len || str_is(u->port, https ? "443" : "80"))
		return str_dup(u->host);
	return xasprintf("%.*s:%.*s", STR(u->host), STR(u->port));
}

/* "name:value\n" each; names gets "a;b;c". */
static void add_headers(struct strbuf *out, struct strbuf *names, const struct pairs *p)
{
	for (size_t i = 0; i < p->v.len; i++) {
		const struct pair *f = &p->v.ptr[i];

		if (i && strcmp(f->name, f[-1].name) == 0) {
			strbuf_printf(out, ",%s", f->value);
			continue;
		}
		strbuf_printf(out, "%s%s:%s", i ? "\n" : "", f->name, f->value);
		strbuf_printf(names, "%s%s", i ? ";" : "", f->name);
	}
	strbuf_char(out, '\n');
}

/* --- signature -------------------------------------------------------------------------------- */

static const char *given_hash(const struct http_request *req)
{
	for (size_t i = 0; i < req->n_fields; i++)
		if (str_eq_nocase(str_of(req->fields[i].name), S(HASH_FIELD)))
			return req->fields[i].value;
	return NULL;
}

/* The fields to be sent; `ret` has its date. */
static int collect(const struct aws_sign *s, const struct http_request *req, struct aws_signed *ret,
                   const char **ret_hash, struct cairn_err *err)
{
	const char *hash = given_hash(req);
	struct digest d;

	for (size_t i = 0; i < req->n_fields; i++)
		vec_push(&ret->fields, req->fields[i]);
	if (!hash) {
		if (req->source)
			return cairn_fail(err, CAIRN_E_BUG, "a streamed body without its hash");
		d = digest_of(req->body.ptr, req->body.len);
		(void)snprintf(ret->hash, sizeof(ret->hash), "%s", digest_hex(&d).s);
		hash = ret->hash;
		if (strcmp(s->service, "s3") == 0)
			vec_push(&ret->fields, (struct http_field){ HASH_FIELD, ret->hash });
	}
	vec_push(&ret->fields, (struct http_field){ "X-Amz-Date", ret->date });
	if (s->creds->token)
		vec_push(&ret->fields,
		         (struct http_field){ "X-Amz-Security-Token", s->creds->token });
	*ret_hash = hash;
	return 0;
}

/* The canonical request, and the names of its headers. */
struct canonical {
	struct strbuf text, names;
};

static void canonical_done(struct canonical *c)
{
	if (c->text.cap)
		explicit_bzero(c->text.ptr, c->text.cap); /* has the session token */
	strbuf_done(&c->text);
	strbuf_done(&c->names);
}
#define cleanup_canonical __attribute__((cleanup(canonical_done)))

static int canonical(const struct aws_sign *s, const struct http_request *req,
                     const struct aws_signed *fields, const char *hash, struct canonical *ret,
                     struct cairn_err *err)
{
	struct pairs p cleanup_pairs = { 0 };
	struct strbuf *out = &ret->text;
	cleanup_free char *host = NULL;
	struct url u;

	if (!url_split(str_of(req->url), &u))
		return cairn_fail(err, CAIRN_E_SYNTAX, "not an http or https URL");
	host = host_value(&u);
	add_field(&p, "host", host);
	vec_foreach (f, &fields->fields)
		if (is_signed(f->name))
			add_field(&p, f->name, f->value);
	qsort(p.v.ptr, p.v.len, sizeof(*p.v.ptr), field_cmp);
	strbuf_printf(out, "%s\n", req->method);
	aws_canonical_path(out, u.path, strcmp(s->service, "s3") == 0);
	strbuf_char(out, '\n');
	aws_canonical_query(out, str_skip(u.query, 1));
	strbuf_char(out, '\n');
	add_headers(out, &ret->names, &p);
	strbuf_printf(out, "\n%s\n%s", ret->names.ptr, hash);
	return strbuf_check(out, "the request to be signed", err);
}

static str view(const struct digest *d)
{
	return str_n((const char *)d->b, sizeof(d->b));
}

/* The key for a day, a region and a service. */
static struct digest signing_key(const struct aws_sign *s, str day)
{
	cleanup_free char *first = xasprintf("AWS4%s", s->creds->secret);
	struct digest k = aws_hmac(str_of(first), day);

	explicit_bzero(first, strlen(first));
	k = aws_hmac(view(&k), str_of(s->region));
	k = aws_hmac(view(&k), str_of(s->service));
	return aws_hmac(view(&k), S("aws4_request"));
}

int aws_sign(const struct aws_sign *s, const struct http_request *req, struct aws_signed *ret,
             struct cairn_err *err)
{
	struct canonical c cleanup_canonical;
	cleanup_free char *scope = NULL, *to_sign = NULL;
	time_t sec = (time_t)(s->now / CLOCK_SEC);
	struct digest hashed, key, signature;
	const char *hash = NULL;
	struct tm tm;

	memset(ret, 0, sizeof(*ret));
	strbuf_init(&c.text, CANONICAL_MAX);
	strbuf_init(&c.names, HTTP_HEADERS_MAX);
	if (!gmtime_r(&sec, &tm) ||
	    strftime(ret->date, sizeof(ret->date), "%Y%m%dT%H%M%SZ", &tm) != 16)
		return cairn_fail(err, CAIRN_E_SYSTEM, "the clock of this machine is far off");
	TRY(collect(s, req, ret, &hash, err));
	TRY(canonical(s, req, ret, hash, &c, err));
	scope = xasprintf("%.8s/%s/%s/aws4_request", ret->date, s->region, s->service);
	hashed = digest_of(c.text.ptr, c.text.len);
	to_sign = xasprintf("%s\n%s\n%s\n%s", ALGORITHM, ret->date, scope, digest_hex(&hashed).s);
	key = signing_key(s, str_n(ret->date, 8));
	signature = aws_hmac(view(&key), str_of(to_sign));
	explicit_bzero(&key, sizeof(key));
	ret->authorization =
		xasprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", ALGORITHM,
	                  s->creds->id, scope, c.names.ptr, digest_hex(&signature).s);
	return 0;
}

void aws_signed_done(struct aws_signed *s)
{
	if (s->authorization)
		explicit_bzero(s->authorization, strlen(s->authorization));
	free(s->authorization);
	s->authorization = NULL;
	vec_free(&s->fields);
}

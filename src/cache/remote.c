/* cache/remote.c - what all remotes do the same way. */
#include "remote_priv.h"

#include "util/json.h"
#include "util/vec.h"

/* --- scopes ------------------------------------------------------------------ */

static bool is_plain(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (!first && (c == '.' || c == '-'));
}

const char *remote_scope_text(const char *scope, char buf[REMOTE_SCOPE_TEXT])
{
	struct strbuf b cleanup_strbuf;
	struct digest d;

	strbuf_init(&b, REMOTE_SCOPE_MAX);
	for (const char *s = scope; *s; s++)
		if (is_plain(*s, s == scope))
			strbuf_char(&b, *s);
		else
			strbuf_printf(&b, "_%02x", (unsigned)(unsigned char)*s);
	if (scope[0] == '\0')
		strbuf_char(&b, '_');
	if (b.overflow) {
		d = digest_of(scope, strlen(scope));
		strbuf_clear(&b);
		strbuf_printf(&b, "_h%.*s", DIGEST_HEX_LEN / 2, digest_hex(&d).s);
	}
	memcpy(buf, b.ptr, b.len + 1);
	return buf;
}

static void add_scope(struct remote *r, const char *scope)
{
	char text[REMOTE_SCOPE_TEXT];

	(void)remote_scope_text(scope, text);
	for (size_t i = 0; i < r->n_scopes; i++)
		if (strcmp(r->scopes[i], text) == 0)
			return;
	r->scopes[r->n_scopes++] = xstrdup(text);
}

int remote_init(struct remote *r, const struct remote_ops *ops, char *name,
                const struct remote_scopes *scopes, struct cairn_err *err)
{
	r->ops = ops;
	r->name = name;
	(void)pthread_mutex_init(&r->lock, NULL);
	if (scopes && scopes->n_read > REMOTE_SCOPES_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s: more than %d scopes are to be read; name fewer fallbacks",
		                  name, REMOTE_SCOPES_MAX);
	add_scope(r, scopes && scopes->write ? scopes->write : "");
	for (size_t i = 0; scopes && i < scopes->n_read; i++)
		add_scope(r, scopes->read[i]);
	return 0;
}

void remote_done(struct remote *r)
{
	for (size_t i = 0; i < r->n_scopes; i++)
		free(r->scopes[i]);
	map_done(&r->damaged);
	health_unref(r->health);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->name);
	free(r->server);
}

void remote_free(struct remote *r)
{
	if (r)
		r->ops->free(r);
}

const char *remote_name(const struct remote *r)
{
	return r->name;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool remote_same_place(const struct remote *a, const struct remote *b)
{
	return a->ops == b->ops && same_text(a->name, b->name) && same_text(a->server, b->server);
}

bool remote_same(const struct remote *a, const struct remote *b)
{
	if (!remote_same_place(a, b) || a->n_scopes != b->n_scopes)
		return false;
	for (size_t i = 0; i < a->n_scopes; i++)
		if (strcmp(a->scopes[i], b->scopes[i]) != 0)
			return false;
	return true;
}

const char *remote_repository(const struct remote *r)
{
	return r->ops->repository ? r->ops->repository(r) : NULL;
}

/* --- documents ----------------------------------------------------------------- */

static struct digest_text seal_of(const struct remote_place *at, str text)
{
	struct sha256 h;
	struct digest d;

	sha256_init(&h);
	sha256_add(&h, at->pointer ? "pointer " : "entry ", at->pointer ? 8 : 6);
	sha256_add(&h, digest_hex(at->name).s, DIGEST_HEX_LEN);
	sha256_add(&h, "\n", 1);
	sha256_add(&h, text.ptr, text.len);
	d = sha256_end(&h);
	return digest_hex(&d);
}

void remote_seal(const struct remote_place *at, str text, struct strbuf *out)
{
	strbuf_str(out, text);
	strbuf_printf(out, "\n%s\n", seal_of(at, text).s);
}

int remote_unseal(const struct remote_place *at, str sealed, str *ret_text, struct cairn_err *err)
{
	struct strbuf want cleanup_strbuf;
	str text;

	strbuf_init(&want, REMOTE_SEAL_LEN);
	if (sealed.len >= REMOTE_SEAL_LEN) {
		text = str_n(sealed.ptr, sealed.len - REMOTE_SEAL_LEN);
		strbuf_printf(&want, "\n%s\n", seal_of(at, text).s);
		if (str_eq(strbuf_view(&want), str_skip(sealed, text.len))) {
			*ret_text = text;
			return 0;
		}
	}
	return cairn_fail(err, CAIRN_E_DIGEST, "%s %s is damaged",
	                  at->pointer ? "pointer" : "entry", digest_hex(at->name).s);
}

/* Read a document of one scope into out (empty, with its maximum). */
static int read_doc(struct remote *r, const struct remote_place *at, struct strbuf *out,
                    char **ret_version, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *version = NULL;
	struct health_call call;
	bool found = false;
	int rc;

	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	rc = r->ops->doc_get(r, at, out, &version, &found, err);
	TRY(remote_end(r, &call, rc, err));
	if (strbuf_check(out, at->pointer ? "pointer" : "entry", err) < 0)
		return cairn_wrap(err, "cache %s", r->name);
	if (found && ret_version)
		*ret_version = steal_ptr(&version);
	*ret_found = found;
	return 0;
}

/* From the first scope that has it; ret_version only when that is the one that is written. */
static int find_doc(struct remote *r, struct remote_place at, size_t max, struct strbuf *out,
                    char **ret_version, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *version = NULL;
	struct strbuf text cleanup_strbuf;
	bool found = false;

	strbuf_init(&text, max);
	for (size_t i = 0; i < r->n_scopes && !found && !(at.pointer && r->ops->no_pointers); i++) {
		at.scope = r->scopes[i];
		strbuf_clear(&text);
		TRY(read_doc(r, &at, &text, i == 0 ? &version : NULL, &found, err));
	}
	if (found) {
		strbuf_str(out, strbuf_view(&text));
		TRY(strbuf_check(out, r->name, err));
	}
	if (ret_version)
		*ret_version = steal_ptr(&version);
	*ret_found = found;
	return 0;
}

/* Every backend keeps the same: UTF-8 without NUL, within the bound. */
static int check_doc(const struct remote *r, str text, size_t max, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;

	if (text.len > max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "cache %s: document of %zu bytes, %zu fit",
		                  r->name, text.len, max);
	j = json_stringn(text.ptr ? text.ptr : "", text.len);
	if (!j || (text.len && memchr(text.ptr, 0, text.len)))
		return cairn_fail(err, CAIRN_E_SYNTAX, "cache %s: document is not UTF-8 text",
		                  r->name);
	return 0;
}

static int put_doc(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                   struct cairn_err *err)
{
	struct health_call call;

	TRY(remote_begin(r, REMOTE_WRITE_PATIENCE, &call, err));
	return remote_end(r, &call, r->ops->doc_put(r, doc, ret_lost, err), err);
}

int remote_entry_get(struct remote *r, const struct digest *key, struct strbuf *out,
                     bool *ret_found, struct cairn_err *err)
{
	struct remote_place at = { .name = key };

	return find_doc(r, at, REMOTE_ENTRY_MAX, out, NULL, ret_found, err);
}

/* Read what lies there; *ret_sound: it is a whole document. One that was cut short makes way for
 * another. */
static int look(struct remote *r, const struct remote_place *at, struct strbuf *text,
                bool *ret_sound, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	struct cairn_err ignored;
	bool found = false;
	int rc = read_doc(r, at, text, NULL, &found, err);

	if (rc < 0 && rc != CAIRN_E_DIGEST && rc != CAIRN_E_SYNTAX)
		return rc;
	*ret_sound = rc == 0 && found && json_parse(strbuf_view(text), "entry", &j, &ignored) == 0;
	return 0;
}

int remote_entry_expect(struct remote *r, const struct digest *key, struct cairn_err *err)
{
	struct remote_place at = { .scope = r->scopes[0], .name = key };
	struct health_call call;

	if (!r->ops->doc_expect)
		return 0;
	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	return remote_end(r, &call, r->ops->doc_expect(r, &at, err), err);
}

int remote_entry_put(struct remote *r, const struct digest *key, const struct remote_put *put,
                     struct strbuf *there, bool *ret_lost, struct cairn_err *err)
{
	struct remote_doc doc = { .at = { .scope = r->scopes[0], .name = key },
		                  .text = put->entry,
		                  .blobs = put->blobs,
		                  .n_blobs = put->n_blobs,
		                  .below = put->below,
		                  .n_below = put->n_below,
		                  .when = put->replace ? REMOTE_ALWAYS : REMOTE_ABSENT };
	struct strbuf text cleanup_strbuf;
	bool lost = false, sound = false;

	strbuf_init(&text, REMOTE_ENTRY_MAX);
	TRY(check_doc(r, put->entry, REMOTE_ENTRY_MAX, err));
	TRY(put_doc(r, &doc, &lost, err));
	if (lost)
		TRY(look(r, &doc.at, &text, &sound, err));
	if (lost && !sound && !put->replace) {
		doc.when = REMOTE_ALWAYS;
		TRY(put_doc(r, &doc, &lost, err));
	} else if (lost && sound) {
		lost = !str_eq(strbuf_view(&text), put->entry);
		strbuf_str(there, strbuf_view(&text));
	}
	*ret_lost = lost;
	return 0;
}

int remote_pointer_get(struct remote *r, const struct digest *name, struct strbuf *out,
                       char **ret_version, bool *ret_found, struct cairn_err *err)
{
	struct remote_place at = { .pointer = true, .name = name };

	return find_doc(r, at, REMOTE_POINTER_MAX, out, ret_version, ret_found, err);
}

/* Is what is there what we have written? Then an answer was lost, and a second try met the first.
 * What is damaged makes way. */
static int is_ours(struct remote *r, struct remote_doc *doc, bool *ret_lost, struct cairn_err *err)
{
	struct strbuf text cleanup_strbuf;
	bool found = false;
	int rc;

	strbuf_init(&text, REMOTE_POINTER_MAX);
	rc = read_doc(r, &doc->at, &text, NULL, &found, err);
	if (rc == CAIRN_E_DIGEST) {
		doc->when = REMOTE_ALWAYS;
		return put_doc(r, doc, ret_lost, err);
	}
	TRY(rc);
	*ret_lost = !found || !str_eq(strbuf_view(&text), doc->text);
	return 0;
}

int remote_pointer_put(struct remote *r, const struct digest *name, const struct remote_pointer *p,
                       bool *ret_lost, struct cairn_err *err)
{
	struct remote_doc doc = { .at = { .pointer = true, .scope = r->scopes[0], .name = name },
		                  .text = p->document,
		                  .blobs = p->blobs,
		                  .n_blobs = p->n_blobs,
		                  .when = p->version ? REMOTE_SAME : REMOTE_ABSENT,
		                  .version = p->version,
		                  .look = p->look };

	TRY(check_doc(r, p->document, REMOTE_POINTER_MAX, err));
	TRY(put_doc(r, &doc, ret_lost, err));
	return *ret_lost ? is_ours(r, &doc, ret_lost, err) : 0;
}

int remote_check_write(struct remote *r, struct cairn_err *err)
{
	struct health_call call;

	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	return remote_end(r, &call, r->ops->check_write(r, err), err);
}

/* --- blobs ----------------------------------------------------------------------- */

void remote_verify_begin(struct remote_verify *v, const struct descriptor *blob,
                         const struct remote_sink *sink)
{
	*v = (struct remote_verify){ .blob = blob, .sink = sink };
	sha256_init(&v->hash);
}

int remote_verify_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct remote_verify *v = ctx;

	if (n > v->blob->size - v->done)
		return cairn_fail(err, CAIRN_E_DIGEST, "blob %s has more than its %llu bytes",
		                  digest_text(&v->blob->digest).s,
		                  (unsigned long long)v->blob->size);
	sha256_add(&v->hash, p, n);
	v->done += n;
	return v->sink->write(v->sink->ctx, p, n, err);
}

int remote_verify_end(struct remote_verify *v, struct cairn_err *err)
{
	struct digest got = sha256_end(&v->hash);

	if (v->done != v->blob->size)
		return cairn_fail(err, CAIRN_E_DIGEST, "blob %s has only %llu of its %llu bytes",
		                  digest_text(&v->blob->digest).s, (unsigned long long)v->done,
		                  (unsigned long long)v->blob->size);
	if (!digest_eq(&got, &v->blob->digest))
		return cairn_fail(err, CAIRN_E_DIGEST, "blob %s has bytes of the digest %s",
		                  digest_text(&v->blob->digest).s, digest_text(&got).s);
	return 0;
}

int remote_fail_missing(const struct descriptor *blob, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "blob %s is not there",
	                  digest_text(&blob->digest).s);
}

static str blob_key(const struct descriptor *blob)
{
	return str_n((const char *)blob->digest.b, DIGEST_LEN);
}

static bool is_damaged(struct remote *r, const struct descriptor *blob)
{
	bool damaged;

	(void)pthread_mutex_lock(&r->lock);
	damaged = map_get(&r->damaged, blob_key(blob)) != NULL;
	(void)pthread_mutex_unlock(&r->lock);
	return damaged;
}

static void set_damaged(struct remote *r, const struct descriptor *blob, bool damaged)
{
	(void)pthread_mutex_lock(&r->lock);
	if (damaged || map_has(&r->damaged, blob_key(blob)))
		(void)map_put(&r->damaged, blob_key(blob), damaged ? r : NULL);
	(void)pthread_mutex_unlock(&r->lock);
}

void remote_blob_doubt(struct remote *r, const struct descriptor *blob)
{
	set_damaged(r, blob, true);
}

int remote_blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err)
{
	struct health_call call;

	if (is_damaged(r, blob)) {
		*ret = false;
		return 0;
	}
	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	return remote_end(r, &call, r->ops->blob_has(r, blob, ret, err), err);
}

int remote_blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	struct health_call call;
	int rc;

	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	rc = r->ops->blob_get(r, blob, sink, err);
	if (rc == CAIRN_E_DIGEST)
		set_damaged(r, blob, true);
	return remote_end(r, &call, rc, err);
}

/* Counts what a range brings. */
struct counted {
	const struct remote_sink *sink;
	uint64_t left;
};

static int write_counted(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct counted *c = ctx;

	if (n > c->left)
		return cairn_fail(err, CAIRN_E_DIGEST, "more came than was asked for");
	c->left -= n;
	return c->sink->write(c->sink->ctx, p, n, err);
}

int remote_blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err)
{
	struct counted c = { .sink = sink, .left = len };
	struct remote_sink counted = { write_counted, &c };
	struct health_call call;
	int rc;

	if (offset > blob->size || len > blob->size - offset)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "cache %s: %llu bytes at %llu do not lie in blob %s", r->name,
		                  (unsigned long long)len, (unsigned long long)offset,
		                  digest_text(&blob->digest).s);
	if (len == 0)
		return 0;
	TRY(remote_begin(r, REMOTE_READ_PATIENCE, &call, err));
	rc = r->ops->blob_range(r, blob, offset, len, &counted, err);
	TRY(remote_end(r, &call, rc, err));
	if (c.left) {
		set_damaged(r, blob, true);
		return cairn_fail(err, CAIRN_E_DIGEST, "cache %s: blob %s is shorter than it was",
		                  r->name, digest_text(&blob->digest).s);
	}
	return 0;
}

static int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

int remote_blob_read(struct remote *r, const struct descriptor *blob, struct strbuf *out,
                     struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	struct remote_sink sink = { add_bytes, &bytes };

	strbuf_init(&bytes, out->max - out->len);
	if (blob->size > bytes.max)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "cache %s: blob %s has %llu bytes, at most %zu are wanted",
		                  r->name, digest_text(&blob->digest).s,
		                  (unsigned long long)blob->size, bytes.max);
	TRY(remote_blob_get(r, blob, &sink, err));
	strbuf_str(out, strbuf_view(&bytes));
	return 0;
}

int remote_blob_put(struct remote *r, const struct descriptor *blob,
                    const struct remote_source *src, struct cairn_err *err)
{
	struct health_call call;
	bool there = false;

	if (src->fd < 0 && src->bytes.len != blob->size)
		CAIRN_BUG("blob of %llu bytes, %zu given", (unsigned long long)blob->size,
		          src->bytes.len);
	if (blob->size > r->ops->blind)
		TRY(remote_blob_has(r, blob, &there, err));
	if (there)
		return 0;
	TRY(remote_begin(r, remote_send_patience(blob->size), &call, err));
	TRY(remote_end(r, &call, r->ops->blob_put(r, blob, src, err), err));
	set_damaged(r, blob, false);
	return 0;
}

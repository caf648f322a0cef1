#include <errno.h>
#include <sys/stat.h>

#include "store_priv.h"
#include "util/clock.h"
#include "util/fs.h"

struct store_blob_writer {
	struct store *s;
	struct digest expected; /* all zero = not known */
	struct sha256 hash;
	uint64_t size;
	char *tmp; /* relative to the home directory; NULL once published */
	int fd;
};

static int blob_find(struct store *s, const struct digest *digest, struct object *ret,
                     bool *ret_found, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_LOOKUP, err));
	return tx_end(s, object_find(s, OBJECT_BLOB, digest, ret, ret_found, err), err);
}

int store_blob_find(struct store *s, const struct digest *digest, bool *ret_found,
                    uint64_t *ret_size, struct cairn_err *err)
{
	struct object o = { 0 };
	bool found = false;

	TRY(blob_find(s, digest, &o, &found, err));
	*ret_found = found;
	if (ret_size)
		*ret_size = found ? o.bytes : 0;
	return 0;
}

int store_blob_open(struct store *s, const struct digest *digest, int *ret_fd, uint64_t *ret_size,
                    struct cairn_err *err)
{
	cleanup_free char *path = NULL;
	struct object o = { 0 };
	bool found = false;
	int fd;

	TRY(blob_find(s, digest, &o, &found, err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "the store has no blob %s",
		                  digest_text(digest).s);
	path = object_path(OBJECT_BLOB, &o);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open blob %s", digest_text(digest).s);
	*ret_fd = fd;
	*ret_size = o.bytes;
	return 0;
}

int store_blob_read(struct store *s, const struct digest *digest, struct strbuf *out,
                    struct cairn_err *err)
{
	cleanup_free char *buf = NULL;
	cleanup_fd int fd = -1;
	struct cairn_err ignored;
	struct digest got;
	uint64_t size = 0;
	size_t n = 0;

	TRY(store_blob_open(s, digest, &fd, &size, err));
	if (size > out->max - out->len)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "blob %s has %llu bytes; more than %zu are not read",
		                  digest_text(digest).s, (unsigned long long)size, out->max);
	buf = xmalloc(size);
	TRY(fs_read_full(fd, buf, size, &n, "blob", err));
	got = digest_of(buf, n);
	if (n != size || !digest_eq(&got, digest)) {
		if (!s->read_only)
			(void)store_blob_forget(s, digest, &ignored);
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "blob %s is damaged in the store '%s'; dropped",
		                  digest_text(digest).s, s->path);
	}
	strbuf_add(out, buf, n);
	return 0;
}

int store_blob_forget(struct store *s, const struct digest *digest, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, object_forget(s, OBJECT_BLOB, digest, err), err);
}

int store_blob_put(struct store *s, str bytes, struct digest *ret_digest, struct cairn_err *err)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	struct digest d = digest_of(bytes.ptr, bytes.len);
	bool found = false;

	TRY(store_blob_find(s, &d, &found, NULL, err));
	if (!found) {
		TRY(store_blob_writer_new(s, NULL, &w, err));
		TRY(store_blob_writer_add(w, bytes.ptr, bytes.len, err));
		TRY(store_blob_writer_commit(w, NULL, NULL, err));
	}
	if (ret_digest)
		*ret_digest = d;
	return 0;
}

int store_blob_writer_new(struct store *s, const struct digest *expected,
                          struct store_blob_writer **ret, struct cairn_err *err)
{
	cleanup_free char *tmp = NULL;
	struct store_blob_writer *w;
	int fd;

	TRY(tmp_name(s, &tmp, err));
	fd = openat(s->fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail_io(s, err, "create a blob");
	w = xcalloc(1, sizeof(*w));
	w->s = s;
	w->fd = fd;
	w->tmp = steal_ptr(&tmp);
	if (expected)
		w->expected = *expected;
	sha256_init(&w->hash);
	*ret = w;
	return 0;
}

int store_blob_writer_add(struct store_blob_writer *w, const void *p, size_t n,
                          struct cairn_err *err)
{
	struct cairn_err why;

	sha256_add(&w->hash, p, n);
	w->size += n;
	if (fs_write_all(w->fd, p, n, "blob", &why) < 0) {
		errno = why.sys;
		return store_fail_io(w->s, err, "write a blob");
	}
	return 0;
}

uint64_t store_blob_writer_size(const struct store_blob_writer *w)
{
	return w->size;
}

int store_blob_writer_fd(const struct store_blob_writer *w)
{
	return w->fd;
}

static int blob_publish(struct store_blob_writer *w, const struct digest *d, struct object *ret_new,
                        struct cairn_err *err)
{
	struct object_new n = { .kind = OBJECT_BLOB, .key = d, .bytes = w->size, .tmp = w->tmp };
	struct object old;
	bool found = false;

	TRY(object_find(w->s, OBJECT_BLOB, d, &old, &found, err));
	return found ? 0 : object_add(w->s, &n, ret_new, err);
}

static int check(const struct store_blob_writer *w, const struct digest *got, struct cairn_err *err)
{
	if (digest_none(&w->expected) || digest_eq(got, &w->expected))
		return 0;
	return cairn_fail(err, CAIRN_E_DIGEST,
	                  "received bytes with the digest %s (%llu of them) instead of %s",
	                  digest_text(got).s, (unsigned long long)w->size,
	                  digest_text(&w->expected).s);
}

int store_blob_writer_check(const struct store_blob_writer *w, struct cairn_err *err)
{
	struct sha256 hash = w->hash;
	struct digest d = sha256_end(&hash);

	return check(w, &d, err);
}

int store_blob_writer_commit(struct store_blob_writer *w, struct digest *ret_digest,
                             uint64_t *ret_size, struct cairn_err *err)
{
	struct digest d = sha256_end(&w->hash);
	struct object o = { 0 };
	int r;

	TRY(check(w, &d, err));
	TRY(tx_begin(w->s, TX_WRITE, err));
	r = tx_end(w->s, blob_publish(w, &d, &o, err), err);
	if (r < 0) {
		object_undo(w->s, OBJECT_BLOB, &o);
		return r;
	}
	if (o.name[0]) {
		free(w->tmp);
		w->tmp = NULL;
	}
	if (ret_digest)
		*ret_digest = d;
	if (ret_size)
		*ret_size = w->size;
	return 0;
}

void store_blob_writer_free(struct store_blob_writer *w)
{
	if (!w)
		return;
	if (w->tmp)
		(void)unlinkat(w->s->fd, w->tmp, 0);
	free(w->tmp);
	fs_close_p_(&w->fd);
	free(w);
}

int store_blob_source_put(struct store *s, const struct digest *digest, str registry,
                          str repository, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s,
	              db_run(s, err, "INSERT OR REPLACE INTO blob_source VALUES(?1, ?2, ?3, ?4)",
	                     "dssi", digest, registry, repository, clock_now()),
	              err);
}

static int sources_read(struct store *s, const struct digest *digest, struct store_sources *list,
                        struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	VEC(struct store_source) v = { 0 };
	bool row = false;
	int r;

	TRY(db_bind(s, &st, err,
	            "SELECT registry, repository FROM blob_source WHERE digest = ?1"
	            " ORDER BY seen DESC, registry, repository LIMIT 100",
	            "d", digest));
	while ((r = db_row(s, st, &row, err)) == 0 && row)
		vec_push(&v, (struct store_source){ db_text(st, 0), db_text(st, 1) });
	*list = (struct store_sources){ v.ptr, v.len };
	return r;
}

int store_blob_sources(struct store *s, const struct digest *digest, struct store_sources *ret,
                       struct cairn_err *err)
{
	struct store_sources list = { 0 };
	int r;

	TRY(tx_begin(s, TX_PEEK, err));
	r = tx_end(s, sources_read(s, digest, &list, err), err);
	if (r < 0)
		store_sources_done(&list);
	else
		*ret = list;
	return r;
}

void store_sources_done(struct store_sources *list)
{
	for (size_t i = 0; i < list->len; i++) {
		free(list->ptr[i].registry);
		free(list->ptr[i].repository);
	}
	free(list->ptr);
	*list = (struct store_sources){ 0 };
}

/* usage: store-check HOME
 *
 * Compares everything that a store says with what lies on the disk: the database's own check,
 * blobs with their digests, indexes with theirs, directories of layers with their indexes,
 * references with what they name. Prints each contradiction; exit code 1 when there is one.
 * Files that this user may not read are compared by type and size only.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/layer.h"
#include "store/store.h"
#include "util/fs.h"
#include "util/vec.h"

static unsigned problems;

#define PROBLEM(...) (problems++, (void)printf(__VA_ARGS__), (void)puts(""))

static sqlite3_stmt *query(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK) {
		PROBLEM("%s: %s", sql, sqlite3_errmsg(db));
		return NULL;
	}
	return st;
}

/* Every row that the query gives is a contradiction. */
static void none(sqlite3 *db, const char *what, const char *sql)
{
	sqlite3_stmt *st = query(db, sql);

	while (st && sqlite3_step(st) == SQLITE_ROW)
		PROBLEM("%s: %s", what, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
}

static bool hash_file(int dirfd, const char *path, struct digest *ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct sha256 h;
	char buf[65536];
	ssize_t n;

	if (fd < 0)
		return false;
	sha256_init(&h);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sha256_add(&h, buf, (size_t)n);
	close(fd);
	*ret = sha256_end(&h);
	return n == 0;
}

static mode_t format_of(enum layer_type t)
{
	switch (t) {
	case LAYER_DIR:
		return S_IFDIR;
	case LAYER_SYMLINK:
		return S_IFLNK;
	case LAYER_FIFO:
		return S_IFIFO;
	case LAYER_BLOCK:
		return S_IFBLK;
	case LAYER_CHAR:
	case LAYER_WHITEOUT: /* as overlayfs writes it */
		return S_IFCHR;
	case LAYER_FILE:
	case LAYER_HARDLINK:
	case LAYER_TYPE_N_:
		break;
	}
	return S_IFREG;
}

static void check_entry(int dirfd, const char *dir, const struct layer_entry *e)
{
	char path[LAYER_PATH_MAX + 2];
	struct stat st;
	struct digest d;

	(void)snprintf(path, sizeof(path), "%.*s", STR(e->path));
	if (e->path.len == 0)
		return;
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		bool device = e->type == LAYER_CHAR || e->type == LAYER_BLOCK;

		/* Without rights there are no devices, and behind a closed directory nothing is
		 * seen. */
		if (errno != EACCES && !device && e->type != LAYER_WHITEOUT)
			PROBLEM("%s/%s: %s", dir, path, strerror(errno));
		return;
	}
	if ((st.st_mode & S_IFMT) != format_of(e->type)) {
		PROBLEM("%s/%s: not a %s", dir, path, layer_type_name(e->type));
		return;
	}
	if (e->type != LAYER_FILE && e->type != LAYER_HARDLINK)
		return;
	if ((uint64_t)st.st_size != e->size)
		PROBLEM("%s/%s: %lld bytes, not %llu", dir, path, (long long)st.st_size,
		        (unsigned long long)e->size);
	else if (hash_file(dirfd, path, &d) && !digest_eq(&d, &e->digest))
		PROBLEM("%s/%s: other content", dir, path);
}

static struct layer_index *read_index(struct store *s, const struct digest *diff_id)
{
	struct strbuf bytes;
	struct cairn_err err;
	struct layer_index *ix = NULL;

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	if (store_layer_index_read(s, diff_id, &bytes, &err) < 0 ||
	    layer_index_decode(strbuf_view(&bytes), &ix, &err) < 0)
		PROBLEM("index of %s: %s", digest_text(diff_id).s, err.msg);
	strbuf_done(&bytes);
	return ix;
}

static void check_dir(struct store *s, const char *name, const struct digest *diff_id)
{
	char path[64];
	struct layer_index *ix = read_index(s, diff_id);
	int fd;

	(void)snprintf(path, sizeof(path), "layers/%s", name);
	fd = openat(store_dirfd(s), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		PROBLEM("%s: %s", path, strerror(errno));
	for (size_t i = 0; fd >= 0 && ix && i < ix->n_entries; i++)
		check_entry(fd, path, &ix->entries[i]);
	if (fd >= 0)
		close(fd);
	layer_index_unref(ix);
}

static void check_blob(struct store *s, const char *name, const struct digest *want)
{
	char path[64];
	struct digest d;

	(void)snprintf(path, sizeof(path), "blobs/%s", name);
	if (!hash_file(store_dirfd(s), path, &d))
		PROBLEM("%s: cannot be read", path);
	else if (!digest_eq(&d, want))
		PROBLEM("%s: other content", path);
}

static struct digest column_digest(sqlite3_stmt *st, int col)
{
	struct digest d = { 0 };

	if (sqlite3_column_bytes(st, col) == DIGEST_LEN)
		memcpy(d.b, sqlite3_column_blob(st, col), DIGEST_LEN);
	return d;
}

enum {
	KIND_BLOB = 1,
	KIND_INDEX,
	KIND_DIR
};

struct row {
	int kind;
	char name[64];
	struct digest key, layer;
};

/* All rows first: reading on while the store is asked would make checkpoints wait. */
static void check_objects(struct store *s, sqlite3 *db)
{
	sqlite3_stmt *st = query(db, "SELECT kind, key, name, layer FROM object ORDER BY id");
	VEC(struct row) rows = { 0 };

	while (st && sqlite3_step(st) == SQLITE_ROW) {
		struct row r = { .kind = sqlite3_column_int(st, 0),
			         .key = column_digest(st, 1),
			         .layer = column_digest(st, 3) };

		(void)snprintf(r.name, sizeof(r.name), "%s",
		               (const char *)sqlite3_column_text(st, 2));
		vec_push(&rows, r);
	}
	sqlite3_finalize(st);
	vec_foreach (r, &rows) {
		if (r->kind == KIND_BLOB)
			check_blob(s, r->name, &r->key);
		else if (r->kind == KIND_INDEX)
			layer_index_unref(read_index(s, &r->key));
		else if (r->kind == KIND_DIR)
			check_dir(s, r->name, &r->layer);
	}
	vec_free(&rows);
}

static void check_references(sqlite3 *db)
{
	none(db, "database",
	     "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
	none(db, "record without its layer or blob",
	     "SELECT hex(key) FROM record_ref r WHERE NOT EXISTS "
	     "(SELECT 1 FROM object o WHERE o.kind = r.kind AND o.key = r.digest)");
	none(db, "image without its layer",
	     "SELECT hex(config) FROM image_layer i WHERE NOT EXISTS "
	     "(SELECT 1 FROM layer l WHERE l.diff_id = i.diff_id)");
	none(db, "image without its config",
	     "SELECT hex(config) FROM image i WHERE NOT EXISTS "
	     "(SELECT 1 FROM object o WHERE o.kind = 1 AND o.key = i.config)");
	none(db, "tag without its image",
	     "SELECT name FROM tag t WHERE NOT EXISTS "
	     "(SELECT 1 FROM image i WHERE i.config = t.config)");
	none(db, "layer without its index",
	     "SELECT hex(diff_id) FROM layer l WHERE NOT EXISTS "
	     "(SELECT 1 FROM object o WHERE o.kind = 2 AND o.key = l.diff_id)");
}

int main(int argc, char **argv)
{
	struct store_opts opts = { .path = argc == 2 ? argv[1] : "" };
	struct store *s = NULL;
	struct cairn_err err;
	char path[4096];
	sqlite3 *db = NULL;

	if (argc != 2 || store_open(&opts, &s, &err) < 0) {
		(void)printf("store-check: %s\n", argc == 2 ? err.msg : "one argument: HOME");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/db.sqlite", store_path(s));
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		PROBLEM("%s: %s", path, sqlite3_errmsg(db));
	else
		check_references(db);
	check_objects(s, db);
	sqlite3_close(db);
	store_close(s);
	return problems ? 1 : 0;
}

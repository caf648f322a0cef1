#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "store_priv.h"
#include "util/clock.h"
#include "util/fs.h"

/* `used` serves to find what nobody needs any more; a coarse value keeps a
 * build that finds everything from writing to the database. */
#define USED_STEP (3600 * CLOCK_SEC)

const char *const object_folder[OBJECT_N_] = {
	[OBJECT_BLOB] = "blobs",
	[OBJECT_INDEX] = "indexes",
	[OBJECT_DIR] = "layers",
	[OBJECT_MOUNT] = "mounts",
};

char *object_path(enum object_kind kind, const struct object *o)
{
	return xasprintf("%s/%s", object_folder[kind], o->name);
}

/* Is what the row promises still on the disk? */
static bool file_is_there(struct store *s, enum object_kind kind, const struct object *o)
{
	cleanup_free char *path = object_path(kind, o);
	struct stat st;

	if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (kind == OBJECT_DIR || kind == OBJECT_MOUNT)
		return S_ISDIR(st.st_mode);
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == o->bytes;
}

static int read_row(struct store *s, sqlite3_stmt *st, struct object *ret, struct cairn_err *err)
{
	str name = sql_bytes(st, 1);
	struct object o = { .id = sqlite3_column_int64(st, 0),
		            .bytes = (uint64_t)sqlite3_column_int64(st, 2),
		            .layer = sql_digest(st, 3) };

	if (name.len == 0 || name.len >= sizeof(o.name) || str_find(name, '/') >= 0 ||
	    name.ptr[0] == '.')
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the database of the store '%s' is damaged (a file name is not "
		                  "valid); remove that directory to start with an empty store",
		                  s->path);
	memcpy(o.name, name.ptr, name.len);
	*ret = o;
	return 0;
}

int object_find(struct store *s, enum object_kind kind, const struct digest *key,
                struct object *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	int64_t now = clock_now();
	bool row = false;

	TRY(db_bind(s, &st, err,
	            "SELECT id, name, bytes, layer, used FROM object"
	            " WHERE kind = ?1 AND key = ?2 AND durable >= ?3",
	            "idi", (int64_t)kind, key, (int64_t)s->min_durable));
	TRY(db_row(s, st, &row, err));
	if (row)
		TRY(read_row(s, st, ret, err));
	*ret_found = row && file_is_there(s, kind, ret);
	if (!*ret_found)
		return 0;
	if (!s->read_only && now - sqlite3_column_int64(st, 4) > USED_STEP)
		TRY(db_run(s, err, "UPDATE object SET used = ?1 WHERE id = ?2", "ii", now,
		           ret->id));
	lease_add(s, (int)kind, key);
	if (kind == OBJECT_DIR)
		lease_add(s, OBJECT_INDEX, &ret->layer);
	return 0;
}

int object_add(struct store *s, const struct object_new *n, struct object *ret,
               struct cairn_err *err)
{
	cleanup_free char *name = fs_random_name("");
	cleanup_free char *path = NULL;
	/* A mount is written for as long as it lives: synced or not makes no difference. */
	int64_t now = clock_now(), durable = n->kind == OBJECT_MOUNT;
	struct object o = { .bytes = n->bytes };

	memcpy(o.name, name, strlen(name));
	/* REPLACE: a row whose file is gone. */
	TRY(db_run(
		s, err,
		"INSERT OR REPLACE INTO object(kind, key, name, bytes, layer, created, used, durable)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
		"idsidii", (int64_t)n->kind, n->key, str_of(name), (int64_t)n->bytes, n->layer, now,
		durable));
	o.id = sqlite3_last_insert_rowid(s->db);
	path = object_path(n->kind, &o);
	if (renameat(s->fd, n->tmp, s->fd, path) < 0)
		return store_fail_io(s, err, "move a finished file into its place");
	lease_add(s, (int)n->kind, n->key);
	*ret = o;
	return 0;
}

void object_undo(struct store *s, enum object_kind kind, const struct object *o)
{
	cleanup_free char *path = NULL;
	struct cairn_err ignored;

	if (!o->name[0])
		return;
	path = object_path(kind, o);
	(void)fs_remove_tree(s->fd, path, &ignored);
}

int object_forget(struct store *s, enum object_kind kind, const struct digest *key,
                  struct cairn_err *err)
{
	/* Only the row: another process may be using the file. Without a row it is garbage. */
	return db_run(s, err, "DELETE FROM object WHERE kind = ?1 AND key = ?2", "id",
	              (int64_t)kind, key);
}

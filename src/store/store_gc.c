#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "store_priv.h"
#include "util/fs.h"
#include "util/log.h"

/* A name on the disk that no row knows, to be removed after the transaction. */
struct victim {
	char *path; /* relative to the home directory; owned */
};

struct gc {
	struct map names; /* names that have a row */
	VEC(struct victim) victims;
};

int sweep_broken(struct store *s, struct cairn_err *err)
{
	static const char *const sql[] = {
		("DELETE FROM layer WHERE NOT EXISTS"
		 " (SELECT 1 FROM object WHERE kind = 2 AND key = diff_id)"),
		"DELETE FROM object WHERE kind = 3 AND layer NOT IN (SELECT diff_id FROM layer)",
		("DELETE FROM record WHERE key IN (SELECT key FROM record_ref r WHERE NOT EXISTS"
		 " (SELECT 1 FROM object WHERE kind = r.kind AND key = r.digest))"),
		"DELETE FROM record_ref WHERE key NOT IN (SELECT key FROM record)",
		("DELETE FROM image WHERE NOT EXISTS"
		 " (SELECT 1 FROM object WHERE kind = 1 AND key = config)"),
		"DELETE FROM image_layer WHERE config NOT IN (SELECT config FROM image)",
		"DELETE FROM image_manifest WHERE config NOT IN (SELECT config FROM image)",
		"DELETE FROM tag WHERE config NOT IN (SELECT config FROM image)",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sql); i++)
		TRY(db_run(s, err, sql[i], ""));
	return 0;
}

static int note_lease(void *ctx, int kind, const struct digest *digest, struct cairn_err *err)
{
	return db_run(ctx, err, "INSERT OR IGNORE INTO temp.leased VALUES(?1, ?2)", "id",
	              (int64_t)kind, digest);
}

static int read_leased(struct store *s, struct cairn_err *err)
{
	TRY(db_run(s, err,
	           "CREATE TEMP TABLE IF NOT EXISTS leased(kind INTEGER, digest BLOB,"
	           " PRIMARY KEY(kind, digest)) WITHOUT ROWID",
	           ""));
	TRY(db_run(s, err, "DELETE FROM temp.leased", ""));
	return lease_each(s, note_lease, s, err);
}

static int delete_unreferenced(struct store *s, bool untagged, struct cairn_err *err)
{
	static const char *const sql[] = {
		("DELETE FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer"
		 " UNION SELECT digest FROM record_ref WHERE kind = 2"
		 " UNION SELECT digest FROM temp.leased WHERE kind = 2)"),
		("DELETE FROM layer_blob WHERE diff_id NOT IN (SELECT diff_id FROM layer"
		 " UNION SELECT diff_id FROM image_layer UNION SELECT digest FROM temp.leased WHERE"
		 " kind = 2)"),
		"DELETE FROM object WHERE kind = 2 AND key NOT IN (SELECT diff_id FROM layer)",
		"DELETE FROM object WHERE kind = 3 AND layer NOT IN (SELECT diff_id FROM layer)",
		("DELETE FROM object WHERE kind = 1 AND key NOT IN (SELECT config FROM image"
		 " UNION SELECT digest FROM image_manifest UNION SELECT digest FROM layer_blob"
		 " UNION SELECT digest FROM record_ref WHERE kind = 1"
		 " UNION SELECT digest FROM temp.leased WHERE kind = 1)"),
		("DELETE FROM blob_source WHERE digest NOT IN (SELECT digest FROM layer_blob"
		 " UNION SELECT key FROM object WHERE kind = 1)"),
	};

	TRY(read_leased(s, err));
	TRY(sweep_broken(s, err));
	if (untagged)
		TRY(db_run(s, err,
		           "DELETE FROM image WHERE config NOT IN (SELECT config FROM tag UNION"
		           " SELECT digest FROM temp.leased WHERE kind = ?1)",
		           "i", (int64_t)LEASE_IMAGE));
	TRY(sweep_broken(s, err));
	for (size_t i = 0; i < ARRAY_SIZE(sql); i++)
		TRY(db_run(s, err, sql[i], ""));
	return 0;
}

static int read_names(struct store *s, struct gc *gc, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = false;
	int r;

	TRY(db_bind(s, &st, err, "SELECT name FROM object", ""));
	while ((r = db_row(s, st, &row, err)) == 0 && row)
		map_put(&gc->names, sql_bytes(st, 0), gc);
	return r;
}

static int find_victims(struct store *s, const char *folder, struct gc *gc, struct cairn_err *err)
{
	int fd = openat(s->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	if (!d) {
		int r = store_fail_io(s, err, "look for garbage");

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((de = readdir(d))) {
		if (de->d_name[0] != '.' && !map_has(&gc->names, str_of(de->d_name)))
			vec_push(&gc->victims,
			         (struct victim){ xasprintf("%s/%s", folder, de->d_name) });
	}
	closedir(d);
	return 0;
}

static int collect(struct store *s, bool untagged, struct gc *gc, struct cairn_err *err)
{
	TRY(delete_unreferenced(s, untagged, err));
	TRY(read_names(s, gc, err));
	for (int kind = 1; kind < OBJECT_N_; kind++)
		TRY(find_victims(s, object_folder[kind], gc, err));
	return 0;
}

static uint64_t tree_bytes(struct store *s, const char *path);

static uint64_t dir_bytes(int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *de;
	uint64_t sum = 0;
	struct stat st;

	while (d && (de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 ||
		    fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(fd, de->d_name,
			                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			sum += sub < 0 ? 0 : dir_bytes(sub);
		} else if (st.st_nlink > 0) {
			sum += (uint64_t)st.st_blocks * 512 / st.st_nlink;
		}
	}
	if (d)
		closedir(d);
	else
		close(fd);
	return sum;
}

/* Bytes on the disk that go with path; what cannot be read counts as nothing. */
static uint64_t tree_bytes(struct store *s, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return (uint64_t)st.st_blocks * 512;
	fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : dir_bytes(fd);
}

int store_gc(struct store *s, bool untagged, struct store_gc_stats *ret, struct cairn_err *err)
{
	struct store_gc_stats stats = { 0 };
	struct gc gc = { 0 };
	struct cairn_err why;
	int r = tx_begin(s, TX_WRITE, err);

	if (r == 0)
		r = tx_end(s, collect(s, untagged, &gc, err), err);
	map_done(&gc.names);
	vec_foreach (v, &gc.victims) {
		if (r == 0) {
			uint64_t bytes = tree_bytes(s, v->path);

			if (fs_remove_tree(s->fd, v->path, &why) == 0) {
				stats.removed++;
				stats.bytes += bytes;
			} else {
				log_debug("left behind: %s", why.msg);
				stats.undeleted++;
			}
		}
		free(v->path);
	}
	vec_free(&gc.victims);
	if (r == 0)
		*ret = stats;
	return r;
}

static int count_rows(struct store *s, struct store_usage *u, struct cairn_err *err)
{
	struct store_count *const by_kind[OBJECT_N_] = {
		[OBJECT_BLOB] = &u->blobs,
		[OBJECT_INDEX] = &u->indexes,
		[OBJECT_DIR] = &u->layers,
		[OBJECT_MOUNT] = &u->mounts,
	};
	cleanup_stmt sqlite3_stmt *kinds = NULL, *rows = NULL;
	bool row = false;
	int r;

	TRY(db_bind(s, &kinds, err, "SELECT kind, count(*), sum(bytes) FROM object GROUP BY kind",
	            ""));
	while ((r = db_row(s, kinds, &row, err)) == 0 && row) {
		int kind = sqlite3_column_int(kinds, 0);

		if (kind > 0 && kind < OBJECT_N_)
			*by_kind[kind] = (struct store_count){
				.n = (uint64_t)sqlite3_column_int64(kinds, 1),
				.bytes = (uint64_t)sqlite3_column_int64(kinds, 2),
			};
	}
	TRY(r);
	TRY(db_bind(s, &rows, err,
	            "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM image)", ""));
	TRY(db_row(s, rows, &row, err));
	u->records = (uint64_t)sqlite3_column_int64(rows, 0);
	u->images = (uint64_t)sqlite3_column_int64(rows, 1);
	return 0;
}

int store_usage(struct store *s, struct store_usage *ret, struct cairn_err *err)
{
	/* Only stat: to open and close the database's file would drop SQLite's locks. */
	static const char *const files[] = { "db.sqlite", "db.sqlite-wal" };
	struct store_usage u = { 0 };
	struct stat st;

	TRY(tx_begin(s, TX_PEEK, err));
	TRY(tx_end(s, count_rows(s, &u, err), err));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (fstatat(s->fd, files[i], &st, 0) == 0)
			u.db_bytes += (uint64_t)st.st_size;
	*ret = u;
	return 0;
}

/* Ids grow and are never used again (AUTOINCREMENT), so this is all there was by now. */
static int newest_id(struct store *s, int64_t *ret, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = false;

	TRY(db_bind(s, &st, err, "SELECT coalesce(max(id), 0) FROM object WHERE durable = 0", ""));
	TRY(db_row(s, st, &row, err));
	*ret = row ? sqlite3_column_int64(st, 0) : 0;
	return 0;
}

/* All rows up to this id. */
static int make_durable(struct store *s, int64_t id, struct cairn_err *err)
{
	if (syncfs(s->fd) < 0)
		return cairn_fail_sys(
			err,
			"write the store '%s' to its disk; what was built may be lost "
			"at the next restart",
			s->path);
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s,
	              db_run(s, err, "UPDATE object SET durable = 1 WHERE durable = 0 AND id <= ?1",
	                     "i", id),
	              err);
}

int store_sync(struct store *s, struct cairn_err *err)
{
	int64_t id = 0;

	TRY(store_need_write(s, err));
	TRY(tx_begin(s, TX_PEEK, err));
	TRY(tx_end(s, newest_id(s, &id, err), err));
	if (id != 0)
		TRY(make_durable(s, id, err));
	pthread_mutex_lock(&s->lock);
	db_checkpoint(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

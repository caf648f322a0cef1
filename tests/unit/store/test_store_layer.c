#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper.h"
#include "util/fs.h"

void test_layer__commit_and_find(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("one"), keys[2] = { digest_of_text("other"), d };
	struct store_layer l;
	struct cairn_err err;
	struct strbuf out;
	char *path = NULL, *paths[2], file[512];
	bool found = false;

	(void)state;
	assert_ok(store_layer_find(s, &d, &l, &found, &err));
	assert_false(found);
	assert_ok(commit_layer(s, "one", &path, &err));
	assert_ok(store_layer_find(s, &d, &l, &found, &err));
	assert_true(found);
	assert_int_equal(l.tar_size, 1024);
	assert_true(digest_eq(&l.content, &d));
	strbuf_init(&out, 100);
	assert_ok(store_layer_index_read(s, &d, &out, &err));
	assert_str(strbuf_view(&out), "one");
	strbuf_done(&out);
	assert_ok(store_layer_dirs_find(s, keys, 2, paths, &err));
	assert_null(paths[0]);
	assert_string_equal(paths[1], path);
	(void)snprintf(file, sizeof(file), "%s/file", path);
	assert_int_equal(access(file, R_OK), 0);
	free(path);
	free(paths[1]);
	store_close(s);
}

/* The root of a new layer is what an image expects, whatever the store inherited. */
void test_layer__clean_root(void **state)
{
	/* A default ACL u::rwx,u:1:rwx,g::rwx,m::rwx,o::--- as the kernel takes it. */
	static const unsigned char acl[] = {
		2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   7,
		0, 1, 0,   0,   0,   4,   0,  7, 0,   255, 255, 255, 255, 16,  0,
		7, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255,
	};
	cleanup_store_layer_txn struct store_layer_txn *t = NULL;
	struct store *s = open_store();
	char *tmp = NULL, *slash;
	struct cairn_err err;
	struct stat st;

	(void)state;
	/* The parent of the layer's directory is the one that it inherits from. */
	assert_ok(store_tmp_dir(s, &tmp, &err));
	slash = strrchr(tmp, '/');
	*slash = '\0';
	assert_int_equal(chown(tmp, (uid_t)-1, geteuid() == 0 ? 12345 : getegid()), 0);
	assert_int_equal(chmod(tmp, 02700), 0);
	if (setxattr(tmp, "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
		print_message("no ACLs on this file system: checked without them\n");
	free(tmp);
	assert_ok(store_layer_begin(s, &t, &err));
	assert_int_equal(stat(store_layer_txn_fs(t), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_gid, getegid());
	assert_true(getxattr(store_layer_txn_fs(t), "system.posix_acl_default", NULL, 0) <= 0);
	assert_true(getxattr(store_layer_txn_fs(t), "system.posix_acl_access", NULL, 0) <= 0);
	assert_int_equal(stat(store_layer_txn_work(t), &st), 0);
	store_layer_txn_free(steal_ptr(&t));
	store_close(s);
}

/* The same layer from two handles: the first stays. */
void test_layer__second_commit_adopts(void **state)
{
	struct store *a = open_store(), *b = open_store();
	struct cairn_err err;
	struct store_usage u;
	char *first = NULL, *second = NULL;

	(void)state;
	assert_ok(commit_layer(a, "same", &first, &err));
	assert_ok(commit_layer(b, "same", &second, &err));
	assert_string_equal(first, second);
	assert_ok(store_usage(b, &u, &err));
	assert_int_equal(u.layers.n, 1);
	assert_int_equal(u.indexes.n, 1);
	free(first);
	free(second);
	store_close(a);
	store_close(b);
}

void test_layer__index_only_and_second_directory(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("base"), chain = digest_of_text("chain");
	struct store_layer_new l = { .layer = { .diff_id = d, .foreign = true },
		                     .index = S("base") };
	cleanup_store_layer_txn struct store_layer_txn *t = NULL;
	struct store_layer found_layer;
	struct cairn_err err;
	struct store_usage u;
	char *path = NULL;
	bool found = false;

	(void)state;
	assert_ok(store_layer_put(s, &l, &err));
	assert_ok(commit_layer(s, "base", NULL, &err));
	l.dir_key = &chain;
	assert_ok(store_layer_begin(s, &t, &err));
	assert_ok(store_layer_commit(t, &l, &path, &err));
	assert_non_null(path);
	free(path);
	assert_ok(store_usage(s, &u, &err));
	assert_int_equal(u.layers.n, 2);
	assert_int_equal(u.indexes.n, 1);
	assert_ok(store_layer_find(s, &d, &found_layer, &found, &err));
	assert_true(found_layer.foreign);
	store_layer_txn_free(steal_ptr(&t));
	store_close(s);
}

static void overwrite_all(const char *dir, str bytes)
{
	int fd = openat(harness_dirfd(), dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	const struct dirent *de;
	struct cairn_err err;

	while ((de = readdir(d)))
		if (de->d_name[0] != '.')
			assert_ok(fs_write_file(fd, de->d_name, bytes, 0600, &err));
	closedir(d);
}

void test_layer__damaged_index_is_dropped(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("one");
	struct cairn_err err;
	struct strbuf out;
	struct store_layer l;
	bool found = true;

	(void)state;
	assert_ok(commit_layer(s, "one", NULL, &err));
	overwrite_all("store/indexes", S("One"));
	strbuf_init(&out, 100);
	assert_fails(store_layer_index_read(s, &d, &out, &err), CAIRN_E_DIGEST);
	strbuf_done(&out);
	assert_ok(store_layer_find(s, &d, &l, &found, &err));
	assert_false(found);
	store_close(s);
}

void test_layer__directory_gone_is_absent(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("one");
	struct cairn_err err;
	char *path = NULL, *again = NULL;

	(void)state;
	assert_ok(commit_layer(s, "one", &path, &err));
	assert_ok(fs_remove_tree(AT_FDCWD, path, &err));
	assert_ok(store_layer_dirs_find(s, &d, 1, &again, &err));
	assert_null(again);
	free(path);
	assert_ok(commit_layer(s, "one", &path, &err));
	assert_ok(store_layer_dirs_find(s, &d, 1, &again, &err));
	assert_string_equal(again, path);
	free(path);
	free(again);
	store_close(s);
}

/* The first compressed form that was recorded is the one for everybody. */
void test_layer__canonical_blob(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("layer");
	struct store_layer_blob a = { digest_of_text("a"), 10 }, b = { digest_of_text("b"), 20 },
				got;
	struct cairn_err err;
	char *variant = NULL;
	bool found = true;

	(void)state;
	assert_ok(store_layer_blob_any(s, &d, &got, &variant, &err));
	assert_null(variant);
	assert_ok(store_layer_blob_find(s, &d, S("tar+zstd"), &got, &found, &err));
	assert_false(found);
	assert_ok(store_layer_blob_put(s, &d, S("tar+zstd"), &a, &got, &err));
	assert_int_equal(got.size, 10);
	assert_ok(store_layer_blob_put(s, &d, S("tar+zstd"), &b, &got, &err));
	assert_int_equal(got.size, 10);
	assert_ok(store_layer_blob_put(s, &d, S("tar+gzip"), &b, &got, &err));
	assert_int_equal(got.size, 20);
	assert_ok(store_layer_blob_find(s, &d, S("tar+zstd"), &got, &found, &err));
	assert_true(found && digest_eq(&got.digest, &a.digest));
	/* Any: the one whose bytes are here. */
	assert_ok(store_blob_put(s, S("a"), NULL, &err));
	assert_ok(store_layer_blob_any(s, &d, &got, &variant, &err));
	assert_string_equal(variant, "tar+zstd");
	free(variant);
	store_close(s);
}

void test_layer__chain_key_is_no_diff_id_and_knows_order(void **state)
{
	struct digest ab[2] = { digest_of_text("a"), digest_of_text("b") };
	struct digest ba[2] = { ab[1], ab[0] };
	struct digest one = store_layer_chain_key(ab, 1), two = store_layer_chain_key(ab, 2);
	struct digest swapped = store_layer_chain_key(ba, 2);

	(void)state;
	assert_false(digest_eq(&one, &ab[0]));
	assert_false(digest_eq(&one, &two));
	assert_false(digest_eq(&two, &swapped));
}

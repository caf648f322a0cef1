#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "util/fs.h"

static size_t count(const char *dir)
{
	int fd = openat(harness_dirfd(), dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	const struct dirent *de;
	size_t n = 0;

	while ((de = readdir(d)))
		n += de->d_name[0] != '.';
	closedir(d);
	return n;
}

/* An image of one layer with its config, a record that keeps another layer, and a blob
 * and a layer that nothing keeps. */
static void fill(struct digest *ret_config)
{
	struct digest image_layer = digest_of_text("image layer");
	struct store_ref ref = { STORE_REF_LAYER, digest_of_text("record layer") };
	struct store_record r = { .kind = STORE_RECORD_CONTENT, .refs = &ref, .n_refs = 1 };
	struct store_image image = { .platform = (char[]){ "linux/amd64" },
		                     .diff_ids = &image_layer,
		                     .n_layers = 1 };
	struct store *s = open_store();
	struct store_layer_blob blob = { digest_of_text("compressed"), 10 };
	struct cairn_err err;

	assert_ok(commit_layer(s, "image layer", NULL, &err));
	assert_ok(commit_layer(s, "record layer", NULL, &err));
	assert_ok(commit_layer(s, "loose layer", NULL, &err));
	assert_ok(store_blob_put(s, S("loose blob"), NULL, &err));
	assert_ok(store_blob_put(s, S("compressed"), NULL, &err));
	assert_ok(store_layer_blob_put(s, &image_layer, S("zstd"), &blob, &blob, &err));
	assert_ok(store_blob_put(s, S("config"), &image.config, &err));
	assert_ok(store_image_put(s, &image, &err));
	assert_ok(store_tag_put(s, S("name"), &image.config, &err));
	assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	*ret_config = image.config;
	store_close(s);
}

void test_gc__keeps_what_is_named(void **state)
{
	struct digest config;
	struct store_gc_stats stats;
	struct store *s;
	struct cairn_err err;
	size_t n = 0;

	(void)state;
	fill(&config);
	s = open_store();
	assert_ok(store_gc(s, true, &stats, &err));
	assert_int_equal(count("store/layers"), 2);
	assert_int_equal(count("store/indexes"), 2);
	assert_int_equal(count("store/blobs"), 2);
	assert_int_equal(stats.removed, 3);
	assert_true(stats.bytes > 0);
	assert_ok(store_tag_remove(s, S("name"), &n, &err));
	assert_ok(store_gc(s, false, &stats, &err));
	assert_int_equal(stats.removed, 0);
	assert_ok(store_gc(s, true, &stats, &err));
	assert_int_equal(count("store/layers"), 1);
	assert_int_equal(count("store/blobs"), 0);
	store_close(s);
}

/* What another living process found is not taken away from it; when it is dead it is. */
void test_gc__leases(void **state)
{
	struct digest loose = digest_of_text("loose blob"), key = digest_of_text("loose layer");
	struct digest config;
	struct store_gc_stats stats;
	struct store *s, *other;
	struct cairn_err err;
	char *path = NULL;
	bool found = false;

	(void)state;
	fill(&config);
	s = open_store();
	other = open_store();
	assert_ok(store_blob_find(other, &loose, &found, NULL, &err));
	assert_true(found);
	assert_ok(store_layer_dirs_find(other, &key, 1, &path, &err));
	assert_non_null(path);
	assert_ok(store_image_remove(s, &config, &err));
	assert_ok(store_gc(s, true, &stats, &err));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(count("store/blobs"), 1);
	assert_int_equal(count("store/layers"), 2);
	store_close(other);
	assert_ok(store_gc(s, true, &stats, &err));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count("store/blobs"), 0);
	free(path);
	store_close(s);
}

/* Names without a row, such as a crash between rename and commit leaves. */
void test_gc__orphans(void **state)
{
	struct digest config;
	struct store_gc_stats stats;
	struct store *s;
	struct cairn_err err;

	(void)state;
	fill(&config);
	harness_write("store/layers/orphan/usr/bin/x", S("x"));
	harness_write("store/blobs/orphan", S("x"));
	harness_write("store/indexes/orphan", S("x"));
	harness_write("store/mounts/orphan/x", S("x"));
	harness_write("store/contexts/kept", S("x"));
	s = open_store();
	assert_ok(store_gc(s, true, &stats, &err));
	assert_int_equal(stats.removed, 3 + 4);
	assert_int_equal(count("store/mounts"), 0);
	assert_int_equal(count("store/contexts"), 1);
	store_close(s);
}

/* Temporary files go with the handle, those of a killed process with the next one that
 * writes; those of a living process stay. */
void test_tmp__cleanup(void **state)
{
	struct store *s, *other;
	struct cairn_err err;
	char *path = NULL;
	int pipes[2];
	char c;
	pid_t pid;

	(void)state;
	s = open_store();
	assert_ok(store_tmp_dir(s, &path, &err));
	other = open_store();
	free(path);
	assert_ok(store_tmp_dir(other, &path, &err));
	assert_int_equal(count("store/tmp"), 2);
	store_close(other);
	assert_int_equal(count("store/tmp"), 1);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	store_close(s);
	assert_int_equal(count("store/tmp"), 0);
	assert_int_equal(count("store/leases"), 0);

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		s = open_store();
		if (store_tmp_dir(s, &path, &err) < 0 || mkdirat(AT_FDCWD, path, 0) == 0 ||
		    write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &c, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(count("store/tmp"), 1);
	s = open_store();
	assert_ok(store_tmp_dir(s, &path, &err));
	assert_int_equal(count("store/tmp"), 1);
	assert_int_equal(count("store/leases"), 1);
	free(path);
	store_close(s);
}

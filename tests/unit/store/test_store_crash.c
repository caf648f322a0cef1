/* Processes that are killed at any moment, and processes that do the same thing at once. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "util/clock.h"
#include "util/fs.h"

/* What a build does to a store, again and again with a few names; ends only by error. */
static int work(unsigned seed, int rounds, struct cairn_err *err)
{
	struct store *s = open_store();
	int r = 0;

	for (int i = 0; r == 0 && i != rounds; i++) {
		unsigned n = (seed * 7 + (unsigned)i) % 40;
		char name[32], config[32];
		struct digest id;
		struct store_ref ref = { .kind = STORE_REF_LAYER };
		struct store_record rec = { .kind = STORE_RECORD_CONTENT,
			                    .refs = &ref,
			                    .n_refs = 1 };
		struct store_image image = { .platform = (char[]){ "linux/amd64" },
			                     .diff_ids = &id,
			                     .n_layers = 1 };
		struct store_gc_stats stats;

		(void)snprintf(name, sizeof(name), "layer %u", n);
		(void)snprintf(config, sizeof(config), "config %u", n);
		id = ref.digest = digest_of_text(name);
		rec.key = digest_of_text(config);
		rec.payload = str_of(name);
		r = commit_layer(s, name, NULL, err);
		if (r == 0)
			r = store_record_put(s, &rec, STORE_ADOPT, NULL, err);
		if (r == 0)
			r = store_blob_put(s, str_of(config), &image.config, err);
		if (r == 0)
			r = store_image_put(s, &image, err);
		if (r == 0)
			r = store_tag_put(s, str_of(name), &image.config, err);
		if (r == CAIRN_E_NOT_FOUND && n % 10 == 3)
			r = 0; /* another one has removed the image in between */
		if (r == 0 && n % 10 == 3)
			r = store_image_remove(s, &image.config, err);
		if (r == 0 && n % 10 == 4)
			r = store_record_remove(s, &rec.key, err);
		if (r == 0 && n % 10 == 5)
			r = store_gc(s, true, &stats, err);
		if (r == 0 && n % 10 == 6)
			r = store_sync(s, err);
	}
	store_close(s);
	return r;
}

/* Everything the store says is there is there and right. Returns how many layers. */
static size_t verify(void)
{
	struct store *s = open_store();
	struct store_gc_stats stats;
	struct cairn_err err;
	size_t n = 0;

	for (unsigned i = 0; i < 40; i++) {
		char name[32], config[32], file[512];
		struct digest id, key;
		struct store_layer l;
		struct store_found f;
		struct strbuf text;
		char *path = NULL;
		bool found = false;

		(void)snprintf(name, sizeof(name), "layer %u", i);
		(void)snprintf(config, sizeof(config), "config %u", i);
		id = digest_of_text(name);
		key = digest_of_text(config);
		assert_ok(store_layer_find(s, &id, &l, &found, &err));
		assert_ok(store_records_find(s, &key, 1, &f, &err));
		if (f.found && !found)
			fail_msg("a record was returned whose layer is missing");
		store_found_done(&f);
		if (!found)
			continue;
		n++;
		strbuf_init(&text, 100);
		assert_ok(store_layer_index_read(s, &id, &text, &err));
		assert_str(strbuf_view(&text), name);
		strbuf_clear(&text);
		assert_ok(store_layer_dirs_find(s, &id, 1, &path, &err));
		assert_non_null(path);
		(void)snprintf(file, sizeof(file), "%s/file", path);
		assert_ok(fs_read_file(AT_FDCWD, file, &text, &err));
		assert_str(strbuf_view(&text), name);
		strbuf_done(&text);
		free(path);
	}
	assert_ok(store_gc(s, false, &stats, &err));
	assert_int_equal(stats.undeleted, 0);
	store_close(s);
	return n;
}

void test_crash__kill_anywhere(void **state)
{
	size_t n = 0;

	(void)state;
	store_close(open_store());
	/* Longer lives where the machine is so busy that nobody got anything done. */
	for (unsigned i = 0; i < 60 || (n == 0 && i < 600); i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			struct cairn_err err;

			(void)work(i, -1, &err);
			(void)fprintf(stderr, "%s\n", err.msg);
			_exit(1);
		}
		(void)usleep((1000 + (i * 7919) % 25000) * (1 + i / 60 * 4));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("the child failed before it was killed");
		if (i % 5 == 4)
			n += verify();
	}
	assert_true(n > 0);
}

/* Killed while the store itself is made. */
void test_crash__kill_while_creating(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct cairn_err err;
		pid_t pid = fork();

		if (pid == 0) {
			store_close(open_store());
			_exit(0);
		}
		(void)usleep(i * 300);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		(void)verify();
		assert_ok(fs_remove_tree(harness_dirfd(), "store", &err));
	}
}

/* Who only looks finds no store, or a whole one. */
void test_race__looked_at_while_it_is_made(void **state)
{
	cleanup_free char *path = xasprintf("%s/store", harness_dir());
	struct store_opts opts = { .path = path, .read_only = true };

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct store *s = NULL;
		struct cairn_err err;
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			store_close(open_store());
			_exit(0);
		}
		while (store_open(&opts, &s, &err) < 0)
			if (err.code != CAIRN_E_NOT_FOUND)
				fail_msg("%s", err.msg);
		store_close(s);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_ok(fs_remove_tree(harness_dirfd(), "store", &err));
	}
}

void test_race__processes(void **state)
{
	enum {
		N = 6
	};
	pid_t pids[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct cairn_err err = { 0 };
			int r = work(i % 2, 40, &err);

			if (r < 0)
				(void)fprintf(stderr, "%s\n", err.msg);
			_exit(r < 0);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		int status = 0;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	(void)verify();
}

/* Locks whose files come and go: never two holders. Returns how often it went wrong. */
static int hold_locks(void)
{
	struct digest key = digest_of_text("key");
	struct store *s = open_store();
	struct cairn_err err;
	int bad = 0;

	for (int held = 0; held < 200;) {
		struct store_lock *l = NULL;
		int fd;

		if (store_lock_try(s, &key, &l, &err) < 0)
			return 100;
		if (!l) {
			(void)usleep(50);
			continue;
		}
		held++;
		fd = openat(harness_dirfd(), "held", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		bad += fd < 0;
		fs_close_p_(&fd);
		bad += unlinkat(harness_dirfd(), "held", 0) < 0;
		store_lock_free(l);
	}
	store_close(s);
	return bad;
}

/* Somebody collects garbage all the time. */
static void collect_until(int stop_fd)
{
	struct store *s = open_store();
	struct store_gc_stats stats;
	struct cairn_err err;
	char c;

	while (read(stop_fd, &c, 1) < 0) {
		if (store_gc(s, true, &stats, &err) < 0)
			_exit(1);
		(void)usleep(200);
	}
	store_close(s);
	_exit(0);
}

void test_race__locks(void **state)
{
	pid_t pids[4];

	(void)state;
	store_close(open_store());
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(hold_locks());
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status = -1;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
}

/* What was found stays until the finder is done, however fast the collector is. */
void test_race__look_up_against_collection(void **state)
{
	struct digest d = digest_of_text("layer"), blob = digest_of_text("blob");
	struct cairn_err err;
	size_t n_found = 0;
	int pipes[2], status = -1;
	pid_t pid;

	(void)state;
	store_close(open_store());
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		collect_until(pipes[0]);
	/* Longer where the collector is first each time. */
	for (int i = 0; i < 80 || (n_found == 0 && i < 2000); i++) {
		struct store *maker = open_store(), *finder = open_store();
		char *path = NULL;
		bool found = false;
		int fd = -1;
		uint64_t size;

		assert_ok(commit_layer(maker, "layer", NULL, &err));
		assert_ok(store_blob_put(maker, S("blob"), NULL, &err));
		store_close(maker);
		assert_ok(store_blob_find(finder, &blob, &found, NULL, &err));
		assert_ok(store_layer_dirs_find(finder, &d, 1, &path, &err));
		(void)usleep(500);
		if (found) {
			assert_ok(store_blob_open(finder, &blob, &fd, &size, &err));
			close(fd);
		}
		if (path)
			assert_int_equal(access(path, F_OK), 0);
		n_found += path != NULL;
		free(path);
		store_close(finder);
	}
	assert_int_equal(write(pipes[1], "x", 1), 1);
	waitpid(pid, &status, 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(status, 0);
	assert_true(n_found > 0);
}

static struct store *shared;

static void *thread_main(void *arg)
{
	struct cairn_err err;
	long bad = 0;

	for (unsigned i = 0; i < 50; i++) {
		char name[32];
		struct digest d;
		struct store_layer l;
		bool found = false;

		(void)snprintf(name, sizeof(name), "layer %u", i % 7);
		d = digest_of_text(name);
		bad += commit_layer(shared, name, NULL, &err) < 0;
		bad += store_layer_find(shared, &d, &l, &found, &err) < 0 || !found;
		bad += store_blob_put(shared, str_of(name), NULL, &err) < 0;
	}
	(void)arg;
	return (void *)bad;
}

void test_race__threads_of_one_handle(void **state)
{
	pthread_t t[4];
	void *bad;

	(void)state;
	shared = open_store();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, thread_main, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	store_close(shared);
}

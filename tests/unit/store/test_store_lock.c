#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "util/fs.h"

void test_lock__excludes(void **state)
{
	struct store *a = open_store(), *b = open_store();
	struct digest key = digest_of_text("key"), other = digest_of_text("other");
	struct store_lock *la = NULL, *lb = NULL;
	struct cairn_err err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_ok(store_lock_try(a, &key, &la, &err));
		assert_non_null(la);
		assert_ok(store_lock_try(b, &key, &lb, &err));
		assert_null(lb);
		assert_ok(store_lock_try(b, &other, &lb, &err));
		assert_non_null(lb);
		store_lock_free(lb);
		store_lock_free(la);
	}
	store_close(a);
	store_close(b);
}

/* A lock dies with its process. */
void test_lock__kill(void **state)
{
	struct digest key = digest_of_text("key");
	struct store_lock *l = NULL;
	struct store *s;
	struct cairn_err err;
	int pipes[2];
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct store *mine = open_store();

		if (store_lock_try(mine, &key, &l, &err) < 0 || !l || write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &c, 1), 1);
	s = open_store();
	assert_ok(store_lock_try(s, &key, &l, &err));
	assert_null(l);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_ok(store_lock_try(s, &key, &l, &err));
	assert_non_null(l);
	store_lock_free(l);
	store_close(s);
	close(pipes[0]);
	close(pipes[1]);
}

/* What a second user gets while the first has the mount. */
void test_mount__sharing(void **state)
{
	static const struct {
		enum store_sharing sharing;
		bool busy, same;
	} cases[] = {
		{ STORE_SHARED, false, true },
		{ STORE_LOCKED, true, false },
		{ STORE_PRIVATE, false, false },
	};
	struct store *a = open_store(), *b = open_store();
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store_mount *ma = NULL, *mb = NULL;
		struct digest id = digest_of(&i, sizeof(i));

		assert_ok(store_mount_try(a, &id, cases[i].sharing, &ma, &err));
		assert_true(store_mount_fresh(ma));
		/* Not filled yet: nobody else may see it. */
		if (cases[i].sharing != STORE_PRIVATE) {
			assert_ok(store_mount_try(b, &id, cases[i].sharing, &mb, &err));
			assert_null(mb);
		}
		assert_ok(store_mount_ready(ma, &err));
		assert_false(store_mount_fresh(ma));
		assert_int_equal(access(store_mount_path(ma), W_OK), 0);
		assert_ok(store_mount_try(b, &id, cases[i].sharing, &mb, &err));
		assert_int_equal(mb == NULL, cases[i].busy);
		if (mb) {
			assert_int_equal(store_mount_fresh(mb), !cases[i].same);
			assert_int_equal(strcmp(store_mount_path(ma), store_mount_path(mb)) == 0,
			                 cases[i].same);
		}
		store_mount_free(mb);
		store_mount_free(ma);
	}
	store_close(a);
	store_close(b);
}

void test_mount__keeps_contents_unless_never_ready(void **state)
{
	struct store *s = open_store();
	struct digest id = digest_of_text("id");
	struct cairn_err err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct store_mount *m = NULL;
		char path[512];
		int fd;

		assert_ok(store_mount_try(s, &id, STORE_LOCKED, &m, &err));
		assert_int_equal(store_mount_fresh(m), i < 2);
		if (i > 0)
			assert_ok(store_mount_ready(m, &err));
		(void)snprintf(path, sizeof(path), "%s/file", store_mount_path(m));
		fd = open(path, i < 2 ? O_CREAT | O_EXCL | O_WRONLY : O_RDONLY, 0600);
		assert_true(fd >= 0);
		close(fd);
		store_mount_free(m);
	}
	store_close(s);
}

static void put_file(const char *dir, const char *name)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	struct cairn_err err;

	assert_ok(fs_write_file(AT_FDCWD, path, S("x"), 0600, &err));
}

static bool has_file(const char *dir, const char *name)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* A shared mount is replaced only by who is alone with it, and shared again afterwards. */
void test_mount__replaced_by_who_is_alone(void **state)
{
	struct store *a = open_store(), *b = open_store();
	struct digest id = digest_of_text("mount");
	struct store_mount *ma = NULL, *mb = NULL;
	cleanup_free char *dir = NULL;
	struct cairn_err err;
	bool alone, lost;

	(void)state;
	assert_ok(store_mount_try(a, &id, STORE_SHARED, &ma, &err));
	assert_true(store_mount_first(ma));
	assert_true(digest_eq(store_mount_key(ma), &id));
	/* fresh: nobody else has it */
	assert_ok(store_mount_alone(ma, &alone, &lost, &err));
	assert_true(alone && !lost);
	assert_ok(store_tmp_dir(a, &dir, &err));
	put_file(dir, "new");
	assert_ok(store_mount_replace(ma, dir, &err));
	assert_ok(store_mount_ready(ma, &err));
	assert_true(has_file(store_mount_path(ma), "new"));
	/* another user: not alone, and still both have it */
	assert_ok(store_mount_try(b, &id, STORE_SHARED, &mb, &err));
	assert_non_null(mb);
	assert_ok(store_mount_alone(ma, &alone, &lost, &err));
	assert_false(alone || lost);
	store_mount_free(mb);
	assert_ok(store_mount_alone(ma, &alone, &lost, &err));
	assert_true(alone && !lost);
	assert_ok(store_mount_try(b, &id, STORE_SHARED, &mb, &err));
	assert_null(mb);
	put_file(dir, "newer");
	assert_ok(store_mount_replace(ma, dir, &err));
	assert_true(has_file(store_mount_path(ma), "newer"));
	assert_true(has_file(dir, "new"));
	assert_ok(store_mount_ready(ma, &err));
	assert_ok(store_mount_try(b, &id, STORE_SHARED, &mb, &err));
	assert_non_null(mb);
	assert_true(has_file(store_mount_path(mb), "newer"));
	store_mount_free(mb);
	store_mount_free(ma);
	store_close(a);
	store_close(b);
}

#include "background_sync.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "store/store.h"
#include "util/log.h"

void background_sync_start(const char *home)
{
	char *argv[] = { (char[]){ "cairn" }, (char[]){ BACKGROUND_SYNC_ARG }, NULL, NULL };
	cleanup_free char *path = xstrdup(home);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	pid_t pid;

	argv[2] = path;
	if (posix_spawn_file_actions_init(&files) || posix_spawnattr_init(&attr))
		return;
	for (int fd = 0; fd <= 2; fd++)
		(void)posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	if (posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, environ) != 0)
		log_debug("cannot start a process that syncs the store");
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
}

int background_sync_main(int argc, char **argv)
{
	cleanup_store struct store *s = NULL;
	struct store_opts opts = { .path = argc == 3 ? argv[2] : "" };
	struct cairn_err err;

	(void)setpriority(PRIO_PROCESS, 0, 19);
	if (store_open(&opts, &s, &err) < 0 || store_sync(s, &err) < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

#include "import_source.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "util/fs.h"

extern char **environ;

#define MAGIC_MAX 6
#define TAR_MAX   LAYER_SIZE_MAX

/* Compressions that a program reads for us. */
static const struct {
	const char *magic;
	size_t len;
	const char *program;
} filters[] = {
	{ "\xfd"
	  "7zXZ",
	  6, "xz" },
	{ "BZh", 3, "bzip2" },
	{ "\x04\x22\x4d\x18", 4, "lz4" },
	{ "LZIP", 4, "lzip" },
};

struct import_source {
	int fd;                 /* what is read: the file, or the program's output */
	int file_fd;            /* the file */
	char head[MAGIC_MAX];   /* its first bytes, to be read again */
	size_t n_head, at_head; /* bytes in head, and of them given out */
	pid_t pid;              /* of the program, or 0 */
	const char *program;
	struct layer_reader raw; /* the file, or the program's output */
	struct decompressor *inflate;
};

/* The file's bytes, with the head that was looked at. */
static int read_raw(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct import_source *s = ctx;
	size_t left = s->n_head - s->at_head;

	if (left == 0)
		return fs_read_full(s->fd, p, n, ret_n, "archive", err);
	*ret_n = n < left ? n : left;
	memcpy(p, s->head + s->at_head, *ret_n);
	s->at_head += *ret_n;
	return 0;
}

/* Feed a program that cannot seek back: a pipe for what was read, then the rest. */
static int feed(struct import_source *s, struct cairn_err *err)
{
	if (lseek(s->file_fd, -(off_t)s->n_head, SEEK_CUR) < 0)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "a pipe of %s data: decompress it before ('%s -dc FILE | cairn "
		                  "import - NAME')",
		                  s->program, s->program);
	s->at_head = s->n_head;
	return 0;
}

static int start(struct import_source *s, struct cairn_err *err)
{
	char *argv[] = { NULL, NULL, NULL };
	char dc[] = "-dc";
	cleanup_free char *name = xstrdup(s->program);
	posix_spawn_file_actions_t fa;
	int pipe_fd[2], r;

	TRY(feed(s, err));
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return cairn_fail_sys(err, "pipe");
	argv[0] = name;
	argv[1] = dc;
	r = posix_spawn_file_actions_init(&fa);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&fa, s->file_fd, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&fa, pipe_fd[1], STDOUT_FILENO);
	if (r == 0)
		r = posix_spawnp(&s->pid, name, &fa, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	close(pipe_fd[1]);
	s->fd = pipe_fd[0];
	if (r == 0)
		return 0;
	s->pid = 0;
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "the archive is compressed with %s, and the program '%s' cannot be "
	                  "started: %s",
	                  s->program, s->program, strerror(r));
}

int import_source_open(const char *path, struct import_source **ret, struct cairn_err *err)
{
	cleanup_import_source struct import_source *s = xcalloc(1, sizeof(*s));

	s->fd = s->file_fd = -1;
	s->file_fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
	                                    : open(path, O_RDONLY | O_CLOEXEC);
	if (s->file_fd < 0 && errno == ENOENT)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "no file '%s'", path);
	if (s->file_fd < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	s->fd = s->file_fd;
	TRY(fs_read_full(s->fd, s->head, MAGIC_MAX, &s->n_head, path, err));
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (s->n_head >= filters[i].len &&
		    memcmp(s->head, filters[i].magic, filters[i].len) == 0)
			s->program = filters[i].program;
	if (s->program)
		TRY(start(s, err));
	s->raw = (struct layer_reader){ .read = read_raw, .ctx = s };
	s->inflate = decompress_new(&s->raw, TAR_MAX);
	*ret = steal_ptr(&s);
	return 0;
}

struct layer_reader import_source_reader(struct import_source *s)
{
	return decompress_reader(s->inflate);
}

int import_source_end(struct import_source *s, struct cairn_err *err)
{
	int status = 0;

	if (s->pid == 0)
		return 0;
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
	if (status != 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "the archive is damaged: %s says so",
		                  s->program);
	return 0;
}

void import_source_free(struct import_source *s)
{
	if (!s)
		return;
	decompress_free(s->inflate);
	if (s->fd >= 0 && s->fd != s->file_fd)
		close(s->fd);
	if (s->file_fd >= 0)
		close(s->file_fd);
	if (s->pid > 0) {
		(void)kill(s->pid, SIGTERM);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(s);
}

/* Destinations: a file appears when it is complete. */
#include <libgen.h>
#include <stdio.h>

#include "output_priv.h"
#include "util/fs.h"

static bool is_stdout(const char *dest)
{
	return strcmp(dest, "-") == 0;
}

/* The folder that a path lies in; owned. */
static char *parent_of(const char *path)
{
	cleanup_free char *copy = xstrdup(path);

	return xstrdup(dirname(copy));
}

static int check_parent(const char *dest, struct cairn_err *err)
{
	cleanup_free char *dir = parent_of(dest);
	struct stat st;

	if (stat(dir, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "--output '%s': the folder '%s' does not exist", dest, dir);
	if (access(dir, W_OK) < 0)
		return cairn_fail_sys(err, "--output '%s': write to '%s'", dest, dir);
	return 0;
}

int out_file_check(const char *dest, struct cairn_err *err)
{
	struct stat st;

	if (is_stdout(dest)) {
		if (isatty(STDOUT_FILENO))
			return cairn_fail(err, CAIRN_E_USAGE,
			                  "--output: an archive is not written to a terminal; give "
			                  "dest=FILE or redirect the output");
		return 0;
	}
	if (stat(dest, &st) < 0)
		return errno == ENOENT ? check_parent(dest, err)
		                       : cairn_fail_sys(err, "--output '%s'", dest);
	if (S_ISDIR(st.st_mode))
		return cairn_fail(err, CAIRN_E_EXISTS, "--output '%s' is a folder", dest);
	return S_ISREG(st.st_mode) ? check_parent(dest, err) : 0;
}

int out_folder_check(const char *dest, struct cairn_err *err)
{
	struct stat st;

	if (stat(dest, &st) == 0 && !S_ISDIR(st.st_mode))
		return cairn_fail(err, CAIRN_E_EXISTS, "--output '%s' is not a folder", dest);
	return 0;
}

/* A name in the folder of f's that nobody uses; owned. */
static char *tmp_name(const struct out_file *f)
{
	cleanup_free char *dir = parent_of(f->path);
	cleanup_free char *name = fs_random_name(".cairn-");

	return xasprintf("%s/%s", dir, name);
}

/* Open a file without a name, which dies with the process; with a temporary name where the
 * file system knows no such files. */
static int open_new(struct out_file *f)
{
	cleanup_free char *dir = parent_of(f->path);

	f->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (f->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return f->fd;
	f->tmp = tmp_name(f);
	f->fd = open(f->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (f->fd < 0)
		free(steal_ptr(&f->tmp));
	return f->fd;
}

/* Give a file without a name a temporary one: a link cannot replace what is there. */
static int name_it(struct out_file *f, struct cairn_err *err)
{
	char self[64];

	if (f->tmp || !f->path)
		return 0;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	f->tmp = tmp_name(f);
	if (linkat(AT_FDCWD, self, AT_FDCWD, f->tmp, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	free(steal_ptr(&f->tmp));
	return cairn_fail_sys(err, "write '%s'", f->dest);
}

int out_file_open(const char *dest, struct out_file *ret, struct cairn_err *err)
{
	struct out_file f = { .dest = dest, .fd = -1 };
	struct stat st;

	if (is_stdout(dest)) {
		*ret = (struct out_file){ .dest = "standard output", .fd = STDOUT_FILENO };
		return 0;
	}
	if (stat(dest, &st) == 0 && !S_ISREG(st.st_mode)) { /* a device, a pipe */
		f.fd = open(dest, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (f.fd < 0)
			return cairn_fail_sys(err, "open '%s'", dest);
		*ret = f;
		return 0;
	}
	f.path = realpath(dest, NULL); /* a link keeps pointing to it */
	if (!f.path)
		f.path = xstrdup(dest);
	if (open_new(&f) < 0) {
		cairn_fail_sys(err, "create '%s'", dest);
		out_file_done(&f);
		return err->code;
	}
	*ret = f;
	return 0;
}

static int file_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct out_file *f = ctx;

	return fs_write_all(f->fd, p, n, f->dest, err);
}

struct layer_sink out_file_sink(struct out_file *f)
{
	return (struct layer_sink){ file_write, f };
}

int out_file_commit(struct out_file *f, struct cairn_err *err)
{
	if (f->fd == STDOUT_FILENO)
		return 0;
	TRY(name_it(f, err));
	if (close(steal_fd(&f->fd)) < 0)
		return cairn_fail_sys(err, "write '%s'", f->dest);
	if (f->tmp && rename(f->tmp, f->path) < 0)
		return cairn_fail_sys(err, "rename to '%s'", f->dest);
	free(steal_ptr(&f->tmp));
	return 0;
}

void out_file_done(struct out_file *f)
{
	if (f->fd >= 0 && f->fd != STDOUT_FILENO)
		close(f->fd);
	if (f->tmp)
		(void)unlink(f->tmp);
	free(f->tmp);
	free(f->path);
	*f = (struct out_file){ .fd = -1 };
}

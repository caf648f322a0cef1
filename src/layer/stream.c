#include "stream.h"

#include <unistd.h>

#include "util/fs.h"

static int fd_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	const struct layer_fd *f = ctx;
	ssize_t r;

	do
		r = read(f->fd, p, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return cairn_fail_sys(err, "read '%s'", f->name);
	*ret_n = (size_t)r;
	return 0;
}

struct layer_reader layer_fd_reader(struct layer_fd *f)
{
	return (struct layer_reader){ fd_read, f };
}

static int fd_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	const struct layer_fd *f = ctx;

	return fs_write_all(f->fd, p, n, f->name, err);
}

struct layer_sink layer_fd_sink(struct layer_fd *f)
{
	return (struct layer_sink){ fd_write, f };
}

int layer_read_full(const struct layer_reader *r, void *p, size_t n, size_t *ret_n,
                    struct cairn_err *err)
{
	size_t got = 0;

	while (got < n) {
		size_t part = 0;

		TRY(r->read(r->ctx, (char *)p + got, n - got, &part, err));
		if (part == 0)
			break;
		got += part;
	}
	*ret_n = got;
	return 0;
}

#include "util/dir.h"

#include <errno.h>
#include <stdbool.h>

void dir_begin(struct dir_reader *r, int fd)
{
	r->fd = fd;
	r->at = r->n = 0;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int dir_next(struct dir_reader *r, struct dir_name *ret)
{
	for (;;) {
		const struct dirent64 *e;

		if (r->at == r->n) {
			ssize_t n = getdents64(r->fd, r->buf, sizeof(r->buf));

			if (n <= 0)
				return n < 0 ? -1 : 0;
			r->at = 0;
			r->n = (size_t)n;
		}
		e = (const void *)(r->buf + r->at);
		r->at += e->d_reclen;
		if (is_dot(e->d_name))
			continue;
		*ret = (struct dir_name){ str_of(e->d_name), e->d_type };
		return 1;
	}
}

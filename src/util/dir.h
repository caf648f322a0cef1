/* util/dir.h - the names in a directory, without allocating.
 *
 * What opendir(3) does costs two more system calls and a buffer on the heap for every directory;
 * where thousands are walked that is much of the time.
 *
 *	struct dir_reader r;
 *	struct dir_name n;
 *	int got;
 *
 *	dir_begin(&r, fd);
 *	while ((got = dir_next(&r, &n)) > 0)
 *		use(n.name);
 *	if (got < 0)
 *		fail with errno
 */
#ifndef CAIRN_UTIL_DIR_H
#define CAIRN_UTIL_DIR_H

#include <dirent.h>
#include <stddef.h>

#include "util/str.h"

/* On the stack: 32 kB. */
struct dir_reader {
	int fd;       /* borrowed; its offset moves */
	size_t at, n; /* in buf: next record, end */
	union {
		char buf[32768];
		struct dirent64 align;
	};
};

struct dir_name {
	str name;           /* NUL-terminated; dies with the next call */
	unsigned char type; /* DT_*; DT_UNKNOWN where the file system does not say */
};

/* Read the directory fd from where its offset is: from the start when it was just opened. */
void dir_begin(struct dir_reader *r, int fd);

/* The next name; "." and ".." are passed over. 1, 0 at the end, -1 with errno. */
int dir_next(struct dir_reader *r, struct dir_name *ret);

#endif

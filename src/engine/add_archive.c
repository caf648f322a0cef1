#include "add_archive.h"

#include <archive.h>
#include <dlfcn.h>

#include "util/fs.h"

#define ARCHIVE_BYTES_MAX (1ull << 40) /* uncompressed */

/* The part of libarchive that is used, found at run time. */
struct libarchive {
	void *handle;
	struct archive *(*read_new)(void);
	int (*support_filter_all)(struct archive *);
	int (*support_format_raw)(struct archive *);
	int (*open_fd)(struct archive *, int fd, size_t block);
	int (*next_header)(struct archive *, struct archive_entry **);
	la_ssize_t (*read_data)(struct archive *, void *, size_t);
	const char *(*error_string)(struct archive *);
	int (*read_free)(struct archive *);
};

struct add_archive {
	const char *name;
	struct layer_fd fd;
	struct layer_reader raw;  /* the file */
	struct decompressor *dec; /* gzip, zstd, plain */
	struct libarchive lib;    /* bzip2, xz */
	struct archive *foreign;
	struct layer_reader stream; /* uncompressed bytes */
	char head[TAR_BLOCK];       /* their beginning, read to look at it */
	size_t n_head, head_at;
};

static const struct {
	const char *magic;
	size_t n;
	bool foreign; /* libarchive reads it */
} kinds[] = {
	{ "\x1f\x8b", 2, false },
	{ "\x28\xb5\x2f\xfd", 4, false },
	{ "BZh", 3, true },
	{ "\xfd"
	  "7zXZ",
	  6, true },
};

static int load(struct libarchive *l, struct cairn_err *err)
{
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
		{ "archive_read_new", &l->read_new },
		{ "archive_read_support_filter_all", &l->support_filter_all },
		{ "archive_read_support_format_raw", &l->support_format_raw },
		{ "archive_read_open_fd", &l->open_fd },
		{ "archive_read_next_header", &l->next_header },
		{ "archive_read_data", &l->read_data },
		{ "archive_error_string", &l->error_string },
		{ "archive_read_free", &l->read_free },
	};

	l->handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
	if (!l->handle)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "bzip2 and xz archives need libarchive (package libarchive13)");
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(l->handle, symbols[i].name);

		if (!p)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED, "libarchive has no %s",
			                  symbols[i].name);
		memcpy(symbols[i].to, &p, sizeof(p));
	}
	return 0;
}

static int read_foreign(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct add_archive *a = ctx;
	la_ssize_t got = a->lib.read_data(a->foreign, p, n);

	if (got < 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "'%s': %s", a->name,
		                  a->lib.error_string(a->foreign));
	*ret_n = (size_t)got;
	return 0;
}

static int open_foreign(struct add_archive *a, struct cairn_err *err)
{
	struct archive_entry *entry;

	TRY(load(&a->lib, err));
	a->foreign = a->lib.read_new();
	if (!a->foreign)
		CAIRN_BUG("out of memory in libarchive");
	if (a->lib.support_filter_all(a->foreign) != ARCHIVE_OK ||
	    a->lib.support_format_raw(a->foreign) != ARCHIVE_OK ||
	    a->lib.open_fd(a->foreign, a->fd.fd, 65536) != ARCHIVE_OK ||
	    a->lib.next_header(a->foreign, &entry) != ARCHIVE_OK)
		return cairn_fail(err, CAIRN_E_DIGEST, "'%s': %s", a->name,
		                  a->lib.error_string(a->foreign));
	a->stream = (struct layer_reader){ read_foreign, a };
	return 0;
}

static int open_stream(struct add_archive *a, struct cairn_err *err)
{
	char magic[6];
	ssize_t n = pread(a->fd.fd, magic, sizeof(magic), 0);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].foreign && n >= (ssize_t)kinds[i].n &&
		    memcmp(magic, kinds[i].magic, kinds[i].n) == 0)
			return open_foreign(a, err);
	a->raw = layer_fd_reader(&a->fd);
	a->dec = decompress_new(&a->raw, ARCHIVE_BYTES_MAX);
	a->stream = decompress_reader(a->dec);
	return 0;
}

/* A header block with "ustar" (POSIX and GNU) where it belongs. */
static bool is_tar(const struct add_archive *a)
{
	return a->n_head == TAR_BLOCK && memcmp(a->head + 257, "ustar", 5) == 0;
}

int add_archive_open(int fd, const char *name, struct add_archive **ret, struct cairn_err *err)
{
	struct add_archive *a = xcalloc(1, sizeof(*a));
	int r;

	a->name = name;
	a->fd = (struct layer_fd){ fd, name };
	r = open_stream(a, err);
	if (r == 0)
		r = layer_read_full(&a->stream, a->head, sizeof(a->head), &a->n_head, err);
	if (r == CAIRN_E_DIGEST) /* compressed once, or looks like it: no archive we know */
		a->n_head = r = 0;
	if (r == 0 && is_tar(a)) {
		*ret = a;
		return 0;
	}
	add_archive_free(a);
	if (r == 0)
		*ret = NULL;
	return r;
}

/* What was read to look at it, then the rest. */
static int read_all(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct add_archive *a = ctx;
	size_t left = a->n_head - a->head_at;

	if (!left)
		return a->stream.read(a->stream.ctx, p, n, ret_n, err);
	n = n < left ? n : left;
	memcpy(p, a->head + a->head_at, n);
	a->head_at += n;
	*ret_n = n;
	return 0;
}

int add_archive_unpack(struct add_archive *a, const struct tree *below, int out_dirfd,
                       struct layer_result *ret, struct cairn_err *err)
{
	struct layer_reader reader = { read_all, a };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;

	opts.out_dirfd = out_dirfd;
	if (layer_unpack(&reader, below, &opts, ret, err) < 0)
		return cairn_wrap(err, "unpacking '%s'", a->name);
	return 0;
}

void add_archive_free(struct add_archive *a)
{
	if (!a)
		return;
	decompress_free(a->dec);
	if (a->foreign)
		a->lib.read_free(a->foreign);
	if (a->lib.handle)
		dlclose(a->lib.handle);
	free(a);
}

/* tests/unit/layer/layer_help.h - what the tests of layer share. */
#ifndef CAIRN_TESTS_LAYER_HELP_H
#define CAIRN_TESTS_LAYER_HELP_H

#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/layer.h"
#include "util/fs.h"

/* Some entries, by field. */
#define T_FILE(p, c)                                  \
	((struct layer_entry){ .path = S(p),          \
	                       .type = LAYER_FILE,    \
	                       .mode = 0644,          \
	                       .size = sizeof(c) - 1, \
	                       .digest = digest_of(c, sizeof(c) - 1) })
#define T_DIR(p) ((struct layer_entry){ .path = S(p), .type = LAYER_DIR, .mode = 0755 })
#define T_LINK(p, t) \
	((struct layer_entry){ .path = S(p), .type = LAYER_SYMLINK, .mode = 0777, .target = S(t) })
#define T_HARD(p, t, c)                                \
	((struct layer_entry){ .path = S(p),           \
	                       .type = LAYER_HARDLINK, \
	                       .mode = 0644,           \
	                       .target = S(t),         \
	                       .size = sizeof(c) - 1,  \
	                       .digest = digest_of(c, sizeof(c) - 1) })
#define T_GONE(p) ((struct layer_entry){ .path = S(p), .type = LAYER_WHITEOUT })

/* A tree with one more layer of these entries; `below` is consumed (NULL: empty). */
static inline struct tree *t_push(struct tree *below, const struct layer_entry *e, size_t n)
{
	struct layer_index *ix = layer_index_new(e, n, NULL);
	struct tree *t;

	below = below ? below : tree_new();
	t = tree_push(below, ix);
	tree_unref(below);
	layer_index_unref(ix);
	return t;
}
#define T_PUSH(below, ...)                                         \
	t_push(below, (const struct layer_entry[]){ __VA_ARGS__ }, \
	       sizeof((const struct layer_entry[]){ __VA_ARGS__ }) / sizeof(struct layer_entry))

/* Add a file with its bytes. */
static inline void t_file(struct layer_plan *p, const char *path, const char *content)
{
	const struct layer_entry e = {
		.path = str_of(path), .type = LAYER_FILE, .mode = 0644, .size = strlen(content)
	};
	const struct layer_source s = { .kind = LAYER_SOURCE_BYTES,
		                        .bytes = arena_str(p->arena, str_of(content)) };

	layer_plan_add(p, &e, &s, 0);
}

static inline void t_dir(struct layer_plan *p, const char *path, bool opaque)
{
	const struct layer_entry e = {
		.path = str_of(path), .type = LAYER_DIR, .mode = 0755, .opaque = opaque
	};

	layer_plan_add(p, &e, NULL, 0);
}

static inline char t_letter(enum layer_type t)
{
	return "fdlcbphw"[t];
}

/* "d:a f:a/b w:a/c" of an index; owned. */
static inline char *t_list(const struct layer_index *ix)
{
	struct strbuf b;

	strbuf_init(&b, 65536);
	for (size_t i = 0; i < ix->n_entries; i++) {
		const struct layer_entry *e = &ix->entries[i];

		strbuf_printf(&b, "%s%c:%.*s", i ? " " : "", t_letter(e->type), STR(e->path));
		if (e->opaque)
			strbuf_cstr(&b, "!");
		if (e->target.len)
			strbuf_printf(&b, ">%.*s", STR(e->target));
	}
	return strbuf_steal(&b);
}

#define assert_list(ix, want)                  \
	do {                                   \
		char *l_ = t_list(ix);         \
		assert_string_equal(l_, want); \
		free(l_);                      \
	} while (0)

/* A sink that collects into a strbuf. */
static inline int t_collect(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	strbuf_add(ctx, p, n);
	return strbuf_check(ctx, "output", err);
}

/* A reader over memory that gives at most `step` bytes at a time. */
struct t_memory {
	str left;
	size_t step;
};

static inline int t_memory_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct t_memory *m = ctx;

	(void)err;
	n = n < m->left.len ? n : m->left.len;
	n = m->step && m->step < n ? m->step : n;
	if (n)
		memcpy(p, m->left.ptr, n);
	m->left = str_skip(m->left, n);
	*ret_n = n;
	return 0;
}

static inline int t_open_dir(const char *path)
{
	struct cairn_err err;
	int fd = -1;

	assert_ok(fs_mkdir_p(harness_dirfd(), path, 0755, &err));
	assert_ok(fs_open_dir(harness_dirfd(), path, &fd, &err));
	return fd;
}

static inline str t_read(const char *path, char *buf, size_t size)
{
	int fd = openat(harness_dirfd(), path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		fail_msg("cannot read '%s'", path);
	return str_n(buf, (size_t)n);
}

#endif

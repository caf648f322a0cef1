#include "buildkit_hash.h"

#include <stdio.h>

#include "buildkit_key.h"
#include "util/fs.h"

#define READ_SIZE (256u << 10)

struct buildkit_tree {
	const struct view *view;
	int (*open)(void *ctx, const struct view_file *f, int *ret_fd, struct cairn_err *err);
	void *ctx;
	struct digest *own; /* by number in the view: of the file, or of a directory's header */
	struct digest *all; /* by number: of a directory with what is in it */
	struct digest root; /* of the whole view */
	char *buf;          /* READ_SIZE */
};

struct buildkit_tree *buildkit_tree_new(const struct view *view,
                                        int (*open)(void *ctx, const struct view_file *f,
                                                    int *ret_fd, struct cairn_err *err),
                                        void *ctx)
{
	struct buildkit_tree *t = xcalloc(1, sizeof(*t));

	t->view = view;
	t->open = open;
	t->ctx = ctx;
	t->own = xcalloc(view->n + 1, sizeof(*t->own));
	t->all = xcalloc(view->n + 1, sizeof(*t->all));
	t->buf = xmalloc(READ_SIZE);
	return t;
}

void buildkit_tree_free(struct buildkit_tree *t)
{
	if (!t)
		return;
	free(t->own);
	free(t->all);
	free(t->buf);
	free(t);
}

/* --- one file ------------------------------------------------------------------------ */

static void add_text(struct sha256 *h, const char *name, str value)
{
	sha256_add(h, name, strlen(name));
	sha256_add(h, value.ptr, value.len);
}

static void add_number(struct sha256 *h, const char *name, uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	add_text(h, name, str_n(text, (size_t)n));
}

static bool xattr_counts(str name)
{
	return str_is(name, "security.capability") ||
	       (!str_starts(name, S("security.")) && !str_starts(name, S("system.")) &&
	        !str_starts(name, S("com.apple.")));
}

/* What a tar header would say, but name and time. */
static void add_header(struct sha256 *h, const struct layer_entry *e, bool owners)
{
	static const char types[] = {
		[LAYER_FILE] = '0',     [LAYER_DIR] = '5',      [LAYER_SYMLINK] = '2',
		[LAYER_CHAR] = '3',     [LAYER_BLOCK] = '4',    [LAYER_FIFO] = '6',
		[LAYER_HARDLINK] = '0', [LAYER_WHITEOUT] = '0',
	};
	bool file = e->type == LAYER_FILE || e->type == LAYER_HARDLINK;

	add_text(h, "name", S(""));
	add_number(h, "mode", e->mode);
	add_number(h, "uid", owners ? e->uid : 0);
	add_number(h, "gid", owners ? e->gid : 0);
	add_number(h, "size", file ? e->size : 0);
	add_text(h, "typeflag", str_n(&types[e->type], 1));
	add_text(h, "linkname", e->type == LAYER_SYMLINK ? e->target : S(""));
	add_text(h, "uname", S(""));
	add_text(h, "gname", S(""));
	add_number(h, "devmajor", e->major);
	add_number(h, "devminor", e->minor);
	for (uint32_t i = 0; i < e->n_xattrs; i++)
		if (xattr_counts(e->xattrs[i].name)) {
			sha256_add(h, e->xattrs[i].name.ptr, e->xattrs[i].name.len);
			sha256_add(h, e->xattrs[i].value.ptr, e->xattrs[i].value.len);
		}
}

/* The bytes; a file that has another size than its header says is being written to. */
static int add_bytes(struct buildkit_tree *t, struct sha256 *h, const struct view_file *f,
                     struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	uint64_t left = f->entry->size;

	TRY(t->open(t->ctx, f, &fd, err));
	while (left) {
		ssize_t n = read(fd, t->buf, left < READ_SIZE ? (size_t)left : READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cairn_fail_sys(err, "read '%.*s'", STR(f->entry->path));
		if (n == 0)
			return cairn_fail(err, CAIRN_E_TRANSIENT,
			                  "'%.*s' changed while it was read", STR(f->entry->path));
		sha256_add(h, t->buf, (size_t)n);
		left -= (uint64_t)n;
	}
	return 0;
}

static int own_digest(struct buildkit_tree *t, size_t i, const struct digest **ret,
                      struct cairn_err *err)
{
	const struct view_file *f = &t->view->files[i];
	struct sha256 h;

	*ret = &t->own[i];
	if (!digest_none(&t->own[i]))
		return 0;
	sha256_init(&h);
	add_header(&h, f->entry, t->view->owners);
	if ((f->entry->type == LAYER_FILE || f->entry->type == LAYER_HARDLINK) && f->entry->size)
		TRY(add_bytes(t, &h, f, err));
	t->own[i] = sha256_end(&h);
	return 0;
}

/* --- directories ----------------------------------------------------------------------- */

static void add_digest(struct sha256 *h, const struct digest *d)
{
	sha256_add(h, digest_text(d).s, DIGEST_STR_LEN);
}

/* Hash the directory whose contents begin at file `*i` of the view: "\0" and its header, then "\0",
 * the name and the digest of each child. *i becomes the first file behind it. */
static int dir_digest(struct buildkit_tree *t, str dir, const struct digest *header, size_t *i,
                      struct digest *ret, struct cairn_err *err)
{
	const struct view *v = t->view;
	const struct digest *own;
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, "", 1);
	add_digest(&h, header);
	while (*i < v->n && layer_path_below(v->files[*i].entry->path, dir)) {
		const struct layer_entry *e = v->files[*i].entry;
		size_t at = (*i)++;
		str name = layer_path_name(e->path);

		TRY(own_digest(t, at, &own, err));
		if (e->type == LAYER_DIR) {
			if (digest_none(&t->all[at]))
				TRY(dir_digest(t, e->path, own, i, &t->all[at], err));
			while (*i < v->n && layer_path_below(v->files[*i].entry->path, e->path))
				(*i)++;
			own = &t->all[at];
		}
		sha256_add(&h, "", 1);
		sha256_add(&h, name.ptr, name.len);
		add_digest(&h, own);
	}
	*ret = sha256_end(&h);
	return 0;
}

/* A file, or a directory with all that is in it; f NULL is the root. */
static int whole_digest(struct buildkit_tree *t, const struct view_file *f, struct digest *ret,
                        struct cairn_err *err)
{
	struct digest nothing = digest_of("", 0);
	const struct digest *own;
	size_t i = 0;

	if (!f) {
		if (digest_none(&t->root))
			TRY(dir_digest(t, S(""), &nothing, &i, &t->root, err));
		*ret = t->root;
		return 0;
	}
	i = (size_t)(f - t->view->files);
	TRY(own_digest(t, i, &own, err));
	if (f->entry->type == LAYER_DIR) {
		struct digest *all = &t->all[i++];

		if (digest_none(all))
			TRY(dir_digest(t, f->entry->path, own, &i, all, err));
		own = all;
	}
	*ret = *own;
	return 0;
}

/* --- patterns and exclusions -------------------------------------------------------------- */

/* A file that was selected: a directory stands for its header alone. */
struct included {
	str path;
	struct digest own, followed; /* of a link, and of what it leads to; else the same */
};

struct includes {
	struct buildkit_tree *t;
	struct arena *a;
	const struct ignore *excludes;
	VEC(struct included) list;
};

static int include(struct includes *in, size_t i, struct cairn_err *err)
{
	const struct view_file *f = &in->t->view->files[i];
	struct included one = { .path = f->entry->path };
	const struct digest *own;
	str resolved;

	TRY(own_digest(in->t, i, &own, err));
	one.own = one.followed = *own;
	if (f->entry->type == LAYER_SYMLINK &&
	    view_resolve(in->a, in->t->view, f->entry->path, &resolved, &f))
		TRY(whole_digest(in->t, f, &one.followed, err));
	vec_push(&in->list, one);
	return 0;
}

/* Everything at and below `top`, but what is excluded. Directories above something that is
 * included count, even when they are excluded themselves; those of them that precede it. */
static int include_below(struct includes *in, size_t *i, str top, struct cairn_err *err)
{
	const struct view *v = in->t->view;

	for (; *i < v->n && layer_path_below(v->files[*i].entry->path, top); (*i)++) {
		str rel = str_skip(v->files[*i].entry->path, top.len);

		rel = str_starts(rel, S("/")) ? str_skip(rel, 1) : rel;
		if (rel.len && ignore_match(in->excludes, rel))
			continue;
		TRY(include(in, *i, err));
	}
	return 0;
}

static int include_selector(struct includes *in, const struct buildkit_selector *s,
                            struct cairn_err *err)
{
	const struct view *v = in->t->view;
	str pattern = str_skip(s->path, 1), resolved;
	const struct view_file *f = NULL;
	size_t i = 0;

	if (!s->wildcard) {
		if (!view_resolve(in->a, v, pattern, &resolved, &f))
			return 0;
		i = f ? (size_t)(f - v->files) : 0;
		return include_below(in, &i, resolved, err);
	}
	while (i < v->n) {
		str path = v->files[i].entry->path;

		if (pattern_match(pattern, path))
			TRY(include_below(in, &i, path, err));
		else
			i++;
	}
	return 0;
}

/* Versions of the scheme, newest first. */
enum scheme {
	SCHEME_KEYS,  /* where it lies below the certain part of the pattern, and its digest */
	SCHEME_NAMES, /* its name and its digest, joined by \0 */
	SCHEME_PLAIN, /* the digests, joined by \0 */
	SCHEME_N_,
};

/* Each scheme with links as they are, then with links followed. */
#define VARIANTS (2 * SCHEME_N_)

/* Bytes of a pattern before the first component with a wildcard, without the last '/'. */
static size_t certain_len(str pattern)
{
	size_t end = 0;

	for (size_t i = 0; i < pattern.len && !strchr("*?[\\", pattern.ptr[i]); i++)
		if (pattern.ptr[i] == '/')
			end = i;
	return end;
}

static void add_key(struct sha256 *h, str path)
{
	for (size_t i = 0; i < path.len; i++)
		sha256_add(h, path.ptr[i] == '/' ? "" : path.ptr + i, 1);
}

static const struct digest *digest_in(const struct included *one, unsigned variant)
{
	return variant < SCHEME_N_ ? &one->own : &one->followed;
}

static struct digest join(const struct includes *in, const struct buildkit_selector *s,
                          unsigned variant)
{
	enum scheme scheme = variant % SCHEME_N_;
	str pattern = str_skip(s->path, 1);
	size_t certain = s->wildcard ? certain_len(pattern) : pattern.len;
	struct sha256 h;

	sha256_init(&h);
	for (size_t i = 0; i < in->list.len; i++) {
		const struct included *one = &in->list.ptr[i];
		str name = layer_path_name(one->path), below = str_skip(one->path, certain);

		if (i && scheme != SCHEME_KEYS)
			sha256_add(&h, "", 1);
		if (scheme == SCHEME_KEYS && below.len && below.ptr[0] != '/')
			sha256_add(&h, "", 1);
		if (scheme == SCHEME_KEYS)
			add_key(&h, below);
		if (scheme == SCHEME_NAMES)
			sha256_add(&h, name.ptr, name.len);
		add_digest(&h, digest_in(one, variant));
	}
	return sha256_end(&h);
}

static int filtered(struct buildkit_tree *t, struct arena *a, const struct buildkit_selector *s,
                    struct digest ret[VARIANTS], struct cairn_err *err)
{
	cleanup_ignore struct ignore *excludes = NULL;
	struct includes in = { .t = t, .a = a };
	int r;

	if (s->n_excludes)
		TRY(ignore_new(s->excludes, s->n_excludes, &excludes, err));
	in.excludes = excludes;
	r = include_selector(&in, s, err);
	for (unsigned k = 0; r == 0 && k < VARIANTS; k++) {
		const struct included *first = in.list.ptr;
		bool alone = in.list.len == 1 && (k % SCHEME_N_ == SCHEME_PLAIN ||
		                                  str_eq(layer_path_name(str_skip(s->path, 1)),
		                                         layer_path_name(first->path)));

		ret[k] = !in.list.len ? digest_of("", 0)
		         : alone      ? *digest_in(first, k)
		                      : join(&in, s, k);
	}
	vec_free(&in.list);
	return r;
}

/* --- selectors ------------------------------------------------------------------------------- */

static bool plain(const struct buildkit_selector *s)
{
	return !s->wildcard && !s->n_excludes;
}

static int by_path(const void *a, const void *b)
{
	return str_cmp(((const struct buildkit_selector *)a)->path,
	               ((const struct buildkit_selector *)b)->path);
}

/* Sorted by path; a plain one that is below another plain one, or equals it, says nothing. */
static size_t dedupe(struct buildkit_selector *s, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(s, n, sizeof(*s), by_path);
	for (size_t i = 0; i < n; i++) {
		bool below = false;

		for (size_t k = 0; k < kept && !below && plain(&s[i]); k++)
			below = plain(&s[k]) &&
			        layer_path_below(str_skip(s[i].path, 1), str_skip(s[k].path, 1));
		if (!below)
			s[kept++] = s[i];
	}
	return kept;
}

static int selector_digests(struct buildkit_tree *t, struct arena *a,
                            const struct buildkit_selector *s, struct digest ret[VARIANTS],
                            bool *ret_found, struct cairn_err *err)
{
	const struct view_file *f = NULL;
	str resolved;

	*ret_found = true;
	if (!plain(s))
		return filtered(t, a, s, ret, err);
	*ret_found = view_resolve(a, t->view, str_skip(s->path, 1), &resolved, &f);
	if (!*ret_found)
		return 0;
	TRY(whole_digest(t, f, &ret[0], err));
	for (unsigned k = 1; k < VARIANTS; k++)
		ret[k] = ret[0];
	return 0;
}

static void add_content(struct digest ret[BUILDKIT_CONTENTS_MAX], size_t *n,
                        const struct digest *joined)
{
	struct digest d = buildkit_record_digest(joined, -1);

	for (size_t i = 0; i < *n; i++)
		if (digest_eq(&ret[i], &d))
			return;
	ret[(*n)++] = d;
}

_Static_assert(BUILDKIT_CONTENTS_MAX == VARIANTS, "room for one digest of each variant");

int buildkit_tree_contents(struct buildkit_tree *t, const struct buildkit_selector *selectors,
                           size_t n, struct digest ret[BUILDKIT_CONTENTS_MAX], size_t *ret_n,
                           struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct buildkit_selector *s = arena_array(a, struct buildkit_selector, n);
	struct sha256 h[VARIANTS];

	*ret_n = 0;
	if (n)
		memcpy(s, selectors, n * sizeof(*s));
	n = dedupe(s, n);
	for (unsigned k = 0; k < VARIANTS; k++)
		sha256_init(&h[k]);
	for (size_t i = 0; i < n; i++) {
		struct digest d[VARIANTS];
		bool found = false;

		TRY(selector_digests(t, a, &s[i], d, &found, err));
		if (!found)
			return 0;
		for (unsigned k = 0; k < VARIANTS; k++) {
			if (i)
				sha256_add(&h[k], "", 1);
			add_digest(&h[k], &d[k]);
		}
	}
	for (unsigned k = 0; k < VARIANTS; k++) {
		struct digest joined = sha256_end(&h[k]);

		add_content(ret, ret_n, &joined);
	}
	return 0;
}

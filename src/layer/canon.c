#include "canon.h"

#include "util/fs.h"
#include "util/map.h"
#include "util/pool.h"
#include "xattr.h"

int run_all(struct pool *pool, size_t n, int (*fn)(void *ctx, size_t i, struct cairn_err *err),
            void *ctx, struct cairn_err *err)
{
	if (pool && n > 1)
		return pool_map(pool, n, fn, ctx, err);
	for (size_t i = 0; i < n; i++)
		TRY(fn(ctx, i, err));
	return 0;
}

int fail_changed(str path, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "'/%.*s' changed while it was read; build again",
	                  STR(path));
}

int source_open(const struct layer_plan_item *item, int *ret_fd, struct cairn_err *err)
{
	const struct layer_source *s = &item->source;
	int fd;

	if (s->kind == LAYER_SOURCE_OPEN)
		return s->open(s->ctx, &item->entry, ret_fd, err);
	if (s->kind != LAYER_SOURCE_FILE)
		CAIRN_BUG("'%.*s' has no content", STR(item->entry.path));
	/* The path was copied into the plan's arena, with a NUL behind it. O_NONBLOCK: a
	 * fifo that took the file's place must not block. */
	fd = openat(s->dirfd, s->path.ptr, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%.*s'", STR(s->path));
	*ret_fd = fd;
	return 0;
}

/* ---- sorting ---- */

int item_cmp(const void *a, const void *b)
{
	const struct layer_plan_item *const *x = a, *const *y = b;
	int c = layer_path_cmp((*x)->entry.path, (*y)->entry.path);

	return c ? c : (*x > *y) - (*x < *y); /* by position: the sort is stable */
}

/* Sort by path; of equal paths the last one stays. */
static void sort_items(struct layer_plan *plan)
{
	size_t n = plan->items.len, out = 0;
	struct layer_plan_item *sorted = xcalloc(n, sizeof(*sorted));
	const struct layer_plan_item **order = xcalloc(n, sizeof(void *));

	for (size_t i = 0; i < n; i++)
		order[i] = &plan->items.ptr[i];
	if (n)
		qsort(order, n, sizeof(void *), item_cmp);
	for (size_t i = 0; i < n; i++) {
		if (out && str_eq(sorted[out - 1].entry.path, order[i]->entry.path))
			out--;
		sorted[out++] = *order[i];
	}
	free(order);
	free(plan->items.ptr);
	plan->items.ptr = sorted;
	plan->items.len = out;
	plan->items.cap = n;
}

static struct layer_plan_item *find_item(const struct layer_plan *plan, size_t n, str path)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = layer_path_cmp(plan->items.ptr[mid].entry.path, path);

		if (c == 0)
			return &plan->items.ptr[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- one entry ---- */

static int check_entry(const struct layer_entry *e, uint32_t max_id, struct cairn_err *err)
{
	if (str_starts(layer_path_name(e->path), S(LAYER_WHITEOUT_PREFIX)))
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "'/%.*s': a layer cannot hold names that begin with '%s'",
		                  STR(e->path), LAYER_WHITEOUT_PREFIX);
	if (max_id && (e->uid > max_id || e->gid > max_id))
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "'/%.*s' belongs to %u:%u, and this user may use ids up to %u; "
		                  "add ranges to /etc/subuid and /etc/subgid",
		                  STR(e->path), e->uid, e->gid, max_id);
	if (e->size > LAYER_SIZE_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "'/%.*s' is larger than 16 TiB",
		                  STR(e->path));
	return 0;
}

static void normalise(struct layer_plan *plan, struct layer_entry *e)
{
	bool content = e->type == LAYER_FILE || e->type == LAYER_HARDLINK;
	struct layer_xattr *x;

	e->mtime = layer_whole_seconds(e->mtime);
	e->mode &= 07777;
	e->tar_offset = LAYER_NO_OFFSET;
	e->digest = (struct digest){ { 0 } };
	if (e->type == LAYER_SYMLINK)
		e->mode = 0777;
	else if (e->type != LAYER_HARDLINK)
		e->target = str_n("", 0);
	if (!content)
		e->size = 0;
	if (e->type != LAYER_CHAR && e->type != LAYER_BLOCK)
		e->major = e->minor = 0;
	if (e->type == LAYER_WHITEOUT)
		*e = (struct layer_entry){ .path = e->path,
			                   .type = LAYER_WHITEOUT,
			                   .tar_offset = LAYER_NO_OFFSET };
	if (e->n_xattrs == 0)
		return;
	x = arena_array(plan->arena, struct layer_xattr, e->n_xattrs);
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		x[i] = e->xattrs[i];
		if (str_is(x[i].name, XATTR_CAPS))
			x[i].value = xattr_caps_v2(plan->arena, x[i].value);
	}
	e->n_xattrs = xattr_sort(x, e->n_xattrs);
	e->xattrs = x;
}

/* ---- opaque directories and whiteouts ---- */

static void add_gone(struct layer_plan *plan, str dir, str name)
{
	struct layer_plan_item item = { .entry = { .type = LAYER_WHITEOUT,
		                                   .tar_offset = LAYER_NO_OFFSET } };

	item.entry.path = str_of(
		arena_printf(plan->arena, "%.*s%s%.*s", STR(dir), dir.len ? "/" : "", STR(name)));
	vec_push(&plan->items, item);
}

/* Whiteouts for what `dir` hides: the children of `node` that are not among the
 * plan's first n items.  New directories in an opaque one hide too. */
static void hide_children(struct layer_plan *plan, size_t n, str dir, const struct tree_node *node)
{
	for (size_t i = 0; i < tree_dir_len(node->dir); i++) {
		const struct tree_node *child = tree_dir_at(node->dir, i);
		str name = layer_path_name(child->entry->path);
		const char *path = arena_printf(plan->arena, "%.*s%s%.*s", STR(dir),
		                                dir.len ? "/" : "", STR(name));
		const struct layer_plan_item *item = find_item(plan, n, str_of(path));

		if (!item)
			add_gone(plan, dir, name);
		else if (item->entry.type == LAYER_DIR && child->dir)
			hide_children(plan, n, item->entry.path, child);
	}
}

static void expand_opaque(struct layer_plan *plan, const struct tree *below)
{
	size_t n = plan->items.len;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		struct layer_entry *e = &plan->items.ptr[i].entry;
		const struct tree_node *node;
		str path = e->path;

		if (e->type != LAYER_DIR || !e->opaque)
			continue;
		e->opaque = false;
		any = true;
		node = tree_find(below, path);
		if (node && node->dir)
			hide_children(plan, n, path, node);
	}
	if (any)
		sort_items(plan);
}

static void drop_needless_whiteouts(struct layer_plan *plan, const struct tree *below)
{
	size_t out = 0;

	for (size_t i = 0; i < plan->items.len; i++) {
		const struct layer_plan_item *it = &plan->items.ptr[i];

		if (it->entry.type == LAYER_WHITEOUT && !tree_find(below, it->entry.path))
			continue;
		plan->items.ptr[out++] = *it;
	}
	plan->items.len = out;
}

/* ---- what differs ---- */

/* Decisions about the plan's items, by position. */
struct decide {
	const struct layer_plan *plan;
	const struct tree *below;
	bool *keep;
	struct layer_plan_item **first; /* of its hard-link group; NULL without one */
	VEC(size_t) unsure;             /* equal metadata: the content must be read */
};

static str link_key(const struct layer_plan_item *it)
{
	return str_n((const char *)&it->link, sizeof(it->link));
}

static void resolve_links(struct decide *d)
{
	cleanup_map struct map groups = { 0 };

	for (size_t i = 0; i < d->plan->items.len; i++) {
		struct layer_plan_item *it = &d->plan->items.ptr[i], *first;

		if (it->link == 0 || it->entry.type != LAYER_FILE)
			continue;
		first = map_get(&groups, link_key(it));
		if (!first) {
			map_put(&groups, link_key(it), it);
			continue;
		}
		d->first[i] = first;
		d->first[first - d->plan->items.ptr] = first;
		it->entry.type = LAYER_HARDLINK;
		it->entry.target = first->entry.path;
	}
}

/* Is the tree's file linked in the way that the plan's shall be? */
static bool same_link(const struct decide *d, size_t i, const struct layer_entry *old)
{
	const struct layer_entry *e = &d->plan->items.ptr[i].entry;

	if (!d->first[i])
		return true; /* copied up from a group: the content is what counts */
	return e->type == old->type && (e->type == LAYER_FILE || str_eq(e->target, old->target));
}

/* What the key says of the content; nothing is read for it. */
static bool known_same(const struct layer_plan_item *it, const struct layer_entry *old)
{
	return digest_eq(&it->source.expected, &old->digest);
}

static void decide_one(struct decide *d, size_t i)
{
	const struct layer_plan_item *it = &d->plan->items.ptr[i];
	const struct layer_entry *e = &it->entry;
	const struct tree_node *node = tree_find(d->below, e->path);

	if (e->type == LAYER_WHITEOUT || !node || !layer_entry_same_meta(e, node->entry)) {
		d->keep[i] = true;
		return;
	}
	if (e->type != LAYER_FILE && e->type != LAYER_HARDLINK)
		return;
	if (!same_link(d, i, node->entry))
		d->keep[i] = true;
	else if (e->type == LAYER_HARDLINK || e->size == 0)
		return; /* the group's FILE stands for it; empty is empty */
	else if (digest_none(&it->source.expected))
		vec_push(&d->unsure, i);
	else
		d->keep[i] = !known_same(it, node->entry);
}

static int digest_source(const struct layer_plan_item *it, struct digest *ret,
                         struct cairn_err *err)
{
	const size_t size = 128 * 1024;
	cleanup_free char *buf = NULL;
	cleanup_fd int fd = -1;
	struct sha256 h;
	size_t n;

	if (it->source.kind == LAYER_SOURCE_BYTES) {
		*ret = digest_of(it->source.bytes.ptr, it->source.bytes.len);
		return 0;
	}
	TRY(source_open(it, &fd, err));
	buf = xmalloc(size);
	sha256_init(&h);
	do {
		TRY(fs_read_full(fd, buf, size, &n, it->entry.path.ptr, err));
		sha256_add(&h, buf, n);
	} while (n == size);
	*ret = sha256_end(&h);
	return 0;
}

static int compare_content(void *ctx, size_t k, struct cairn_err *err)
{
	struct decide *d = ctx;
	size_t i = d->unsure.ptr[k];
	const struct layer_plan_item *it = &d->plan->items.ptr[i];
	struct digest now;

	TRY(digest_source(it, &now, err));
	d->keep[i] = !digest_eq(&now, &tree_find(d->below, it->entry.path)->entry->digest);
	return 0;
}

/* When one name of a group must be written, all must. */
static void keep_groups(struct decide *d)
{
	size_t n = d->plan->items.len;

	for (size_t i = 0; i < n; i++)
		if (d->first[i] && d->keep[i])
			d->keep[d->first[i] - d->plan->items.ptr] = true;
	for (size_t i = 0; i < n; i++)
		if (d->first[i] && d->keep[d->first[i] - d->plan->items.ptr])
			d->keep[i] = true;
}

/* ---- ancestors ---- */

static struct layer_entry missing_dir(str path, const struct layer_write_opts *opts)
{
	return (struct layer_entry){ .path = path,
		                     .type = LAYER_DIR,
		                     .mode = 0755,
		                     .mtime = layer_whole_seconds(opts->parent_mtime),
		                     .tar_offset = LAYER_NO_OFFSET };
}

/* Keep or add the directory `path`, which something kept lies in. n is the number of items
 * that are the plan's own. */
static int need_dir(struct decide *d, struct layer_plan *plan, size_t n, str path,
                    const struct layer_write_opts *opts, struct cairn_err *err)
{
	const struct layer_plan_item *own = find_item(plan, n, path);
	struct layer_plan_item new = { .source.kind = LAYER_SOURCE_NONE };
	const struct tree_node *node;

	if (own) {
		if (own->entry.type != LAYER_DIR)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "'/%.*s' would be a %s and hold files", STR(path),
			                  layer_type_name(own->entry.type));
		d->keep[own - plan->items.ptr] = true;
		return 0;
	}
	node = tree_find(d->below, path);
	if (node && !node->dir)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "'/%.*s' is a %s in the image, not a directory", STR(path),
		                  layer_type_name(node->entry->type));
	new.entry = node ? *node->entry : missing_dir(path, opts);
	new.entry.path = path;
	new.entry.opaque = false;
	new.entry.mtime = layer_whole_seconds(new.entry.mtime);
	vec_push(&plan->items, new);
	return 0;
}

static int add_ancestors(struct decide *d, struct layer_plan *plan,
                         const struct layer_write_opts *opts, struct cairn_err *err)
{
	size_t n = plan->items.len;
	str last = S(""); /* the kept item before: its ancestors are there */

	for (size_t i = 0; i < n; i++) {
		str path = plan->items.ptr[i].entry.path;

		if (!d->keep[i])
			continue;
		for (size_t k = 1; k < path.len; k++) {
			str dir = str_n(path.ptr, k);

			/* `dir` equal to `last` is checked again: it may be no directory. */
			if (path.ptr[k] != '/' || (layer_path_below(last, dir) && last.len > k))
				continue;
			TRY(need_dir(d, plan, n, dir, opts, err));
		}
		last = path;
	}
	return 0;
}

static int finish(struct decide *d, struct layer_plan *plan, const struct layer_write_opts *opts,
                  struct cairn_err *err)
{
	size_t n = plan->items.len, out = 0;
	bool added;

	TRY(add_ancestors(d, plan, opts, err));
	added = plan->items.len > n;
	for (size_t i = 0; i < plan->items.len; i++)
		if (i >= n || d->keep[i])
			plan->items.ptr[out++] = plan->items.ptr[i];
	plan->items.len = out;
	if (added)
		sort_items(plan);
	return 0;
}

int canon_plan(struct layer_plan *plan, const struct tree *below,
               const struct layer_write_opts *opts, struct cairn_err *err)
{
	struct decide d = { .plan = plan, .below = below };
	int r;

	for (size_t i = 0; i < plan->items.len; i++) {
		TRY(check_entry(&plan->items.ptr[i].entry, opts->max_id, err));
		normalise(plan, &plan->items.ptr[i].entry);
	}
	sort_items(plan);
	expand_opaque(plan, below);
	drop_needless_whiteouts(plan, below);
	d.keep = xcalloc(plan->items.len, sizeof(bool));
	d.first = xcalloc(plan->items.len, sizeof(struct layer_plan_item *));
	resolve_links(&d);
	for (size_t i = 0; i < plan->items.len; i++)
		decide_one(&d, i);
	r = run_all(opts->pool, d.unsure.len, compare_content, &d, err);
	if (r == 0) {
		keep_groups(&d);
		r = finish(&d, plan, opts, err);
	}
	vec_free(&d.unsure);
	free(d.first);
	free(d.keep);
	return r;
}

#include "plan_changes.h"

#include "util/clock.h"
#include "util/fs.h"

/* --- what an image is made of ------------------------------------------------------------ */

/* A path in a folder, as one of the root. */
static str joined(struct arena *a, str dir, str path)
{
	if (str_is(dir, ".") || !dir.len)
		return path;
	if (!path.len)
		return dir;
	return str_of(arena_printf(a, "%.*s/%.*s", STR(dir), STR(path)));
}

static void add_scope(const struct plan_input *in, struct arena *a, str name, str dir,
                      struct plan_scopes *ret)
{
	struct plan_scope s = { .dir = dir, .ignore = name.len ? NULL : in->ignore };
	str *needed = NULL;

	if (!define_needed(in->graph, name, a, &needed, &s.n_needed))
		return;
	s.needed = needed;
	ret->ptr[ret->len++] = s;
}

void plan_scopes(const struct plan_input *in, struct arena *a, struct plan_scopes *ret)
{
	const struct ws_image *i = in->image;

	*ret = (struct plan_scopes){ .ptr = arena_array(a, struct plan_scope,
		                                        in->contexts.len + 1) };
	ret->files[0] = str_of(in->path);
	ret->files[1] = str_of(arena_printf(a, "%s.dockerignore", in->path));
	ret->files[2] = joined(a, i->context, S(".dockerignore"));
	add_scope(in, a, S(""), i->context, ret);
	map_foreach (e, &in->contexts)
		if (str_search(str_of(e->value), S("://")) < 0)
			add_scope(in, a, e->key, str_of(e->value), ret);
}

/* Where a file is in a folder; false: it is not in it. */
static bool in_folder(str dir, str file, str *ret)
{
	if (str_is(dir, ".") || !dir.len) {
		*ret = file;
		return true;
	}
	if (!layer_path_below(file, dir) || file.len == dir.len)
		return false;
	*ret = str_skip(file, dir.len + 1);
	return true;
}

static bool scope_has(const struct plan_scope *s, str file)
{
	str rel;

	if (!in_folder(s->dir, file, &rel) || ignore_match(s->ignore, rel))
		return false;
	for (size_t i = 0; i < s->n_needed; i++)
		if (layer_path_below(rel, s->needed[i]) || layer_path_below(s->needed[i], rel))
			return true;
	return s->n_needed == 0;
}

bool plan_scopes_have(const struct plan_scopes *s, str file)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->files); i++)
		if (str_eq(file, s->files[i]))
			return true;
	for (size_t i = 0; i < s->len; i++)
		if (scope_has(&s->ptr[i], file))
			return true;
	return false;
}

/* --- what looks otherwise than in the index ------------------------------------------------ */

struct comparing {
	const struct plan_inputs *in;
	const struct repo_git *git;
	struct arena *a;
	bool *seen;        /* by entry of the index */
	bool links;        /* there are submodules */
	VEC(str) suspects; /* that git follows */
	VEC(str) unknown;  /* that it does not */
};

/* Times of other programs than git may be whole seconds. */
static bool same_time(int64_t now, int64_t then)
{
	return now == then || (then % CLOCK_SEC == 0 && now / CLOCK_SEC == then / CLOCK_SEC);
}

/* As git: a file that was written when the index was may have changed since. */
static bool looks_same(const struct comparing *c, const struct git_entry *e, mode_t mode,
                       uint64_t size, int64_t mtime_ns)
{
	uint32_t kind = S_ISLNK(mode) ? 0120000 : mode & 0100 ? 0100755 : 0100644;

	return e->assumed ||
	       (!e->conflict && e->mtime_ns && e->mtime_ns < c->git->time_ns && e->mode == kind &&
	        e->size == (uint32_t)size && same_time(mtime_ns, e->mtime_ns));
}

static bool is_entry(const struct comparing *c, size_t i, str path)
{
	return i < c->git->len && str_eq(repo_git_path(c->git, &c->git->ptr[i]), path);
}

static void look_at(struct comparing *c, str path, const struct stat *st, size_t *hint)
{
	size_t i = repo_git_find(c->git, path, *hint);
	const struct git_entry *e = &c->git->ptr[i];

	*hint = i + 1;
	if (!is_entry(c, i, path)) {
		/* What is in a submodule is the submodule's. */
		if (!c->links || !repo_git_follows_below(c->git, layer_path_parent(path)) ||
		    layer_path_parent(path).len == 0)
			vec_push(&c->unknown, arena_str(c->a, path));
		return;
	}
	for (size_t k = i; is_entry(c, k, path); k++)
		c->seen[k] = true;
	if (!looks_same(c, e, st->st_mode, (uint64_t)st->st_size,
	                (int64_t)st->st_mtim.tv_sec * CLOCK_SEC + st->st_mtim.tv_nsec))
		vec_push(&c->suspects, arena_str(c->a, path));
}

static void compare_context(struct comparing *c, const struct plan_context *context)
{
	cleanup_strbuf struct strbuf path;
	const struct layer_entry *all;
	size_t n = 0, hint = SIZE_MAX, dir;

	strbuf_init(&path, SIZE_MAX / 4);
	if (!context->context)
		return;
	if (context->dir.len && !str_is(context->dir, "."))
		strbuf_printf(&path, "%.*s/", STR(context->dir));
	dir = path.len;
	all = context_entries(context->context, &n);
	for (size_t i = 0; i < n; i++) {
		struct stat st = { .st_size = (off_t)all[i].size };

		if (all[i].type == LAYER_DIR)
			continue;
		path.len = dir;
		strbuf_str(&path, all[i].path);
		st.st_mode = all[i].mode | (all[i].type == LAYER_FILE ? S_IFREG : S_IFLNK);
		if (all[i].type == LAYER_SYMLINK)
			st.st_size = (off_t)all[i].target.len;
		st.st_mtim.tv_sec = (time_t)(all[i].mtime / CLOCK_SEC);
		st.st_mtim.tv_nsec = (long)(all[i].mtime % CLOCK_SEC);
		look_at(c, strbuf_view(&path), &st, &hint);
	}
}

/* --- what is not there any more -------------------------------------------------------------- */

static void look_for(struct comparing *c, size_t i)
{
	const struct git_entry *e = &c->git->ptr[i];
	str path = repo_git_path(c->git, e);
	struct stat st;

	if (c->seen[i])
		return;
	c->seen[i] = true;
	/* One that is there and was not looked at is of no image. */
	if (e->mode == GIT_LINK ||
	    (!e->assumed && fstatat(c->in->root, path.ptr, &st, AT_SYMLINK_NOFOLLOW) < 0))
		vec_push(&c->suspects, path);
}

static void look_below(struct comparing *c, str path)
{
	str below = path.len ? str_of(arena_printf(c->a, "%.*s/", STR(path))) : path;
	size_t i = repo_git_find(c->git, path, SIZE_MAX);

	if (path.len && is_entry(c, i, path))
		look_for(c, i);
	for (i = repo_git_find(c->git, below, SIZE_MAX);
	     i < c->git->len && str_starts(repo_git_path(c->git, &c->git->ptr[i]), below); i++)
		look_for(c, i);
	/* A submodule that it lies in. */
	for (size_t k = 0; c->links && k < path.len; k++) {
		str up = str_n(path.ptr, k);

		if (path.ptr[k] != '/')
			continue;
		i = repo_git_find(c->git, up, SIZE_MAX);
		if (is_entry(c, i, up) && c->git->ptr[i].mode == GIT_LINK)
			look_for(c, i);
	}
}

static void look_around(struct comparing *c, const struct plan_scopes *scopes)
{
	struct stat st;
	size_t hint;

	for (size_t i = 0; i < scopes->len; i++) {
		const struct plan_scope *s = &scopes->ptr[i];
		str dir = str_is(s->dir, ".") ? S("") : s->dir;

		if (!s->n_needed)
			look_below(c, dir);
		for (size_t k = 0; k < s->n_needed; k++)
			look_below(c, joined(c->a, dir, s->needed[k]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(scopes->files); i++) {
		size_t at = repo_git_find(c->git, scopes->files[i], SIZE_MAX);

		hint = at;
		if (is_entry(c, at, scopes->files[i]) && c->seen[at])
			continue;
		if (fstatat(c->in->root, scopes->files[i].ptr, &st, AT_SYMLINK_NOFOLLOW) == 0)
			look_at(c, scopes->files[i], &st, &hint);
		else if (is_entry(c, at, scopes->files[i]))
			look_for(c, at);
	}
}

/* --- asking git --------------------------------------------------------------------------------
 */

static bool run_diff(struct comparing *c, const char *const *words, const char *base,
                     const str *paths, size_t n, str *ret)
{
	static const char *const names[] = { "-z", "--name-only", "--no-renames", "--relative",
		                             "--no-ext-diff" };
	VEC(const char *) argv = { 0 };
	bool said;

	vec_push(&argv, "--literal-pathspecs");
	for (; *words; words++)
		vec_push(&argv, *words);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		vec_push(&argv, names[i]);
	vec_push(&argv, base);
	vec_push(&argv, "--");
	for (size_t i = 0; i < n; i++)
		vec_push(&argv, paths[i].ptr);
	vec_push(&argv, NULL);
	said = repo_git_run(c->in->opts->root, argv.ptr, c->a, ret);
	vec_free(&argv);
	return said;
}

struct names {
	VEC(str) list;
};

static void take(struct names *all, str out, const struct map *but)
{
	str name;

	while (str_next(&out, '\0', &name))
		if (name.len && !map_has(but, name))
			vec_push(&all->list, name);
}

/* The index against the commit, then what looks otherwise than the index. */
static bool ask_little(struct comparing *c, const char *base, struct names *all)
{
	static const char *const cached[] = { "diff-index", "--cached", NULL };
	static const char *const diff[] = { "diff", NULL };
	struct map suspects cleanup_map = { 0 }, none = { 0 };
	struct repo_git_paths others = { 0 };
	bool said;
	str out;

	if (c->suspects.len > REPO_GIT_ASK_MAX || !run_diff(c, cached, base, NULL, 0, &out))
		return false;
	vec_foreach (s, &c->suspects)
		map_put(&suspects, *s, s);
	take(all, out, &suspects);
	if (c->suspects.len) {
		if (!run_diff(c, diff, base, c->suspects.ptr, c->suspects.len, &out))
			return false;
		take(all, out, &none);
	}
	said = repo_git_others(c->git, c->unknown.ptr, c->unknown.len, c->a, &others);
	vec_foreach (path, &others.list)
		vec_push(&all->list, *path);
	vec_free(&others.list);
	return said;
}

static bool compare_all(const struct plan *p, struct comparing *c, const char *base,
                        struct names *all)
{
	bool said;

	c->seen = xcalloc(c->git->len + 1, sizeof(*c->seen));
	for (size_t i = 0; i < c->git->len; i++)
		c->links |= c->git->ptr[i].mode == GIT_LINK;
	vec_foreach (context, &c->in->contexts)
		compare_context(c, context);
	for (size_t i = 0; i < p->len; i++) {
		struct plan_scopes scopes;

		if (p->ptr[i].verdict != PLAN_BUILD || p->ptr[i].error)
			continue;
		plan_scopes(&c->in->ptr[i], c->a, &scopes);
		look_around(c, &scopes);
	}
	said = ask_little(c, base, all);
	free(c->seen);
	vec_free(&c->suspects);
	vec_free(&c->unknown);
	return said;
}

/* Both names of a file that was renamed: without -M git tells them as two. */
static bool ask_all(struct comparing *c, const char *base, struct names *all)
{
	static const char *const diff[] = { "diff", NULL };
	static const char *const others[] = { "ls-files", "-z", "--others", "--exclude-standard",
		                              NULL };
	struct map none = { 0 };
	str out;

	if (!run_diff(c, diff, base, NULL, 0, &out))
		return false;
	take(all, out, &none);
	if (repo_git_run(c->in->opts->root, others, c->a, &out))
		take(all, out, &none);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

bool plan_changes(const struct plan *p, const struct plan_inputs *in, const struct repo_git *git,
                  struct image_strs *ret)
{
	struct comparing c = { .in = in, .git = git, .a = p->arena };
	const char *base = arena_cstr(p->arena, p->base);
	struct names all = { 0 };
	bool said = git && compare_all(p, &c, base, &all);

	if (!said) {
		all.list.len = 0;
		said = ask_all(&c, base, &all);
	}
	if (all.list.len)
		qsort(all.list.ptr, all.list.len, sizeof(*all.list.ptr), by_text);
	ret->ptr = arena_array(p->arena, str, all.list.len + 1);
	ret->len = 0;
	vec_foreach (name, &all.list)
		if (!ret->len || !str_eq(ret->ptr[ret->len - 1], *name))
			ret->ptr[ret->len++] = *name;
	vec_free(&all.list);
	return said;
}

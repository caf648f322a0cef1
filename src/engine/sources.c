/* Build contexts: scanned once, hashed as far as steps read them. */
#include "step.h"

#include "cache/cache.h"
#include "util/fs.h"

struct context_source {
	struct context *context;
	struct view view;
};

/* --- ignore rules ------------------------------------------------------------ */

static bool excluded(void *ctx, str path, bool is_dir)
{
	(void)is_dir;
	return ignore_match(ctx, path);
}

static bool may_skip_dir(void *ctx, str dir)
{
	return ignore_may_skip_dir(ctx, dir);
}

static void warn(void *ctx, const char *text)
{
	build_warn(ctx, 0, "%s", text);
}

/* --- scan --------------------------------------------------------------------- */

static int scan(struct engine_build *b, str name, const struct engine_context *ec,
                struct context_source *cs, struct cairn_err *err)
{
	str *needed = NULL;
	size_t n_needed = 0;
	const char *what = name.len ? arena_printf(b->arena, "build context '%.*s'", STR(name))
	                            : "the build context";
	cleanup_fd int fd = -1;
	struct context_opts opts = { .name = what,
		                     .pool = b->opts->pool,
		                     .store = b->opts->store,
		                     .warn = warn,
		                     .warn_ctx = b };

	if (fs_open_dir(AT_FDCWD, ec->dir, &fd, err) < 0)
		return cairn_wrap(err, "%s", what);
	(void)define_needed(b->opts->graph, name, b->arena, &needed, &n_needed);
	opts.dirfd = fd;
	if (!ignore_empty(ec->ignore))
		opts.filter = (struct context_filter){ excluded, may_skip_dir,
			                               (void *)(uintptr_t)ec->ignore };
	opts.needed = needed;
	opts.n_needed = n_needed;
	return context_scan(&opts, &cs->context, err);
}

static void make_view(struct engine_build *b, str name, struct context_source *cs)
{
	size_t n = 0;
	const struct layer_entry *e = context_entries(cs->context, &n);

	cs->view.what = name.len ? str_of(arena_printf(b->arena, "build context '%.*s'", STR(name)))
	                         : S("the build context");
	cs->view.n = n;
	cs->view.files = arena_array(b->arena, struct view_file, n);
	for (size_t i = 0; i < n; i++)
		cs->view.files[i].entry = &e[i];
}

static int get(struct engine_build *b, str name, struct context_source **ret, struct cairn_err *err)
{
	struct context_source *cs = map_get(&b->contexts, name);
	const struct engine_context *ec = map_get(b->opts->contexts, name);

	if (!cs) {
		if (!ec)
			CAIRN_BUG("context '%.*s' is not known", STR(name));
		cs = arena_new_of(b->arena, struct context_source);
		TRY(scan(b, name, ec, cs, err));
		map_put(&b->contexts, name, cs);
		make_view(b, name, cs);
	}
	*ret = cs;
	return 0;
}

int sources_context(struct engine_build *b, str name, struct view *ret, struct cairn_err *err)
{
	struct context_source *cs = NULL;

	TRY(get(b, name, &cs, err));
	*ret = cs->view;
	return 0;
}

int sources_hash(struct engine_build *b, str name, const struct selection *sel,
                 struct cairn_err *err)
{
	struct context_source *cs = NULL;
	const struct layer_entry **entries = xcalloc(sel->n_items, sizeof(struct layer_entry *));
	int r;

	for (size_t i = 0; i < sel->n_items; i++)
		entries[i] = sel->items[i].file->entry;
	r = get(b, name, &cs, err);
	if (r == 0)
		r = context_hash(cs->context, entries, sel->n_items, err);
	free(entries);
	return r;
}

int sources_context_fd(struct engine_build *b, str name)
{
	const struct context_source *cs = map_get(&b->contexts, name);

	return context_dirfd(cs->context);
}

void sources_free(struct engine_build *b)
{
	map_foreach (e, &b->contexts)
		context_free(((struct context_source *)e->value)->context);
	map_done(&b->contexts);
}

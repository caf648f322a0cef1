#include "images_priv.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>

#include "util/fs.h"

#define BATCH_MAX      CONF_BATCH_MAX
#define CONF_BATCH_MAX (1u << 20) /* bytes of a batch file */

const char *image_category_name(enum image_category c)
{
	static const char *const names[] = {
		[IMAGE_UNKNOWN] = "unknown",
		[IMAGE_LIGHT] = "light",
		[IMAGE_HEAVY] = "heavy",
		[IMAGE_GPU] = "gpu",
	};

	assert(c < IMAGE_CATEGORIES_);
	return names[c];
}

void images_warn(struct images_loader *l, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	vec_push(&l->w->warnings, arena_str(l->a, str_of(line)));
}

bool images_env(str name, str *ret)
{
	cleanup_free char *key = str_dup(name);
	const char *value = getenv(key);

	*ret = str_of(value);
	return value != NULL;
}

/* --- paths ------------------------------------------------------------------------ */

bool images_is_url(str context)
{
	return str_search(context, S("://")) >= 0 || str_starts(context, S("git@")) ||
	       str_starts(context, S("image:")) || str_starts(context, S("github.com/"));
}

bool images_path(struct images_loader *l, str base, str path, str *ret)
{
	str root = str_of(l->config->root), rest, part;
	cleanup_strbuf struct strbuf out;
	cleanup_free char *joined = NULL;

	strbuf_init(&out, SIZE_MAX);
	if (str_starts(path, S("/"))) {
		if (!str_starts(path, root) ||
		    (path.len > root.len && root.len > 1 && path.ptr[root.len] != '/'))
			return false;
		path = str_skip(path, root.len);
		base = S(".");
	}
	joined = xasprintf("%.*s/%.*s", STR(base), STR(path));
	rest = str_of(joined);
	while (str_next(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			ptrdiff_t slash = str_rfind(strbuf_view(&out), '/');

			if (!out.len)
				return false;
			out.len = slash < 0 ? 0 : (size_t)slash;
			out.ptr[out.len] = '\0';
			continue;
		}
		strbuf_printf(&out, "%s%.*s", out.len ? "/" : "", STR(part));
	}
	*ret = out.len ? arena_str(l->a, strbuf_view(&out)) : S(".");
	return true;
}

/* --- adding ------------------------------------------------------------------------ */

static int fail_missing(const struct images_place *p, struct cairn_err *err, const char *fmt,
                        const struct ws_image *i, str path)
{
	(void)cairn_fail_at(err, p->file.ptr, p->line, p->col,
	                    "image '%.*s': the %s '%.*s' is not "
	                    "there",
	                    STR(i->name), fmt, STR(path));
	err->code = CAIRN_E_NOT_FOUND;
	return err->code;
}

static int add_path(struct images_loader *l, const struct images_place *p, const char *what,
                    str base, str path, str *ret, struct cairn_err *err)
{
	if (!images_path(l, base, path, ret))
		return images_fail(p, err, "the %s '%.*s' is outside of the repository '%s'", what,
		                   STR(path), l->config->root);
	return 0;
}

static bool exists(const struct images_loader *l, str path, bool folder)
{
	struct stat st;

	return fstatat(l->root_fd, path.ptr, &st, 0) == 0 && (!folder || S_ISDIR(st.st_mode));
}

/* The Dockerfile of a folder without one of that name may be called Containerfile. */
static str default_dockerfile(const struct images_loader *l, str context)
{
	static const char *const names[] = { "Dockerfile", "Containerfile" };
	bool root = str_is(context, ".");
	str first = S("");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		str path = str_of(arena_printf(l->a, "%.*s%s%s", STR(root ? S("") : context),
		                               root ? "" : "/", names[i]));

		if (exists(l, path, false))
			return path;
		if (!i)
			first = path;
	}
	return first;
}

static int add_files(struct images_loader *l, const struct workspace_image *s,
                     const struct images_place *p, struct ws_image *i, struct cairn_err *err)
{
	str context = s->context.len ? s->context : S(".");

	i->dockerfile_inline = arena_str(l->a, s->dockerfile_inline);
	if (images_is_url(context)) {
		i->context = arena_str(l->a, context);
		i->dockerfile =
			arena_str(l->a, s->dockerfile.len ? s->dockerfile : S("Dockerfile"));
		return 0;
	}
	TRY(add_path(l, p, "context", p->base, context, &i->context, err));
	if (p->unchecked) {
		i->dockerfile = arena_str(l->a, s->dockerfile);
		return 0;
	}
	if (!exists(l, i->context, true))
		return fail_missing(p, err, "context", i, i->context);
	if (i->dockerfile_inline.len)
		return 0;
	if (s->dockerfile.len)
		TRY(add_path(l, p, "Dockerfile", i->context, s->dockerfile, &i->dockerfile, err));
	else
		i->dockerfile = default_dockerfile(l, i->context);
	return exists(l, i->dockerfile, false)
	               ? 0
	               : fail_missing(p, err, "Dockerfile", i, i->dockerfile);
}

static struct image_strs copy_strs(struct arena *a, const struct image_strs *s)
{
	struct image_strs c = { arena_array(a, str, s->len + 1), s->len };

	for (size_t i = 0; i < s->len; i++)
		c.ptr[i] = arena_str(a, s->ptr[i]);
	return c;
}

/* Without those that have no value. */
static struct image_kvs copy_kvs(struct arena *a, const struct image_kvs *s)
{
	struct image_kvs c = { arena_array(a, struct image_kv, s->len + 1), 0 };

	for (size_t i = 0; i < s->len; i++)
		if (s->ptr[i].value.ptr)
			c.ptr[c.len++] = (struct image_kv){ arena_str(a, s->ptr[i].key),
				                            arena_str(a, s->ptr[i].value) };
	return c;
}

static int add_contexts(struct images_loader *l, const struct workspace_image *s,
                        const struct images_place *p, struct ws_image *i, struct cairn_err *err)
{
	i->contexts = copy_kvs(l->a, &s->contexts);
	for (size_t k = 0; k < i->contexts.len; k++) {
		str *value = &i->contexts.ptr[k].value;

		if (images_is_url(*value))
			continue;
		TRY(add_path(l, p, "context", p->base, *value, value, err));
		if (!exists(l, *value, true))
			return fail_missing(p, err, "context", i, *value);
	}
	return 0;
}

static int check_values(const struct images_place *p, const struct ws_image *i,
                        struct cairn_err *err)
{
	struct cairn_err why;
	struct reference ref;
	struct platform platform;

	for (size_t k = 0; k < i->tags.len; k++)
		if (reference_parse(i->tags.ptr[k], &ref, &why) < 0)
			return images_fail(p, err, "image '%.*s': tags: %s", STR(i->name), why.msg);
	for (size_t k = 0; k < i->platforms.len; k++)
		if (platform_parse(i->platforms.ptr[k], &platform, &why) < 0)
			return images_fail(p, err, "image '%.*s': platforms: %s", STR(i->name),
			                   why.msg);
	return 0;
}

static int check_name(struct images_loader *l, const struct images_place *p, str name,
                      struct cairn_err *err)
{
	const struct ws_image *other = map_get(&l->names, name);
	bool ok = name.len > 0;

	for (size_t i = 0; i < name.len; i++)
		ok = ok &&
		     ((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') ||
		      (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') ||
		      (name.ptr[i] >= '0' && name.ptr[i] <= '9') || strchr("._-/", name.ptr[i]));
	if (!ok)
		return images_fail(p, err,
		                   "'%.*s' is no name of an image; it may have letters, digits, "
		                   "'.', '_', '-' and '/'",
		                   STR(name));
	if (other)
		return images_fail(p, err,
		                   "two images have the name '%.*s'; the other is at %.*s:%u",
		                   STR(name), STR(other->file), other->line);
	if (l->names.len >= IMAGES_MAX)
		return images_fail(p, err, "there are more than %u images", IMAGES_MAX);
	return 0;
}

int images_add(struct images_loader *l, const struct workspace_image *spec,
               const struct images_place *p, struct ws_image **ret, struct cairn_err *err)
{
	struct ws_image *i = arena_new_of(l->a, struct ws_image);

	TRY(check_name(l, p, spec->name, err));
	*i = (struct ws_image){
		.name = arena_str(l->a, spec->name),
		.from = p->from,
		.file = p->file,
		.line = p->line,
		.col = p->col,
		.target = arena_str(l->a, spec->target),
		.args = copy_kvs(l->a, &spec->args),
		.labels = copy_kvs(l->a, &spec->labels),
		.tags = copy_strs(l->a, &spec->tags),
		.platforms = copy_strs(l->a, &spec->platforms),
		.secrets = copy_strs(l->a, &spec->secrets),
		.depends = copy_strs(l->a, &spec->depends),
		.category = spec->category,
		.deadline = spec->deadline,
		.runner = arena_str(l->a, spec->runner),
	};
	TRY(add_files(l, spec, p, i, err));
	TRY(add_contexts(l, spec, p, i, err));
	TRY(check_values(p, i, err));
	(void)map_put(&l->names, i->name, i);
	*ret = i;
	return 0;
}

/* --- loading ------------------------------------------------------------------------ */

static bool has_suffix(str s, const char *suffix)
{
	return str_ends(s, str_of(suffix));
}

static int load_batch(struct images_loader *l, const char *path, struct cairn_err *err)
{
	str file = arena_str(l->a, str_of(workspace_shown(path)));
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, BATCH_MAX);
	if (has_suffix(file, ".hcl"))
		return cairn_fail_at(err, file.ptr, 0, 0,
		                     "HCL is not read; write JSON with 'docker buildx bake -f %s "
		                     "--print > docker-bake.json' and name that",
		                     file.ptr);
	if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
		return err->code == CAIRN_E_SYNTAX
		               ? cairn_fail_at(err, file.ptr, 0, 0, "it is larger than %u bytes",
		                               BATCH_MAX)
		               : err->code;
	if (has_suffix(file, ".json") && str_search(strbuf_view(&text), S("\"services\"")) < 0)
		return images_bake(l, strbuf_view(&text), file, err);
	return images_compose(l, strbuf_view(&text), file, err);
}

static int load(struct images_loader *l, const char *bake, struct cairn_err *err)
{
	TRY(fs_open_dir(AT_FDCWD, l->config->root, &l->root_fd, err));
	if (bake)
		TRY(load_batch(l, bake, err));
	else if (l->config->images.len)
		TRY(images_declared(l, err));
	else
		TRY(images_find(l, err));
	return images_order(l, err);
}

int images_load(const struct images_opts *opts, struct ws_images **ret, struct cairn_err *err)
{
	struct images_loader l = { .config = opts->config, .pool = opts->pool, .root_fd = -1 };
	int r;

	l.w = xcalloc(1, sizeof(*l.w));
	l.a = l.w->arena = arena_new();
	l.w->root = arena_cstr(l.a, str_of(l.config->root));
	r = load(&l, opts->bake, err);
	map_done(&l.names);
	vec_free(&l.groups);
	if (l.root_fd >= 0)
		close(l.root_fd);
	if (r < 0)
		images_free(l.w);
	else
		*ret = l.w;
	return r;
}

void images_free(struct ws_images *w)
{
	if (!w)
		return;
	images_reads_done(w);
	vec_free(&w->warnings);
	repo_git_free(w->git);
	arena_free(w->arena);
	free(w);
}

struct ws_image *images_get(const struct ws_images *w, str name)
{
	for (size_t i = 0; i < w->len; i++)
		if (str_eq(w->ptr[i]->name, name))
			return w->ptr[i];
	return NULL;
}

/* --- choosing ------------------------------------------------------------------------ */

static bool is_meant(const struct ws_image *i, const char *word)
{
	if (fnmatch(word, i->name.ptr, 0) == 0)
		return true;
	for (size_t k = 0; k < i->groups.len; k++)
		if (str_is(i->groups.ptr[k], word))
			return true;
	return false;
}

static int fail_word(const struct ws_images *w, const char *word, struct cairn_err *err)
{
	const char **names = xcalloc(w->len * 2 + 1, sizeof(*names));
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < w->len; i++) {
		names[n++] = w->ptr[i]->name.ptr;
		if (w->ptr[i]->groups.len)
			names[n++] = w->ptr[i]->groups.ptr[0].ptr;
	}
	near = str_suggest(str_of(word), names);
	(void)cairn_fail(err, CAIRN_E_NOT_FOUND, "no image or group '%s'%s%s%s", word,
	                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	free(names);
	return err->code;
}

int images_select(const struct ws_images *w, const char *const *words, size_t n, bool with_parents,
                  struct arena *a, struct ws_image_list *ret, struct cairn_err *err)
{
	bool *wanted = arena_array(a, bool, w->len + 1);
	struct ws_image **list = arena_array(a, struct ws_image *, w->len + 1);
	size_t len = 0;

	for (size_t i = 0; !n && i < w->len; i++)
		wanted[i] = !w->ptr[i]->by_name;
	for (size_t k = 0; k < n; k++) {
		bool any = false;

		for (size_t i = 0; i < w->len; i++)
			if (is_meant(w->ptr[i], words[k]))
				any = wanted[i] = true;
		if (!any)
			return fail_word(w, words[k], err);
	}
	/* Parents come before those who stand on them: from the end, all are seen. */
	for (size_t i = w->len; (with_parents || !n) && i-- > 0;)
		for (size_t k = 0; wanted[i] && k < w->ptr[i]->n_parents; k++)
			wanted[w->ptr[i]->parents[k]->order] = true;
	for (size_t i = 0; i < w->len; i++)
		if (wanted[i])
			list[len++] = w->ptr[i];
	*ret = (struct ws_image_list){ list, len };
	return 0;
}

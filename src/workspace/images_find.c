/* Images without configuration: every Dockerfile is one. */
#include "base_scan.h"
#include "images_priv.h"
#include "repo_files.h"
#include "util/fs.h"

/* --- names ---------------------------------------------------------------------------- */

/* A Dockerfile, and what it is called: its folders from the last one on, as many as make the
 * name one of its own. */
struct found {
	str path;
	str folder;   /* "" = the root */
	str naming;   /* the part of folder that names are made of */
	str variant;  /* "gpu" of Dockerfile.gpu and of gpu.Dockerfile; "" = none */
	bool own;     /* gpu.Dockerfile: the variant is the name, folders only tell it apart */
	unsigned len; /* folders in the name */
	str name;
	bool more;  /* the name could be longer */
	bool twice; /* another has it */

	struct workspace_image spec; /* what it gets from `defaults:`, and its context */
	struct image_read *read;
	str note; /* how the context was chosen */
};

struct found_list {
	VEC(struct found) list;
};

/* Folders that say what lies in them, not what is built. */
static const char *const plain_folders[] = {
	"docker", ".docker", "dockerfiles", "Docker", "container", "containers", "build", "images",
};

/* Endings of what is no Dockerfile yet, or no longer. */
static const struct {
	const char *end;
	bool tell; /* it could be meant as an image */
} not_images[] = {
	{ "j2", true },       { "jinja", true },    { "jinja2", true },    { "tmpl", true },
	{ "tpl", true },      { "template", true }, { "in", true },        { "erb", true },
	{ "m4", true },       { "mustache", true }, { "bak", false },      { "orig", false },
	{ "old", false },     { "rej", false },     { "swp", false },      { "md", false },
	{ "txt", false },     { "json", false },    { "disabled", false }, { "save", false },
	{ "example", false }, { "sample", false },
};

static str base_name(str path)
{
	return str_skip(path, (size_t)(str_rfind(path, '/') + 1));
}

static str folder_of(str path)
{
	ptrdiff_t slash = str_rfind(path, '/');

	return str_n(path.ptr, slash < 0 ? 0 : (size_t)slash);
}

/* Is it left out because of its ending? */
static bool is_no_image(struct images_loader *l, str path)
{
	str name = base_name(path), end = str_skip(name, (size_t)(str_rfind(name, '.') + 1));

	for (size_t i = 0; i < ARRAY_SIZE(not_images); i++) {
		if (!str_eq_nocase(end, str_of(not_images[i].end)))
			continue;
		if (not_images[i].tell)
			images_warn(l,
			            "%.*s looks like a template, not like a Dockerfile, and is "
			            "passed over",
			            STR(path));
		return true;
	}
	return false;
}

static str without_plain(str folder)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_folders); i++)
		if (str_is(base_name(folder), plain_folders[i]))
			return folder_of(folder);
	return folder;
}

/* "Dockerfile.gpu" and "gpu.Dockerfile". */
static void find_variant(struct found *f)
{
	static const char *const names[] = { "Dockerfile", "Containerfile" };
	str name = base_name(f->path);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (name.len <= n + 1)
			continue;
		if (str_eq_nocase(str_n(name.ptr, n), str_of(names[i])) && name.ptr[n] == '.') {
			f->variant = str_skip(name, n + 1);
		} else if (str_eq_nocase(str_skip(name, name.len - n), str_of(names[i]))) {
			f->variant = str_n(name.ptr, name.len - n - 1);
			f->own = true;
		}
	}
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-' || c == '/';
}

/* The last n folders. */
static str last_folders(str folder, unsigned n, bool *ret_more)
{
	size_t from = folder.len;

	for (; n && from; n--) {
		ptrdiff_t slash = str_rfind(str_n(folder.ptr, from), '/');

		from = slash < 0 ? 0 : (size_t)slash;
	}
	*ret_more = from > 0;
	return str_skip(folder, from && folder.ptr[from] == '/' ? from + 1 : from);
}

static void make_name(struct arena *a, struct found *f)
{
	str folders = last_folders(f->naming, f->len, &f->more);
	const char *between = !folders.len || !f->variant.len ? "" : f->own ? "/" : "-";
	char *name = arena_printf(a, "%.*s%s%.*s", STR(folders), between, STR(f->variant));

	for (char *c = name; *c; c++)
		if (!name_char(*c))
			*c = '-';
	f->name = *name ? str_of(name) : S("default");
}

/* Mark those whose name another has, too; false: there are none. */
static bool mark_doubles(struct found_list *found)
{
	struct map names cleanup_map = { 0 };
	bool any = false;

	vec_foreach (f, &found->list)
		f->twice = false;
	vec_foreach (f, &found->list) {
		struct found *other = map_put(&names, f->name, f);

		if (other)
			any = f->twice = other->twice = true;
	}
	return any;
}

/* Those of one name get longer ones, a folder at a time; when there are no more folders, the name
 * of the file tells them apart. */
static void tell_apart(struct arena *a, struct found_list *found)
{
	while (mark_doubles(found)) {
		bool longer = false;

		vec_foreach (f, &found->list)
			if (f->twice && f->more) {
				longer = true;
				f->len++;
				make_name(a, f);
			}
		if (longer)
			continue;
		vec_foreach (f, &found->list)
			if (f->twice && !str_is(base_name(f->path), "Dockerfile")) {
				longer = true;
				f->name = str_of(arena_printf(a, "%.*s/%.*s", STR(f->name),
				                              STR(base_name(f->path))));
			}
		for (size_t i = 0; !longer && i < found->list.len; i++) /* "a b" and "a-b" */
			if (found->list.ptr[i].twice)
				found->list.ptr[i].name = str_of(arena_printf(
					a, "%.*s-%zu", STR(found->list.ptr[i].name), i));
	}
}

/* --- contexts --------------------------------------------------------------------------- */

/* Is a source there, or the folder in which its pattern looks? */
static bool source_exists(const struct images_loader *l, str folder, str source)
{
	cleanup_free char *path = NULL;

	for (size_t i = 0; i < source.len; i++)
		if (strchr("*?[\\", source.ptr[i])) {
			source = folder_of(str_n(source.ptr, i));
			break;
		}
	if (!source.len)
		return true;
	path = xasprintf("%.*s%s%.*s", STR(folder), folder.len ? "/" : "", STR(source));
	return faccessat(l->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The first source that is not below the folder, or NULL. */
static const struct image_source *missing(const struct images_loader *l,
                                          const struct image_refs *refs, str folder)
{
	vec_foreach (s, &refs->sources)
		if (!source_exists(l, folder, s->path))
			return s;
	return NULL;
}

/* The Dockerfile's folder, unless what it copies is only there for a folder above. */
static str find_context(const struct images_loader *l, struct found *f)
{
	const struct image_source *s = missing(l, &f->read->refs, f->folder);

	if (!s)
		return f->folder;
	for (str up = f->folder; up.len;) {
		up = folder_of(up);
		if (missing(l, &f->read->refs, up))
			continue;
		f->note = str_of(arena_printf(
			f->read->arena,
			"context is '%.*s': '%.*s' (%.*s:%u) is there, and not in '%.*s'",
			STR(up.len ? up : S(".")), STR(s->path), STR(f->path), s->line,
			STR(f->folder)));
		return up;
	}
	f->note = str_of(arena_printf(
		f->read->arena,
		"context is '%.*s', though '%.*s' (%.*s:%u) is not there, nor above",
		STR(f->folder.len ? f->folder : S(".")), STR(s->path), STR(f->path), s->line));
	return f->folder;
}

/* What all found images have in common. */
static struct images_place place_of(const struct found *f)
{
	return (struct images_place){
		.from = IMAGE_FOUND, .file = f->path, .base = S("."), .unchecked = true
	};
}

static int begin_found(struct images_loader *l, struct found *f, struct cairn_err *err)
{
	const struct images_place p = place_of(f);

	f->spec = (struct workspace_image){ .name = f->name, .dockerfile = f->path };
	TRY(images_default_values(l, f->name, &p, &f->spec, err));
	f->spec.name = f->name;
	f->spec.dockerfile = f->path;
	f->read = images_read_new(l);
	return 0;
}

struct reading {
	const struct images_loader *l;
	struct found *found;
};

/* In the pool. A Dockerfile that cannot be read lies in its context. */
static int read_found(void *ctx, size_t i, struct cairn_err *ignored)
{
	const struct reading *r = ctx;
	struct found *f = &r->found[i];

	(void)ignored;
	images_read(r->l, &(struct image_reading){
				  .to = f->read, .path = f->path.ptr, .args = &f->spec.args });
	f->spec.context = f->read->result == 0 ? find_context(r->l, f) : f->folder;
	if (!f->spec.context.len)
		f->spec.context = S(".");
	return 0;
}

static int add_found(struct images_loader *l, const struct found *f, struct cairn_err *err)
{
	const struct images_place p = place_of(f);
	struct ws_image *i;

	TRY(images_add(l, &f->spec, &p, &i, err));
	i->note = f->note;
	/* Else another reading says what it names. */
	if (!i->target.len && i->args.len == f->spec.args.len)
		i->read = f->read;
	return 0;
}

#define NAMED_MAX 3 /* images that the warning names */

/* One line for all contexts that had to be found out. */
static void warn_contexts(struct images_loader *l)
{
	cleanup_strbuf struct strbuf names;
	size_t n = 0;

	strbuf_init(&names, SIZE_MAX);
	map_foreach (e, &l->names) {
		const struct ws_image *i = e->value;

		if (!i->note.len || ++n > NAMED_MAX)
			continue;
		strbuf_printf(&names, "%s%.*s: %.*s", n > 1 ? "; " : "", STR(i->name),
		              STR(i->note));
	}
	if (n > NAMED_MAX)
		strbuf_printf(&names, "; and %zu more", n - NAMED_MAX);
	if (n)
		images_warn(l, "%s", names.ptr);
}

static int find_all(struct images_loader *l, struct found_list *found, struct cairn_err *err)
{
	static const char *const git[] = { ":(icase)*dockerfile*", ":(icase)*containerfile*",
		                           NULL };
	const struct repo_filter filter = { base_scan_is_dockerfile, git, l->pool };
	struct repo_files files cleanup_repo_files = { 0 };

	TRY(repo_files_find(l->config->root, &filter, l->a, &files, err));
	l->w->git = steal_ptr(&files.git);
	vec_foreach (path, &files.paths) {
		struct found f = { .path = *path, .folder = folder_of(*path) };

		if (is_no_image(l, *path))
			continue;
		find_variant(&f);
		f.naming = without_plain(f.folder);
		f.len = !f.own;
		make_name(l->a, &f);
		vec_push(&found->list, f);
	}
	return 0;
}

int images_find(struct images_loader *l, struct cairn_err *err)
{
	struct found_list found = { 0 };
	int r = find_all(l, &found, err);
	struct reading reading;

	if (r == 0)
		tell_apart(l->a, &found);
	for (size_t i = 0; r == 0 && i < found.list.len; i++)
		r = begin_found(l, &found.list.ptr[i], err);
	reading = (struct reading){ l, found.list.ptr };
	if (r == 0)
		images_in_pool(l, found.list.len, read_found, &reading);
	for (size_t i = 0; r == 0 && i < found.list.len; i++)
		r = add_found(l, &found.list.ptr[i], err);
	vec_free(&found.list);
	if (r == 0)
		warn_contexts(l);
	for (size_t i = 0; i < l->config->groups.len; i++)
		vec_push(&l->groups, l->config->groups.ptr[i]);
	l->groups_file =
		arena_str(l->a, str_of(l->config->file ? l->config->file : WORKSPACE_CONFIG_NAME));
	return r;
}

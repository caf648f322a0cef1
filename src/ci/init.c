#include "init.h"

#include "util/digest.h"
#include "util/fs.h"
#include "util/json.h"
#include "workspace/workspace.h"

#define FILE_MAX   (1u << 20) /* bytes of a file that is kept for later */
#define RECORD_MAX (1u << 20)
#define FILES_MAX  16u
#define DIR        ".cairn/ci-init"
#define RECORD     DIR "/record.json"

extern const char init_workflow[], init_buildspec[], init_cairn[]; /* templates/ */

static const struct template
{
	const char *path, *text;
	bool github, codebuild; /* of which drivers */
	bool section;           /* added to a file that is there */
}
templates[] = {
	{ ".github/workflows/build-containers.yml", init_workflow, true, false, false },
	{ "buildspec.yml", init_buildspec, false, true, false },
	{ WORKSPACE_CONFIG_NAME, init_cairn, true, true, true },
};

/* --- what is written ---------------------------------------------------------------- */

/* "@NAME@" in a template. */
static str value_of(const struct init_opts *o, str name)
{
	if (str_is(name, "REGION"))
		return o->region;
	if (str_is(name, "BRANCH"))
		return o->branch;
	return (str){ 0 };
}

static void fill(const struct init_opts *o, const char *text, struct strbuf *out)
{
	str rest = str_of(text);

	while (rest.len) {
		ptrdiff_t at = str_find(rest, '@'), end;
		str value;

		strbuf_add(out, rest.ptr, at < 0 ? rest.len : (size_t)at);
		if (at < 0)
			break;
		rest = str_skip(rest, (size_t)at + 1);
		end = str_find(rest, '@');
		value = end < 0 ? (str){ 0 } : value_of(o, str_n(rest.ptr, (size_t)end));
		if (value.len) {
			strbuf_str(out, value);
			rest = str_skip(rest, (size_t)end + 1);
		} else if (str_starts(rest, S("CACHE@"))) {
			strbuf_printf(out,
			              o->cache.len ? "cache: %.*s"
			                           : "# cache: s3://BUCKET/cairn?region=%.*s",
			              STR(o->cache.len ? o->cache : o->region));
			rest = str_skip(rest, sizeof("CACHE@") - 1);
		} else {
			strbuf_char(out, '@'); /* actions/checkout@v4 */
		}
	}
}

/* Does a configuration say where results are shared? */
static bool has_cache(str text)
{
	str rest = text, line;

	while (str_next(&rest, '\n', &line))
		if (str_starts(line, S("cache:")))
			return true;
	return false;
}

static int plan_file(const struct init_opts *o, int rootfd, const struct template *t,
                     struct init_result *ret, struct cairn_err *err)
{
	struct init_file f = { .path = str_of(t->path) };
	cleanup_strbuf struct strbuf before, text;
	int got;

	strbuf_init(&before, FILE_MAX);
	strbuf_init(&text, 2 * FILE_MAX);
	got = fs_read_file(rootfd, t->path, &before, err);
	if (got < 0 && got != CAIRN_E_NOT_FOUND)
		return got;
	f.action = got < 0 ? INIT_WRITE : INIT_REPLACE;
	if (got == 0 && t->section) {
		f.action = has_cache(strbuf_view(&before)) ? INIT_KEEP : INIT_EXTEND;
		strbuf_str(&text, strbuf_view(&before));
		if (before.len && !str_ends(strbuf_view(&before), S("\n")))
			strbuf_char(&text, '\n');
		strbuf_char(&text, '\n');
	} else if (got == 0 && !o->force) {
		return cairn_fail(
			err, CAIRN_E_EXISTS,
			"%s is there already; --force replaces it, and --undo then brings it back",
			t->path);
	}
	if (f.action != INIT_KEEP)
		fill(o, t->text, &text);
	f.text = arena_str(ret->arena, strbuf_view(&text));
	vec_push(&ret->files, f);
	return 0;
}

int init_plan(const struct init_opts *o, struct init_result *ret, struct cairn_err *err)
{
	cleanup_fd int root = -1;

	TRY(fs_open_dir(AT_FDCWD, o->root, &root, err));
	if (faccessat(root, RECORD, F_OK, 0) == 0)
		return cairn_fail(
			err, CAIRN_E_EXISTS,
			"cairn ci init was run here before; 'cairn ci init --undo' takes that back");
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		if ((templates[i].github && o->driver != INIT_CODEBUILD) ||
		    (templates[i].codebuild && o->driver != INIT_GITHUB))
			TRY(plan_file(o, root, &templates[i], ret, err));
	return 0;
}

/* --- writing ------------------------------------------------------------------------ */

static int make_parent(int rootfd, const char *path, struct cairn_err *err)
{
	ptrdiff_t slash = str_rfind(str_of(path), '/');
	cleanup_free char *dir = str_dup(str_n(path, slash < 0 ? 0 : (size_t)slash));

	return dir[0] ? fs_mkdir_p(rootfd, dir, 0755, err) : 0;
}

static int keep_before(int rootfd, const struct init_file *f, size_t n, struct cairn_err *err)
{
	cleanup_free char *name = xasprintf(DIR "/before.%zu", n);
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, FILE_MAX);
	TRY(fs_read_file(rootfd, f->path.ptr, &text, err));
	return fs_write_file(rootfd, name, strbuf_view(&text), 0644, err);
}

/* The record comes first: whatever happens then, undo knows of it. */
static int write_record(int rootfd, const struct init_result *plan, struct cairn_err *err)
{
	cleanup_json json_t *o = json_object();
	json_t *files = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, RECORD_MAX);
	(void)json_object_set_new(o, "version", json_integer(1));
	(void)json_object_set_new(o, "files", files);
	TRY(fs_mkdir_p(rootfd, DIR, 0755, err));
	TRY(fs_write_file(rootfd, ".cairn/.gitignore", S("*\n"), 0644, err));
	for (size_t i = 0; i < plan->files.len; i++) {
		const struct init_file *f = &plan->files.ptr[i];
		struct digest d = digest_of(f->text.ptr, f->text.len);
		json_t *file;

		if (f->action == INIT_KEEP)
			continue;
		file = json_object();
		(void)json_object_set_new(file, "path", json_str(f->path));
		(void)json_object_set_new(file, "written", json_string(digest_text(&d).s));
		(void)json_object_set_new(file, "before", json_boolean(f->action != INIT_WRITE));
		if (f->action != INIT_WRITE)
			TRY(keep_before(rootfd, f, json_array_size(files), err));
		(void)json_array_append_new(files, file);
	}
	json_write(o, &text);
	strbuf_char(&text, '\n');
	return fs_write_file(rootfd, RECORD, strbuf_view(&text), 0644, err);
}

int init_write(const struct init_opts *o, const struct init_result *plan, struct cairn_err *err)
{
	cleanup_fd int root = -1;
	int rc;

	TRY(fs_open_dir(AT_FDCWD, o->root, &root, err));
	rc = write_record(root, plan, err);
	for (size_t i = 0; rc == 0 && i < plan->files.len; i++) {
		const struct init_file *f = &plan->files.ptr[i];

		if (f->action == INIT_KEEP)
			continue;
		rc = make_parent(root, f->path.ptr, err);
		if (rc == 0)
			rc = fs_write_file(root, f->path.ptr, f->text, 0644, err);
	}
	if (rc < 0) {
		struct init_result undone;
		struct cairn_err ignored;

		init_result_init(&undone);
		(void)init_undo(o->root, true, &undone, &ignored);
		init_result_done(&undone);
	}
	return rc;
}

/* --- undo --------------------------------------------------------------------------- */

struct written {
	const char *path, *digest;
	bool before;
};

/* Paths of the record are those of the templates: nothing else is touched, whatever it says. */
static bool is_ours(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		if (strcmp(templates[i].path, path) == 0)
			return true;
	return false;
}

static int read_written(const json_t *files, struct written *ret, size_t n, struct cairn_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *f = json_array_get(files, i);

		ret[i].path = json_string_value(json_object_get(f, "path"));
		ret[i].digest = json_string_value(json_object_get(f, "written"));
		ret[i].before = json_is_true(json_object_get(f, "before"));
		if (!ret[i].path || !ret[i].digest || !is_ours(ret[i].path))
			return cairn_fail(err, CAIRN_E_DIGEST,
			                  RECORD
			                  " is damaged; take back by hand what git shows, and "
			                  "delete " DIR);
	}
	return 0;
}

/* Is the file as it was written, or gone? */
static int check_unedited(int rootfd, const struct written *w, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;
	struct digest d;
	int got;

	strbuf_init(&text, 2 * FILE_MAX);
	got = fs_read_file(rootfd, w->path, &text, err);
	if (got == CAIRN_E_NOT_FOUND)
		return 0;
	TRY(got);
	d = digest_of(text.ptr, text.len);
	if (strcmp(digest_text(&d).s, w->digest) == 0)
		return 0;
	return cairn_fail(err, CAIRN_E_EXISTS,
	                  "%s was edited since it was written; --force throws the edits away",
	                  w->path);
}

static int take_back(int rootfd, const struct written *w, size_t n, struct init_result *ret,
                     struct cairn_err *err)
{
	cleanup_free char *name = xasprintf(DIR "/before.%zu", n);
	struct init_file f = { .path = arena_str(ret->arena, str_of(w->path)),
		               .action = w->before ? INIT_RESTORE : INIT_REMOVE };
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, FILE_MAX);
	if (w->before) {
		TRY(fs_read_file(rootfd, name, &text, err));
		TRY(fs_write_file(rootfd, w->path, strbuf_view(&text), 0644, err));
	} else if (unlinkat(rootfd, w->path, 0) < 0 && errno != ENOENT && errno != ENOTDIR) {
		return cairn_fail_sys(err, "remove '%s'", w->path);
	}
	vec_push(&ret->files, f);
	return 0;
}

/* Folders that were made for the files, when nothing else is in them. */
static void remove_empty_folders(int rootfd)
{
	static const char *const folders[] = { ".github/workflows", ".github" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		(void)unlinkat(rootfd, folders[i], AT_REMOVEDIR);
}

int init_undo(const char *rootdir, bool force, struct init_result *ret, struct cairn_err *err)
{
	struct written files[FILES_MAX] = { 0 };
	cleanup_strbuf struct strbuf text;
	cleanup_json json_t *o = NULL;
	cleanup_fd int root = -1;
	const json_t *list;
	size_t n;
	int got;

	strbuf_init(&text, RECORD_MAX);
	TRY(fs_open_dir(AT_FDCWD, rootdir, &root, err));
	got = fs_read_file(root, RECORD, &text, err);
	if (got == CAIRN_E_NOT_FOUND)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "nothing to take back: cairn ci init was not run in %s", rootdir);
	TRY(got);
	TRY(json_parse(strbuf_view(&text), RECORD, &o, err));
	list = json_object_get(o, "files");
	n = json_array_size(list) < FILES_MAX ? json_array_size(list) : FILES_MAX;
	TRY(read_written(list, files, n, err));
	for (size_t i = 0; i < n && !force; i++)
		TRY(check_unedited(root, &files[i], err));
	for (size_t i = 0; i < n; i++)
		TRY(take_back(root, &files[i], i, ret, err));
	remove_empty_folders(root);
	TRY(fs_remove_tree(root, DIR, err));
	(void)unlinkat(root, ".cairn/.gitignore", 0);
	(void)unlinkat(root, ".cairn", AT_REMOVEDIR);
	return 0;
}

void init_result_init(struct init_result *r)
{
	*r = (struct init_result){ .arena = arena_new() };
}

void init_result_done(struct init_result *r)
{
	vec_free(&r->files);
	arena_free(r->arena);
}

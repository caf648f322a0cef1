/* Where cairn.yaml is. */
#include "config.h"

#include <stdlib.h>

#include "conf_tree.h"
#include "util/fs.h"

/* What the search comes to. */
struct found {
	char *file; /* owned; NULL: there is none */
	char *root; /* owned */
};

static bool exists(const char *dir, const char *name)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* Somebody else could have put a file into a folder that all may write to (/tmp). */
static bool is_public(const char *dir)
{
	struct stat st;

	return stat(dir, &st) < 0 || (st.st_mode & S_IWOTH);
}

/* One folder up; false at the root. */
static bool up(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (!slash || !dir[1])
		return false;
	slash[slash == dir] = '\0';
	return true;
}

static int search(const char *dir, struct found *ret, struct cairn_err *err)
{
	cleanup_free char *at = realpath(dir, NULL);
	cleanup_free char *start = NULL;
	bool first = true;

	if (!at)
		return errno == ENOENT || errno == ENOTDIR
		               ? cairn_fail(err, CAIRN_E_NOT_FOUND,
		                            "the folder '%s' does not exist", dir)
		               : cairn_fail_sys(err, "open '%s'", dir);
	start = xstrdup(at);
	do {
		if ((first || !is_public(at)) && exists(at, WORKSPACE_CONFIG_NAME)) {
			ret->file = xasprintf("%s/%s", strcmp(at, "/") == 0 ? "" : at,
			                      WORKSPACE_CONFIG_NAME);
			ret->root = steal_ptr(&at);
			return 0;
		}
		if (exists(at, ".git")) {
			ret->root = steal_ptr(&at);
			return 0;
		}
		first = false;
	} while (up(at));
	ret->root = steal_ptr(&start);
	return 0;
}

/* The folder of a file that was named. */
static int root_of(const char *file, struct found *ret, struct cairn_err *err)
{
	cleanup_free char *path = realpath(file, NULL);

	if (!path)
		return errno == ENOENT || errno == ENOTDIR
		               ? cairn_fail(err, CAIRN_E_NOT_FOUND,
		                            "the configuration '%s' does not exist", file)
		               : cairn_fail_sys(err, "open '%s'", file);
	ret->file = xstrdup(file);
	ret->root = steal_ptr(&path);
	(void)up(ret->root);
	return 0;
}

const char *workspace_shown(const char *path)
{
	cleanup_free char *cwd = realpath(".", NULL);
	size_t n = cwd ? strlen(cwd) : 0;

	return n > 1 && strncmp(path, cwd, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static int read_text(const char *path, struct strbuf *text, struct cairn_err *err)
{
	if (fs_read_file(AT_FDCWD, path, text, err) == 0)
		return 0;
	if (err->code == CAIRN_E_SYNTAX)
		return cairn_fail_at(err, workspace_shown(path), 0, 0, "it is larger than %u bytes",
		                     CONF_TEXT_MAX);
	return err->code;
}

int workspace_config_load(const char *file, const char *dir, struct workspace_config **ret,
                          struct cairn_err *err)
{
	struct found found = { NULL, NULL };
	cleanup_strbuf struct strbuf text;
	int r = file ? root_of(file, &found, err) : search(dir, &found, err);

	strbuf_init(&text, CONF_TEXT_MAX);
	if (r == 0 && found.file)
		r = read_text(found.file, &text, err);
	if (r == 0)
		r = workspace_config_parse(strbuf_view(&text),
		                           found.file ? workspace_shown(found.file) : NULL,
		                           found.root, ret, err);
	free(found.file);
	free(found.root);
	return r;
}

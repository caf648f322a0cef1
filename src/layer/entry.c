#include "entry.h"

#include "util/clock.h"

int layer_path_cmp(str a, str b)
{
	size_t n = a.len < b.len ? a.len : b.len, i = 0;
	unsigned char x, y;

	while (i < n && a.ptr[i] == b.ptr[i])
		i++;
	if (i == n)
		return (a.len > n) - (b.len > n);
	x = a.ptr[i] == '/' ? 0 : (unsigned char)a.ptr[i];
	y = b.ptr[i] == '/' ? 0 : (unsigned char)b.ptr[i];
	return x < y ? -1 : 1;
}

bool layer_path_below(str path, str dir)
{
	if (dir.len == 0)
		return true;
	return str_starts(path, dir) && (path.len == dir.len || path.ptr[dir.len] == '/');
}

str layer_path_parent(str path)
{
	ptrdiff_t slash = str_rfind(path, '/');

	return slash < 0 ? str_n(path.ptr, 0) : str_n(path.ptr, (size_t)slash);
}

str layer_path_name(str path)
{
	return str_skip(path, (size_t)(str_rfind(path, '/') + 1));
}

static bool component_valid(const char *p, size_t n)
{
	if (n == 0 || n > LAYER_NAME_MAX)
		return false;
	return p[0] != '.' || !(n == 1 || (n == 2 && p[1] == '.'));
}

bool layer_path_valid(str path)
{
	size_t start = 0;

	if (path.len == 0)
		return true;
	if (path.len > LAYER_PATH_MAX)
		return false;
	for (size_t i = 0; i <= path.len; i++) {
		if (i < path.len && path.ptr[i] == '\0')
			return false;
		if (i < path.len && path.ptr[i] != '/')
			continue;
		if (!component_valid(path.ptr + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

str layer_entry_xattr(const struct layer_entry *e, str name)
{
	for (uint32_t i = 0; i < e->n_xattrs; i++)
		if (str_eq(e->xattrs[i].name, name))
			return e->xattrs[i].value;
	return (str){ 0 };
}

const char *layer_type_name(enum layer_type t)
{
	static const char *const names[LAYER_TYPE_N_] = {
		[LAYER_FILE] = "file",
		[LAYER_DIR] = "directory",
		[LAYER_SYMLINK] = "symbolic link",
		[LAYER_CHAR] = "character device",
		[LAYER_BLOCK] = "block device",
		[LAYER_FIFO] = "fifo",
		[LAYER_HARDLINK] = "hard link",
		[LAYER_WHITEOUT] = "whiteout",
	};

	return (unsigned)t < LAYER_TYPE_N_ ? names[t] : "unknown";
}

int64_t layer_whole_seconds(int64_t ns)
{
	int64_t rest = ns % CLOCK_SEC;

	if (rest < 0) /* round down, also before 1970; INT64_MIN has no lower second */
		return ns - rest < INT64_MIN + CLOCK_SEC ? ns - rest : ns - rest - CLOCK_SEC;
	return ns - rest;
}

static enum layer_type plain_type(const struct layer_entry *e)
{
	return e->type == LAYER_HARDLINK ? LAYER_FILE : e->type;
}

bool layer_entry_same_meta(const struct layer_entry *a, const struct layer_entry *b)
{
	enum layer_type type = plain_type(a);

	if (type != plain_type(b))
		return false;
	if (type == LAYER_WHITEOUT)
		return true;
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->major != b->major ||
	    a->minor != b->minor || a->size != b->size)
		return false;
	if (type == LAYER_SYMLINK && !str_eq(a->target, b->target))
		return false;
	if (type != LAYER_DIR && layer_whole_seconds(a->mtime) != layer_whole_seconds(b->mtime))
		return false;
	return str_eq(layer_entry_xattr(a, S("security.capability")),
	              layer_entry_xattr(b, S("security.capability")));
}

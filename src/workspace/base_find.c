/* The Dockerfiles below a folder. */
#include "base_scan.h"

#include "repo_files.h"
#include "util/fs.h"

static bool ends_nocase(str s, str end)
{
	return s.len > end.len && str_eq_nocase(str_skip(s, s.len - end.len), end);
}

static bool begins_nocase(str s, str start)
{
	return s.len > start.len && str_eq_nocase(str_n(s.ptr, start.len), start);
}

/* Behind "Dockerfile": code and texts about Dockerfiles are none. */
static bool is_other(str name)
{
	static const char *const ends[] = { "~",    ".dockerignore", ".md", ".txt", ".json",
		                            ".yml", ".yaml",         ".c",  ".h",   ".go",
		                            ".py",  ".js",           ".ts", ".rs",  ".orig",
		                            ".rej", ".swp",          ".bak" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends_nocase(name, str_of(ends[i])))
			return true;
	return false;
}

bool base_scan_is_dockerfile(str path)
{
	str name = str_skip(path, (size_t)(str_rfind(path, '/') + 1));

	if (str_eq_nocase(name, S("Dockerfile")) || str_eq_nocase(name, S("Containerfile")))
		return true;
	return (begins_nocase(name, S("Dockerfile.")) || ends_nocase(name, S(".Dockerfile")) ||
	        ends_nocase(name, S(".Containerfile"))) &&
	       !is_other(name);
}

static void read_file(struct base_scan *s, int dirfd, const char *path)
{
	cleanup_strbuf struct strbuf text;
	struct cairn_err err;

	strbuf_init(&text, DOCKERFILE_MAX);
	if (fs_read_file(dirfd, path, &text, &err) < 0) {
		struct base_unresolved u = { { arena_str(s->arena, str_of(path)), 0 },
			                     S(""),
			                     arena_str(s->arena, str_of(err.msg)) };

		s->n_files++;
		vec_push(&s->unresolved, u);
		return;
	}
	base_scan_text(s, strbuf_view(&text), path);
}

int base_scan_dir(const char *dir, struct base_scan **ret, struct cairn_err *err)
{
	static const char *const git[] = { ":(icase)*dockerfile*", ":(icase)*containerfile*",
		                           NULL };
	static const struct repo_filter filter = { base_scan_is_dockerfile, git };
	cleanup_arena struct arena *a = arena_new();
	struct repo_files files cleanup_repo_files = { 0 };
	cleanup_fd int fd = -1;

	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	TRY(repo_files_find(dir, &filter, a, &files, err));
	*ret = base_scan_new();
	vec_foreach (path, &files.paths)
		read_file(*ret, fd, path->ptr);
	base_scan_sort(*ret);
	return 0;
}

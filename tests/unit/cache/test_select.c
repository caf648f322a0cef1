#include "harness.h"

#include <stdio.h>

#include "cache/cache.h"

/* A small context, in the order of layer/entry.h. */
static struct layer_entry files[] = {
	{ .path = { "a", 1 }, .type = LAYER_DIR, .mode = 0755 },
	{ .path = { "a/f.c", 5 }, .type = LAYER_FILE, .mode = 0644, .digest = { { 1 } } },
	{ .path = { "a/sub", 5 }, .type = LAYER_DIR, .mode = 0755 },
	{ .path = { "a/sub/g.c", 9 }, .type = LAYER_FILE, .mode = 0644, .digest = { { 2 } } },
	{ .path = { "a/z.h", 5 }, .type = LAYER_FILE, .mode = 0600, .digest = { { 3 } } },
	{ .path = { "l", 1 }, .type = LAYER_SYMLINK, .mode = 0777, .target = { "a", 1 } },
	{ .path = { "loop", 4 }, .type = LAYER_SYMLINK, .mode = 0777, .target = { "loop", 4 } },
	{ .path = { "out", 3 }, .type = LAYER_SYMLINK, .mode = 0777, .target = { "../../etc", 9 } },
	{ .path = { "x.c", 3 }, .type = LAYER_FILE, .mode = 0644, .digest = { { 4 } } },
};

static struct view_file view_files[ARRAY_SIZE(files)];

static struct view view(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		view_files[i].entry = &files[i];
	return (struct view){ view_files, ARRAY_SIZE(files), false, S("the build context") };
}

/* "source: item item; source: ..." of what one source word selects. */
static const char *selected(struct arena *a, const char *source, const char *exclude)
{
	struct view v = view();
	str src = str_of(source), ex = str_of(exclude);
	struct graph_copy c = {
		.sources = &src, .n_sources = 1, .excludes = &ex, .n_excludes = exclude != NULL
	};
	struct selection s = { 0 };
	struct cairn_err err;
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, 4096);
	if (select_copy(a, &v, &c, &s, &err) < 0)
		return arena_printf(a, "error: %s", err.msg);
	for (size_t i = 0; i < s.n_matches; i++) {
		strbuf_printf(&b, "%s%.*s%s:", i ? "; " : "", STR(s.matches[i].name),
		              s.matches[i].dir ? "/" : "");
		for (size_t k = 0; k < s.matches[i].n; k++) {
			const struct select_item *it = &s.items[s.matches[i].first + k];

			strbuf_printf(&b, " %.*s", STR(it->rel.len ? it->rel : S(".")));
		}
	}
	if (s.n_empty)
		strbuf_cstr(&b, "(empty)");
	return arena_cstr(a, strbuf_view(&b));
}

void test_select__sources(void **state)
{
	static const struct {
		const char *source, *exclude, *want;
	} cases[] = {
		{ "x.c", NULL, "x.c: ." },
		{ "/x.c", NULL, "x.c: ." },
		{ "a", NULL, "a/: . f.c sub sub/g.c z.h" },
		{ "a/", NULL, "a/: . f.c sub sub/g.c z.h" },
		{ "l", NULL, "l/: . f.c sub sub/g.c z.h" },
		{ "l/f.c", NULL, "f.c: ." },
		{ "*.c", NULL, "x.c: ." },
		{ "a/*.c", NULL, "f.c: ." },
		{ "a/*", NULL, "f.c: .; sub/: . g.c; z.h: ." },
		{ "*.none", NULL, "(empty)" },
		{ "a/../x.c", NULL, "x.c: ." },
		{ "../x.c", NULL, "x.c: ." },
		{ "missing", NULL, "error: 'missing' is not in the build context" },
		{ "x.c/y", NULL, "error: 'x.c/y' is not in the build context" },
		{ "loop", NULL, "error: 'loop' is not in the build context" },
		{ "out", NULL, "error: 'out' is not in the build context" },
		{ ".", "**/*.c", "/: a a/sub a/z.h l loop out" },
		{ "a", "sub", "a/: . f.c z.h" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		const char *got = selected(a, cases[i].source, cases[i].exclude);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("'%s' selects '%s', not '%s'", cases[i].source, got,
			         cases[i].want);
	}
}

static struct digest digest_after(uint32_t mode, int64_t mtime, uint8_t content, bool any_mode)
{
	cleanup_arena struct arena *a = arena_new();
	struct view v = view();
	struct layer_entry saved = files[8];
	str src = S("x.c");
	struct graph_copy c = { .sources = &src, .n_sources = 1 };
	struct selection s = { 0 };
	struct cairn_err err;
	struct digest d;

	files[8].mode = mode;
	files[8].mtime = mtime;
	files[8].digest.b[0] = content;
	assert_ok(select_copy(a, &v, &c, &s, &err));
	d = selection_digest(&s, &v, any_mode);
	files[8] = saved;
	return d;
}

/* What is content and what is not (DECISIONS.md 18). */
void test_select__digest(void **state)
{
	struct digest base = digest_after(0644, 1, 4, false), d;

	(void)state;
	d = digest_after(0644, 99, 4, false);
	assert_true(digest_eq(&base, &d)); /* times do not count */
	d = digest_after(0664, 1, 4, false);
	assert_false(digest_eq(&base, &d)); /* modes do */
	d = digest_after(0644, 1, 5, false);
	assert_false(digest_eq(&base, &d));
	base = digest_after(0644, 1, 4, true);
	d = digest_after(0664, 1, 4, true);
	assert_true(digest_eq(&base, &d)); /* unless --chmod sets them */
}

#include "harness.h"

#include "layer/layer.h"

/* entry.h: "a directory so precedes what is in it, and its subtree is contiguous". */
void test_entry__order(void **state)
{
	static const char *const sorted[] = { "",    "a",   "a/b", "a/b/c", "a/c",
		                              "a-b", "a.b", "ab",  "b",     "\xff" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int c = layer_path_cmp(str_of(sorted[i]), str_of(sorted[j]));

			if ((c > 0) - (c < 0) != (i > j) - (i < j))
				fail_msg("'%s' against '%s' gave %d", sorted[i], sorted[j], c);
		}
}

void test_entry__valid_paths(void **state)
{
	static const struct {
		str path;
		bool valid;
	} cases[] = {
		{ S(""), true },       { S("a/b"), true },   { S("..a/..."), true },
		{ S("/a"), false },    { S("a/"), false },   { S("a//b"), false },
		{ S("."), false },     { S("a/.."), false }, { S("../a"), false },
		{ S("a/./b"), false }, { S("a\0b"), false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (layer_path_valid(cases[i].path) != cases[i].valid)
			fail_msg("'%.*s' should be %s", STR(cases[i].path),
			         cases[i].valid ? "valid" : "invalid");
}

void test_entry__parent_and_name(void **state)
{
	(void)state;
	assert_str(layer_path_parent(S("a/b/c")), "a/b");
	assert_str(layer_path_parent(S("a")), "");
	assert_str(layer_path_name(S("a/b/c")), "c");
	assert_str(layer_path_name(S("a")), "a");
	assert_true(layer_path_below(S("a/b"), S("a")));
	assert_true(layer_path_below(S("a"), S("a")));
	assert_false(layer_path_below(S("ab"), S("a")));
}

void test_entry__whole_seconds_round_down(void **state)
{
	(void)state;
	assert_int_equal(layer_whole_seconds(1999999999), 1000000000);
	assert_int_equal(layer_whole_seconds(2000000000), 2000000000);
	assert_int_equal(layer_whole_seconds(-1), -1000000000);
	assert_int_equal(layer_whole_seconds(0), 0);
}

/* DECISIONS.md 7: what makes an entry differ, and what does not. */
void test_entry__same_meta(void **state)
{
	const struct layer_entry file = { .type = LAYER_FILE, .mode = 0644, .mtime = 5000000000 };
	const struct layer_entry dir = { .type = LAYER_DIR, .mode = 0755, .mtime = 5000000000 };
	const struct layer_xattr cap = { S("security.capability"), S("x") };
	const struct layer_xattr user = { S("user.note"), S("x") };
	struct layer_entry e;

	(void)state;
#define CHANGED(base, field, value, same)                 \
	e = base;                                         \
	e.field = value;                                  \
	if (layer_entry_same_meta(&(base), &e) != (same)) \
	fail_msg("%s.%s = %s should%s be the same", #base, #field, #value, (same) ? "" : " not")
	CHANGED(file, mode, 0600, false);
	CHANGED(file, uid, 1, false);
	CHANGED(file, gid, 1, false);
	CHANGED(file, size, 1, false);
	CHANGED(file, mtime, 6000000000, false);
	CHANGED(file, mtime, 5999999999, true); /* one second */
	CHANGED(file, type, LAYER_HARDLINK, true);
	CHANGED(file, type, LAYER_FIFO, false);
	CHANGED(dir, mtime, 6000000000, true); /* never for its mtime alone */
	CHANGED(dir, mode, 01777, false);
	e = file;
	e.xattrs = &cap;
	e.n_xattrs = 1;
	assert_false(layer_entry_same_meta(&file, &e));
	e.xattrs = &user;
	assert_true(layer_entry_same_meta(&file, &e));
}

#include "layer_help.h"

static int add_path(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	(void)err;
	strbuf_printf(ctx, "%u:%.*s ", node->layer, STR(node->entry->path));
	return 0;
}

static void assert_walk(const struct tree *t, const char *want)
{
	struct cairn_err err;
	struct strbuf b;

	strbuf_init(&b, 65536);
	assert_ok(tree_walk(t, NULL, add_path, &b, &err));
	assert_str(strbuf_view(&b), want);
	strbuf_done(&b);
}

void test_tree__layers_merge(void **state)
{
	struct tree *base = T_PUSH(NULL, T_DIR("a"), T_FILE("a/x", "1"), T_FILE("a/y", "2"),
	                           T_DIR("b"), T_FILE("b/z", "3"));
	struct tree *top = T_PUSH(tree_ref(base), T_DIR("a"), T_FILE("a/w", "4"), T_GONE("a/x"),
	                          T_GONE("b"), T_FILE("c", "5"));

	(void)state;
	assert_walk(base, "0: 0:a 0:a/x 0:a/y 0:b 0:b/z ");
	assert_walk(top, "0: 1:a 1:a/w 0:a/y 1:c ");
	assert_null(tree_find(top, S("b/z")));
	assert_null(tree_find(top, S("a/y/q")));
	assert_int_equal(tree_find(top, S("a/y"))->layer, 0);
	tree_unref(base);
	tree_unref(top);
}

void test_tree__opaque_and_type_changes(void **state)
{
	struct layer_entry opaque = T_DIR("d");
	struct tree *t = T_PUSH(NULL, T_DIR("d"), T_FILE("d/x", "1"), T_FILE("e", "2"), T_DIR("f"),
	                        T_FILE("f/y", "3"));

	(void)state;
	opaque.opaque = true;
	t = T_PUSH(t, opaque, T_FILE("d/n", "4"), T_DIR("e"), T_FILE("e/q", "5"), T_FILE("f", "6"));
	assert_walk(t, "0: 1:d 1:d/n 1:e 1:e/q 1:f ");
	tree_unref(t);
}

void test_tree__fork_shares_and_id_is_of_content(void **state)
{
	struct tree *base = T_PUSH(NULL, T_FILE("a", "1"));
	struct tree *one = T_PUSH(tree_ref(base), T_FILE("b", "2"));
	struct tree *two = T_PUSH(tree_ref(base), T_FILE("b", "3"));
	struct layer_entry later = T_FILE("b", "2");
	struct tree *same;
	struct digest i1 = tree_id(one), i2 = tree_id(two), i3;

	(void)state;
	later.mtime = 1000000000;
	same = T_PUSH(tree_ref(base), later);
	i3 = tree_id(same);
	assert_ptr_equal(tree_find(one, S("a"))->entry, tree_find(two, S("a"))->entry);
	assert_false(digest_eq(&i1, &i2));
	assert_true(digest_eq(&i1, &i3)); /* DECISIONS.md 8: a re-run with other mtimes */
	tree_unref(base);
	tree_unref(one);
	tree_unref(two);
	tree_unref(same);
}

void test_tree__resolve(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		const char *real;
		bool exists;
		int sys; /* of the failure, or 0 */
	} cases[] = {
		{ "/", 0, "", true, 0 },
		{ "lib/foo", 0, "usr/lib/foo", true, 0 },
		{ "//lib/./foo/", 0, "usr/lib/foo", true, 0 },
		{ "lib", TREE_NOFOLLOW, "lib", true, 0 },
		{ "lib/", TREE_NOFOLLOW, "lib", true, 0 },
		{ "lib", 0, "usr/lib", true, 0 },
		{ "lib/new/sub", 0, "usr/lib/new/sub", false, 0 },
		{ "../../lib/../x", 0, "usr/x", false, 0 },
		{ "abs/foo", 0, "usr/lib/foo", true, 0 },
		{ "out", 0, "usr", true, 0 },
		{ "dangling/x", 0, "nowhere/x", false, 0 },
		{ "new/../lib/foo", 0, "usr/lib/foo", true, 0 },
		{ "loop", 0, NULL, false, ELOOP },
		{ "usr/lib/foo/x", 0, NULL, false, ENOTDIR },
	};
	struct tree *t = T_PUSH(NULL, T_LINK("abs", "/usr/lib"), T_LINK("dangling", "nowhere"),
	                        T_LINK("lib", "usr/lib"), T_LINK("loop", "loop"),
	                        T_LINK("out", "../../../usr"), T_DIR("usr"), T_DIR("usr/lib"),
	                        T_FILE("usr/lib/foo", "x"));
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, LAYER_PATH_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tree_node *node = NULL;
		int r = tree_resolve(t, str_of(cases[i].path), cases[i].flags, &b, &node, &err);

		if (cases[i].sys) {
			assert_int_equal(r, CAIRN_E_SYSTEM);
			assert_int_equal(err.sys, cases[i].sys);
			continue;
		}
		if (r < 0)
			fail_msg("'%s': %s", cases[i].path, err.msg);
		assert_str(strbuf_view(&b), cases[i].real);
		if ((node != NULL) != cases[i].exists)
			fail_msg("'%s' should%s exist", cases[i].path,
			         cases[i].exists ? "" : " not");
	}
	strbuf_done(&b);
	tree_unref(t);
}

/* DECISIONS.md 6: names are looked up without any unpacked layer. */
void test_tree__inlined_passwd(void **state)
{
	const struct layer_entry e[] = { T_DIR("etc"), T_FILE("etc/passwd", "root:x:0:0") };
	const str inlined[LAYER_INLINE_N_] = { S("root:x:0:0") };
	struct layer_index *ix = layer_index_new(e, 2, inlined);
	struct tree *empty = tree_new(), *t = tree_push(empty, ix);
	struct cairn_err err;
	str s = S("?");

	(void)state;
	assert_ok(tree_inlined(t, LAYER_INLINE_PASSWD, &s, &err));
	assert_str(s, "root:x:0:0");
	assert_ok(tree_inlined(t, LAYER_INLINE_GROUP, &s, &err));
	assert_null(s.ptr);
	t = T_PUSH(t, T_DIR("etc"), T_FILE("etc/elsewhere", "x"),
	           T_LINK("etc/passwd", "elsewhere"));
	assert_fails(tree_inlined(t, LAYER_INLINE_PASSWD, &s, &err), CAIRN_E_UNSUPPORTED);
	t = T_PUSH(t, T_DIR("etc"), T_GONE("etc/passwd"));
	assert_ok(tree_inlined(t, LAYER_INLINE_PASSWD, &s, &err));
	assert_null(s.ptr);
	tree_unref(t);
	tree_unref(empty);
	layer_index_unref(ix);
}

/* Where cairn.yaml is looked for. */
#include "harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "workspace/workspace.h"

static struct workspace_config *load(const char *file, const char *dir)
{
	cleanup_free char *at = xasprintf("%s/%s", harness_dir(), dir);
	cleanup_free char *path = file ? xasprintf("%s/%s", harness_dir(), file) : NULL;
	struct workspace_config *c = NULL;
	struct cairn_err err;

	assert_ok(workspace_config_load(path, at, &c, &err));
	return c;
}

static void assert_root(const struct workspace_config *c, const char *below)
{
	cleanup_free char *real = realpath(harness_dir(), NULL);
	cleanup_free char *want = xasprintf("%s%s", real, below);

	assert_string_equal(c->root, want);
}

void test_config_find__nearest_above(void **state)
{
	cleanup_workspace_config struct workspace_config *c = NULL, *named = NULL, *inner = NULL;

	(void)state;
	harness_write("repo/.git/HEAD", S(""));
	harness_write("repo/cairn.yaml", S("sandbox_network: none\n"));
	harness_write("repo/a/b/Dockerfile", S(""));
	harness_write("repo/own/cairn.yaml", S("version: 1\n"));
	harness_write("other.yaml", S("version: 1\n"));
	c = load(NULL, "repo/a/b");
	assert_root(c, "/repo");
	assert_int_equal(c->sandbox_network, WORKSPACE_NETWORK_NONE);
	inner = load(NULL, "repo/own");
	assert_root(inner, "/repo/own");
	named = load("other.yaml", "repo/a");
	assert_root(named, "");
	assert_int_equal(named->sandbox_network, WORKSPACE_NETWORK_HOST);
}

void test_config_find__not_above_the_repository(void **state)
{
	cleanup_workspace_config struct workspace_config *c = NULL;

	(void)state;
	harness_write("cairn.yaml", S("sandbox_network: none\n"));
	harness_write("repo/.git", S("gitdir: elsewhere\n")); /* as in a worktree */
	harness_write("repo/a/Dockerfile", S(""));
	c = load(NULL, "repo/a");
	assert_null(c->file);
	assert_root(c, "/repo");
}

void test_config_find__not_where_everybody_writes(void **state)
{
	cleanup_workspace_config struct workspace_config *above = NULL, *here = NULL;

	(void)state;
	harness_write("public/cairn.yaml", S("sandbox_network: none\n"));
	harness_write("public/mine/Dockerfile", S(""));
	assert_int_equal(fchmodat(harness_dirfd(), "public", 0777, 0), 0);
	above = load(NULL, "public/mine");
	assert_int_equal(above->sandbox_network, WORKSPACE_NETWORK_HOST);
	here = load(NULL, "public");
	assert_int_equal(here->sandbox_network, WORKSPACE_NETWORK_NONE);
}

void test_config_find__missing(void **state)
{
	struct workspace_config *c = NULL;
	struct cairn_err err = { 0 };

	(void)state;
	assert_fails(workspace_config_load("/nowhere/cairn.yaml", ".", &c, &err),
	             CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "'/nowhere/cairn.yaml' does not exist"));
	assert_fails(workspace_config_load(NULL, "/nowhere", &c, &err), CAIRN_E_NOT_FOUND);
}

void test_config_find__too_large(void **state)
{
	cleanup_free char *path = xasprintf("%s/cairn.yaml", harness_dir());
	struct workspace_config *c = NULL;
	cleanup_strbuf struct strbuf text;
	struct cairn_err err = { 0 };

	(void)state;
	strbuf_init(&text, SIZE_MAX);
	while (text.len <= 1u << 20)
		strbuf_cstr(&text, "# a comment that does nothing but take place\n");
	harness_write("cairn.yaml", strbuf_view(&text));
	assert_fails(workspace_config_load(path, ".", &c, &err), CAIRN_E_SYNTAX);
	assert_non_null(strstr(err.msg, "larger than 1048576 bytes"));
}

#include "image_repos.h"

#include "util/fs.h"

static void describe_kvs(const char *what, const struct image_kvs *kvs, struct strbuf *out)
{
	for (size_t i = 0; i < kvs->len; i++)
		strbuf_printf(out, " %s:%.*s=%.*s", what, STR(kvs->ptr[i].key),
		              STR(kvs->ptr[i].value));
}

static void describe_strs(const char *what, const struct image_strs *s, struct strbuf *out)
{
	for (size_t i = 0; i < s->len; i++)
		strbuf_printf(out, " %s:%.*s", what, STR(s->ptr[i]));
}

/* "NAME CONTEXT DOCKERFILE [@target] ... < PARENT", a line each, in the order of building. */
static void describe(const struct ws_images *w, struct strbuf *out)
{
	for (size_t k = 0; k < w->len; k++) {
		const struct ws_image *i = w->ptr[k];

		assert_int_equal(i->order, k);
		strbuf_printf(out, "%.*s %.*s %.*s", STR(i->name), STR(i->context),
		              STR(i->dockerfile_inline.len ? S("<inline>") : i->dockerfile));
		if (i->target.len)
			strbuf_printf(out, " @%.*s", STR(i->target));
		describe_kvs("a", &i->args, out);
		describe_kvs("c", &i->contexts, out);
		describe_kvs("l", &i->labels, out);
		describe_strs("t", &i->tags, out);
		describe_strs("p", &i->platforms, out);
		describe_strs("s", &i->secrets, out);
		describe_strs("g", &i->groups, out);
		if (i->category)
			strbuf_printf(out, " %s", image_category_name(i->category));
		if (i->deadline)
			strbuf_printf(out, " %us", (unsigned)(i->deadline / 1000000000ull));
		if (i->runner.len)
			strbuf_printf(out, " r:%.*s", STR(i->runner));
		if (i->by_name)
			strbuf_cstr(out, " by-name");
		for (size_t n = 0; n < i->n_parents; n++) {
			strbuf_printf(out, " < %.*s", STR(i->parents[n]->name));
			assert_true(i->parents[n]->order < k);
		}
		strbuf_char(out, '\n');
	}
}

int image_repo_load(const struct image_repo *r, struct ws_images **ret, struct cairn_err *err)
{
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_free char *bake = r->bake ? xasprintf("%s/%s", harness_dir(), r->bake) : NULL;

	for (size_t i = 0; i < IMAGE_REPO_FILES && r->files[i].path; i++)
		harness_write(r->files[i].path, str_of(r->files[i].text));
	TRY(workspace_config_load(NULL, harness_dir(), &c, err));
	return images_load(&(struct images_opts){ c, bake }, ret, err);
}

static void clear(void)
{
	struct cairn_err err;

	for (const char *const *name =
	             (const char *const[]){ "cairn.yaml", "Dockerfile", "a", "b", "c", "docker",
	                                    "x", "bake.json", "compose.yaml", "a b", "a-b", NULL };
	     *name; name++)
		assert_ok(fs_remove_tree(harness_dirfd(), *name, &err));
}

static void check_with(const struct image_repo *repos, size_t n, bool warnings)
{
	for (size_t i = 0; i < n; i++) {
		struct ws_images *w cleanup_images = NULL;
		cleanup_strbuf struct strbuf got;
		struct cairn_err err = { 0 };

		clear();
		harness_write("cairn.yaml", S("version: 1\n"));
		assert_ok(image_repo_load(&repos[i], &w, &err));
		strbuf_init(&got, 1u << 20);
		describe(w, &got);
		for (size_t k = 0; warnings && k < w->warnings.len; k++)
			strbuf_printf(&got, "! %.*s\n", STR(w->warnings.ptr[k]));
		if (strcmp(got.ptr, repos[i].want) != 0)
			fail_msg("case %zu (%s) gave\n%s-- not --\n%s", i, repos[i].files[0].text,
			         got.ptr, repos[i].want);
	}
}

void image_repos_check(const struct image_repo *repos, size_t n)
{
	check_with(repos, n, true);
}

void image_repos_check_quiet(const struct image_repo *repos, size_t n)
{
	check_with(repos, n, false);
}

void image_repos_check_bad(const struct image_repo *repos, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ws_images *w = NULL;
		struct cairn_err err = { 0 };

		clear();
		harness_write("cairn.yaml", S("version: 1\n"));
		if (image_repo_load(&repos[i], &w, &err) == 0)
			fail_msg("case %zu (%s) was taken", i, repos[i].want);
		if (!strstr(err.msg, repos[i].want) || err.line != repos[i].line)
			fail_msg("case %zu gave %s:%u: %s, not :%u: %s", i, err.path, err.line,
			         err.msg, repos[i].line, repos[i].want);
	}
}

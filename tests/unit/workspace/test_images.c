/* Images of a repository: declared, found, and how they stand on one another. */
#include "image_repos.h"

void test_images__found(void **state)
{
	static const struct image_repo repos[] = {
		{ { { "Dockerfile", "FROM debian\n" } }, NULL, "default . Dockerfile\n", 0 },
		{ { { "a/splat/Dockerfile", "FROM debian\n" },
		    { "a/splat/Dockerfile.gpu", "FROM debian\n" },
		    { "a/splat/Dockerfile.gpu.dockerignore", "x\n" },
		    { "a/Containerfile", "FROM debian\n" },
		    { "docker/api.Dockerfile", "FROM debian\n" },
		    { "b/api/docker/Dockerfile", "FROM debian\n" } },
		  NULL,
		  "a a a/Containerfile\n"
		  "api docker docker/api.Dockerfile\n"
		  "b/api b/api/docker b/api/docker/Dockerfile\n"
		  "splat a/splat a/splat/Dockerfile\n"
		  "splat-gpu a/splat a/splat/Dockerfile.gpu\n",
		  0 },
		/* conflicts get longer paths, then the file's name */
		{ { { "a/x/Dockerfile", "FROM debian\n" },
		    { "b/x/Dockerfile", "FROM debian\n" },
		    { "c/x/Dockerfile", "FROM debian\n" },
		    { "x/Dockerfile", "FROM debian\n" },
		    { "x/Containerfile", "FROM debian\n" },
		    { "a b/Dockerfile", "FROM debian\n" } },
		  NULL,
		  "a-b a b a b/Dockerfile\n"
		  "a/x a/x a/x/Dockerfile\n"
		  "b/x b/x b/x/Dockerfile\n"
		  "c/x c/x c/x/Dockerfile\n"
		  "x x x/Dockerfile\n"
		  "x/Containerfile x x/Containerfile\n",
		  0 },
		/* node_modules and templates are no images */
		{ { { "node_modules/a/Dockerfile", "FROM debian\n" },
		    { "a/Dockerfile.j2", "FROM {{x}}\n" },
		    { "b/Dockerfile", "FORM debian\n" } },
		  NULL,
		  "b b b/Dockerfile\n"
		  "! a/Dockerfile.j2 looks like a template, not like a Dockerfile, and is passed over\n"
		  "! b/Dockerfile:1: unknown instruction 'FORM' (did you mean FROM?); what image 'b' "
		  "stands on is not known\n",
		  0 },
		{ { { "cairn.yaml", "defaults: {tags: \"r.io/${name}:1\", args: {A: 1}}\n"
		                    "groups: {g: [a]}\n" },
		    { "a/Dockerfile", "FROM debian\n" } },
		  NULL,
		  "a a a/Dockerfile a:A=1 t:r.io/a:1 g:g\n",
		  0 },
	};

	(void)state;
	image_repos_check(repos, ARRAY_SIZE(repos));
}

/* The context is the folder, unless the sources are only there for one above. */
void test_images__contexts(void **state)
{
	static const struct image_repo repos[] = {
		{ { { "a/Dockerfile", "FROM x\nCOPY . /\nCOPY src/*.c /\nADD http://x/y /\n"
		                      "COPY --from=b /q /\nCOPY <<EOF /x\nz\nEOF\n" },
		    { "a/src/m.c", "" } },
		  NULL,
		  "a a a/Dockerfile\n",
		  0 },
		{ { { "a/b/Dockerfile",
		      "FROM x\nARG D=lib\nCOPY $D/x.py /\nCOPY ${UNKNOWN}/q /\n" },
		    { "a/lib/x.py", "" },
		    { "x/lib/x.py", "" } },
		  NULL,
		  "b a a/b/Dockerfile\n! b: context is 'a': 'lib/x.py' (a/b/Dockerfile:3) is there, and "
		  "not in 'a/b'\n",
		  0 },
		{ { { "a/Dockerfile", "FROM x\nRUN --mount=type=bind,source=c,target=/c true\n" },
		    { "c/x.py", "" } },
		  NULL,
		  "a . a/Dockerfile\n! a: context is '.': 'c' (a/Dockerfile:2) is there, and not in "
		  "'a'\n",
		  0 },
		{ { { "a/Dockerfile", "FROM x\nCOPY gone /\n" } },
		  NULL,
		  "a a a/Dockerfile\n! a: context is 'a', though 'gone' (a/Dockerfile:2) is not there, "
		  "nor above\n",
		  0 },
		/* a stage that is not built wants nothing */
		{ { { "a/Dockerfile", "FROM x AS t\nCOPY c /\nFROM x\n" }, { "c/x.py", "" } },
		  NULL,
		  "a a a/Dockerfile\n",
		  0 },
	};

	(void)state;
	image_repos_check(repos, ARRAY_SIZE(repos));
}

void test_images__declared(void **state)
{
	static const struct image_repo repos[] = {
		{ { { "cairn.yaml",
		      "images:\n"
		      "  one: {context: a/, dockerfile: ./sub/../Dockerfile, target: t, args: {A: 1, B: },\n"
		      "    contexts: {n: ./b, m: \"docker-image://x\"}, labels: {l: \"${name}\"},\n"
		      "    category: gpu, deadline: 5m, secrets: \"id=s\", platforms: linux/arm64}\n"
		      "  root:\n"
		      "defaults: {args: {B: 2, C: \"$x $${y}\"}, runner: big, labels: {k: v}}\n" },
		    { "a/Dockerfile", "FROM debian AS t\n" },
		    D("b"),
		    { "Dockerfile", "FROM debian\n" } },
		  NULL,
		  "one a a/Dockerfile @t a:A=1 a:C=$x ${y} c:m=docker-image://x c:n=b l:k=v l:l=one "
		  "p:linux/arm64 s:id=s gpu 300s r:big\n"
		  "root . Dockerfile a:B=2 a:C=$x ${y} l:k=v r:big\n",
		  0 },
		{ { { "cairn.yaml",
		      "images:\n"
		      "  m: {context: a, args: {V: \"${v}\"}, tags: \"r/m:${v}-${os}\", matrix: {v: [1, 2], "
		      "os: [x, y]}}\n"
		      "  n-${v}: {context: a, matrix: {v: [3]}}\n"
		      "groups: {all: [g, n-3], g: [m]}\n" },
		    D("a") },
		  NULL,
		  "m-1-x a a/Dockerfile a:V=1 t:r/m:1-x g:all g:g g:m\n"
		  "m-1-y a a/Dockerfile a:V=1 t:r/m:1-y g:all g:g g:m\n"
		  "m-2-x a a/Dockerfile a:V=2 t:r/m:2-x g:all g:g g:m\n"
		  "m-2-y a a/Dockerfile a:V=2 t:r/m:2-y g:all g:g g:m\n"
		  "n-3 a a/Dockerfile g:all\n",
		  0 },
		{ { { "cairn.yaml",
		      "images: {a: {context: a, tags: \"r/a:${env.CAIRN_TEST_UNSET:-dev}\"}}\n" },
		    { "a/Containerfile", "FROM debian\n" } },
		  NULL,
		  "a a a/Containerfile t:r/a:dev\n",
		  0 },
	};

	(void)state;
	image_repos_check(repos, ARRAY_SIZE(repos));
}

void test_images__graph(void **state)
{
	static const struct image_repo repos[] = {
		/* by name; 3dgs is not 3dgs_legacy */
		{ { { "a/3dgs/Dockerfile", "FROM debian\n" },
		    { "a/3dgs_legacy/Dockerfile", "FROM debian\n" },
		    { "b/Dockerfile", "ARG B=3dgs\nFROM $B\n" },
		    { "c/Dockerfile", "FROM 3dgs_legacy:latest\nCOPY --from=b /x /\n" },
		    { "x/Dockerfile", "FROM 3dgs:v2\n" } },
		  NULL,
		  "3dgs a/3dgs a/3dgs/Dockerfile\n"
		  "3dgs_legacy a/3dgs_legacy a/3dgs_legacy/Dockerfile\n"
		  "b b b/Dockerfile < 3dgs\n"
		  "c c c/Dockerfile < 3dgs_legacy < b\n"
		  "x x x/Dockerfile\n",
		  0 },
		/* by tag, with arguments; by mount, by named context, by depends; its own tag is
		 * the published one */
		{ { { "cairn.yaml",
		      "images:\n"
		      "  a: {context: a, tags: r.io/team/a:1}\n"
		      "  b: {context: b, args: {V: 1}, depends: gr, contexts: {n: \"image:c\"}}\n"
		      "  c: {context: c, contexts: {\"r.io/team/a:1\": a}}\n"
		      "  x: {context: x, target: x}\n"
		      "groups: {gr: [x]}\n" },
		    { "a/Dockerfile", "FROM r.io/team/a:1\n" },
		    { "b/Dockerfile", "ARG V=2\nFROM r.io/team/a:$V\n" },
		    { "c/Dockerfile", "FROM r.io/team/a:1\n" },
		    { "x/Dockerfile",
		      "FROM debian AS x\nRUN --mount=from=a,target=/a true\nFROM b\n" } },
		  NULL,
		  "a a a/Dockerfile t:r.io/team/a:1\n"
		  "c c c/Dockerfile c:r.io/team/a:1=a\n"
		  "x x x/Dockerfile @x g:gr < a\n"
		  "b b b/Dockerfile a:V=1 c:n=image:c < a < c < x\n",
		  0 },
	};

	(void)state;
	image_repos_check(repos, ARRAY_SIZE(repos));
}

void test_images__mistakes(void **state)
{
	static const struct image_repo repos[] = {
		{ { { "cairn.yaml", "images:\n  a: {context: gone}\n" } },
		  NULL,
		  "image 'a': the context 'gone' is not there",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: b}\n" }, { "b/x", "" } },
		  NULL,
		  "image 'a': the Dockerfile 'b/Dockerfile' is not there",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: ../b}\n" } },
		  NULL,
		  "outside of the repository",
		  2 },
		{ { { "cairn.yaml",
		      "images:\n  a-1: {context: a}\n  a: {context: a, matrix: {v: [1]}}\n" },
		    D("a") },
		  NULL,
		  "two images have the name 'a-1'; the other is at ",
		  3 },
		{ { { "cairn.yaml",
		      "images:\n  a: {context: a, depends: bsae}\n  base: {context: a}\n" },
		    D("a") },
		  NULL,
		  "depends of image 'a': there is no image 'bsae'; did you mean 'base'?",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: a, contexts: {x: \"image:q\"}}\n" },
		    D("a") },
		  NULL,
		  "the contexts of image 'a': there is no image 'q'",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: a, tags: \"${vv}\"}\n" }, D("a") },
		  NULL,
		  "image 'a': the variable 'vv' has no value",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: a, tags: \"${v\"}\n" }, D("a") },
		  NULL,
		  "a '${' has no '}'",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: a, tags: \"a b\"}\n" }, D("a") },
		  NULL,
		  "image 'a': tags: ",
		  2 },
		{ { { "cairn.yaml",
		      "images:\n  a: {context: a, depends: [c]}\n  b: {context: a, depends: [a]}"
		      "\n  c: {context: a, depends: b}\n  d: {context: a, depends: c}\n" },
		    D("a") },
		  NULL,
		  "images stand on one another in a circle: ",
		  2 },
		{ { { "cairn.yaml", "images:\n  a: {context: a, depends: [a]}\n" }, D("a") },
		  NULL,
		  "circle: a -> a",
		  2 },
		{ { { "cairn.yaml", "images: {a: {context: a}}\ngroups:\n  g: [h]\n  h: [g]\n" },
		    D("a") },
		  NULL,
		  "holds itself",
		  3 },
		{ { { "cairn.yaml", "images: {a: {context: a}}\ngroups:\n  g: [b]\n" }, D("a") },
		  NULL,
		  "group 'g': there is no image 'b'",
		  3 },
		{ { { "cairn.yaml", "images: {a: {context: a}}\ngroups:\n  a: [a]\n" }, D("a") },
		  NULL,
		  "is the name of an image and of a group",
		  3 },
		{ { { "x/y.hcl", "" } }, "x/y.hcl", "docker buildx bake -f", 0 },
	};

	(void)state;
	image_repos_check_bad(repos, ARRAY_SIZE(repos));
}

/* The files are written on one line here and there; positions are told by lines. */
void test_images__select(void **state)
{
	static const struct {
		const char *words[3];
		bool parents;
		const char *want; /* names; or the message */
	} cases[] = {
		{ { NULL }, false, "base app-a app-b " },
		{ { "app-b" }, false, "app-b " },
		{ { "app-b" }, true, "base app-b " },
		{ { "app-*" }, false, "app-a app-b " },
		{ { "app-?", "base" }, false, "base app-a app-b " },
		{ { "front" }, false, "app-a " },
		{ { "bsae" }, false, "no image or group 'bsae'; did you mean 'base'?" },
		{ { "frnt" }, false, "no image or group 'frnt'; did you mean 'front'?" },
		{ { "zzzz*" }, false, "no image or group 'zzzz*'" },
	};
	static const struct image_repo repo = {
		{ { "cairn.yaml", "groups: {front: [app-a]}\n" },
		  { "a/app-a/Dockerfile", "FROM base\n" },
		  { "a/app-b/Dockerfile", "FROM base\n" },
		  { "b/base/Dockerfile", "FROM debian\n" } },
		NULL,
		NULL,
		0,
	};
	struct ws_images *w cleanup_images = NULL;
	struct cairn_err err = { 0 };

	(void)state;
	assert_ok(image_repo_load(&repo, &w, &err));
	assert_non_null(images_get(w, S("base")));
	assert_null(images_get(w, S("bas")));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf got;
		struct ws_image_list list = { 0 };
		size_t words = 0;

		while (words < 3 && cases[i].words[words])
			words++;
		strbuf_init(&got, 4096);
		if (images_select(w, cases[i].words, words, cases[i].parents, a, &list, &err) < 0)
			strbuf_cstr(&got, err.msg);
		for (size_t k = 0; k < list.len; k++)
			strbuf_printf(&got, "%.*s ", STR(list.ptr[k]->name));
		assert_string_equal(got.ptr, cases[i].want);
	}
}

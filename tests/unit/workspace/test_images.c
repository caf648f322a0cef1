/* Images of a repository: declared, found, and how they stand on one another. */
#include "harness.h"

#include "util/fs.h"
#include "workspace/workspace.h"

struct file {
	const char *path, *text;
};

#define FILES_MAX 8

struct repo {
	struct file files[FILES_MAX];
	const char *bake; /* named file; NULL: none */
	const char *want; /* lines of describe(); for mistakes a part of the message */
	unsigned line;    /* mistakes: of the place */
};

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

static int load(const struct repo *r, struct ws_images **ret, struct cairn_err *err)
{
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_free char *bake = r->bake ? xasprintf("%s/%s", harness_dir(), r->bake) : NULL;

	for (size_t i = 0; i < FILES_MAX && r->files[i].path; i++)
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

static void check_with(const struct repo *repos, size_t n, bool warnings)
{
	for (size_t i = 0; i < n; i++) {
		struct ws_images *w cleanup_images = NULL;
		cleanup_strbuf struct strbuf got;
		struct cairn_err err = { 0 };

		clear();
		harness_write("cairn.yaml", S("version: 1\n"));
		assert_ok(load(&repos[i], &w, &err));
		strbuf_init(&got, 1u << 20);
		describe(w, &got);
		for (size_t k = 0; warnings && k < w->warnings.len; k++)
			strbuf_printf(&got, "! %.*s\n", STR(w->warnings.ptr[k]));
		if (strcmp(got.ptr, repos[i].want) != 0)
			fail_msg("case %zu (%s) gave\n%s-- not --\n%s", i, repos[i].files[0].text,
			         got.ptr, repos[i].want);
	}
}

static void check(const struct repo *repos, size_t n)
{
	check_with(repos, n, true);
}

/* The same without the warnings. */
static void check_quiet(const struct repo *repos, size_t n)
{
	check_with(repos, n, false);
}

static void check_bad(const struct repo *repos, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ws_images *w = NULL;
		struct cairn_err err = { 0 };

		clear();
		harness_write("cairn.yaml", S("version: 1\n"));
		if (load(&repos[i], &w, &err) == 0)
			fail_msg("case %zu (%s) was taken", i, repos[i].want);
		if (!strstr(err.msg, repos[i].want) || err.line != repos[i].line)
			fail_msg("case %zu gave %s:%u: %s, not :%u: %s", i, err.path, err.line,
			         err.msg, repos[i].line, repos[i].want);
	}
}

void test_images__found(void **state)
{
	static const struct repo repos[] = {
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
	check(repos, ARRAY_SIZE(repos));
}

/* The context is the folder, unless the sources are only there for one above. */
void test_images__contexts(void **state)
{
	static const struct repo repos[] = {
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
	check(repos, ARRAY_SIZE(repos));
}

#define D(name)                                     \
	{                                           \
		name "/Dockerfile", "FROM debian\n" \
	}

void test_images__declared(void **state)
{
	static const struct repo repos[] = {
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
	check(repos, ARRAY_SIZE(repos));
}

void test_images__graph(void **state)
{
	static const struct repo repos[] = {
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
	check(repos, ARRAY_SIZE(repos));
}

void test_images__mistakes(void **state)
{
	static const struct repo repos[] = {
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
	check_bad(repos, ARRAY_SIZE(repos));
}

/* The files are written on one line here and there; positions are told by lines. */
void test_images__bake(void **state)
{
	static const struct repo repos[] = {
		/* variables, inherits, groups, what a default group leaves out */
		{ { D("a"),
		    D("b"),
		    { "bake.json",
		      "{\"variable\": {\"TAG\": {\"default\": \"v${N}\"}, \"N\": {\"default\": 1}, \"E\": {}},\n"
		      " \"group\": {\"default\": {\"targets\": [\"app\"]}},\n"
		      " \"target\": {\n"
		      "  \"_common\": {\"args\": {\"A\": \"1\", \"B\": \"2\", \"C\": \"3\"}, "
		      "\"platforms\": [\"linux/arm64\"], \"labels\": {\"l\": \"x\"}},\n"
		      "  \"app\": {\"inherits\": [\"_common\"], \"context\": \"a\", \"tags\": "
		      "[\"r.io/app:${TAG}\"],\n"
		      "   \"args\": {\"B\": null, \"D\": \"${E}\"}, \"contexts\": {\"base\": \"target:base\"}, "
		      "\"secret\": [\"id=t\", {\"id\": \"u\", \"env\": \"U\"}],\n"
		      "   \"cache-to\": [\"type=inline\"]},\n"
		      "  \"base\": {\"context\": \"b\"},\n"
		      "  \"lint\": {\"inherits\": [\"base\"], \"dockerfile-inline\": \"FROM base\\n\", "
		      "\"target\": null}\n"
		      " }}\n" } },
		  "bake.json",
		  "base b b/Dockerfile by-name\n"
		  "lint b <inline> by-name < base\n"
		  "app a a/Dockerfile a:A=1 a:C=3 a:D= c:base=image:base l:l=x t:r.io/app:v1 "
		  "p:linux/arm64 s:id=t s:id=u,env=U g:default < base\n",
		  0 },
		/* a matrix, also of objects */
		{ { D("a"),
		    { "bake.json",
		      "{\"target\": {\"app\": {\"name\": \"app-${tgt}-${item.v}\", \"context\": \"a\",\n"
		      "  \"matrix\": {\"tgt\": [\"x\", \"y\"], \"item\": [{\"v\": \"1\"}, {\"v\": 2}]},\n"
		      "  \"target\": \"${tgt}\", \"args\": {\"V\": \"${item.v}\"}}}}" } },
		  "bake.json",
		  "app-x-1 a a/Dockerfile @x a:V=1 g:app\n"
		  "app-x-2 a a/Dockerfile @x a:V=2 g:app\n"
		  "app-y-1 a a/Dockerfile @y a:V=1 g:app\n"
		  "app-y-2 a a/Dockerfile @y a:V=2 g:app\n",
		  0 },
		/* what bake --print writes */
		{ { D("a"),
		    { "bake.json",
		      "{\n\t\"group\": {\n\t\t\"default\": {\n\t\t\t\"targets\": [\n\t\t\t\t\"app\"\n\t\t\t]\n"
		      "\t\t}\n\t},\n\t\"target\": {\n\t\t\"app\": {\n\t\t\t\"context\": \"https://x.org/r.git#m:d\",\n"
		      "\t\t\t\"dockerfile\": \"Dockerfile\",\n\t\t\t\"output\":[{\"type\":\"registry\"}]\n"
		      "\t\t}\n\t}\n}\n" } },
		  "bake.json",
		  "app https://x.org/r.git#m:d Dockerfile g:default\n",
		  0 },
	};

	(void)state;
	check_quiet(repos, ARRAY_SIZE(repos));
}

void test_images__bake_mistakes(void **state){
#define TARGET(text) { { D("a"), { "bake.json", "{\"target\": {\n" text "\n}}" } }, "bake.json"
	static const struct repo
		repos[] = { { { { "bake.json", "target \"x\" {}\n" } },
	                      "bake.json",
	                      "this is no JSON",
	                      1 },
	                    { { { "bake.json", "{\"target\": {" } }, "bake.json", "", 2 },
	                    TARGET("\"a\": {\"contxt\": \"a\"}"),
	                    "did you mean 'context'?",
	                    2 },
	TARGET("\"a\": {\"context\": [1]}"), "expected a text, not a list", 2
},
	TARGET("\"a\": {\"context\": \"a\",\n\"tags\": [\"x:${T}\"]}"),
	"the variable 'T' has no value", 3
}
, TARGET("\"a\": {\"context\": \"${upper(\\\"x\\\")}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"context\": \"${v ? 1 : 2}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"context\": \"%{if x}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"inherits\": [\"b\"]}, \"base\": {}"), "there is no target 'b'", 2
}
, TARGET("\"a\": {\"inherits\": [\"b\"]},\n\"b\": {\"inherits\": [\"a\"]}"), "inherits from itself",
	2
}
, TARGET("\"a\": {\"matrix\": {\"x\": [\"1\"]}}"), "needs a 'name'", 2
}
, TARGET("\"a\": {\"name\": \"q\", \"matrix\": {\"x\": [\"1\", \"2\"]}}"),
	"two targets have the name 'q'", 2
}
, TARGET("\"a\": {\"name\": \"q\", \"matrix\": {\"x\": []}}"), "expected a list of values", 2
}
, TARGET("\"a\": {\"context\": \"gone\"}"), "the context 'gone' is not there", 2
}
, TARGET("\"a\": 1"), "expected a mapping of keys", 2
}
,
	{ { D("a"),
	    { "bake.json", "{\"group\": {\"g\": {\"targets\": [\"ap\"]}},\n"
	                   "\"target\": {\"app\": {\"context\": \"a\"}}}" } },
	  "bake.json",
	  "group 'g': there is no image 'ap'; did you mean 'app'?",
	  1 },
}
;

(void)state;
check_bad(repos, ARRAY_SIZE(repos));
#undef TARGET
}

void test_images__compose(void **state)
{
	static const struct repo repos[] = {
		{ { D("x/api"),
		    D("x/web"),
		    D("b"),
		    { "x/.env", "# tags\nTAG='7'\nexport REG=r.io # ours\nEMPTY=\n" },
		    { "x/compose.yaml",
		      "x-build: &build\n"
		      "  args: &args {A: 1, B: \"${NOPE:-${TAG}}\"}\n"
		      "services:\n"
		      "  api:\n"
		      "    build: api\n"
		      "    image: ${REG:?no registry}/api:$TAG\n"
		      "    command: [\"sh\", \"-c\", \"echo $${x} ${\"]\n"
		      "    depends_on: [db]\n"
		      "  db: {image: \"postgres:16\"}\n"
		      "  nothing:\n"
		      "  web:\n"
		      "    platform: linux/arm64\n"
		      "    build:\n"
		      "      <<: *build\n"
		      "      context: ../b\n"
		      "      x-mine: 1\n"
		      "      target: ${EMPTY:+t}\n"
		      "      additional_contexts: {api: \"service:api\", w: web}\n"
		      "      labels: [\"k=v\"]\n"
		      "      tags: [\"r.io/web:1\"]\n"
		      "      secrets: [tok, {source: tok, target: other}]\n"
		      "  two:\n"
		      "    build:\n"
		      "      context: web\n"
		      "      dockerfile_inline: |\n"
		      "        FROM r.io/web:1\n"
		      "      args: [TAG, CAIRN_TEST_UNSET, X=1]\n"
		      "secrets:\n"
		      "  tok: {environment: TOKEN}\n" } },
		  "x/compose.yaml",
		  "api x/api x/api/Dockerfile t:r.io/api:7\n"
		  "web b b/Dockerfile a:A=1 a:B=7 c:api=image:api c:w=x/web l:k=v t:r.io/web:1 "
		  "p:linux/arm64 s:id=tok,env=TOKEN s:id=other,env=TOKEN < api\n"
		  "two x/web <inline> a:TAG=7 a:X=1 < web\n",
		  0 },
	};

	(void)state;
	check_quiet(repos, ARRAY_SIZE(repos));
}

void test_images__compose_mistakes(void **state){
#define SERVICE(text) { { D("a"), { "compose.yaml", "services:\n" text "\n" } }, "compose.yaml"
	static const struct repo repos[] = { { { { "compose.yaml", "a: 1\n" } },
	                                       "compose.yaml",
	                                       "this is no compose file",
	                                       0 },
	                                     SERVICE("  a: {build: {contxt: a}}"),
	                                     "did you mean 'context'?",
	                                     2 },
	SERVICE("  a: {build: [a]}"), "expected a folder or a mapping", 2
},
	SERVICE("  a: {build: \"$\"}"), "a dollar stands before no name", 2
}
, SERVICE("  a:\n    build: \"${X:?set X}\""), "X: set X", 3
}
, SERVICE("  a: {build: {secrets: [s]}}"), "the file has no secret 's'", 2
}
, SERVICE("  a: {build: *x}"), "there is no anchor &x", 2
}
, SERVICE("  a: {<<: 1, build: a}"), "only mappings can be merged", 2
}
, SERVICE("  a: {build: gone}"), "the context 'gone' is not there", 2
}
, SERVICE("  a: {build: ../..}"), "outside of the repository", 2
}
, SERVICE("  a: &a {b: *a}"), "there is no anchor &a", 2
}
,
	/* aliases of aliases of aliases */
	{ { { "compose.yaml",
	      "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
	      "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
	      "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n" } },
	  "compose.yaml",
	  "more than 200000 values",
	  6 },
}
;

(void)state;
check_bad(repos, ARRAY_SIZE(repos));
#undef SERVICE
}

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
	static const struct repo repo = {
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
	assert_ok(load(&repo, &w, &err));
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

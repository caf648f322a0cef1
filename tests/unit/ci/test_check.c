/* Rules about pipelines, one snippet after the other; tests/cli/ci-check-* have whole repositories.
 */
#include "harness.h"

#include "ci/ci.h"

#define STAGES "FROM a AS b\nFROM c\nARG USED\n"

static const struct {
	enum pipeline_kind kind;
	const char *text;
	const char *want; /* "RULE:LINE " of each finding, in the order of places */
} cases[] = {
	/* build arguments */
	{ PIPELINE_SCRIPT, "docker build --build-arg USED=1 d", "" },
	{ PIPELINE_SCRIPT, "docker build --build-arg=NOT=1 d", "unused-build-arg:1 " },
	{ PIPELINE_SCRIPT, "docker build --build-arg NOT d", "unused-build-arg:1 " },
	{ PIPELINE_SCRIPT, "docker build --build-arg NOT -f d/Dockerfile .",
	  "unused-build-arg:1 " },
	{ PIPELINE_SCRIPT, "docker build --build-arg NOT=1 $DIR", "unused-build-arg:1 " },
	{ PIPELINE_SCRIPT, "docker build --build-arg $NAME d", "" },
	{ PIPELINE_SCRIPT, "docker build --build-arg http_proxy=x --build-arg BUILDKIT_X=1 d", "" },
	/* caches */
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to type=inline d", "inline-cache:1 " },
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to type=inline plain", "" },
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to type=gha d", "cache-min:1 " },
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to type=gha,mode=max d", "" },
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to $CACHE d", "" },
	{ PIPELINE_SCRIPT,
	  "docker buildx build \\\n --cache-to type=registry,ref=1.dkr.ecr.x.amazonaws.com/a,mode=max d",
	  "ecr-cache:1 " },
	{ PIPELINE_SCRIPT, "docker buildx build --cache-to type=registry,ref=ghcr.io/a,mode=max d",
	  "" },
	/* results */
	{ PIPELINE_SCRIPT, "docker buildx build --load -t x d\ndocker push x", "load-push:1 " },
	{ PIPELINE_SCRIPT, "docker buildx build --load -t x d\ndocker run x", "" },
	{ PIPELINE_SCRIPT, "docker buildx build --load -t x d\ndocker push y", "" },
	{ PIPELINE_SCRIPT, "docker pull x:1\ndocker build d", "unread-pull:1 " },
	{ PIPELINE_SCRIPT, "docker pull x:1\ndocker build -t x:1 d\ndocker push x:1",
	  "unread-pull:1 " },
	{ PIPELINE_SCRIPT, "docker pull -q x:1\ndocker build --cache-from x:1 d", "" },
	{ PIPELINE_SCRIPT, "docker pull c", "" },
	{ PIPELINE_SCRIPT, "docker pull x\ndocker tag x y", "" },
	{ PIPELINE_SCRIPT, "docker build --cache-to type=gha,mode=max d\ndocker system prune -f",
	  "prune:2 " },
	{ PIPELINE_SCRIPT, "docker system prune -f\ndocker build --cache-to type=gha,mode=max d",
	  "" },
	{ PIPELINE_SCRIPT, "docker build d\ndocker system prune -f", "" },
	/* what changed */
	{ PIPELINE_SCRIPT, "git diff --name-only HEAD~1", "diff-base:1 " },
	{ PIPELINE_SCRIPT, "x=$(git diff-tree HEAD^ HEAD)", "diff-base:1 " },
	{ PIPELINE_SCRIPT, "git diff --name-only origin/main...HEAD", "" },
	{ PIPELINE_SCRIPT, "git log HEAD~1", "" },
	{ PIPELINE_SCRIPT, "git diff a | grep -q d", "substring:1 " },
	{ PIPELINE_SCRIPT, "git diff a | grep containers/d", "substring:1 " },
	{ PIPELINE_SCRIPT, "grep -x d f; grep -qw d f; grep d/ f; grep '^d$' f; grep plain f", "" },
	{ PIPELINE_SCRIPT, "[[ $x == *d* ]] && [[ $x == d ]]", "substring:1 " },
	{ PIPELINE_WORKFLOW, "jobs: {a: {steps: [{if: \"contains(x, 'd')\", run: a}]}}",
	  "substring:1 " },
	{ PIPELINE_WORKFLOW, "jobs: {a: {steps: [{if: \"x == 'd'\", run: a}]}}", "" },
	/* cached paths */
	{ PIPELINE_BUILDSPEC,
	  "phases: {build: {commands: [pip install x]}}\ncache:\n  paths: [/root/.cache/pip/**/*]\n",
	  "" },
	{ PIPELINE_BUILDSPEC,
	  "phases: {build: {commands: [make]}}\ncache:\n  paths:\n    - /root/.cache/pip/**/*\n",
	  "cache-path:4 " },
	{ PIPELINE_BUILDSPEC,
	  "phases: {build: {commands: [docker save x -o /tmp/i/x.tar]}}\ncache: {paths: [/tmp/i]}\n",
	  "" },
	{ PIPELINE_BUILDSPEC, "cache: {paths: ['$DIR/x']}\n", "" },
	/* inputs */
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN pip install x", "unpinned:2 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN pip install x==1 -i http://i --no-cache-dir pip", "" },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN python3 -m pip install -r r.txt y", "" },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN a && \\\n  pip install \\\n  # why\n  x==1 \\\n  y",
	  "unpinned:3 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN pip install git+https://u@h/x.git", "unpinned:2 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN pip install git+https://h/x.git@v1 ./dir x.whl $Y",
	  "" },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN git clone https://h/x", "unpinned:2 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN git clone -b main https://h/x", "unpinned:2 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN git clone --branch=v1 https://h/x", "" },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN git clone https://h/x && git -C x checkout 12ab", "" },
	{ PIPELINE_DOCKERFILE,
	  "FROM a\nRUN --mount=type=cache,target=/c <<E\ntrue\napt-get install x>=1\nE",
	  "version-redirect:4 " },
	{ PIPELINE_DOCKERFILE, "FROM a\nRUN [\"pip\", \"install\", \"x>=1\"]", "" },
	{ PIPELINE_SCRIPT, "pip install x\ngit clone https://h/x", "" },
};

static struct pipeline *repository(void)
{
	struct pipeline *p = pipeline_new();

	pipeline_add(p, PIPELINE_DOCKERFILE, S("d/Dockerfile"), S(STAGES));
	pipeline_add(p, PIPELINE_DOCKERFILE, S("d-more/Dockerfile"), S("FROM c\n"));
	pipeline_add(p, PIPELINE_DOCKERFILE, S("plain/Dockerfile"), S("FROM c\n"));
	return p;
}

void test_check__rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_pipeline struct pipeline *p = repository();
		struct check_result r __attribute__((cleanup(check_result_done))) = { 0 };
		cleanup_strbuf struct strbuf got;

		strbuf_init(&got, 4096);
		pipeline_add(p, cases[i].kind, S("file"), str_of(cases[i].text));
		check_pipeline(p, &r);
		vec_foreach (n, &p->notes)
			strbuf_printf(&got, "%.*s: %.*s", STR(n->file), STR(n->why));
		vec_foreach (f, &r.findings)
			strbuf_printf(&got, "%s:%u ", f->rule->name, f->line);
		strbuf_char(&got, '\0');
		if (strcmp(got.ptr, cases[i].want) != 0)
			fail_msg("%s\n got %s\nwant %s", cases[i].text, got.ptr, cases[i].want);
	}
}

void test_check__files_that_cannot_be_read(void **state)
{
	cleanup_pipeline struct pipeline *p = pipeline_new();

	(void)state;
	pipeline_add(p, PIPELINE_WORKFLOW, S("a.yml"), S("a: [\n"));
	pipeline_add(p, PIPELINE_BUILDSPEC, S("b.yml"), S("phases: [1]\ncache: x\n"));
	pipeline_add(p, PIPELINE_WORKFLOW, S("c.yml"), S(""));
	pipeline_add(p, PIPELINE_DOCKERFILE, S("Dockerfile"), S("NOPE\n"));
	assert_int_equal(p->notes.len, 2);
	assert_true(str_is(p->notes.ptr[0].file, "a.yml"));
	assert_true(str_is(p->notes.ptr[1].file, "Dockerfile"));
}

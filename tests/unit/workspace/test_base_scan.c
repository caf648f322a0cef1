/* Base images of a repository's Dockerfiles. */
#include "harness.h"

#include <unistd.h>

#include "util/proc.h"
#include "workspace/workspace.h"

/* "NAME FILE:LINE...; ..." and, behind a '!', what was not resolved. */
static void describe(const struct base_scan *s, struct strbuf *out)
{
	vec_foreach (i, &s->images) {
		strbuf_printf(out, "%.*s", STR(i->name));
		vec_foreach (p, &i->places)
			strbuf_printf(out, " %.*s:%u", STR(p->file), p->line);
		strbuf_char(out, '\n');
	}
	vec_foreach (u, &s->unresolved)
		strbuf_printf(out, "! %.*s:%u %.*s: %.*s\n", STR(u->place.file), u->place.line,
		              STR(u->text), STR(u->why));
}

void test_base_scan__one_dockerfile(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "FROM debian:12\n", "docker.io/library/debian:12 D:1\n" },
		{ "FROM scratch\n", "" },
		{ "FROM debian AS a\nFROM A\nCOPY --from=a /x /x\nCOPY --from=0 /x /x\n",
		  "docker.io/library/debian:latest D:1\n" },
		{ "ARG V=12\nARG N=debian:${V}\nFROM $N-slim\n",
		  "docker.io/library/debian:12-slim D:3\n" },
		{ "ARG V\nFROM debian:$V\n", "! D:2 debian:$V: V has no default\n" },
		{ "FROM ${REG}/app\n", "! D:1 ${REG}/app: REG has no default\n" },
		{ "FROM debian:${V:-11}\n", "docker.io/library/debian:11 D:1\n" },
		{ "FROM debian$SUFFIX\n", "docker.io/library/debian:latest D:1\n" },
		{ "FROM Debian\n",
		  "! D:1 Debian: image name 'Debian': the repository must be lower-case\n" },
		{ "FROM a.b/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		  "a.b/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa D:1\n" },
		{ "FROM x:1\nCOPY --from=y:2 /a /b\nRUN --mount=type=bind,from=z:3,target=/z true\n"
		  "RUN --mount=type=cache,id=$q,target=/c true\nFROM x:1\n",
		  "docker.io/library/x:1 D:1 D:5\ndocker.io/library/y:2 D:2\ndocker.io/library/z:3 D:3\n" },
		{ "FROM x AS later\nCOPY --from=after / /\nFROM y AS after\n",
		  "docker.io/library/after:latest D:2\ndocker.io/library/x:latest D:1\n"
		  "docker.io/library/y:latest D:3\n" },
		{ "FORM x\n", "! D:1 : unknown instruction 'FORM' (did you mean FROM?)\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_base_scan struct base_scan *s = base_scan_new();
		cleanup_strbuf struct strbuf got;

		strbuf_init(&got, 65536);
		base_scan_text(s, str_of(cases[i].text), "D");
		base_scan_sort(s);
		describe(s, &got);
		if (strcmp(got.ptr, cases[i].want) != 0)
			fail_msg("'%s' gave\n%s", cases[i].text, got.ptr);
	}
}

void test_base_scan__files(void **state)
{
	static const char *const yes[] = {
		"Dockerfile",      "a/Dockerfile.dev",         "a/b/api.Dockerfile",
		"c/Containerfile", ".devcontainer/Dockerfile", "c/x.containerfile",
		"d/dockerfile"
	};
	static const char *const no[] = { "Dockerfile.dockerignore",
		                          "node_modules/x/Dockerfile",
		                          "a/vendor/Dockerfile",
		                          ".git/Dockerfile",
		                          "MyDockerfile",
		                          "Dockerfile.dev~",
		                          "a/Dockerfile.md/readme" };
	cleanup_base_scan struct base_scan *s = NULL;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		harness_write(yes[i], S("FROM good\n"));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		harness_write(no[i], S("FROM bad\n"));
	assert_ok(base_scan_dir(harness_dir(), &s, &err));
	assert_int_equal(s->images.len, 1);
	assert_str(s->images.ptr[0].name, "docker.io/library/good:latest");
	assert_int_equal(s->images.ptr[0].places.len, ARRAY_SIZE(yes));
	assert_str(s->images.ptr[0].places.ptr[0].file, ".devcontainer/Dockerfile");
	assert_int_equal(s->n_files, ARRAY_SIZE(yes));
}

void test_base_scan__not_what_git_ignores(void **state)
{
	const char *const init[] = { "git", "init", "-q", harness_dir(), NULL };
	const struct proc_opts o = { .argv = init, .timeout_ns = 60000000000ull };
	struct proc_result r cleanup_proc_result;
	cleanup_base_scan struct base_scan *s = NULL;
	struct cairn_err err;

	(void)state;
	proc_result_init(&r, 65536);
	if (proc_run(&o, &r, &err) < 0 || r.exit_code != 0)
		skip();
	harness_write(".gitignore", S("out/\n"));
	harness_write("a/Dockerfile", S("FROM good\n"));
	harness_write("out/Dockerfile", S("FROM bad\n"));
	harness_write("vendor/Dockerfile", S("FROM bad\n"));
	assert_int_equal(symlinkat("a/Dockerfile", harness_dirfd(), "Dockerfile"), 0);
	assert_ok(base_scan_dir(harness_dir(), &s, &err));
	assert_int_equal(s->n_files, 1);
	assert_str(s->images.ptr[0].name, "docker.io/library/good:latest");
}

void test_base_scan__no_folder(void **state)
{
	struct base_scan *s = NULL;
	struct cairn_err err = { 0 };

	(void)state;
	assert_fails(base_scan_dir("/nowhere", &s, &err), CAIRN_E_NOT_FOUND);
}

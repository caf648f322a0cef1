/* ci/pipeline.h - what the CI files of a repository do: commands, image builds, cached paths.
 *
 * Read are GitHub's workflows and composite actions (.github/), CodeBuild's buildspecs
 * (buildspec*.yml), shell scripts (*.sh, Makefile) and Dockerfiles.  A file that cannot be read as
 * what it is called is told (pipeline_note) and passed over.
 */
#ifndef CAIRN_CI_PIPELINE_H
#define CAIRN_CI_PIPELINE_H

#include "dockerfile/dockerfile.h"
#include "shell.h"
#include "util/arena.h"
#include "util/vec.h"
#include "workspace/workspace.h"

enum pipeline_kind {
	PIPELINE_WORKFLOW,
	PIPELINE_BUILDSPEC,
	PIPELINE_SCRIPT,
	PIPELINE_DOCKERFILE,
};

/* A place in a file, and the job it belongs to. */
struct pipeline_place {
	str file;      /* relative to the root */
	unsigned line; /* 1-based */
	unsigned job;  /* of all files: what runs on one machine; each script is one of its own */
};

/* A script: `run:` of a step, a command of a phase, a shell file, a RUN. */
struct pipeline_script {
	struct pipeline_place at;
	enum pipeline_kind kind;
	struct shell_script shell;
};

/* A value that was written somewhere. */
struct pipeline_value {
	str text;
	unsigned line;
};

/* A build of an image: docker build, docker buildx build, podman build, docker/build-push-action.
 */
struct pipeline_build {
	struct pipeline_place at;
	str context, dockerfile; /* as written; "" = the default */
	VEC(struct pipeline_value) args, cache_from, cache_to, tags;
	bool load, push;
	bool inline_cache; /* type=inline or BUILDKIT_INLINE_CACHE=1 */
};

/* A path that is kept between runs: actions/cache, cache.paths of a buildspec. */
struct pipeline_cached {
	struct pipeline_place at;
	str path;
};

struct pipeline_dockerfile {
	str file;
	struct dockerfile *df;  /* owned */
	struct instr_list list; /* in df's arena */
	size_t n_stages;
};

/* A text that a condition of a workflow compares. */
struct pipeline_condition {
	struct pipeline_place at;
	str text; /* "contains(steps.diff.outputs.files, 'app')" */
};

/* A file that was passed over. */
struct pipeline_note {
	str file;
	unsigned line; /* 0: the whole file */
	str why;
};

struct pipeline {
	struct arena *arena;
	VEC(struct pipeline_script) scripts; /* in the order of the files' names */
	VEC(struct pipeline_build) builds;
	VEC(struct pipeline_cached) cached;
	VEC(struct pipeline_condition) conditions;
	VEC(struct pipeline_dockerfile) dockerfiles;
	VEC(struct pipeline_note) notes;
	unsigned n_jobs;
};

/* Read the files at and below dir. Fails with CAIRN_E_NOT_FOUND when it is not there. */
int pipeline_load(const char *dir, struct pipeline **ret, struct cairn_err *err);

/* Add one file. A Dockerfile's text, a script's, or a YAML text. */
void pipeline_add(struct pipeline *p, enum pipeline_kind kind, str file, str text);

struct pipeline *pipeline_new(void);
void pipeline_free(struct pipeline *p); /* NULL is fine */
DEFINE_CLEANUP(struct pipeline *, pipeline_free);
#define cleanup_pipeline __attribute__((cleanup(pipeline_free_p_)))

/* The Dockerfile of a build: by name; NULL when the name has variables or there is none. */
const struct pipeline_dockerfile *pipeline_dockerfile(const struct pipeline *p,
                                                      const struct pipeline_build *b);

/* Does the command build an image? */
bool pipeline_is_build(const struct shell_command *c);

/* --- private to pipeline*.c ---------------------------------------------------- */

/* If the command is a build of an image, add it. */
void pipeline_add_command(struct pipeline *p, const struct pipeline_place *at,
                          const struct shell_command *c);

/* docker/build-push-action with these inputs. */
void pipeline_add_action(struct pipeline *p, const struct pipeline_place *at,
                         const struct conf_node *with);

#endif

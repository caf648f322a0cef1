/* ci/init.h - the CI files of a repository that has none: written, and taken away again.
 *
 * What was done is remembered below the root, in a folder that git ignores, by
 * `.cairn/ci-init/record.json`,
 *
 *	{"version":1,"files":[{"path":"buildspec.yml","written":"sha256:..","before":true}]}
 *
 * and, where there was a file before, its bytes as `before.N`, N counting the files from 0.
 */
#ifndef CAIRN_CI_INIT_H
#define CAIRN_CI_INIT_H

#include "util/arena.h"
#include "util/err.h"
#include "util/vec.h"

enum init_driver {
	INIT_GITHUB,    /* a workflow that plans and builds */
	INIT_CODEBUILD, /* a buildspec */
	INIT_HYBRID,    /* both */
};

struct init_opts {
	const char *root; /* of the repository */
	enum init_driver driver;
	str region; /* of AWS */
	str branch; /* whose pushes are built */
	str cache;  /* URL for cairn.yaml; "" = it is left to the user, as a comment */
	bool force; /* replace what is there */
};

enum init_action {
	INIT_WRITE,   /* a new file */
	INIT_REPLACE, /* a file that was there */
	INIT_EXTEND,  /* a section is added to the file */
	INIT_KEEP,    /* the file has what is needed */
	INIT_REMOVE,  /* undo: it was not there */
	INIT_RESTORE, /* undo: as it was */
};

struct init_file {
	str path; /* relative to the root */
	enum init_action action;
	str text; /* what is written */
};

struct init_result {
	struct arena *arena; /* owns the texts */
	VEC(struct init_file) files;
};

/* What would be written; nothing is. Fails with CAIRN_E_EXISTS for a file that is there and was not
 * written by this (unless opts->force). */
int init_plan(const struct init_opts *opts, struct init_result *ret, struct cairn_err *err);

/* Write what was planned. All or nothing: after a failure everything is as it was. */
int init_write(const struct init_opts *opts, const struct init_result *plan, struct cairn_err *err);

/* Take back what was written last.
 *
 * Fails with CAIRN_E_NOT_FOUND when nothing was, and with CAIRN_E_EXISTS when a file was edited
 * since, unless `force`; then nothing is changed. */
int init_undo(const char *root, bool force, struct init_result *ret, struct cairn_err *err);

void init_result_init(struct init_result *r);
void init_result_done(struct init_result *r);

#endif

/* tests/unit/workspace/image_repos.h - repositories of a few files, and the images that they have.
 *
 * A case is written into the test's folder, loaded, and described in lines of text; each case
 * begins with an empty folder.
 */
#ifndef CAIRN_TESTS_IMAGE_REPOS_H
#define CAIRN_TESTS_IMAGE_REPOS_H

#include "harness.h"

#include "workspace/workspace.h"

struct image_repo_file {
	const char *path, *text;
};

#define IMAGE_REPO_FILES 8

struct image_repo {
	struct image_repo_file files[IMAGE_REPO_FILES];
	const char *bake; /* named file; NULL: none */
	const char *want; /* lines of image_repos_check(); for mistakes a part of the message */
	unsigned line;    /* mistakes: of the place */
};

#define D(name)                                     \
	{                                           \
		name "/Dockerfile", "FROM debian\n" \
	}

/* Write the files and load the images. Fails as images_load(). */
int image_repo_load(const struct image_repo *r, struct ws_images **ret, struct cairn_err *err);

/* Each of n repositories has the images of its `want`, "NAME CONTEXT DOCKERFILE [@target] ... <
 * PARENT", a line each, in the order of building, then its warnings, "! TEXT". */
void image_repos_check(const struct image_repo *repos, size_t n);

/* The same without the warnings. */
void image_repos_check_quiet(const struct image_repo *repos, size_t n);

/* Each of n repositories is refused with a message that has `want` in it, at its line. */
void image_repos_check_bad(const struct image_repo *repos, size_t n);

#endif

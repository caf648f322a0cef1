/* workspace/base_scan.h - the base images that a repository's Dockerfiles name.
 *
 * Looked at: FROM, COPY --from=IMAGE and RUN --mount=from=IMAGE of the files called Dockerfile,
 * Containerfile, Dockerfile.*, *.Dockerfile and *.Containerfile, in any case of their
 * letters.  Names are what a build without --build-arg would make of them: ARGs have their
 * defaults. Stages and scratch are no images.
 */
#ifndef CAIRN_WORKSPACE_BASE_SCAN_H
#define CAIRN_WORKSPACE_BASE_SCAN_H

#include "dockerfile/dockerfile.h"
#include "image/image.h"
#include "util/vec.h"

/* A place that names an image. */
struct base_place {
	str file; /* relative to where the search began */
	unsigned line;
};

struct base_image_use {
	struct reference ref;
	str name;                      /* reference_text() of it */
	VEC(struct base_place) places; /* sorted by file and line */
};

/* A name that says nothing without arguments, or a file that cannot be read. */
struct base_unresolved {
	struct base_place place; /* line 0: the whole file */
	str text;                /* as written; "" for a file */
	str why;                 /* one phrase */
};

struct base_scan {
	struct arena *arena;                    /* owns all texts */
	VEC(struct base_image_use) images;      /* sorted by name */
	VEC(struct base_unresolved) unresolved; /* in the order of the files */
	size_t n_files;                         /* Dockerfiles that were looked at */
};

/* Is it the name, or the path, of a file of these names? */
bool base_scan_is_dockerfile(str path);

/* Search dir and what is below it, as repo_files.h says.
 *
 * Fails with CAIRN_E_NOT_FOUND when dir is not there. A Dockerfile with a mistake is among
 * the unresolved. */
int base_scan_dir(const char *dir, struct base_scan **ret, struct cairn_err *err);

/* Add one Dockerfile. file: for places and messages. */
void base_scan_text(struct base_scan *s, str text, const char *file);

struct base_scan *base_scan_new(void);
void base_scan_sort(struct base_scan *s); /* after the last base_scan_text() */
void base_scan_free(struct base_scan *s); /* NULL is fine */
DEFINE_CLEANUP(struct base_scan *, base_scan_free);
#define cleanup_base_scan __attribute__((cleanup(base_scan_free_p_)))

#endif

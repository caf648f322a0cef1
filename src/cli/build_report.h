/* cli/build_report.h - reports of builds in the store: kept, compared, shown. */
#ifndef CAIRN_CLI_BUILD_REPORT_H
#define CAIRN_CLI_BUILD_REPORT_H

#include <stdio.h>

#include "cache/cache.h"

struct build_run;
struct engine_image;
struct store;

/* Begin to ask the caches that are read for their report of the build before, if a step is to run.
 * Main thread. */
void build_report_ask(struct build_run *r);

/* Put the report of a build that ended into the store, and begin to tell the caches that are
 * written, if a step ran: as the last one of all, as that of its
 * image, and as what the next build of the same subject is compared with. A subject is the first
 * name the image gets, without its tag (else the Dockerfile's path), with target and platform. On
 * this machine a build without a name is also compared with those of its Dockerfile that have one.
 * Nothing happens in a read-only store.
 *
 * image  NULL: the build failed */
int build_report_keep(struct build_run *r, const struct engine_image *image, struct cairn_err *err);

/* The report of a build that was planned and does not run; allocated in r->a. */
int build_report_planned(struct build_run *r, struct report *ret, struct cairn_err *err);

/* The last report of all (image NULL) or that of an image; *ret stays NULL when there is none.
 * Allocated in `a`. */
int build_report_find(struct store *s, const struct digest *image, struct arena *a,
                      struct report **ret, struct cairn_err *err);

/* For people: a line for each step, its reasons below it, and a summary. */
void build_report_print(const struct report *r, bool color, FILE *out);

/* The stored form, for programs. */
void build_report_json(const struct report *r, FILE *out);

#endif

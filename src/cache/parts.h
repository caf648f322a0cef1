/* cache/parts.h - what a step's definition key is made of, part by part, for reports.
 *
 * Follows keys.c: what enters a key there is a part here, so that two keys that differ have
 * parts that differ, or steps below that do.
 */
#ifndef CAIRN_CACHE_PARTS_H
#define CAIRN_CACHE_PARTS_H

#include "keys.h"
#include "report.h"
#include "select.h"

/* Files that a step reads from a context. */
struct parts_files {
	const struct selection *selection; /* hashed */
	bool any_mode; /* --chmod sets the modes: those of the source do not count */
};

/* Fill ret->parts, sorted; values are keyed with r's salt. Allocated in `a`.
 * Of more than REPORT_PARTS_MAX files only the folders at the top are parts. */
void parts_of_step(const struct report *r, const struct graph_node *n, const struct key_env *env,
                   const struct parts_files *files, size_t n_files, struct arena *a,
                   struct report_step *ret);

#endif

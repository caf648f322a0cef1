/* graph/history.h - the texts of an image's history, as BuildKit writes them.
 *
 * People and tools (docker history, dive) know these forms; they are BuildKit's
 * `created_by` without being part of any specification.
 */
#ifndef CAIRN_GRAPH_HISTORY_H
#define CAIRN_GRAPH_HISTORY_H

#include "dockerfile/dockerfile.h"
#include "graph.h"
#include "util/strbuf.h"

#define HISTORY_TEXT_MAX (64u << 10) /* longer texts are cut */

/* `RUN |2 A=1 B=2 /bin/sh -c make # buildkit`; args are the build arguments in force. */
str history_run(struct arena *a, const str *argv, size_t n, const struct graph_env *args);

/* `COPY --chown=app src /dst # buildkit` */
str history_copy(struct arena *a, const struct graph_copy *c, str dest);

/* `CMD ["a" "b"]`: name and the list as Go's %q prints it. */
str history_quoted_list(struct arena *a, const char *name, const str *list, size_t n);

/* `SHELL [/bin/bash -c]`, `VOLUME [/data]`: the list as Go's %v prints it. */
str history_plain_list(struct arena *a, const char *name, const str *list, size_t n);

/* `ENV A=b`, `LABEL a=b`, `ARG A=b`: pairs after one another; a value with ptr NULL prints the key
 * alone. */
str history_pairs(struct arena *a, const char *name, const struct instr_pair *pairs, size_t n);

/* `USER app` and the like. */
str history_word(struct arena *a, const char *name, str word);

#endif

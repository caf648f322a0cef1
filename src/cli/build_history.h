/* cli/build_history.h - what a build took is kept for predictions (history/history.h). */
#ifndef CAIRN_CLI_BUILD_HISTORY_H
#define CAIRN_CLI_BUILD_HISTORY_H

#include "history/history.h"
#include "util/err.h"

struct build_run;

/* The work of a build is done, if not yet sent: begin to look at what the caches that are written
 * hold, in build_remote_teller(), so that its record takes its place among that the sooner. */
void build_history_ask(struct build_run *r);

/* Make the record of a build that went well, and begin to leave it in the caches that are
 * written, if a step ran: that goes on in build_remote_teller(). Call it when all work is done. */
void build_history_share(struct build_run *r);

/* Frees what build_history_ask() got; when nothing runs in build_remote_teller() any more. */
void build_history_drop(struct build_run *r);

/* Keep the record of a build that ended, here and in those caches. Nothing happens in a read-only
 * store. Caches that fail are no failure.
 *
 * result  0: it went well; else how it failed, with *why */
int build_history_keep(struct build_run *r, int result, const struct cairn_err *why,
                       struct cairn_err *err);

/* The machine this runs on, as CI systems and CAIRN_RUNNER (a name in cairn.yaml or the catalogue)
 * say. Texts are borrowed from envp, static, or in `a`. home: folder of the store. */
void build_history_machine(char *const *envp, const char *home, struct arena *a,
                           struct history_runner *ret);

#endif

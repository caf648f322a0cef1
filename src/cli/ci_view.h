/* cli/ci_view.h - what `cairn ci run` shows while it works, on standard error.
 *
 * Lines for what happens and for what builds print ("api | #4 RUN make"); on a terminal a table of
 * what runs stands below them and is drawn again.
 */
#ifndef CAIRN_CLI_CI_VIEW_H
#define CAIRN_CLI_CI_VIEW_H

#include "ci_run.h"

/* Borrows c. */
struct ci_view *ci_view_new(const struct ci *c);
void ci_view_free(struct ci_view *v); /* NULL is fine */

/* One line about an image: "started   api on codebuild-large". failure: it is told although quiet.
 */
void ci_view_tell(struct ci_view *v, const struct ci_image *i, bool failure, const char *what,
                  const char *more);
/* Lines that its build printed. */
void ci_view_log(struct ci_view *v, const struct ci_image *i, str lines);
/* Draw the table, unless that was done just now. */
void ci_view_draw(struct ci_view *v);
/* Take it away. */
void ci_view_end(struct ci_view *v);

#endif

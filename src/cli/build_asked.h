/* cli/build_asked.h - pointers of caches (cache/remote.h) that a build will want, asked for before
 * it does: behind a long way an answer takes as long as much else does.
 *
 * Each is asked for once; the answer stays until the build ends.
 */
#ifndef CAIRN_CLI_BUILD_ASKED_H
#define CAIRN_CLI_BUILD_ASKED_H

#include "cache/cache.h"

struct build_run;

/* What a remote said of a pointer. */
struct asked_pointer {
	int result;         /* below 0: it did not answer */
	bool found;         /* it has one */
	struct strbuf text; /* the document, when there is one */
	char *version;      /* for remote_pointer_put(), or NULL */
	int64_t when;       /* clock_monotonic() before it was asked */
	/* Private: */
	struct asked_pointer *next;
	struct build_asked *of;
	struct remote *remote;
	struct digest name;
	bool ended;
};

/* The list of a build; empty. */
struct build_asked *build_asked_new(void);
/* Nothing may run in build_remote_teller() any more; NULL is fine. */
void build_asked_free(struct build_asked *a);

/* Begin to ask, in build_remote_teller(), unless that was done. Main thread. */
void build_asked_begin(struct build_run *r, struct remote *remote, const struct digest *name);

/* The answer, waited for at most `patience` ns (below 0: as long as it takes). NULL: nobody began
 * to ask, or it did not come in time. Any thread; lives until build_asked_free(). */
const struct asked_pointer *build_asked_get(struct build_run *r, const struct remote *remote,
                                            const struct digest *name, int64_t patience);

#endif

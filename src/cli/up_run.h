/* cli/up_run.h - carry a plan out on this machine.
 *
 * Each image is built by a process of its own (`cairn build`), as soon as the images it stands on
 * are there and the machine has room for it (memory as recorded builds of it took, else as images
 * of its category are thought to take: route/predict.h); what a process prints goes to a file, of
 * which the end is shown when it fails.  An image that fails stops those that stand on it, and no
 * other.
 */
#ifndef CAIRN_CLI_UP_RUN_H
#define CAIRN_CLI_UP_RUN_H

#include "plan_run.h"

struct up_opts {
	const char *config; /* --config */
	bool push;          /* to the registries that tags name */
	bool quiet;
	uint64_t jobs; /* images at once; 0 = as memory allows, at most one a processor */
};

enum up_state {
	UP_SKIPPED, /* nothing was to be done */
	UP_WAITING,
	UP_RUNNING,
	UP_BUILT,
	UP_RETAGGED,
	UP_FAILED,
	UP_BLOCKED, /* an image it stands on failed */
	UP_STATES_,
};

struct up_image {
	const struct plan_image *plan;
	enum up_state state;
	uint64_t memory; /* bytes that its build is expected to take */
	char *log;       /* file; owned */
	pid_t pid;
	int64_t started;
	uint64_t wall_ns;
	str why; /* FAILED, BLOCKED */
};

struct up {
	struct plan_run *plan;
	const struct up_opts *opts;
	struct up_image *ptr; /* as in the plan */
	size_t len;
	char *dir; /* of the logs; owned */
	size_t n[UP_STATES_];
};

/* Build, retag and push what the plan says; what becomes of each image is in ret->ptr. Succeeds
 * also when images fail. Release with up_done(). */
int up_run(struct plan_run *plan, const struct up_opts *o, struct up *ret, struct cairn_err *err);
void up_done(struct up *u);
#define cleanup_up __attribute__((cleanup(up_done)))

#endif

/* cli/interrupt.h - what may end a build early, as descriptors that a poll loop watches.
 *
 *	SIGINT, SIGTERM      the stop descriptor becomes readable: what runs is killed
 *	spot notice          the drain descriptor becomes readable: nothing new is started; the
 *	                     stop descriptor follows when the grace time is over
 *
 * Spot notices are those of EC2: "instance-action" and "rebalance recommendation" of IMDSv2,
 * asked for every INTERRUPT_POLL_NS in a thread of its own
 * (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html).
 * They are looked for on an EC2 instance only, or where AWS_EC2_METADATA_SERVICE_ENDPOINT names an
 * endpoint, and not with AWS_EC2_METADATA_DISABLED=true. The notice comes two minutes before
 * the end: running steps get INTERRUPT_GRACE_NS, uploads what is left until INTERRUPT_FLUSH_NS.
 */
#ifndef CAIRN_CLI_INTERRUPT_H
#define CAIRN_CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

#define INTERRUPT_POLL_NS  (5ll * 1000000000)   /* as AWS recommends */
#define INTERRUPT_GRACE_NS (45ll * 1000000000)  /* for steps that run when a notice comes */
#define INTERRUPT_FLUSH_NS (100ll * 1000000000) /* after a notice: uploads end */
#define INTERRUPT_TERM_NS  (20ll * 1000000000)  /* after SIGTERM: uploads end */

enum interrupt_cause {
	INTERRUPT_NONE,
	INTERRUPT_USER,      /* SIGINT: what is not uploaded is given up */
	INTERRUPT_TERM,      /* SIGTERM */
	INTERRUPT_REBALANCE, /* this instance may be stopped soon */
	INTERRUPT_SPOT,      /* this instance will be stopped */
	INTERRUPT_N_,
};

struct interrupt;

/* Block the signals, in the calling (main) thread, before any other thread exists.
 * envp: the environment; borrowed. Fails with CAIRN_E_SYSTEM. */
int interrupt_new(char *const *envp, struct interrupt **ret, struct cairn_err *err);
void interrupt_free(struct interrupt *i); /* NULL is fine; the signals stay blocked */
DEFINE_CLEANUP(struct interrupt *, interrupt_free);
#define cleanup_interrupt __attribute__((cleanup(interrupt_free_p_)))

/* Begin to ask for spot notices; nothing happens where there are none. To be called when a
 * build turns out to have work: a build that only looks things up never asks. */
void interrupt_watch(struct interrupt *i);

int interrupt_stop_fd(const struct interrupt *i);  /* end now; owned by i */
int interrupt_drain_fd(const struct interrupt *i); /* start nothing more; owned by i */

/* The first thing that happened. Main thread. */
enum interrupt_cause interrupt_cause(struct interrupt *i);

/* clock_monotonic() by which uploads must end; 0: no hurry. */
int64_t interrupt_deadline(struct interrupt *i);

/* "this machine will be stopped (spot interruption)"; "" for NONE. Static. */
const char *interrupt_text(enum interrupt_cause cause);

#endif

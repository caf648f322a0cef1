/* cli/transfer.h - what commands that move bytes share: signals, one line of progress, settings.
 *
 *	transfer_new(ctx, "pulling app:1", quiet, &t, err)   before any thread is started
 *	transfer_run(t, &work, err)                          the work, in a thread of its own
 *	transfer_free(t)
 *
 * On a terminal one line tells bytes and rate while the work runs; elsewhere a line comes every
 * few seconds. SIGINT and SIGTERM end the work soon with CAIRN_E_CANCELLED.
 */
#ifndef CAIRN_CLI_TRANSFER_H
#define CAIRN_CLI_TRANSFER_H

#include "cmd.h"
#include "registry/registry.h"

struct transfer;

/* what: "pulling app:1", copied. Reads cairn.yaml. Fails with CAIRN_E_SYSTEM, and as
 * settings_load(). */
int transfer_new(struct cairn_ctx *ctx, const char *what, bool quiet, struct transfer **ret,
                 struct cairn_err *err);
void transfer_free(struct transfer *t); /* NULL is fine */
DEFINE_CLEANUP(struct transfer *, transfer_free);
#define cleanup_transfer __attribute__((cleanup(transfer_free_p_)))

/* The registry client of this command, made at the first call; it notices signals. */
struct registry *transfer_registry(struct transfer *t);

int transfer_cancel_fd(const struct transfer *t);                      /* readable after a signal */
const atomic_bool *transfer_stop(const struct transfer *t);            /* true after a signal */
const struct registry_progress *transfer_progress(struct transfer *t); /* counts into the line */
uint64_t transfer_ns(const struct transfer *t);                        /* since transfer_new() */

struct transfer_work {
	int (*run)(void *ctx, struct cairn_err *err); /* in a thread of its own */
	/* Asked a few times a second, in the main thread; NULL: transfer_progress() counts. */
	void (*look)(void *ctx, uint64_t *ret_total, uint64_t *ret_done);
	void (*stop)(void *ctx); /* after a signal, in the main thread; may be NULL */
	void *ctx;
};
int transfer_run(struct transfer *t, const struct transfer_work *work, struct cairn_err *err);

/* The line for the user about what was moved: "123 MB in 1.2s", "0 B moved in 0.1s". */
const char *transfer_summary(const struct transfer *t, uint64_t moved, char buf[96]);

/* Parse words of a command: a reference, with CAIRN_E_USAGE when it is none. */
int transfer_reference(const char *word, struct reference *ret, struct cairn_err *err);

/* --platform values, each maybe a list with commas; allocated in a. CAIRN_E_USAGE. */
int transfer_platforms(const struct cli_list *words, struct arena *a, struct platform **ret,
                       size_t *ret_n, struct cairn_err *err);

#endif

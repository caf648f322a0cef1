/* util/pool.h - threads for hashing, compression and transfer.
 *
 * The pool runs tasks; it never forks.  Processes are started by the main
 * thread alone, with vfork semantics, so that pool threads and children do not
 * meet (DECISIONS.md 35).
 *
 * A finished task makes pool_fd() readable, so that the engine's poll loop
 * learns of it; pool_collect() then runs the task's `done` in the main thread.
 */
#ifndef CAIRN_UTIL_POOL_H
#define CAIRN_UTIL_POOL_H

#include "util/err.h"
#include "util/mem.h"

struct pool;

struct pool_task {
	/* In a pool thread. Touches only what ctx owns. Returns as any fallible function. */
	int (*run)(void *ctx, struct cairn_err *err);
	/* In the main thread, from pool_collect() or pool_wait(); result is run's; may be NULL. */
	void (*done)(void *ctx, int result, const struct cairn_err *err);
	void *ctx;
	/* Instead of run, when the pool is freed before it came to that; may be NULL. */
	void (*drop)(void *ctx);
};

/* n_threads >= 1; threads are started when the first task comes. */
struct pool *pool_new(unsigned n_threads);

/* The same for work that must not take processor time from others: nice is as in nice(2). */
struct pool *pool_new_nice(unsigned n_threads, int nice);

/* Waits for running tasks, drops waiting ones without calling done. NULL is fine. */
void pool_free(struct pool *p);

void pool_add(struct pool *p, struct pool_task task);
int pool_fd(const struct pool *p);     /* readable when something finished; owned by p */
void pool_collect(struct pool *p);     /* run `done` of all finished tasks; never blocks */
void pool_wait(struct pool *p);        /* until no task is waiting or running, collecting */
unsigned pool_pending(struct pool *p); /* tasks added whose done has not run */
unsigned pool_threads(const struct pool *p);

/* Run fn(ctx, 0 .. n-1), spread over the pool's threads and the calling one.
 * Returns when all have ended, with the first failure in index order.
 * May be called from inside a task: it then runs in the calling thread alone
 * when no other thread is free. */
int pool_map(struct pool *p, size_t n, int (*fn)(void *ctx, size_t i, struct cairn_err *err),
             void *ctx, struct cairn_err *err);

#endif

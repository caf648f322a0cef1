/* cache/health.h - does the other end of a remote answer? Private to cache/.
 *
 * A call that waits for a server that is down costs all tries of its requests, and a build makes
 * hundreds of calls.  So all calls on a server (remotes of one registry share a health) are made
 * between health_begin() and health_end(), which do three things:
 *
 * - Calls wait no longer than HEALTH_FIRST for the first sign of the server, and after one for as
 *   long as they say: what http.h would still try is cut off.
 * - When a call failed and there was no sign from the server to other calls either, it is down: all
 *   calls that wait end, and new ones fail at once, for HEALTH_PAUSE, the double after each time
 *   that it was asked in vain.
 * - After the pause one call asks, for HEALTH_PROBE; the others fail until it knows.
 *
 * The user is told once.  Any thread.
 */
#ifndef CAIRN_CACHE_HEALTH_H
#define CAIRN_CACHE_HEALTH_H

#include <stdatomic.h>

#include "net/net.h"
#include "util/clock.h"

/* Enough for a cold start behind a slow line, and below what a person minds once in a build. A
 * build that finds a server down at its first request and again at its last loses their sum, and
 * libcurl's second each. */
#define HEALTH_FIRST (5 * CLOCK_SEC)
#define HEALTH_PROBE (3 * CLOCK_SEC / 2)
/* A registry that restarts is back after it. */
#define HEALTH_PAUSE     (30 * CLOCK_SEC)
#define HEALTH_PAUSE_MAX (10 * HEALTH_PAUSE)
/* A server that has answered somebody so recently is up. */
#define HEALTH_RECENT CLOCK_SEC
/* Unless so many calls have failed since one went well. */
#define HEALTH_STRIKES 3

struct health_opts {
	int64_t first, probe, pause; /* ns; 0: the values above */
};

struct health;

struct health *health_new(const struct health_opts *opts);
struct health *health_ref(struct health *h); /* returns h; NULL is fine */
void health_unref(struct health *h);         /* NULL is fine; no call may be running */

/* Who is told, from now on: one line for the user, once; from any thread. NULL: nobody. */
void health_listen(struct health *h, void (*warn)(void *ctx, str text), void *ctx);

/* A call that runs. Lives where the caller wants it, at one place. */
struct health_call {
	struct health *h;
	struct http_client *http;
	struct http_guard guard;
	const char *name;
	int64_t started, patience;
	_Atomic(int64_t) moved; /* when bytes last moved */
	bool probe;
};

/* h         NULL: nothing is watched, the call always begins
 * http      what the call uses; NULL: no network
 * name      of the remote, for people; borrowed until the end
 * patience  ns without a sign after the first one; less than HEALTH_FIRST is that
 *
 * Fails with CAIRN_E_TRANSIENT when the server is down; the call is then not to be made and there
 * is nothing to end. */
int health_begin(struct health *h, struct http_client *http, const char *name, int64_t patience,
                 struct health_call *ret, struct cairn_err *err);

/* The call made in between has returned rc, with *err when it is a failure. Returns rc. */
int health_end(struct health_call *c, int rc, const struct cairn_err *err);

/* Would a call begin now? */
bool health_ready(struct health *h);

/* The pause, if there is one, is over. */
void health_retry(struct health *h);

/* Has the user been told that it does not answer? */
bool health_told(struct health *h);

#endif

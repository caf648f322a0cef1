#include "health.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/mem.h"

#define WHY_MAX 240

struct health {
	struct health_opts opts;
	pthread_mutex_t lock; /* of what is not atomic */
	void (*warn)(void *ctx, str text);
	void *warn_ctx;
	unsigned refs;
	_Atomic(int64_t) heard; /* when the server last answered somebody; 0: never */
	_Atomic(int64_t) until; /* it is down, and not asked before; 0: it is up */
	int64_t pause;          /* the last one; 0: none yet */
	bool probing;           /* a call asks whether it is up again */
	bool told;
	unsigned strikes;
	char why[WHY_MAX];
};

struct health *health_new(const struct health_opts *opts)
{
	struct health *h = xcalloc(1, sizeof(*h));

	h->opts = *opts;
	if (!h->opts.first)
		h->opts.first = HEALTH_FIRST;
	if (!h->opts.probe)
		h->opts.probe = HEALTH_PROBE;
	if (!h->opts.pause)
		h->opts.pause = HEALTH_PAUSE;
	h->refs = 1;
	if (pthread_mutex_init(&h->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	return h;
}

struct health *health_ref(struct health *h)
{
	if (!h)
		return NULL;
	(void)pthread_mutex_lock(&h->lock);
	h->refs++;
	(void)pthread_mutex_unlock(&h->lock);
	return h;
}

void health_unref(struct health *h)
{
	bool last;

	if (!h)
		return;
	(void)pthread_mutex_lock(&h->lock);
	last = --h->refs == 0;
	(void)pthread_mutex_unlock(&h->lock);
	if (!last)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

void health_listen(struct health *h, void (*warn)(void *ctx, str text), void *ctx)
{
	(void)pthread_mutex_lock(&h->lock);
	h->warn = warn;
	h->warn_ctx = ctx;
	(void)pthread_mutex_unlock(&h->lock);
}

/* --- up and down; with the lock ------------------------------------------------- */

static void go_up(struct health *h)
{
	atomic_store(&h->until, 0);
	h->pause = 0;
	h->probing = false;
	h->strikes = 0;
}

static void go_down(struct health *h, const char *why)
{
	h->pause = h->pause ? 2 * h->pause : h->opts.pause;
	if (h->pause > HEALTH_PAUSE_MAX)
		h->pause = HEALTH_PAUSE_MAX;
	atomic_store(&h->until, clock_monotonic() + h->pause);
	h->strikes = 0;
	(void)snprintf(h->why, sizeof(h->why), "%s", why);
}

/* --- what a call waits for -------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t left(void *ctx)
{
	struct health_call *c = ctx;
	struct health *h = c->h;
	int64_t now = clock_monotonic(), answered = atomic_load(&h->heard);
	int64_t base = c->probe ? h->opts.probe : h->opts.first;
	int64_t end = later(c->started, atomic_load(&c->moved)) + base;

	if (!c->probe && atomic_load(&h->until) && now - answered > HEALTH_RECENT)
		return 0;
	if (answered > c->started)
		end = later(end, answered + later(c->patience, h->opts.first));
	return end - now;
}

static void heard(void *ctx, bool answered)
{
	struct health_call *c = ctx;
	struct health *h = c->h;

	if (!answered) {
		atomic_store(&c->moved, clock_monotonic());
		return;
	}
	atomic_store(&h->heard, clock_monotonic());
	if (!c->probe || !atomic_load(&h->until))
		return;
	(void)pthread_mutex_lock(&h->lock);
	go_up(h);
	(void)pthread_mutex_unlock(&h->lock);
}

/* --- calls ---------------------------------------------------------------------------- */

int health_begin(struct health *h, struct http_client *http, const char *name, int64_t patience,
                 struct health_call *ret, struct cairn_err *err)
{
	int64_t now = clock_monotonic(), until;
	int rc = 0;

	*ret = (struct health_call){
		.h = h, .http = http, .name = name, .started = now, .patience = patience
	};
	if (!h)
		return 0;
	(void)pthread_mutex_lock(&h->lock);
	until = atomic_load(&h->until);
	if (until && (now < until || h->probing))
		rc = cairn_fail(err, CAIRN_E_TRANSIENT, "it does not answer (%s)", h->why);
	else
		h->probing = ret->probe = until != 0;
	(void)pthread_mutex_unlock(&h->lock);
	ret->guard = (struct http_guard){ .left = left, .heard = heard, .ctx = ret };
	if (rc == 0 && http)
		http_guard_begin(http, &ret->guard);
	return rc;
}

/* What a call's end says about the server. Is the user to be told? With the lock. */
static bool judge(struct health *h, const struct health_call *c, int rc,
                  const struct cairn_err *err)
{
	int64_t now = clock_monotonic();
	bool down = atomic_load(&h->until) != 0, tell;

	if (c->probe && down)
		h->probing = false;
	if (rc == 0) {
		atomic_store(&h->heard, now);
		h->strikes = 0;
		if (c->probe && down)
			go_up(h);
	}
	if (rc != CAIRN_E_TRANSIENT || (down && !c->probe))
		return false;
	if (now - atomic_load(&h->heard) < HEALTH_RECENT && ++h->strikes < HEALTH_STRIKES)
		return false;
	go_down(h, err->msg);
	tell = !h->told;
	h->told = true;
	return tell;
}

int health_end(struct health_call *c, int rc, const struct cairn_err *err)
{
	struct health *h = c->h;
	char text[WHY_MAX + 512];
	void (*warn)(void *ctx, str text);
	void *ctx;
	bool tell;

	if (!h)
		return rc;
	if (c->http)
		http_guard_end(c->http, &c->guard);
	(void)pthread_mutex_lock(&h->lock);
	tell = judge(h, c, rc, err);
	if (tell)
		(void)snprintf(text, sizeof(text),
		               "the cache %.300s does not answer (%s); going on without it, it is "
		               "asked again after %lld s",
		               c->name, h->why, (long long)(h->pause / CLOCK_SEC));
	warn = h->warn;
	ctx = h->warn_ctx;
	(void)pthread_mutex_unlock(&h->lock);
	if (tell && warn)
		warn(ctx, str_of(text));
	return rc;
}

bool health_ready(struct health *h)
{
	bool ready;

	if (!h)
		return true;
	(void)pthread_mutex_lock(&h->lock);
	ready = !atomic_load(&h->until) ||
	        (!h->probing && clock_monotonic() >= atomic_load(&h->until));
	(void)pthread_mutex_unlock(&h->lock);
	return ready;
}

void health_retry(struct health *h)
{
	if (!h)
		return;
	(void)pthread_mutex_lock(&h->lock);
	if (atomic_load(&h->until))
		atomic_store(&h->until, clock_monotonic());
	(void)pthread_mutex_unlock(&h->lock);
}

bool health_told(struct health *h)
{
	bool told;

	if (!h)
		return false;
	(void)pthread_mutex_lock(&h->lock);
	told = h->told;
	(void)pthread_mutex_unlock(&h->lock);
	return told;
}

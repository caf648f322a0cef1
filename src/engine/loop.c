/* The poll loop: output and ends of commands, finished work of the pool, the user's interrupt. */
#include "step.h"

#include <poll.h>

#include "base.h"
#include "mount_cache.h"
#include "util/clock.h"

#define TICK_MS 80 /* between two calls of opts->tick */

enum polled_kind {
	POLLED_POOL, /* one of the two */
	POLLED_CANCEL,
	POLLED_DRAIN,
	POLLED_STDOUT,
	POLLED_STDERR,
	POLLED_END, /* the command has ended */
};

struct polled {
	enum polled_kind kind;
	struct step *step; /* of the last three */
};

struct watch {
	struct pollfd *fds;
	struct polled *who;
	nfds_t n;
};

static void add(struct watch *w, int fd, enum polled_kind kind, struct step *s)
{
	if (fd < 0)
		return;
	w->fds[w->n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	w->who[w->n++] = (struct polled){ kind, s };
}

static void watch_all(struct engine_build *b, struct watch *w)
{
	w->n = 0;
	add(w, pool_fd(b->opts->pool), POLLED_POOL, NULL);
	if (b->opts->net)
		add(w, pool_fd(b->opts->net), POLLED_POOL, NULL);
	if (b->opts->mounts)
		add(w, mount_cache_fd(b->opts->mounts), POLLED_POOL, NULL);
	if (!b->cancelled)
		add(w, b->opts->cancel_fd, POLLED_CANCEL, NULL);
	if (!b->draining)
		add(w, b->opts->drain_fd, POLLED_DRAIN, NULL);
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		const struct step_run *r = s->run;

		if (!r || !r->proc)
			continue;
		if (!r->closed[RUN_STDOUT]) /* a closed one would wake the loop all the time */
			add(w, r->proc->out_fd, POLLED_STDOUT, s);
		if (!r->closed[RUN_STDERR])
			add(w, r->proc->err_fd, POLLED_STDERR, s);
		add(w, r->proc->done_fd, POLLED_END, s);
	}
}

static void cancel(struct engine_build *b)
{
	struct cairn_err err;

	b->cancelled = true;
	(void)cairn_fail(&err, CAIRN_E_CANCELLED, "stopped; finished steps are kept");
	steps_stop(b, &err);
}

static void handle(struct engine_build *b, const struct polled *p)
{
	struct step *s = p->step;

	if (s && (!s->run || !s->run->proc))
		return; /* it ended while this round was handled */
	switch (p->kind) {
	case POLLED_POOL:
		break; /* collected once a round */
	case POLLED_CANCEL:
		cancel(b);
		break;
	case POLLED_DRAIN:
		b->draining = true;
		build_warn(b, 0,
		           "this machine is about to be taken away: steps that run may end, "
		           "no further one is started");
		break;
	case POLLED_STDOUT:
		step_output(s, RUN_STDOUT);
		break;
	case POLLED_STDERR:
		step_output(s, RUN_STDERR);
		break;
	case POLLED_END:
		step_ended(s);
		break;
	}
}

static bool any_waiting(const struct engine_build *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->steps[i].state == STEP_WAITING)
			return true;
	return false;
}

/* How far the downloads of base images are. */
static void tell_progress(struct engine_build *b)
{
	struct base_progress p;

	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];

		if (s->node->kind != GRAPH_BASE || s->state != STEP_RUNNING ||
		    !b->opts->fetch_progress(b->opts->fetch_ctx, s->node, &p) ||
		    p.current == s->fetched)
			continue;
		s->fetched = p.current;
		build_emit(b, &(struct build_event){ .kind = EVENT_PROGRESS,
		                                     .step = s->number,
		                                     .text = str_of(p.text),
		                                     .current = p.current,
		                                     .total = p.total });
	}
}

/* All steps are done, and what outputs will read is there. */
static bool all_there(struct engine_build *b)
{
	struct cairn_err err;
	bool there = false;

	if (any_waiting(b))
		return false;
	if (need_image(b, &there, &err) == 0)
		return there;
	steps_stop(b, &err);
	return true;
}

void loop_run(struct engine_build *b)
{
	size_t max = 5 + 3 * b->n;
	struct watch w = { arena_array(b->arena, struct pollfd, max),
		           arena_array(b->arena, struct polled, max), 0 };

	for (;;) {
		int timeout;

		steps_advance(b);
		if (b->draining && !b->running && any_waiting(b))
			cancel(b);
		if (!b->running && !b->fetching && (b->stopping || all_there(b)))
			return;
		timeout = b->running < b->jobs && any_waiting(b) ? STORE_LOCK_RETRY_MS : TICK_MS;
		watch_all(b, &w);
		if (poll(w.fds, w.n, timeout) > 0) /* EINTR: the loop looks again */
			for (nfds_t i = 0; i < w.n; i++)
				if (w.fds[i].revents)
					handle(b, &w.who[i]);
		if (b->running && b->opts->fetch_base)
			tell_progress(b);
		need_progress(b);
		pool_collect(b->opts->pool);
		if (b->opts->net)
			pool_collect(b->opts->net);
		if (b->opts->mounts)
			mount_cache_collect(b->opts->mounts);
		if (b->opts->tick)
			b->opts->tick(b->opts->tick_ctx, clock_monotonic());
	}
}

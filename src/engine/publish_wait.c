/* Publishing: who waits for it, others for a layer and the build for the rest. */
#include <poll.h>
#include <stdio.h>

#include "publish_priv.h"
#include "util/clock.h"

#define TICK_MS 80
#define SLOW_NS (CLOCK_SEC / 4) /* a wait that is worth telling */

/* --- what others ask ------------------------------------------------------------------ */

static bool at_domain(const char *repository, const char *domain)
{
	size_t n = strlen(domain);

	return repository && strncmp(repository, domain, n) == 0 && repository[n] == '/';
}

static const struct pub_layer *find_layer(const struct publisher *p, size_t form,
                                          const struct digest *diff_id)
{
	char key[sizeof(size_t) + DIGEST_LEN];

	memcpy(key, &form, sizeof(form));
	memcpy(key + sizeof(form), diff_id->b, DIGEST_LEN);
	return map_get(&p->layers, str_n(key, sizeof(key)));
}

/* Is it on its way? With the lock. */
static bool is_moving(const struct publisher *p, const struct pub_layer *l, size_t target)
{
	if (p->targets[target].failed || atomic_load(&p->stop) || l->state == PUB_FAILED)
		return false;
	return l->state == PUB_RUNNING || l->parts[target].state == PUB_RUNNING;
}

const char *publisher_has(struct publisher *p, const struct digest *diff_id,
                          const struct digest *blob, const char *domain, bool wait)
{
	const char *found = NULL;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->opts.n && !found; i++) {
		const char *repository = remote_repository(p->targets[i].opts->remote);
		const struct pub_layer *l = find_layer(p, p->targets[i].form, diff_id);

		if (!l || !at_domain(repository, domain))
			continue;
		while (wait && is_moving(p, l, i))
			pthread_cond_wait(&p->changed, &p->lock);
		if (l->parts[i].state == PUB_DONE && !l->parts[i].from.len &&
		    digest_eq(&l->parts[i].blob.digest, blob))
			found = repository;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* --- the end ------------------------------------------------------------------------------ */

struct waiting {
	struct publisher *p;
	const struct publish_wait *opts;
	int64_t started;
	bool shown; /* the step was announced */
	str name;
};

static void emit(const struct waiting *w, enum event_kind kind)
{
	/* The reason is in what publisher_finish() returns, and is said once. */
	const struct cairn_err brief = { .code = CAIRN_E_SYSTEM,
		                         .msg = "some steps did not get there" };
	struct build_event ev = { .kind = kind,
		                  .time_ns = clock_monotonic(),
		                  .step = w->opts->step,
		                  .extra = true,
		                  .name = w->name,
		                  .exit_code = -1,
		                  .err = kind == EVENT_FAILED ? &brief : NULL };

	if (kind == EVENT_DONE || kind == EVENT_FAILED)
		ev.cost.wall_ns = (uint64_t)(ev.time_ns - w->started);
	w->p->opts.observer->event(w->p->opts.observer->ctx, &ev);
}

static void emit_progress(struct waiting *w)
{
	struct publisher *p = w->p;
	struct build_event ev = { .kind = EVENT_PROGRESS, .step = w->opts->step };
	char text[64];
	size_t open;

	if (!w->shown) {
		emit(w, EVENT_PLAN);
		emit(w, EVENT_START);
		w->shown = true;
	}
	pthread_mutex_lock(&p->lock);
	open = p->open;
	ev.current = p->done;
	ev.total = p->total;
	if (p->parts)
		(void)snprintf(text, sizeof(text), "publishing %u layer%s", p->parts,
		               p->parts == 1 ? "" : "s");
	else
		(void)snprintf(text, sizeof(text), "publishing %zu step%s", open,
		               open == 1 ? "" : "s");
	pthread_mutex_unlock(&p->lock);
	ev.text = str_of(text);
	ev.time_ns = clock_monotonic();
	p->opts.observer->event(p->opts.observer->ctx, &ev);
}

/* What waits for the end is not waited for. With the lock. */
static bool settled(const struct publisher *p)
{
	return p->open == p->waiting && !p->asking && (!p->waiting || !p->parts);
}

/* Sleep until something changed, for a moment at most. */
static bool all_done(struct publisher *p)
{
	struct timespec until;
	int64_t at = clock_now() + TICK_MS * (CLOCK_SEC / 1000);
	bool done;

	until.tv_sec = (time_t)(at / CLOCK_SEC);
	until.tv_nsec = (long)(at % CLOCK_SEC);
	pthread_mutex_lock(&p->lock);
	if (!settled(p))
		(void)pthread_cond_timedwait(&p->changed, &p->lock, &until);
	done = settled(p);
	pthread_mutex_unlock(&p->lock);
	return done;
}

static int wait_all(struct waiting *w, struct cairn_err *err)
{
	struct pollfd fd = { .fd = w->opts->cancel_fd, .events = POLLIN };

	while (!all_done(w->p)) {
		int64_t now = clock_monotonic();

		publisher_collect(w->p);
		if (now - w->started > SLOW_NS)
			emit_progress(w);
		if (w->opts->tick)
			w->opts->tick(w->opts->tick_ctx, now);
		if (fd.fd >= 0 && poll(&fd, 1, 0) > 0)
			return cairn_fail(err, CAIRN_E_CANCELLED,
			                  "stopped while finished steps were published");
		if (w->opts->deadline && now > w->opts->deadline)
			return cairn_fail(err, CAIRN_E_TIMEOUT,
			                  "not all finished steps could be published in time");
	}
	return 0;
}

/* What did not get into a target, and why. */
static void explain(const struct pub_target *t, struct strbuf *out)
{
	strbuf_printf(out, "%zu finished step%s not published: ", t->missing,
	              t->missing == 1 ? " is" : "s are");
	if (remote_told(t->opts->remote, &t->err))
		strbuf_printf(out, "the cache %s does not answer", remote_name(t->opts->remote));
	else
		strbuf_cstr(out, t->err.msg);
}

/* A target that may fail is a warning, the first of the others the failure. */
static int tell_failures(struct publisher *p, struct cairn_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->opts.n; i++) {
		struct pub_target *t = &p->targets[i];
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, 4096);
		if (!t->failed)
			continue;
		explain(t, &text);
		if (t->opts->ignore_error && !t->told)
			pub_warn(p, strbuf_view(&text));
		else if (!t->opts->ignore_error && rc == 0)
			rc = cairn_fail(
				err, t->err.code,
				"%.400s; ignore-error=true in --cache-to makes this a warning",
				text.ptr);
	}
	return rc;
}

int publisher_finish(struct publisher *p, const struct publish_wait *wait, struct cairn_err *err)
{
	struct waiting w = { .p = p, .opts = wait, .started = clock_monotonic() };
	struct strbuf name;
	int r;

	strbuf_init(&name, 4096);
	strbuf_cstr(&name, "publishing to ");
	for (size_t i = 0; i < p->opts.n; i++)
		strbuf_printf(&name, "%s%s", i ? ", " : "", remote_name(p->opts.targets[i].remote));
	w.name = strbuf_view(&name);
	r = wait_all(&w, err);
	if (r == 0) {
		pub_come_back(p, true);
		r = wait_all(&w, err);
	}
	publisher_collect(p);
	if (r == 0)
		r = tell_failures(p, err);
	if (w.shown || r < 0) {
		if (!w.shown)
			emit(&w, EVENT_PLAN);
		emit(&w, r == 0                   ? EVENT_DONE
		         : r == CAIRN_E_CANCELLED ? EVENT_CANCELED
		                                  : EVENT_FAILED);
	}
	strbuf_done(&name);
	return r;
}

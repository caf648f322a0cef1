#include "ci_run.h"

#include <poll.h>

#include "ci_view.h"
#include "util/clock.h"
#include "util/num.h"

#define CALL_THREADS  16               /* most of them wait */
#define CALL_TIMEOUT  (15 * CLOCK_SEC) /* of one that gets no answer */
#define CALL_ATTEMPTS 3                /* of one request */
#define LOOK_GROWTH   5                /* each look waits a fifth longer than the last, */
#define LOOK_MAX      (15 * CLOCK_SEC) /* so long at most */
#define LOOK_LOCAL    (CLOCK_SEC / 10) /* a process of this machine costs nothing to look at */
#define LOOKS_LOST    5                /* that fail one after the other: the runner is down */
#define STOP_WITHIN   (15 * CLOCK_SEC) /* what does not stop in that time is left alone */
#define TICK          (CLOCK_SEC / 4)  /* of the table */

/* What a state means for the loop; transitions are functions below. */
static const struct {
	const char *name;
	bool live;    /* it has a place on its runner */
	bool settled; /* nothing more will happen */
	bool good;    /* images that stand on it can be built */
} states[CI_STATES_] = {
	[CI_UNCHANGED] = { "unchanged", false, true, true },
	[CI_WAITING] = { "waiting", false, false, false },
	[CI_STARTING] = { "starting", true, false, false },
	[CI_QUEUED] = { "queued", true, false, false },
	[CI_RUNNING] = { "running", true, false, false },
	[CI_STOPPING] = { "stopping", true, false, false },
	[CI_BUILT] = { "built", false, true, true },
	[CI_RETAGGED] = { "retagged", false, true, true },
	[CI_FAILED] = { "failed", false, true, false },
	[CI_BLOCKED] = { "not built", false, true, false },
	[CI_STOPPED] = { "stopped", false, true, false },
};

const char *ci_state_name(enum ci_state s)
{
	return states[s].name;
}

bool ci_state_live(enum ci_state s)
{
	return states[s].live;
}

static void set_state(struct ci *c, struct ci_image *i, enum ci_state s)
{
	c->n[i->state]--;
	c->n[s]++;
	i->state = s;
}

static struct ci_attempt *attempt(struct ci_image *i)
{
	return *vec_last(&i->attempts);
}

static bool is_local(const struct ci_image *i)
{
	return i->runner && i->runner->c.driver == RUNNER_LOCAL;
}

static void settle(struct ci *c, struct ci_image *i, enum ci_state s, str why)
{
	char more[600] = "", time[32];

	i->why = arena_str(c->plan->a, why);
	set_state(c, i, s);
	if ((s == CI_BUILT || s == CI_RETAGGED) && i->attempts.len)
		(void)snprintf(more, sizeof(more), "on %.*s in %s",
		               STR(attempt(i)->task.runner->c.name),
		               num_human_ns((uint64_t)(clock_monotonic() - attempt(i)->asked), time,
		                            sizeof(time)));
	else if (why.len)
		(void)snprintf(more, sizeof(more), "- %.*s", STR(why));
	ci_view_tell(c->view, i, !states[s].good, states[s].name, more);
}

/* --- after an attempt ------------------------------------------------------------------- */

static void free_run(struct ci_image *i)
{
	if (i->run)
		i->run->ops->free(i->run);
	i->run = NULL;
	i->detail[0] = '\0';
}

static void move_on(struct ci *c, struct ci_image *i, const struct fallback_next *next, str why)
{
	const struct runner *from = i->runner;
	char more[600], wait[48] = "", time[32];

	i->moved = str_of(arena_printf(c->plan->a, "%.*s: %s", STR(from->c.name), next->why));
	if (next->action == FALLBACK_OTHER)
		vec_push(&i->avoid, from);
	if (next->action != FALLBACK_WAIT && next->action != FALLBACK_AGAIN)
		i->runner = NULL;
	if (next->wait_ns) {
		i->not_before = clock_monotonic() + (int64_t)next->wait_ns;
		(void)snprintf(wait, sizeof(wait), ", in %s",
		               num_human_ns(next->wait_ns, time, sizeof(time)));
	}
	(void)snprintf(more, sizeof(more), "on %.*s: %s%s (%.*s)", STR(from->c.name), next->why,
	               wait, STR(why));
	i->why = i->moved;
	set_state(c, i, CI_WAITING);
	ci_view_tell(c->view, i, true, "again", more);
}

/* An attempt has ended: what comes next is the table's of route/fallback.h. */
static void ended(struct ci *c, struct ci_image *i, enum history_outcome outcome, str why)
{
	struct fallback_limits limits = FALLBACK_LIMITS_INIT;
	struct fallback_next next;

	why = arena_str(c->plan->a, why);
	ci_attempt_end(c, i, outcome, why);
	free_run(i);
	if (outcome == HISTORY_OK) {
		settle(c, i, i->plan->verdict == PLAN_RETAG ? CI_RETAGGED : CI_BUILT, (str){ 0 });
		return;
	}
	if (c->stopping) {
		settle(c, i, CI_STOPPED, (str){ 0 });
		return;
	}
	limits.back_off = c->opts->back_off;
	fallback_next(&limits, i->runner, outcome, &i->fallback, &next);
	if (next.action != FALLBACK_STOP) {
		move_on(c, i, &next, why);
		return;
	}
	settle(c, i, CI_FAILED,
	       str_of(arena_printf(c->plan->a, "on %.*s: %s%s%.*s", STR(i->runner->c.name),
	                           next.why, why.len ? ": " : "", STR(why))));
}

/* What no other attempt would mend: credentials, a project that is not there. */
static void give_up(struct ci *c, struct ci_image *i, const struct cairn_err *err)
{
	str url = i->run ? attempt(i)->url : (str){ 0 };
	str why = str_of(err->msg);

	if (err->code == CAIRN_E_AUTH)
		c->denied = true;
	if (i->run && i->runner->c.driver != RUNNER_LOCAL)
		why = str_of(arena_printf(c->plan->a, "%s; the build goes on: %.*s", err->msg,
		                          STR(url.len ? url : attempt(i)->id)));
	ci_attempt_end(c, i, HISTORY_UNAVAILABLE, why);
	free_run(i);
	settle(c, i, CI_FAILED, why);
}

/* --- calls: in threads ------------------------------------------------------------------ */

static int call_start(void *ctx, struct cairn_err *err)
{
	struct ci_image *i = ctx;

	return driver_of(i->runner->c.driver)->start(&i->c->env, &attempt(i)->task, &i->run, err);
}

static int call_look(void *ctx, struct cairn_err *err)
{
	struct ci_image *i = ctx;

	return i->run->ops->poll(i->run, &i->found, &i->log, err);
}

static int call_stop(void *ctx, struct cairn_err *err)
{
	struct ci_image *i = ctx;

	return i->run->ops->stop(i->run, err);
}

static int64_t next_look(const struct ci *c, const struct ci_image *i)
{
	int64_t wait = (int64_t)c->opts->poll_ns;

	if (is_local(i) || c->stopping)
		return clock_monotonic() + LOOK_LOCAL;
	for (unsigned k = 0; k < i->looks && wait < LOOK_MAX; k++)
		wait += wait / LOOK_GROWTH;
	return clock_monotonic() + (wait < LOOK_MAX ? wait : LOOK_MAX);
}

/* --- calls: what they said, in the main thread ------------------------------------------- */

static void started(struct ci *c, struct ci_image *i, int result, const struct cairn_err *err)
{
	struct ci_attempt *a = attempt(i);
	char more[400];

	if (result == CAIRN_E_TRANSIENT || result == CAIRN_E_TIMEOUT) {
		ended(c, i, HISTORY_UNAVAILABLE, str_of(err->msg));
		return;
	}
	if (result < 0) {
		give_up(c, i, err);
		return;
	}
	a->id = arena_str(c->plan->a, i->run->id);
	a->url = arena_str(c->plan->a, i->run->url);
	set_state(c, i, c->stopping ? CI_STOPPING : CI_QUEUED);
	i->next_look = next_look(c, i);
	(void)snprintf(more, sizeof(more), "on %.*s (%.*s)", STR(i->runner->c.name), STR(a->id));
	ci_view_tell(c->view, i, false, "started", more);
}

static void make_call(struct ci *c, struct ci_image *i, enum ci_call call);

/* A look that went wrong: the build goes on, so a few of them do no harm. */
static void look_failed(struct ci *c, struct ci_image *i, int result, const struct cairn_err *err)
{
	bool transient = result == CAIRN_E_TRANSIENT || result == CAIRN_E_TIMEOUT;

	i->next_look = next_look(c, i);
	if (result == CAIRN_E_CANCELLED || (transient && ++i->lost < LOOKS_LOST))
		return;
	if (!transient) {
		give_up(c, i, err);
		return;
	}
	/* It may be running still: whoever builds it again elsewhere pays for both. */
	i->given_up = true;
	i->why = arena_str(c->plan->a, str_of(err->msg));
	make_call(c, i, CI_CALL_STOP);
}

static void looked(struct ci *c, struct ci_image *i, int result, const struct cairn_err *err)
{
	struct ci_attempt *a = attempt(i);

	ci_view_log(c->view, i, strbuf_view(&i->log));
	strbuf_clear(&i->log);
	if (result < 0) {
		look_failed(c, i, result, err);
		return;
	}
	i->looks++;
	i->lost = 0;
	if (!a->url.len)
		a->url = arena_str(c->plan->a, i->run->url);
	(void)snprintf(i->detail, sizeof(i->detail), "%.*s", STR(i->found.detail));
	if (i->found.phase != DRIVER_QUEUED && !a->ran)
		a->ran = clock_monotonic();
	if (i->found.phase == DRIVER_ENDED) {
		ended(c, i, i->found.outcome, i->found.why);
		return;
	}
	if (i->state == CI_QUEUED && i->found.phase == DRIVER_RUNNING)
		set_state(c, i, CI_RUNNING);
	i->next_look = next_look(c, i);
}

static void gone(struct ci *c, struct ci_image *i, int stopped)
{
	const struct ci_attempt *a = attempt(i);
	str where = a->url.len ? a->url : a->id;

	ended(c, i, HISTORY_UNAVAILABLE,
	      str_of(arena_printf(c->plan->a, "%.*s; %s: %.*s", STR(i->why),
	                          stopped == 0 ? "it was asked to stop" : "it may go on",
	                          STR(where))));
}

static void stopped(struct ci *c, struct ci_image *i, int result, const struct cairn_err *err)
{
	struct cairn_err left;

	if (i->given_up) {
		gone(c, i, result);
		return;
	}
	if (result == 0 && !i->run->stopped) {
		i->next_look = next_look(c, i);
		return;
	}
	if (result < 0) {
		(void)cairn_fail(&left, err->code, "could not be stopped: %s", err->msg);
		give_up(c, i, &left);
		return;
	}
	ended(c, i, HISTORY_INTERRUPTED, S("stopped"));
}

static void answered(void *ctx, int result, const struct cairn_err *err)
{
	static void (*const table[])(struct ci * c, struct ci_image * i, int result,
	                             const struct cairn_err *err) = {
		[CI_CALL_START] = started,
		[CI_CALL_LOOK] = looked,
		[CI_CALL_STOP] = stopped,
	};
	struct ci_image *i = ctx;
	enum ci_call call = i->call;

	i->call = CI_CALL_NONE;
	table[call](i->c, i, result, err);
}

static void make_call(struct ci *c, struct ci_image *i, enum ci_call call)
{
	static int (*const table[])(void *ctx, struct cairn_err *err) = {
		[CI_CALL_START] = call_start,
		[CI_CALL_LOOK] = call_look,
		[CI_CALL_STOP] = call_stop,
	};

	i->call = call;
	pool_add(c->pool, (struct pool_task){ .run = table[call], .done = answered, .ctx = i });
}

/* --- what can begin --------------------------------------------------------------------- */

static struct ci_image *of(struct ci *c, const struct ws_image *w)
{
	for (size_t k = 0; k < c->len; k++)
		if (c->ptr[k].plan->image == w)
			return &c->ptr[k];
	return NULL;
}

/* Are all it stands on there? One that never will be makes it BLOCKED. */
static bool parents_are_there(struct ci *c, struct ci_image *i)
{
	const struct ws_image *w = i->plan->image;

	for (size_t k = 0; k < w->n_parents; k++) {
		const struct ci_image *p = of(c, w->parents[k]);

		if (!p || states[p->state].good)
			continue;
		if (states[p->state].settled)
			settle(c, i, CI_BLOCKED,
			       str_of(arena_printf(c->plan->a, "image '%.*s' %s",
			                           STR(w->parents[k]->name),
			                           states[p->state].name)));
		return false;
	}
	return true;
}

static bool has_place(const struct ci *c, const struct runner *r)
{
	uint64_t n = 0;

	for (size_t k = 0; k < c->len; k++)
		n += states[c->ptr[k].state].live && c->ptr[k].runner == r;
	return n < r->c.concurrency;
}

static void begin(struct ci *c, struct ci_image *i)
{
	if (!is_local(i) && !i->attempts.len)
		ci_source_warn(c, i);
	(void)ci_attempt_new(c, i);
	i->found = (struct driver_state){ 0 };
	i->looks = i->lost = 0;
	i->given_up = false;
	i->why = (str){ 0 };
	set_state(c, i, CI_STARTING);
	make_call(c, i, CI_CALL_START);
}

static void begin_ready(struct ci *c)
{
	for (size_t k = 0; k < c->len; k++) {
		struct ci_image *i = &c->ptr[k];

		if (i->state != CI_WAITING || !parents_are_there(c, i) ||
		    i->not_before > clock_monotonic())
			continue;
		if (!i->runner && !ci_choose(c, i))
			settle(c, i, CI_FAILED, i->why);
		else if (has_place(c, i->runner))
			begin(c, i);
	}
}

static void stop_all(struct ci *c)
{
	c->stopping = true;
	atomic_store(&c->cancel, true);
	for (size_t k = 0; k < c->len; k++) {
		struct ci_image *i = &c->ptr[k];

		if (i->state == CI_WAITING)
			settle(c, i, CI_STOPPED, (str){ 0 });
		else if (states[i->state].live && i->state != CI_STARTING)
			set_state(c, i, CI_STOPPING);
	}
}

/* The calls that are due for an image that has none under way. */
static void call_due(struct ci *c, struct ci_image *i, int64_t now)
{
	if (i->state == CI_STOPPING && !i->stop_sent) {
		i->stop_sent = true;
		i->stop_by = now + STOP_WITHIN;
		make_call(c, i, CI_CALL_STOP);
	} else if (i->state == CI_STOPPING && now > i->stop_by) {
		ended(c, i, HISTORY_INTERRUPTED, S("it was asked to stop and did not yet"));
	} else if (i->next_look <= now) {
		make_call(c, i, CI_CALL_LOOK);
	}
}

/* --- the loop --------------------------------------------------------------------------- */

static void make_calls(struct ci *c)
{
	int64_t now = clock_monotonic();

	for (size_t k = 0; k < c->len; k++)
		if (states[c->ptr[k].state].live && c->ptr[k].call == CI_CALL_NONE)
			call_due(c, &c->ptr[k], now);
}

static bool goes_on(const struct ci *c)
{
	for (size_t k = 0; k < c->len; k++)
		if (!states[c->ptr[k].state].settled)
			return true;
	return false;
}

/* ms until something is due. */
static int time_left(const struct ci *c)
{
	int64_t now = clock_monotonic(), until = now + TICK;

	for (size_t k = 0; k < c->len; k++) {
		const struct ci_image *i = &c->ptr[k];
		int64_t due = i->state == CI_WAITING ? i->not_before : i->next_look;

		if (!states[i->state].settled && i->call == CI_CALL_NONE && due > now &&
		    due < until)
			until = due;
	}
	return (int)((until - now) / 1000000) + 1;
}

int ci_run(struct ci *c, struct interrupt *in, struct cairn_err *err)
{
	if (interrupt_cause(in) != INTERRUPT_NONE) /* while it was planned */
		return cairn_fail(err, CAIRN_E_CANCELLED, "%s",
		                  interrupt_text(interrupt_cause(in)));
	while (begin_ready(c), make_calls(c), goes_on(c)) {
		struct pollfd fds[] = {
			{ .fd = pool_fd(c->pool), .events = POLLIN },
			{ .fd = interrupt_stop_fd(in), .events = POLLIN },
		};

		ci_view_draw(c->view);
		(void)poll(fds, c->stopping ? 1 : 2, time_left(c)); /* the second stays readable */
		pool_collect(c->pool);
		if (!c->stopping && interrupt_cause(in) != INTERRUPT_NONE) {
			ci_view_end(c->view);
			(void)fprintf(c->plan->ctx->err, "%s: stopping what was started\n",
			              interrupt_text(interrupt_cause(in)));
			stop_all(c);
		}
	}
	ci_view_end(c->view);
	if (c->stopping)
		return cairn_fail(err, CAIRN_E_CANCELLED, "%s",
		                  interrupt_text(interrupt_cause(in)));
	return 0;
}

int ci_run_dry(struct ci *c, FILE *out, struct cairn_err *err)
{
	for (size_t k = 0; k < c->len; k++) {
		struct ci_image *i = &c->ptr[k];
		cleanup_strbuf struct strbuf text;
		const struct driver_ops *d;

		strbuf_init(&text, DRIVER_LOG_MAX);
		if (i->state != CI_WAITING)
			continue;
		if (!ci_choose(c, i))
			return cairn_fail(err, CAIRN_E_NOT_FOUND, "image '%.*s': %.*s",
			                  STR(i->plan->image->name), STR(i->why));
		if (!is_local(i))
			ci_source_warn(c, i);
		d = driver_of(i->runner->c.driver);
		TRY(d->request(&c->env, &ci_attempt_new(c, i)->task, &text, err));
		(void)fprintf(out, "# %.*s on %.*s\n%s", STR(i->plan->image->name),
		              STR(i->runner->c.name), text.ptr);
	}
	return 0;
}

/* --- beginning and end ------------------------------------------------------------------ */

static void prepare_image(struct ci *c, struct ci_image *i, const struct plan_image *p)
{
	size_t at;

	*i = (struct ci_image){ .c = c, .plan = p };
	strbuf_init(&i->log, DRIVER_LOG_MAX);
	if (plan_route_find(c->route, p, &at))
		i->work = &c->route->works[at];
	if (p->error) {
		i->state = CI_FAILED;
		i->why = p->why;
	} else if (p->verdict != PLAN_SKIP) {
		i->state = CI_WAITING;
	}
	c->n[i->state]++;
}

static void open_network(struct ci *c)
{
	struct http_opts o = HTTP_OPTS_INIT;
	struct aws_opts ao = { .envp = c->plan->ctx->envp };

	o.attempts = CALL_ATTEMPTS;
	o.connect_timeout_ns = o.stall_timeout_ns = CALL_TIMEOUT;
	c->http = http_client_new(&o);
	o.cancel = &c->cancel;
	c->http_polls = http_client_new(&o);
	ao.http = c->http;
	c->env.aws = aws_new(&ao);
	ao.http = c->http_polls;
	c->env.aws_polls = aws_new(&ao);
	github_init(&c->github, c->http, ao.envp);
	github_init(&c->github_polls, c->http_polls, ao.envp);
	c->env.github = &c->github;
	c->env.github_polls = &c->github_polls;
}

int ci_run_prepare(struct ci *c, struct plan_run *plan, const struct ci_opts *o,
                   struct cairn_err *err)
{
	struct plan_route_opts ro = { .plan = plan->plan,
		                      .config = plan->ctx->config,
		                      .home = plan->ctx->home,
		                      .remotes = plan->caches->remotes,
		                      .n_remotes = plan->caches->n,
		                      .net = plan->net_pool };

	*c = (struct ci){ .plan = plan, .opts = o };
	TRY(plan_route_make(&ro, &c->route, err));
	c->env.envp = plan->ctx->envp;
	c->env.root = plan->ctx->config->root;
	ci_source(c);
	open_network(c);
	c->ptr = xcalloc(plan->plan->len + 1, sizeof(*c->ptr));
	for (c->len = 0; c->len < plan->plan->len; c->len++)
		prepare_image(c, &c->ptr[c->len], &plan->plan->ptr[c->len]);
	c->view = ci_view_new(c);
	c->pool = pool_new(CALL_THREADS);
	for (size_t k = 0; k < c->len; k++)
		if (c->ptr[k].state == CI_FAILED)
			ci_view_tell(c->view, &c->ptr[k], true, "failed",
			             arena_printf(plan->a, "- %.*s", STR(c->ptr[k].why)));
	return 0;
}

void ci_run_done(struct ci *c)
{
	atomic_store(&c->cancel, true);
	pool_free(c->pool); /* first: calls may be under way */
	for (size_t k = 0; k < c->len; k++) {
		free_run(&c->ptr[k]);
		strbuf_done(&c->ptr[k].log);
		vec_free(&c->ptr[k].attempts);
		vec_free(&c->ptr[k].avoid);
	}
	free(c->ptr);
	ci_view_free(c->view);
	aws_free(c->env.aws);
	aws_free(c->env.aws_polls);
	http_client_free(c->http);
	http_client_free(c->http_polls);
	plan_route_free(c->route);
}

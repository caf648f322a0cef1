/* A run of a GitHub workflow. `cairn ci init` writes one that takes these inputs. */
#include "driver.h"

#include <inttypes.h>

#include "util/clock.h"

#define FIND_FOR (180 * CLOCK_SEC) /* so long a run may take to appear */

struct github_driver_run {
	struct driver_run base;
	struct github_workflow workflow;
	int64_t started; /* monotonic */
	uint64_t run;    /* its number; 0 = not found yet */
	bool asked;      /* to stop */
};

/* --- what is sent ----------------------------------------------------------------------- */

/* A workflow cannot tell labels that hold a run's number before it runs: its expressions in
 * cairn.yaml become the places {0} and {1} of format(). */
static json_t *label(str text)
{
	static const struct {
		const char *expression, *place;
	} rows[] = { { "${{ github.run_id }}", "{0}" }, { "${{ github.run_attempt }}", "{1}" } };
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, 4096);
	while (text.len) {
		bool replaced = false;

		for (size_t i = 0; i < ARRAY_SIZE(rows) && !replaced; i++)
			if (str_starts(text, str_of(rows[i].expression))) {
				strbuf_cstr(&b, rows[i].place);
				text = str_skip(text, strlen(rows[i].expression));
				replaced = true;
			}
		if (!replaced) {
			strbuf_char(&b, *text.ptr);
			text = str_skip(text, 1);
		}
	}
	return json_str(strbuf_view(&b));
}

static json_t *inputs(const struct driver_env *env, const struct driver_task *t)
{
	const struct workspace_runner *c = &t->runner->c;
	json_t *o = json_object(), *labels = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, 65536);
	for (size_t i = 0; i < c->labels.len; i++)
		(void)json_array_append_new(labels, label(c->labels.ptr[i]));
	json_write(labels, &text);
	json_decref(labels);
	(void)json_object_set_new(o, "image", json_str(t->image));
	(void)json_object_set_new(o, "attempt", json_str(t->attempt));
	(void)json_object_set_new(o, "commit", json_str(env->commit));
	(void)json_object_set_new(o, "labels", json_str(strbuf_view(&text)));
	(void)json_object_set_new(o, "runner", json_str(c->name));
	(void)json_object_set_new(o, "fallback", json_str(t->fallback));
	return o;
}

static int workflow_of(const struct driver_env *env, const struct driver_task *t,
                       struct github_workflow *ret, struct cairn_err *err)
{
	const struct workspace_runner *c = &t->runner->c;

	ret->repository = c->repository.len ? c->repository : env->repository;
	ret->file = c->workflow.len ? c->workflow : S(GITHUB_WORKFLOW);
	if (!ret->repository.len)
		return cairn_fail(
			err, CAIRN_E_NOT_FOUND,
			"the runner '%.*s' names no repository of GitHub, and this one is "
			"of none; add 'repository: owner/name' to it in cairn.yaml",
			STR(c->name));
	if (!env->ref.len)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "GitHub runs workflows of a branch or a tag, and none is checked "
		                  "out; set GITHUB_REF_NAME");
	return 0;
}

static int request(const struct driver_env *env, const struct driver_task *t, struct strbuf *out,
                   struct cairn_err *err)
{
	cleanup_json json_t *in = inputs(env, t), *body = github_dispatch_body(env->ref, in);
	cleanup_free char *url = NULL;
	struct github_workflow w;

	TRY(workflow_of(env, t, &w, err));
	url = github_dispatch_url(env->github, &w);
	strbuf_printf(out, "POST %s\n", url);
	json_write(body, out);
	strbuf_char(out, '\n');
	return 0;
}

static int start(const struct driver_env *env, const struct driver_task *t, struct driver_run **ret,
                 struct cairn_err *err)
{
	cleanup_json json_t *in = inputs(env, t);
	struct github_driver_run *r;
	struct github_workflow w;
	int rc;

	TRY(workflow_of(env, t, &w, err));
	rc = github_dispatch(env->github, &w, env->ref, in, err);
	if (rc < 0 && rc != CAIRN_E_TIMEOUT) /* then it may run: it is looked for */
		return rc;
	r = driver_run_new(sizeof(*r), &driver_github, env, t);
	r->workflow = w;
	r->started = clock_monotonic();
	r->base.id = arena_str(r->base.a, t->attempt);
	*ret = &r->base;
	return 0;
}

/* --- look ------------------------------------------------------------------------------- */

static const struct github *github_for(const struct github_driver_run *r)
{
	return r->asked ? r->base.env->github : r->base.env->github_polls;
}

static int find(struct github_driver_run *r, struct driver_state *ret, struct cairn_err *err)
{
	struct github_run run;
	bool found = false;

	TRY(github_find(github_for(r), &r->workflow, r->base.task->attempt, r->base.scratch, &run,
	                &found, err));
	if (found) {
		r->run = run.id;
		r->base.url = arena_str(r->base.a, run.url);
		r->base.id = str_of(arena_printf(r->base.a, "run %" PRIu64, run.id));
	} else if (clock_monotonic() - r->started > FIND_FOR) {
		*ret = (struct driver_state){ .phase = DRIVER_ENDED,
			                      .outcome = HISTORY_UNAVAILABLE,
			                      .why = S("GitHub started no run; does the "
			                               "workflow's run-name hold "
			                               "inputs.attempt?") };
	}
	return 0;
}

/* https://docs.github.com/rest/checks/runs: conclusions. */
static enum history_outcome outcome_of(str conclusion, enum history_outcome marked)
{
	static const struct {
		const char *conclusion;
		enum history_outcome outcome;
	} rows[] = {
		{ "success", HISTORY_OK },
		{ "cancelled", HISTORY_INTERRUPTED },
		{ "stale", HISTORY_UNAVAILABLE }, /* no runner took it */
		{ "startup_failure", HISTORY_UNAVAILABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_is(conclusion, rows[i].conclusion))
			return rows[i].outcome;
	return marked;
}

/* Times and log of the job that built. */
static int read_job(struct github_driver_run *r, struct driver_state *ret, struct strbuf *log,
                    struct cairn_err *err)
{
	str repository = r->workflow.repository;
	struct github_run job = { 0 };
	bool found = false;

	TRY(github_job(github_for(r), repository, r->run, r->base.scratch, &job, &found, err));
	if (!found)
		return 0;
	if (job.started > job.created && job.created)
		ret->queue_ns = (uint64_t)(job.started - job.created);
	if (job.ended > job.started && job.started)
		ret->wall_ns = (uint64_t)(job.ended - job.started);
	TRY(github_log(github_for(r), repository, job.id, log, err));
	driver_marks(strbuf_view(log), &r->base.marked);
	return 0;
}

static int ended(struct github_driver_run *r, const struct github_run *run,
                 struct driver_state *ret, struct strbuf *log, struct cairn_err *err)
{
	if (!r->asked && read_job(r, ret, log, err) < 0)
		TRY(driver_log_lost(&r->base, err, log));
	ret->phase = DRIVER_ENDED;
	ret->outcome = outcome_of(run->conclusion, r->base.marked);
	if (ret->outcome != HISTORY_OK)
		ret->why = run->conclusion;
	return 0;
}

static int look(struct driver_run *base, struct driver_state *ret, struct strbuf *log,
                struct cairn_err *err)
{
	struct github_driver_run *r = (struct github_driver_run *)base;
	struct arena *a = driver_look(base);
	struct github_run run;

	*ret = (struct driver_state){ .detail = S("dispatched") };
	if (!r->run)
		TRY(find(r, ret, err));
	if (!r->run)
		return 0;
	if (r->asked && !base->stopped) {
		TRY(github_cancel(base->env->github, r->workflow.repository, r->run, err));
		base->stopped = true;
	}
	TRY(github_get(github_for(r), r->workflow.repository, r->run, a, &run, err));
	ret->detail = run.word;
	if (run.status == GITHUB_COMPLETED)
		return ended(r, &run, ret, log, err);
	ret->phase = run.status == GITHUB_IN_PROGRESS ? DRIVER_RUNNING : DRIVER_QUEUED;
	return 0;
}

/* A run that was not found yet is cancelled by the look that finds it. */
static int stop(struct driver_run *base, struct cairn_err *err)
{
	struct github_driver_run *r = (struct github_driver_run *)base;

	r->asked = true;
	if (!r->run || base->stopped)
		return 0;
	TRY(github_cancel(base->env->github, r->workflow.repository, r->run, err));
	base->stopped = true;
	return 0;
}

const struct driver_ops driver_github = {
	.name = "github",
	.request = request,
	.start = start,
	.poll = look,
	.stop = stop,
	.free = driver_run_free,
};

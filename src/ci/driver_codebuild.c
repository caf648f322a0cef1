/* A build of AWS CodeBuild. Its buildspec is the project's: `cairn up --push $CAIRN_IMAGE`. */
#include "driver.h"

#include "codebuild.h"
#include "util/clock.h"

#define VARIABLES 4

struct codebuild_run {
	struct driver_run base;
	char *log_token; /* where the log goes on; owned */
	bool asked;      /* to stop */
};

static const char *region_of(const struct driver_task *t, struct arena *a)
{
	return t->runner->c.region.len ? arena_cstr(a, t->runner->c.region) : NULL;
}

static int fill(const struct driver_env *env, const struct driver_task *t, struct arena *a,
                struct codebuild_start *ret, struct cairn_err *err)
{
	const struct workspace_runner *c = &t->runner->c;
	struct http_field *v = arena_array(a, struct http_field, VARIABLES);

	v[0] = (struct http_field){ "CAIRN_IMAGE", arena_cstr(a, t->image) };
	v[1] = (struct http_field){ "CAIRN_RUNNER", arena_cstr(a, c->name) };
	v[2] = (struct http_field){ "CAIRN_ATTEMPT", arena_cstr(a, t->attempt) };
	v[3] = (struct http_field){ "CAIRN_FALLBACK", arena_cstr(a, t->fallback) };
	*ret = (struct codebuild_start){ .region = region_of(t, a),
		                         .project = c->project.len ? c->project : env->project,
		                         .source_version = env->commit,
		                         .image = c->image,
		                         .compute_type = c->compute,
		                         .environment_type = c->environment,
		                         .privileged = c->privileged,
		                         .env = v,
		                         .n_env = t->fallback.len ? 4 : 3,
		                         .token = t->attempt };
	if (!ret->project.len)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "the runner '%.*s' names no project of CodeBuild; add 'project:' "
		                  "to it in cairn.yaml",
		                  STR(c->name));
	return 0;
}

static int request(const struct driver_env *env, const struct driver_task *t, struct strbuf *out,
                   struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_json json_t *body = NULL;
	char endpoint[AWS_ENDPOINT_MAX];
	struct codebuild_start s;
	struct cairn_err unknown;
	const char *region;

	TRY(fill(env, t, a, &s, err));
	region = s.region;
	if (!region && aws_region(env->aws, &region, &unknown) < 0)
		region = "REGION";
	TRY(aws_endpoint(env->aws, "codebuild", region, endpoint, err));
	strbuf_printf(out, "POST %s/\nX-Amz-Target: CodeBuild_20161006.StartBuild\n", endpoint);
	body = codebuild_request(&s);
	json_write(body, out);
	strbuf_char(out, '\n');
	return 0;
}

static void free_run(struct driver_run *base)
{
	struct codebuild_run *r = (struct codebuild_run *)base;

	if (r)
		free(r->log_token);
	driver_run_free(base);
}

static int start(const struct driver_env *env, const struct driver_task *t, struct driver_run **ret,
                 struct cairn_err *err)
{
	struct codebuild_run *r = driver_run_new(sizeof(*r), &driver_codebuild, env, t);
	struct codebuild_build b = { 0 };
	struct codebuild_start s;
	bool limit = false;
	int rc = fill(env, t, r->base.a, &s, err);

	if (rc == 0)
		rc = codebuild_start(env->aws, &s, r->base.a, &b, &limit, err);
	if (rc < 0) {
		free_run(&r->base);
		return rc;
	}
	r->base.id = b.id;
	r->base.url = b.url;
	*ret = &r->base;
	return 0;
}

/* --- look ------------------------------------------------------------------------------- */

enum part {
	PART_QUEUE, /* until the machine is there */
	PART_SETUP, /* before anything of the repository runs */
	PART_BUILD,
};

static enum part part_of(str phase)
{
	static const struct {
		const char *phase;
		enum part part;
	} rows[] = {
		{ "SUBMITTED", PART_QUEUE },
		{ "QUEUED", PART_QUEUE },
		{ "PROVISIONING", PART_QUEUE },
		{ "DOWNLOAD_SOURCE", PART_SETUP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_is(phase, rows[i].phase))
			return rows[i].part;
	return PART_BUILD;
}

/* The phase that ended it; NULL: none says so. */
static const struct codebuild_phase *bad_phase(const struct codebuild_build *b)
{
	for (size_t i = 0; i < b->n_phases; i++)
		if (b->phases[i].status.len && !str_is(b->phases[i].status, "SUCCEEDED") &&
		    !str_is(b->phases[i].status, "IN_PROGRESS"))
			return &b->phases[i];
	return NULL;
}

static enum history_outcome outcome_of(const struct codebuild_run *r,
                                       const struct codebuild_build *b)
{
	const struct codebuild_phase *bad = bad_phase(b);
	bool queued = bad && part_of(bad->name) == PART_QUEUE;

	switch (b->status) {
	case CODEBUILD_SUCCEEDED:
		return HISTORY_OK;
	case CODEBUILD_FAULT:
		return HISTORY_UNAVAILABLE;
	case CODEBUILD_STOPPED: /* by somebody, who did not want it */
		return r->asked ? HISTORY_INTERRUPTED : HISTORY_FAILED;
	case CODEBUILD_TIMED_OUT:
		return queued ? HISTORY_UNAVAILABLE : HISTORY_FAILED;
	case CODEBUILD_FAILED:
		if (b->out_of_memory)
			return HISTORY_MEMORY;
		if (bad && str_search(bad->message, S("exit status 75")) >= 0)
			return HISTORY_INTERRUPTED;
		return queued ? HISTORY_UNAVAILABLE : r->base.marked;
	case CODEBUILD_IN_PROGRESS:
	case CODEBUILD_N_:
		break;
	}
	return HISTORY_FAILED;
}

static void ended(struct codebuild_run *r, const struct codebuild_build *b,
                  struct driver_state *ret)
{
	const struct codebuild_phase *bad = bad_phase(b);
	uint64_t seconds[PART_BUILD + 1] = { 0 };

	for (size_t i = 0; i < b->n_phases; i++)
		seconds[part_of(b->phases[i].name)] += b->phases[i].seconds;
	ret->phase = DRIVER_ENDED;
	ret->outcome = outcome_of(r, b);
	ret->queue_ns = seconds[PART_QUEUE] * (uint64_t)CLOCK_SEC;
	ret->wall_ns = (seconds[PART_SETUP] + seconds[PART_BUILD]) * (uint64_t)CLOCK_SEC;
	if (ret->outcome == HISTORY_OK)
		return;
	ret->why = str_of(arena_printf(r->base.scratch, "%s", codebuild_status_name(b->status)));
	if (bad)
		ret->why = str_of(arena_printf(r->base.scratch, "%.*s: %.*s", STR(bad->name),
		                               STR(bad->message)));
}

static int look(struct driver_run *base, struct driver_state *ret, struct strbuf *log,
                struct cairn_err *err)
{
	struct codebuild_run *r = (struct codebuild_run *)base;
	struct arena *a = driver_look(base);
	const char *region = region_of(base->task, a);
	struct aws *aws = r->asked ? base->env->aws : base->env->aws_polls;
	struct codebuild_build b = { 0 };

	TRY(codebuild_get(aws, region, &base->id, 1, a, &b, err));
	if (b.url.len && !base->url.len)
		base->url = arena_str(base->a, b.url);
	*ret = (struct driver_state){ .detail = b.phase };
	if (part_of(b.phase) != PART_QUEUE)
		ret->phase = DRIVER_RUNNING;
	/* After the look: what was written before its end is then there. */
	if (!r->asked && codebuild_logs(aws, region, &b, &r->log_token, log, err) < 0)
		TRY(driver_log_lost(base, err, log));
	driver_marks(strbuf_view(log), &base->marked);
	if (b.status != CODEBUILD_IN_PROGRESS)
		ended(r, &b, ret);
	return 0;
}

static int stop(struct driver_run *base, struct cairn_err *err)
{
	struct codebuild_run *r = (struct codebuild_run *)base;

	TRY(codebuild_stop(base->env->aws, region_of(base->task, base->a), base->id, err));
	r->asked = base->stopped = true;
	return 0;
}

const struct driver_ops driver_codebuild = {
	.name = "codebuild",
	.request = request,
	.start = start,
	.poll = look,
	.stop = stop,
	.free = free_run,
};

/* The life of a step: started when it can be, run, kept or failed. */
#include "step.h"
#include "mount_cache.h"

#include <stdio.h>
#include <unistd.h>

#include "publish.h"
#include "util/clock.h"

#define OUTPUT_READ 65536

/* Is it the target, or one that the target's files come from by standing on it? */
static bool below_target(const struct step *s)
{
	const struct graph_node *n = s->b->target->node;

	while (n && n != s->node)
		n = n->parent;
	return n != NULL;
}

/* A base image has no record of its own: its layers are what there is to know. */
static struct record *base_record(struct step *s)
{
	struct record *r = arena_new_of(s->b->arena, struct record);

	r->created = s->node->base.config->created.ns;
	r->text = s->node->text;
	r->chain = *s->chain;
	return r;
}

/* Those who publish results hear of it. */
static void tell_result(struct step *s)
{
	const struct engine_build *b = s->b;
	struct publish_step p = { .key = s->def_key,
		                  .also = &s->content_key,
		                  .n_also = !digest_none(&s->content_key),
		                  .record = s->record ? s->record : s->found,
		                  .on_target_chain = below_target(s),
		                  .ran = s->record && !s->hit,
		                  .forced = s->forced,
		                  .from = s->record ? s->from : s->found_from };

	if (s->node->kind == GRAPH_BASE) {
		if (!s->chain || !s->chain->n)
			return;
		p.key = supply_base_key(&s->node->base.config_digest);
		p.record = base_record(s);
		p.from = s->from;
		p.forced = false;
		p.n_also = 0;
	}
	if (!p.record)
		return;
	b->opts->step_result(b->opts->step_result_ctx, &p);
	if (!s->link_record)
		return;
	p.key = s->link_key;
	p.n_also = 0;
	p.record = s->link_record;
	b->opts->step_result(b->opts->step_result_ctx, &p);
}

void step_emit(struct step *s, enum event_kind kind)
{
	const struct graph_node *n = s->node;

	build_emit(s->b, &(struct build_event){ .kind = kind,
	                                        .step = s->number,
	                                        .name = n->name,
	                                        .file = s->b->opts->graph->path,
	                                        .line = n->line,
	                                        .end_line = n->end_line,
	                                        .cost = s->cost,
	                                        .from = s->from,
	                                        .exit_code = -1 });
	if ((kind == EVENT_DONE || kind == EVENT_CACHED) && s->b->opts->step_result)
		tell_result(s);
	if ((kind == EVENT_DONE || kind == EVENT_CACHED) && s->chain && s->b->opts->chain_done &&
	    below_target(s))
		s->b->opts->chain_done(s->b->opts->chain_ctx, s->chain);
}

/* --- failure ------------------------------------------------------------- */

/* Nothing more is started; what runs is killed. The first failure is the build's. */
void steps_stop(struct engine_build *b, const struct cairn_err *err)
{
	if (b->stopping)
		return;
	b->stopping = true;
	b->err = *err;
	if (b->opts->fetch_base)
		b->opts->fetch_stop(b->opts->fetch_ctx);
	if (b->opts->supply)
		supply_stop(b->opts->supply);
	if (b->opts->mounts)
		mount_cache_stop_restores(b->opts->mounts);
	for (size_t i = 0; i < b->n; i++)
		if (b->steps[i].run && b->steps[i].run->proc)
			sandbox_kill(b->steps[i].run->proc);
}

static void release_locks(struct step *s)
{
	mounts_release(s);
	store_lock_free(s->lock);
	s->lock = NULL;
}

static void end_running(struct step *s)
{
	bool ran = s->run != NULL;

	if (s->state == STEP_RUNNING)
		s->b->running--;
	op_run_free(s);
	work_free(s->work);
	s->work = NULL;
	if (ran)
		mounts_used(s, s->state == STEP_DONE);
	need_release(s);
	release_locks(s);
}

static void fail_step(struct step *s, int exit_code, bool oom, const struct cairn_err *cause)
{
	struct cairn_err err = *cause;
	bool first = !s->b->stopping;

	s->oom = oom;
	if (!err.line && s->node->line) {
		(void)snprintf(err.path, sizeof(err.path), "%.*s", STR(s->b->opts->graph->path));
		err.line = s->node->line;
	}
	if (s->started)
		s->cost.wall_ns = (uint64_t)(clock_monotonic() - s->started);
	build_emit(s->b, &(struct build_event){ .kind = first && !s->b->demoted ? EVENT_FAILED
	                                                                        : EVENT_CANCELED,
	                                        .step = s->number,
	                                        .name = s->node->name,
	                                        .file = s->b->opts->graph->path,
	                                        .line = s->node->line,
	                                        .end_line = s->node->end_line,
	                                        .err = &err,
	                                        .exit_code = exit_code,
	                                        .oom = oom,
	                                        .cost = s->cost });
	steps_stop(s->b, &err);
	end_running(s);
	s->state = STEP_FAILED;
}

void step_fail(struct step *s, const struct cairn_err *cause)
{
	fail_step(s, -1, false, cause);
}

/* --- steps in the pool --------------------------------------------------- */

static int publish(struct step *s, struct cairn_err *err)
{
	const struct step_work *w = s->work;
	struct chain_layer layer = { .diff_id = w->result.diff_id,
		                     .content = w->content,
		                     .step = s->def_key,
		                     .created = clock_now(),
		                     .size = w->result.tar_size };

	s->cost.written_bytes = w->result.content_size;
	return lookup_publish(s, &layer, layer.created, err);
}

static void work_done(void *ctx, int result, const struct cairn_err *err)
{
	struct step *s = ctx;
	struct cairn_err failure;

	if (result < 0) {
		fail_step(s, -1, false, err);
		return;
	}
	if (!s->node->parent) { /* a base image has arrived */
		const struct chain *c = NULL;

		s->cost.wall_ns = (uint64_t)(clock_monotonic() - s->started);
		result = trees_base_chain(s->b, s, &c, &failure);
		if (result == 0 && !c)
			result = cairn_fail(&failure, CAIRN_E_NOT_FOUND,
			                    "the layers of '%.*s' are not in the store",
			                    STR(s->node->base.ref));
		if (result == 0)
			build_step_done(s, c, false);
	} else {
		if (s->node->kind != GRAPH_RUN)
			s->cost.wall_ns = (uint64_t)(clock_monotonic() - s->started);
		result = publish(s, &failure);
	}
	if (result < 0) {
		fail_step(s, -1, false, &failure);
		return;
	}
	s->b->running--;
	end_running(s);
	step_emit(s, EVENT_DONE);
}

static int run_work(void *ctx, struct cairn_err *err)
{
	return work_execute(((struct step *)ctx)->work, err);
}

static int run_fetch(void *ctx, struct cairn_err *err)
{
	struct step *s = ctx;

	return s->b->opts->fetch_base(s->b->opts->fetch_ctx, s->node, err);
}

/* --- steps that run commands --------------------------------------------- */

#define COMMAND_SHOWN \
	72 /* bytes of a command in an error; the lines themselves are shown below it */

/* Enough of a command to know it again. */
static str command_head(str text, const char **ret_dots)
{
	str line = text;

	*ret_dots = "";
	if (text.len <= COMMAND_SHOWN)
		return text;
	*ret_dots = " ...";
	line.len = COMMAND_SHOWN;
	while (line.len && ((unsigned char)line.ptr[line.len] & 0xc0) == 0x80) /* inside UTF-8 */
		line.len--;
	return str_trim(line);
}

static void command_ended(struct step *s)
{
	const char *dots;
	str head = command_head(s->node->text, &dots);
	struct sandbox_result result = { 0 };
	struct cairn_err err;
	int r = sandbox_finish(steal_ptr(&s->run->proc), &result, &err);

	s->cost = result.cost;
	if (result.warning[0])
		build_warn(s->b, s->number, "%s", result.warning);
	if (r == 0 && result.killed)
		r = cairn_fail(&err, CAIRN_E_CANCELLED, "stopped");
	else if (r == 0 && result.exit_code)
		r = cairn_fail(&err, CAIRN_E_STEP, "'%.*s%s' failed: %s%d", STR(head), dots,
		               result.oom ? "killed: out of memory, exit code " : "exit code ",
		               result.exit_code);
	if (r == 0)
		r = op_run_collect(s, &err);
	if (r < 0) {
		fail_step(s, result.exit_code ? result.exit_code : -1, result.oom, &err);
		return;
	}
	pool_add(s->b->opts->pool, (struct pool_task){ run_work, work_done, s, NULL });
}

/* Pass on some of what the command wrote; false when nothing more is there now. */
static bool read_some(struct step *s, enum run_stream stream)
{
	char buf[OUTPUT_READ];
	int fd = stream == RUN_STDOUT ? s->run->proc->out_fd : s->run->proc->err_fd;
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n == 0)
		s->run->closed[stream] = true;
	if (n <= 0)
		return false;
	build_emit(s->b, &(struct build_event){ .kind = EVENT_OUTPUT,
	                                        .step = s->number,
	                                        .stream = (int)stream,
	                                        .text = str_n(buf, (size_t)n) });
	return true;
}

void step_output(struct step *s, enum run_stream stream)
{
	(void)read_some(s, stream); /* once: a command that floods must not stop the loop */
}

void step_ended(struct step *s)
{
	while (read_some(s, RUN_STDOUT))
		;
	while (read_some(s, RUN_STDERR))
		;
	command_ended(s);
}

/* --- starting ------------------------------------------------------------ */

static bool inputs_complete(struct step *s)
{
	const struct graph_node *n = s->node;

	if (n->parent && build_step(s->b, n->parent)->state != STEP_DONE)
		return false;
	for (size_t i = 0; i < n->n_inputs; i++)
		if (build_step(s->b, n->inputs[i])->state != STEP_DONE)
			return false;
	return true;
}

static int start_op(struct step *s, struct cairn_err *err)
{
	switch (s->node->kind) {
	case GRAPH_RUN:
		/* Starts by itself when its cache mounts are there. */
		return mounts_restore(s) ? 0 : op_run_start(s, err);
	case GRAPH_COPY:
		TRY(op_copy_prepare(s, err));
		break;
	case GRAPH_WORKDIR:
		TRY(op_workdir_prepare(s, err));
		break;
	case GRAPH_BASE:
	case GRAPH_N_:
		CAIRN_BUG("step of this kind is not started here");
	}
	pool_add(s->b->opts->pool, (struct pool_task){ run_work, work_done, s, NULL });
	return 0;
}

void step_show(struct step *s)
{
	if (!s->shown)
		step_emit(s, EVENT_START);
	s->shown = true;
}

static void mark_started(struct step *s)
{
	s->started = clock_monotonic();
	s->state = STEP_RUNNING;
	s->b->running++;
	step_show(s);
}

static int start_base(struct step *s, struct cairn_err *err)
{
	const struct chain *c = NULL;

	s->by_definition = true;
	TRY(trees_base_chain(s->b, s, &c, err));
	if (!c) { /* no layer has to be here for what is known about them */
		c = lookup_base(s);
		s->from = c ? s->found_from : NULL;
	}
	if (c) {
		build_step_done(s, c, true);
		step_emit(s, EVENT_CACHED);
		return 0;
	}
	if (!s->b->opts->fetch_base)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "the layers of '%.*s' are not in the store",
		                  STR(s->node->base.ref));
	mark_started(s);
	pool_add(need_pool(s->b), (struct pool_task){ run_fetch, work_done, s, NULL });
	return 0;
}

/* Bring a waiting step one step further, if that is possible now. The order of what is
 * taken is DECISIONS.md 31: inputs, cache mounts, the step's key, a job slot. */
static int advance(struct step *s, struct cairn_err *err)
{
	bool ok = false;

	if (s->fetch || !inputs_complete(s))
		return 0;
	if (s->node->kind == GRAPH_BASE)
		return start_base(s, err);
	if (digest_none(&s->content_key)) {
		TRY(need_operands(s, &ok, err));
		if (!ok)
			return 0;
		TRY(lookup_content(s, &ok, err));
		if (ok) {
			step_emit(s, EVENT_CACHED);
			return 0;
		}
	}
	need_content(s, &ok);
	if (ok)
		TRY(need_inputs(s, &ok, err));
	if (!ok)
		return 0;
	if (s->b->running >= s->b->jobs)
		return 0;
	TRY(mounts_lock(s, &ok, err));
	if (!ok)
		return 0;
	TRY(store_lock_try(s->b->opts->store, &s->def_key, &s->lock, err));
	if (!s->lock) {
		release_locks(s);
		return 0;
	}
	TRY(lookup_again(s, &ok, err));
	if (ok) {
		release_locks(s);
		step_emit(s, EVENT_CACHED);
		return 0;
	}
	mark_started(s);
	return start_op(s, err);
}

/* Start what can be started. Hits may complete the inputs of others, so until nothing changes. */
void steps_advance(struct engine_build *b)
{
	struct cairn_err err;
	bool changed = true;

	while (changed && !b->stopping && !b->draining) {
		changed = false;
		for (size_t i = 0; i < b->n && !b->stopping; i++) {
			struct step *s = &b->steps[i];

			if (s->state != STEP_WAITING)
				continue;
			if (advance(s, &err) < 0)
				fail_step(s, -1, false, &err);
			changed |= s->state == STEP_DONE;
		}
	}
	if (!b->stopping)
		need_ahead(b);
}

/* The JSON view: one object a line; the members stand in docs/progress.md. */
#include "progress_text.h"
#include "progress_view.h"
#include "util/clock.h"
#include "util/json.h"

#define OBJECT_MAX (8 * PROGRESS_LINE_MAX)

static const char *const names[] = {
	[EVENT_PLAN] = "plan",     [EVENT_START] = "start",       [EVENT_CACHED] = "cached",
	[EVENT_OUTPUT] = "output", [EVENT_PROGRESS] = "progress", [EVENT_DONE] = "done",
	[EVENT_FAILED] = "failed", [EVENT_CANCELED] = "canceled", [EVENT_WARNING] = "warning",
};

static json_t *object(struct progress *p, const char *event, const struct progress_step *step)
{
	json_t *j = json_object();
	char time[CLOCK_TEXT_MAX];
	int64_t wall = p->o.start_wall_ns + (p->now_ns - p->o.start_ns);

	json_object_set_new(j, "time", json_string(clock_text(wall, time)));
	json_object_set_new(j, "event", json_string(event));
	if (step)
		json_object_set_new(j, "step", json_integer(step->id));
	return j;
}

static void put(struct progress *p, json_t *owned)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, OBJECT_MAX);
	json_write(owned, &b);
	json_decref(owned);
	strbuf_char(&b, '\n');
	view_write(p, &b);
}

static void line(struct progress *p, struct progress_step *step, str text)
{
	json_t *j = object(p, "output", step);

	json_object_set_new(j, "text", json_str(text));
	put(p, j);
}

static void set_cost(json_t *j, const struct step_cost *c)
{
	json_t *cost = json_object();

	json_object_set_new(cost, "wall_ns", json_integer((json_int_t)c->wall_ns));
	json_object_set_new(cost, "cpu_ns", json_integer((json_int_t)c->cpu_ns));
	json_object_set_new(cost, "peak_bytes", json_integer((json_int_t)c->peak_bytes));
	json_object_set_new(cost, "written_bytes", json_integer((json_int_t)c->written_bytes));
	json_object_set_new(j, "cost", cost);
}

static void set_failure(json_t *j, const struct progress_step *step)
{
	json_object_set_new(j, "error", json_str(str_of(step->err.msg)));
	json_object_set_new(j, "exit_code", json_integer(step->exit_code));
	json_object_set_new(j, "oom", json_boolean(step->oom));
}

static void event(struct progress *p, struct progress_step *step, const struct build_event *ev)
{
	json_t *j;

	if (ev->kind == EVENT_OUTPUT || ev->kind >= EVENT_N_)
		return;
	j = object(p, names[ev->kind], step);
	if (step && (ev->kind == EVENT_PLAN || ev->kind == EVENT_START || ev->kind == EVENT_CACHED))
		json_object_set_new(j, "name", json_str(str_of(step->name)));
	if (step && ev->kind == EVENT_PLAN && step->extra)
		json_object_set_new(j, "extra", json_true());
	if (step && ev->kind == EVENT_PLAN && step->line) {
		json_object_set_new(j, "file", json_str(str_of(step->file)));
		json_object_set_new(j, "line", json_integer(step->line));
		json_object_set_new(j, "end_line", json_integer(step->end_line));
	}
	if (ev->kind == EVENT_PROGRESS || ev->kind == EVENT_WARNING)
		json_object_set_new(j, "text", json_str(ev->text));
	if (ev->kind == EVENT_PROGRESS) {
		json_object_set_new(j, "current", json_integer((json_int_t)ev->current));
		json_object_set_new(j, "total", json_integer((json_int_t)ev->total));
	}
	if (ev->kind == EVENT_CACHED && ev->from)
		json_object_set_new(j, "from", json_string(ev->from));
	if (ev->kind == EVENT_DONE || ev->kind == EVENT_CACHED)
		set_cost(j, &ev->cost);
	if (step && ev->kind == EVENT_FAILED)
		set_failure(j, step);
	put(p, j);
}

static void end(struct progress *p, const struct progress_result *r)
{
	json_t *j = object(p, "end", NULL);
	const struct progress_state *s = &p->state;
	json_t *list = json_array();

	json_object_set_new(j, "ok", json_boolean(r->ok));
	json_object_set_new(j, "wall_ns", json_integer(p->now_ns - p->o.start_ns));
	json_object_set_new(j, "steps", json_integer(state_count(s, STEP_N_)));
	json_object_set_new(j, "cached", json_integer(state_count(s, STEP_CACHED)));
	json_object_set_new(j, "ran", json_integer(state_count(s, STEP_DONE)));
	if (r->image_id)
		json_object_set_new(j, "image", json_string(r->image_id));
	for (size_t i = 0; r->names && r->names[i]; i++)
		json_array_append_new(list, json_str(str_of(r->names[i])));
	json_object_set_new(j, "names", list);
	put(p, j);
}

const struct progress_view progress_json = { .event = event, .line = line, .end = end };

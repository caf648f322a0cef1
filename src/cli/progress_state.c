#include "progress_state.h"

#include "progress_text.h"

#define STEPS_MAX 100000 /* numbers beyond are ignored; no Dockerfile comes near */
#define NAME_MAX_ 4096   /* bytes of a step's name that are kept */
#define TAIL_MIN  1024   /* bytes a ring starts with */

static void tail_grow(struct tail *t, size_t want)
{
	size_t cap = t->cap ? t->cap : TAIL_MIN;
	struct strbuf old;

	while (cap < want && cap < PROGRESS_TAIL_MAX)
		cap *= 2;
	if (cap <= t->cap)
		return;
	strbuf_init(&old, PROGRESS_TAIL_MAX);
	tail_copy(t, t->len, &old);
	t->ptr = xrealloc(t->ptr, cap);
	memcpy(t->ptr, old.ptr, old.len);
	t->cap = cap;
	t->start = 0;
	strbuf_done(&old);
}

void tail_add(struct tail *t, str bytes)
{
	if (bytes.len == 0)
		return;
	if (bytes.len > PROGRESS_TAIL_MAX) {
		bytes = str_skip(bytes, bytes.len - PROGRESS_TAIL_MAX);
		t->cut = true;
	}
	tail_grow(t, t->len + bytes.len);
	if (t->len + bytes.len > t->cap) {
		size_t drop = t->len + bytes.len - t->cap;

		t->start = (t->start + drop) % t->cap;
		t->len -= drop;
		t->cut = true;
	}
	for (size_t done = 0; done < bytes.len;) {
		size_t at = (t->start + t->len) % t->cap;
		size_t n = bytes.len - done < t->cap - at ? bytes.len - done : t->cap - at;

		memcpy(t->ptr + at, bytes.ptr + done, n);
		t->len += n;
		done += n;
	}
}

void tail_copy(const struct tail *t, size_t n, struct strbuf *out)
{
	size_t from, first;

	if (n > t->len)
		n = t->len;
	if (n == 0)
		return;
	from = (t->start + t->len - n) % t->cap;
	first = n < t->cap - from ? n : t->cap - from;
	strbuf_add(out, t->ptr + from, first);
	strbuf_add(out, t->ptr, n - first);
}

void tail_done(struct tail *t)
{
	free(t->ptr);
	*t = (struct tail){ 0 };
}

/* Clean, runs of blanks (joined continuation lines) made one. */
static char *clean_copy(str s)
{
	cleanup_strbuf struct strbuf b;
	size_t n = 0;
	char *copy;

	strbuf_init(&b, NAME_MAX_);
	text_clean(s.len > NAME_MAX_ ? str_n(s.ptr, NAME_MAX_) : s, &b);
	copy = strbuf_steal(&b);
	for (const char *p = copy; *p; p++)
		if (*p != ' ' || (n > 0 && copy[n - 1] != ' '))
			copy[n++] = *p;
	copy[n] = '\0';
	return copy;
}

static struct progress_step *step_get(struct progress_state *s, unsigned id)
{
	if (id == 0 || id > STEPS_MAX)
		return NULL;
	while (s->steps.len < id) {
		struct progress_step fresh = { .id = (unsigned)s->steps.len + 1, .exit_code = -1 };

		vec_push(&s->steps, fresh);
		vec_last(&s->steps)->name = xstrdup("");
		vec_last(&s->steps)->file = xstrdup("");
		strbuf_init(&vec_last(&s->steps)->part, PROGRESS_LINE_MAX);
		s->count[STEP_WAITING]++;
	}
	return &s->steps.ptr[id - 1];
}

static void set_status(struct progress_state *s, struct progress_step *step, enum step_status to,
                       int64_t now_ns)
{
	s->count[step->status]--;
	s->count[to]++;
	s->extra[step->status] -= step->extra;
	s->extra[to] += step->extra;
	if (to == STEP_RUNNING)
		step->start_ns = now_ns;
	else
		step->end_ns = now_ns;
	step->status = to;
}

static void set_name(struct progress_step *step, str name)
{
	if (name.len == 0)
		return;
	free(step->name);
	step->name = clean_copy(name);
}

static void set_place(struct progress_step *step, const struct build_event *ev)
{
	free(step->file);
	step->file = str_dup(ev->file);
	step->line = ev->line;
	step->end_line = ev->end_line;
}

static void set_advance(struct progress_step *step, const struct build_event *ev)
{
	free(step->what);
	step->what = clean_copy(ev->text);
	step->current = ev->current;
	step->total = ev->total;
}

struct progress_step *state_apply(struct progress_state *s, const struct build_event *ev)
{
	struct progress_step *step = step_get(s, ev->step);

	if (!step)
		return NULL;
	switch (ev->kind) {
	case EVENT_PLAN:
		set_name(step, ev->name);
		set_place(step, ev);
		s->extra[step->status] -= step->extra;
		step->extra = ev->extra;
		s->extra[step->status] += step->extra;
		break;
	case EVENT_START:
		set_name(step, ev->name);
		set_status(s, step, STEP_RUNNING, ev->time_ns);
		break;
	case EVENT_CACHED:
		set_name(step, ev->name);
		step->start_ns = ev->time_ns;
		step->cost = ev->cost;
		set_status(s, step, STEP_CACHED, ev->time_ns);
		break;
	case EVENT_PROGRESS:
		set_advance(step, ev);
		break;
	case EVENT_DONE:
		step->cost = ev->cost;
		set_status(s, step, STEP_DONE, ev->time_ns);
		break;
	case EVENT_FAILED:
		if (ev->err)
			step->err = *ev->err;
		step->exit_code = ev->exit_code;
		step->oom = ev->oom;
		if (!s->failed)
			s->failed = step->id;
		set_status(s, step, STEP_FAILED, ev->time_ns);
		break;
	case EVENT_CANCELED:
		set_status(s, step, STEP_CANCELED, ev->time_ns);
		break;
	case EVENT_OUTPUT:
	case EVENT_WARNING:
	case EVENT_N_:
		break;
	}
	return step;
}

unsigned state_count(const struct progress_state *s, enum step_status status)
{
	unsigned n = 0;

	for (int i = 0; i < STEP_N_; i++)
		if (status == STEP_N_ || status == (enum step_status)i)
			n += s->count[i] - s->extra[i];
	return n;
}

double state_seconds(const struct progress_step *step, int64_t now_ns)
{
	int64_t end = step->status == STEP_RUNNING ? now_ns : step->end_ns;

	if (step->start_ns == 0 || end < step->start_ns)
		return 0;
	return (double)(end - step->start_ns) / 1e9;
}

void state_output(struct progress_step *step, str bytes, bool end,
                  void (*line)(void *ctx, struct progress_step *step, str line), void *ctx)
{
	tail_add(&step->tail, bytes);
	while (bytes.len > 0) {
		ptrdiff_t nl = str_find(bytes, '\n');
		size_t room = PROGRESS_LINE_MAX - step->part.len;
		size_t n = nl < 0 ? bytes.len : (size_t)nl;
		bool whole = nl >= 0 && n <= room;

		if (n > room)
			n = room;
		strbuf_add(&step->part, bytes.ptr, n);
		bytes = str_skip(bytes, n + whole);
		if (whole || step->part.len == PROGRESS_LINE_MAX) {
			line(ctx, step, strbuf_view(&step->part));
			strbuf_clear(&step->part);
		}
	}
	if (end && step->part.len > 0) {
		line(ctx, step, strbuf_view(&step->part));
		strbuf_clear(&step->part);
	}
}

void state_done(struct progress_state *s)
{
	vec_foreach (step, &s->steps) {
		free(step->name);
		free(step->file);
		free(step->what);
		tail_done(&step->tail);
		strbuf_done(&step->part);
	}
	vec_free(&s->steps);
}

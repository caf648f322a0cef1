#include "publish.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "publish_priv.h"
#include "util/clock.h"

#define UPLOADS    4 /* at once, where nothing else is wished */
#define PRESS_NICE 10
#define CHECK_NS   (CLOCK_SEC / 2) /* who writes earlier needs no check before */

/* --- beginning and end ------------------------------------------------------- */

static size_t form_number(const struct publish_opts *o, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (o->targets[k].form.compression == o->targets[i].form.compression &&
		    o->targets[k].form.level == o->targets[i].form.level &&
		    o->targets[k].form.force == o->targets[i].form.force)
			return k;
	return i;
}

struct publisher *publisher_new(const struct publish_opts *opts)
{
	struct publisher *p = xcalloc(1, sizeof(*p));

	p->opts = *opts;
	p->arena = arena_new();
	p->press_pool = pool_new_nice((unsigned)get_nprocs(), PRESS_NICE);
	p->makers = pool_new_nice(1, PRESS_NICE);
	p->net = pool_new(opts->uploads ? opts->uploads : UPLOADS);
	p->targets = arena_array(p->arena, struct pub_target, opts->n + 1);
	for (size_t i = 0; i < opts->n; i++)
		p->targets[i] = (struct pub_target){ .p = p,
			                             .opts = &opts->targets[i],
			                             .form = form_number(opts, i) };
	if (pthread_mutex_init(&p->lock, NULL) || pthread_cond_init(&p->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	return p;
}

void publisher_stop(struct publisher *p)
{
	atomic_store(&p->stop, true);
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	publisher_stop(p);
	pool_free(p->checker);
	pool_free(p->makers);
	pool_free(p->net);
	pool_free(p->press_pool);
	vec_foreach (w, &p->warnings)
		free(*w);
	vec_free(&p->warnings);
	vec_free(&p->entries);
	map_done(&p->layers);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	arena_free(p->arena);
	free(p);
}

/* --- what is known; with the lock --------------------------------------------- */

static void warn_later(struct publisher *p, const char *fmt, ...) PRINTF(2, 3);
static void warn_later(struct publisher *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vec_push(&p->warnings, xstrdup(text));
}

/* A remote that fails gets nothing more; one that does not answer is tried once more at the end, or
 * when it is back. Returns whether what failed is to be kept for that. */
static bool target_failed(struct publisher *p, size_t target, const struct cairn_err *err)
{
	struct pub_target *t = &p->targets[target];

	if (t->failed || err->code == CAIRN_E_CANCELLED)
		return false;
	t->failed = t->last || err->code != CAIRN_E_TRANSIENT;
	t->away = !t->failed;
	t->err = *err;
	if (t->failed && !t->last) { /* at once: then a long build can be stopped */
		t->told = true;
		warn_later(p, "nothing more is published to %s%s: %s", remote_name(t->opts->remote),
		           t->opts->ignore_error ? "" : ", and this build will fail in the end",
		           err->msg);
	}
	return t->away;
}

/* sent: it is in the remote. */
static void entry_end(struct pub_entry *e, bool sent)
{
	if (e->stage != PUB_END) {
		e->p->open--;
		e->p->targets[e->target].missing += !sent;
	}
	e->stage = PUB_END;
}

/* --- tasks ----------------------------------------------------------------------- */

static void advance(struct publisher *p);

static int run_make(void *ctx, struct cairn_err *err)
{
	struct pub_layer *l = ctx;
	struct publisher *p = l->p;
	int r = atomic_load(&p->stop) ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped")
	                              : pub_layer_make(l, err);

	pthread_mutex_lock(&p->lock);
	l->state = r < 0 ? PUB_FAILED : PUB_DONE;
	if (r < 0 && r != CAIRN_E_CANCELLED)
		warn_later(p, "a layer is not published: %s", err->msg);
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static uint64_t part_bytes(const struct pub_layer *l)
{
	return (l->from.len ? 0 : l->blob.size) + l->index.size;
}

static int run_send(void *ctx, struct cairn_err *err)
{
	struct pub_part *part = ctx;
	struct publisher *p = part->layer->p;
	bool remote = false;
	int r = atomic_load(&p->stop) ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped")
	                              : pub_part_send(part, &remote, err);

	pthread_mutex_lock(&p->lock);
	part->state = r < 0 ? PUB_FAILED : PUB_DONE;
	p->parts--;
	p->done += part_bytes(part->layer);
	if (r < 0 && remote) {
		if (target_failed(p, part->target, err))
			part->state = PUB_IDLE;
	} else if (r < 0 && r != CAIRN_E_CANCELLED) {
		warn_later(p, "a layer is not published: %s", err->msg);
	}
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int run_ask(void *ctx, struct cairn_err *err)
{
	struct pub_entry *e = ctx;
	struct publisher *p = e->p;
	cleanup_strbuf struct strbuf text;
	bool found = false;
	int r;

	strbuf_init(&text, REMOTE_ENTRY_MAX);
	r = remote_entry_get(p->targets[e->target].opts->remote, &e->keys[0], &text, &found, err);
	pthread_mutex_lock(&p->lock);
	e->busy = false;
	if (r < 0) {
		if (!target_failed(p, e->target, err))
			entry_end(e, false);
	} else if (found) {
		pub_entry_learn(e, strbuf_view(&text));
		entry_end(e, true);
	} else {
		e->stage = PUB_LAYERS;
	}
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Beside its last layers. Nobody waits for the answer, and a failure shows again. */
static int run_expect(void *ctx, struct cairn_err *err)
{
	struct pub_asking *a = ctx;
	const struct pub_entry *e = a->entry;
	struct publisher *p = e->p;

	if (!atomic_load(&p->stop))
		(void)remote_entry_expect(p->targets[e->target].opts->remote, a->key, err);
	pthread_mutex_lock(&p->lock);
	a->entry->expecting--;
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static bool in_use(const struct publisher *p, const struct pub_layer *l)
{
	bool any = l->state == PUB_RUNNING;

	for (size_t i = 0; i < p->opts.n; i++)
		any |= l->parts[i].state == PUB_RUNNING;
	return any;
}

/* The remote has lost a blob: send all of this entry again, once. */
static void send_again(struct pub_entry *e)
{
	e->retried = true;
	e->stage = PUB_LAYERS;
	for (size_t i = 0; i < e->n; i++) {
		struct pub_layer *l = e->layers[i];
		struct pub_part *part = &l->parts[e->target];

		if (part->state != PUB_DONE)
			continue;
		part->state = PUB_IDLE;
		part->told = part->covered = false;
		if (pub_is_at(l, e->p->targets[e->target].opts->remote) && !in_use(e->p, l)) {
			l->state = PUB_IDLE; /* where it was said to be it is not */
			l->lost = true;
		}
	}
}

static int run_put(void *ctx, struct cairn_err *err)
{
	struct pub_entry *e = ctx;
	struct publisher *p = e->p;
	int r = pub_entry_put(e, err);

	pthread_mutex_lock(&p->lock);
	e->busy = false;
	if (r == CAIRN_E_NOT_FOUND && !e->retried) {
		send_again(e);
	} else if (r < 0 && target_failed(p, e->target, err)) {
		e->stage = PUB_LAYERS;
	} else {
		entry_end(e, r == 0);
	}
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Is a check wanted, after a moment in which nothing was written? */
static bool wants_check(struct pub_target *t)
{
	struct publisher *p = t->p;
	int64_t at = p->check_at;
	const struct timespec until = { .tv_sec = (time_t)(at / CLOCK_SEC),
		                        .tv_nsec = (long)(at % CLOCK_SEC) };
	bool wants;

	pthread_mutex_lock(&p->lock);
	while (!t->wrote && !atomic_load(&p->stop))
		if (pthread_cond_timedwait(&p->changed, &p->lock, &until) != 0)
			break;
	wants = !t->wrote && !atomic_load(&p->stop);
	pthread_mutex_unlock(&p->lock);
	return wants;
}

/* What may be better in a moment does not count: then the first write shows it. */
static int run_check(void *ctx, struct cairn_err *err)
{
	struct pub_target *t = ctx;
	struct publisher *p = t->p;
	int r = wants_check(t) ? remote_check_write(t->opts->remote, err) : 0;

	pthread_mutex_lock(&p->lock);
	if (r < 0 && r != CAIRN_E_TRANSIENT)
		(void)target_failed(p, (size_t)(t - p->targets), err);
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* --- what is to be done next; with the lock -------------------------------------- */

static void start(struct pool *pool, int (*run)(void *ctx, struct cairn_err *err), void *ctx)
{
	pool_add(pool, (struct pool_task){ .run = run, .ctx = ctx });
}

static void start_entry(struct pub_entry *e, int (*run)(void *ctx, struct cairn_err *err))
{
	e->busy = true;
	start(e->p->net, run, e);
}

static void start_layer(struct publisher *p, struct pub_layer *l)
{
	l->state = PUB_RUNNING;
	start(p->makers, run_make, l);
}

static void start_part(struct publisher *p, struct pub_part *part)
{
	part->state = PUB_RUNNING;
	p->targets[part->target].wrote = true;
	p->parts++;
	p->total += part_bytes(part->layer);
	start(p->net, run_send, part);
}

/* Its layers have their form and go off: then nothing but a question stands before the entry. */
static void expect(struct pub_entry *e)
{
	struct publisher *p = e->p;

	e->expected = true;
	if (e->forced)
		return;
	for (size_t i = 0; i < e->n_keys; i++) {
		struct pub_asking *a = arena_new_of(p->arena, struct pub_asking);

		*a = (struct pub_asking){ e, &e->keys[i] };
		e->expecting++;
		start(p->net, run_expect, a);
	}
}

/* Let the layers of an entry go on; returns how many are not there yet, or sets *ret_failed. */
static size_t advance_layers(struct pub_entry *e, bool *ret_failed)
{
	size_t missing = 0, unmade = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct pub_layer *l = e->layers[i];
		struct pub_part *part = &l->parts[e->target];

		if (part->state == PUB_DONE)
			continue;
		missing++;
		*ret_failed |= part->state == PUB_FAILED || l->state == PUB_FAILED;
		if (l->state == PUB_IDLE)
			start_layer(e->p, l);
		else if (l->state == PUB_DONE && part->state == PUB_IDLE)
			start_part(e->p, part);
		unmade += l->state != PUB_DONE;
	}
	if (missing && !unmade && !e->expected && !*ret_failed)
		expect(e);
	return missing + (e->expecting > 0);
}

static void advance_entry(struct pub_entry *e)
{
	const struct pub_target *t = &e->p->targets[e->target];
	bool failed = t->failed || atomic_load(&e->p->stop);

	if (e->busy)
		return;
	if (t->away && !failed) {
		e->p->waiting++;
		return;
	}
	if (!failed && e->stage == PUB_ASK)
		start_entry(e, run_ask);
	else if (!failed && e->stage == PUB_LAYERS && advance_layers(e, &failed) == 0) {
		e->stage = PUB_PUT;
		e->p->targets[e->target].wrote = true;
		start_entry(e, run_put);
	}
	if (failed)
		entry_end(e, false);
}

static void advance(struct publisher *p)
{
	size_t kept = 0;

	p->waiting = 0;
	vec_foreach (e, &p->entries) {
		advance_entry(*e);
		if ((*e)->stage != PUB_END)
			p->entries.ptr[kept++] = *e;
	}
	p->entries.len = kept;
	pthread_cond_broadcast(&p->changed);
}

/* Is it back? A question that costs little, before many are asked at once. */
static int run_come_back(void *ctx, struct cairn_err *err)
{
	const struct descriptor nothing = { .digest = digest_of("", 0) };
	struct pub_target *t = ctx;
	struct publisher *p = t->p;
	bool there = false;
	int r = remote_blob_has(t->opts->remote, &nothing, &there, err);

	pthread_mutex_lock(&p->lock);
	p->asking--;
	t->asked = t->away = false;
	if (r < 0)
		(void)target_failed(p, (size_t)(t - p->targets), err);
	advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void pub_come_back(struct publisher *p, bool last)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->opts.n; i++) {
		struct pub_target *t = &p->targets[i];

		t->last = last;
		if (!t->away || t->asked)
			continue;
		if (last)
			remote_retry(t->opts->remote);
		else if (!remote_ready(t->opts->remote))
			continue;
		t->asked = true;
		p->asking++;
		start(p->net, run_come_back, t);
	}
	pthread_mutex_unlock(&p->lock);
}

/* --- a step ------------------------------------------------------------------------ */

static struct pub_layer *layer_for(struct publisher *p, const struct chain *c, size_t i,
                                   size_t form)
{
	char key[sizeof(size_t) + DIGEST_LEN];
	struct pub_layer *l;

	memcpy(key, &form, sizeof(form));
	memcpy(key + sizeof(form), c->layers[i].diff_id.b, DIGEST_LEN);
	l = map_get(&p->layers, str_n(key, sizeof(key)));
	if (l)
		return l;
	l = arena_new_of(p->arena, struct pub_layer);
	*l = (struct pub_layer){ .p = p,
		                 .ids = arena_array(p->arena, struct digest, i + 1),
		                 .n = i + 1,
		                 .base = digest_none(&c->layers[i].step),
		                 .form = p->targets[form].opts->form,
		                 .parts = arena_array(p->arena, struct pub_part, p->opts.n) };
	for (size_t k = 0; k <= i; k++)
		l->ids[k] = c->layers[k].diff_id;
	for (size_t k = 0; k < p->opts.n; k++)
		l->parts[k] = (struct pub_part){ .layer = l, .target = k };
	map_put(&p->layers, str_n(key, sizeof(key)), l);
	return l;
}

static void add_entry(struct publisher *p, size_t target, const struct publish_step *s, str record)
{
	struct pub_entry *e = arena_new_of(p->arena, struct pub_entry);
	const struct chain *c = &s->record->chain;
	/* What the remote has for it is of no use to anybody: so it goes. */
	bool replace = supply_refused(p->opts.supply, p->targets[target].opts->remote, &s->key);

	*e = (struct pub_entry){ .p = p,
		                 .target = target,
		                 .keys = arena_array(p->arena, struct digest, s->n_also + 1),
		                 .n_keys = s->n_also + 1,
		                 .record = record,
		                 .forced = s->forced || replace,
		                 .layers = arena_array(p->arena, struct pub_layer *, c->n + 1),
		                 .n = c->n,
		                 .stage = s->ran || replace ? PUB_LAYERS : PUB_ASK };
	e->keys[0] = s->key;
	for (size_t i = 0; i < s->n_also; i++)
		e->keys[i + 1] = s->also[i];
	for (size_t i = 0; i < c->n; i++)
		e->layers[i] = layer_for(p, c, i, p->targets[target].form);
	vec_push(&p->entries, e);
	p->open++;
}

static bool wants(const struct publisher *p, size_t target, const struct publish_step *s)
{
	const struct pub_target *t = &p->targets[target];

	if (t->opts->min && !s->on_target_chain)
		return false;
	/* What it was found in has it; one of the same name in another scope, or on another
	 * server, may not. */
	return !s->from || strcmp(s->from, remote_name(t->opts->remote)) != 0 ||
	       !supply_reads(p->opts.supply, t->opts->remote);
}

void publisher_check(struct publisher *p)
{
	p->checker = pool_new(1);
	p->check_at = clock_now() + CHECK_NS;
	for (size_t i = 0; i < p->opts.n; i++)
		start(p->checker, run_check, &p->targets[i]);
}

void pub_warn(struct publisher *p, str text)
{
	p->opts.observer->event(p->opts.observer->ctx,
	                        &(struct build_event){ .kind = EVENT_WARNING,
	                                               .time_ns = clock_monotonic(),
	                                               .text = text });
}

/* Emit what threads had to say. */
static void show_warnings(struct publisher *p)
{
	for (;;) {
		cleanup_free char *text = NULL;

		pthread_mutex_lock(&p->lock);
		if (p->warnings.len) {
			text = p->warnings.ptr[0];
			memmove(p->warnings.ptr, p->warnings.ptr + 1,
			        --p->warnings.len * sizeof(*p->warnings.ptr));
		}
		pthread_mutex_unlock(&p->lock);
		if (!text)
			return;
		pub_warn(p, str_of(text));
	}
}

void publisher_collect(struct publisher *p)
{
	pool_collect(p->makers);
	pool_collect(p->net);
	if (p->checker)
		pool_collect(p->checker);
	show_warnings(p);
}

void publisher_step(struct publisher *p, const struct publish_step *step)
{
	cleanup_strbuf struct strbuf record;
	str kept = { 0 };

	publisher_collect(p);
	pub_come_back(p, false);
	strbuf_init(&record, RECORD_MAX);
	record_encode(step->record, &record);
	if (record.overflow)
		return;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->opts.n; i++) {
		if (!wants(p, i, step))
			continue;
		if (!kept.ptr)
			kept = arena_str(p->arena, strbuf_view(&record));
		add_entry(p, i, step, kept);
	}
	advance(p);
	pthread_mutex_unlock(&p->lock);
}

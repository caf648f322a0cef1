/* cairn build: warnings, of other threads and of before it is known which process builds. */
#include <pthread.h>

#include "build_priv.h"
#include "ctx.h"
#include "util/digest.h"

struct warning {
	char *text;    /* owned */
	bool of_cache; /* who asks that cache again tells it again, perhaps in other words */
};

struct build_warnings {
	pthread_mutex_t lock;
	VEC(struct warning) list;
};

/* Digests, with a comma behind each, of what the process before this one has told. */
#define TOLD_ENV "CAIRN_TOLD"

static void add(struct build_warnings *w, str text, bool of_cache)
{
	pthread_mutex_lock(&w->lock);
	vec_push(&w->list, (struct warning){ str_dup(text), of_cache });
	pthread_mutex_unlock(&w->lock);
}

void build_warnings_add(void *ctx, str text)
{
	add(ctx, text, true);
}

static str digest_hex_of(str text, struct digest_text *buf)
{
	struct digest d = digest_of(text.ptr, text.len);

	*buf = digest_hex(&d);
	return str_of(buf->s);
}

static bool was_told(const struct build_run *r, str text)
{
	struct digest_text buf;

	return str_search(str_of(ctx_env(r->ctx->envp, TOLD_ENV)), digest_hex_of(text, &buf)) >= 0;
}

static void observe(void *ctx, const struct build_event *ev)
{
	struct build_run *r = ctx;

	if (ev->kind == EVENT_WARNING && was_told(r, ev->text))
		return;
	if (r->holding && ev->kind == EVENT_WARNING)
		add(r->warnings, ev->text, false);
	else
		r->display.event(r->display.ctx, ev);
}

void build_warnings_new(struct build_run *r, bool hold)
{
	r->warnings = xcalloc(1, sizeof(*r->warnings));
	if (pthread_mutex_init(&r->warnings->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	r->holding = hold;
	r->display = r->observer;
	r->observer = (struct engine_observer){ observe, r };
}

void build_warnings_show(struct build_run *r)
{
	struct build_warnings *w = r->warnings;

	for (size_t i = 0; w && !r->holding; i++) {
		cleanup_free char *text = NULL;

		pthread_mutex_lock(&w->lock);
		if (i < w->list.len)
			text = steal_ptr(&w->list.ptr[i].text);
		else
			w->list.len = 0;
		pthread_mutex_unlock(&w->lock);
		if (!text)
			return;
		build_run_warn(r, str_of(text));
	}
}

void build_warnings_release(struct build_run *r)
{
	r->holding = false;
	build_warnings_show(r);
}

char *build_warnings_hand_over(struct build_run *r)
{
	cleanup_strbuf struct strbuf told;

	strbuf_init(&told, 1u << 16);
	strbuf_cstr(&told, TOLD_ENV "=");
	r->holding = false;
	vec_foreach (w, &r->warnings->list) {
		struct digest_text buf;

		if (w->of_cache)
			continue;
		strbuf_str(&told, digest_hex_of(str_of(w->text), &buf));
		strbuf_char(&told, ',');
		build_run_warn(r, str_of(w->text));
	}
	return strbuf_steal(&told);
}

void build_warnings_free(struct build_run *r)
{
	struct build_warnings *w = r->warnings;

	if (!w)
		return;
	vec_foreach (t, &w->list)
		free(t->text);
	vec_free(&w->list);
	pthread_mutex_destroy(&w->lock);
	free(w);
	r->warnings = NULL;
}

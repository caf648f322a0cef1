/* cairn build: warnings, of other threads and of before it is known which process builds. */
#include <pthread.h>

#include "build_priv.h"
#include "ctx.h"
#include "util/digest.h"

struct build_warnings {
	pthread_mutex_t lock;
	VEC(char *) texts; /* owned */
};

/* Digests, with a comma behind each, of what the process before this one has told. */
#define TOLD_ENV "CAIRN_TOLD"

void build_warnings_add(void *ctx, str text)
{
	struct build_warnings *w = ctx;

	pthread_mutex_lock(&w->lock);
	vec_push(&w->texts, str_dup(text));
	pthread_mutex_unlock(&w->lock);
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
		build_warnings_add(r->warnings, ev->text);
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
		if (i < w->texts.len)
			text = steal_ptr(&w->texts.ptr[i]);
		else
			w->texts.len = 0;
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
	struct build_warnings *w = r->warnings;
	cleanup_strbuf struct strbuf told;

	strbuf_init(&told, 1u << 16);
	strbuf_cstr(&told, TOLD_ENV "=");
	vec_foreach (t, &w->texts) {
		struct digest_text buf;

		strbuf_str(&told, digest_hex_of(str_of(*t), &buf));
		strbuf_char(&told, ',');
	}
	build_warnings_release(r);
	return strbuf_steal(&told);
}

void build_warnings_free(struct build_run *r)
{
	struct build_warnings *w = r->warnings;

	if (!w)
		return;
	vec_foreach (t, &w->texts)
		free(*t);
	vec_free(&w->texts);
	pthread_mutex_destroy(&w->lock);
	free(w);
	r->warnings = NULL;
}

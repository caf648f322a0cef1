/* All keys at all remotes, together. */
#include "supply_priv.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/pool.h"

#define POLL_STOP_MS 50 /* between two looks at whether everything shall end */

/* One key at one remote. */
struct ask {
	struct wave *wave;
	size_t key, remote;
	struct strbuf text;
	bool answered, found;
};

/* All keys at all remotes. Who asked may be gone before the last answer comes. */
struct wave {
	struct supply *s;
	unsigned refs; /* supply's lock */
	int fd;        /* eventfd: something was answered */
	struct digest *keys;
	size_t n;
	struct ask *asks; /* key by key, the remotes in their order */
};

static void wave_unref(struct wave *w)
{
	bool last;

	pthread_mutex_lock(&w->s->lock);
	last = --w->refs == 0;
	pthread_mutex_unlock(&w->s->lock);
	if (!last)
		return;
	for (size_t i = 0; i < w->n * w->s->opts.n; i++)
		strbuf_done(&w->asks[i].text);
	close(w->fd);
	free(w->asks);
	free(w->keys);
	free(w);
}

/* The layers that the entry describes must be the record's, and none of them in doubt. */
static int check_entry(struct supply *s, const struct remote_entry *e, const struct record *r,
                       struct cairn_err *err)
{
	bool same = e->n_layers == r->chain.n;

	for (size_t i = 0; same && i < e->n_layers; i++)
		same = digest_eq(&e->layers[i].diff_id, &r->chain.layers[i].diff_id);
	if (!same)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "an entry describes other layers than its "
		                  "record has");
	for (size_t i = 0; i < e->n_layers; i++)
		if (supply_doubted(s, &e->layers[i].diff_id))
			return cairn_fail(err, CAIRN_E_NOT_FOUND, "layer %s is in doubt",
			                  digest_text(&e->layers[i].diff_id).s);
	return 0;
}

static int decode(struct supply *s, str text, struct arena *a, struct remote_entry *ret_entry,
                  struct record *ret_record, struct cairn_err *err)
{
	TRY(remote_entry_decode(text, a, ret_entry, err));
	TRY(record_decode(ret_entry->record, a, ret_record, err));
	return check_entry(s, ret_entry, ret_record, err);
}

static void warn_entry(struct supply *s, const struct remote *r, const struct cairn_err *err)
{
	cleanup_free char *text = NULL;

	if (err->code == CAIRN_E_NOT_FOUND || !s->opts.warn)
		return;
	text = xasprintf("the cache %s: %s; it is ignored", remote_name(r), err->msg);
	s->opts.warn(s->opts.warn_ctx, str_of(text));
}

/* An entry that names a layer in doubt. */
static void refuse(struct supply *s, const struct remote *remote, const struct digest *key)
{
	pthread_mutex_lock(&s->lock);
	vec_push(&s->refused, (struct supply_refusal){ remote, *key });
	pthread_mutex_unlock(&s->lock);
}

bool supply_refused(struct supply *s, const struct remote *remote, const struct digest *key)
{
	bool any = false;

	if (!s)
		return false;
	pthread_mutex_lock(&s->lock);
	vec_foreach (r, &s->refused)
		any |= digest_eq(&r->key, key) && remote_same_place(r->remote, remote);
	pthread_mutex_unlock(&s->lock);
	return any;
}

static bool ask_remote(struct ask *k)
{
	struct supply *s = k->wave->s;
	struct supply_remote *r = &s->remotes[k->remote];
	cleanup_arena struct arena *a = NULL;
	struct remote_entry e;
	struct record record;
	struct cairn_err err;
	bool found = false;

	if (atomic_load(&s->stop) || atomic_load(&r->off))
		return false;
	if (remote_entry_get(r->r, &k->wave->keys[k->key], &k->text, &found, &err) < 0) {
		if (err.code == CAIRN_E_DIGEST)
			warn_entry(s, r->r, &err);
		else
			supply_remote_failed(s, r, &err);
		return false;
	}
	if (!found)
		return false;
	a = arena_new();
	if (decode(s, strbuf_view(&k->text), a, &e, &record, &err) < 0) {
		if (err.code == CAIRN_E_NOT_FOUND)
			refuse(s, r->r, &k->wave->keys[k->key]);
		warn_entry(s, r->r, &err);
		return false;
	}
	return true;
}

static void answered(struct ask *k, bool found)
{
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&k->wave->s->lock);
	k->answered = true;
	k->found = found;
	pthread_mutex_unlock(&k->wave->s->lock);
	n = write(k->wave->fd, &one, sizeof(one));
	(void)n;
	wave_unref(k->wave);
}

static int run_ask(void *ctx, struct cairn_err *err)
{
	(void)err;
	answered(ctx, ask_remote(ctx));
	return 0;
}

static void drop_ask(void *ctx)
{
	answered(ctx, false);
}

static struct wave *wave_new(struct supply *s, const struct digest *keys, size_t n)
{
	struct wave *w = xcalloc(1, sizeof(*w));
	size_t m = s->opts.n;

	w->s = s;
	w->n = n;
	w->refs = 1 + (unsigned)(n * m);
	w->keys = xcalloc(n, sizeof(*w->keys));
	memcpy(w->keys, keys, n * sizeof(*keys));
	w->asks = xcalloc(n * m, sizeof(*w->asks));
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd < 0)
		CAIRN_BUG("cannot create an eventfd");
	for (size_t i = 0; i < n * m; i++) {
		w->asks[i] = (struct ask){ .wave = w, .key = i / m, .remote = i % m };
		strbuf_init(&w->asks[i].text, REMOTE_ENTRY_MAX);
	}
	for (size_t i = 0; i < n * m; i++)
		pool_add(s->net, (struct pool_task){
					 .run = run_ask, .drop = drop_ask, .ctx = &w->asks[i] });
	return w;
}

/* The first remote, in the order of the user, that has answered a key with an entry; with
 * *ret_open when there is none and one may still come. */
static struct ask *best_answer(const struct wave *w, size_t key, bool *ret_open)
{
	struct ask *asks = &w->asks[key * w->s->opts.n];

	*ret_open = false;
	for (size_t i = 0; i < w->s->opts.n; i++) {
		if (asks[i].found)
			return &asks[i];
		*ret_open |= !asks[i].answered;
	}
	return NULL;
}

static bool wave_open(struct wave *w)
{
	bool open = false, any = false;

	pthread_mutex_lock(&w->s->lock);
	for (size_t i = 0; i < w->n && !any; i++)
		any = !best_answer(w, i, &open) && open;
	pthread_mutex_unlock(&w->s->lock);
	return any;
}

/* Until every key has an entry, or nobody who could have one is left. */
static int wave_wait(struct wave *w, struct cairn_err *err)
{
	while (wave_open(w)) {
		struct pollfd fds[] = { { .fd = w->fd, .events = POLLIN },
			                { .fd = w->s->opts.cancel_fd, .events = POLLIN } };
		uint64_t count;
		ssize_t n;

		(void)poll(fds, ARRAY_SIZE(fds), POLL_STOP_MS);
		n = read(w->fd, &count, sizeof(count));
		(void)n;
		if (fds[1].revents)
			return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
		TRY(supply_check_stop(w->s, err));
	}
	return 0;
}

static void take_answer(struct wave *w, size_t key, struct arena *a, struct supply_found *ret)
{
	struct supply *s = w->s;
	struct record *r = arena_new_of(a, struct record);
	struct remote_entry e;
	struct cairn_err ignored;
	struct ask *k;
	bool open;

	*ret = (struct supply_found){ 0 };
	pthread_mutex_lock(&s->lock);
	k = best_answer(w, key, &open);
	pthread_mutex_unlock(&s->lock);
	if (!k || decode(s, strbuf_view(&k->text), a, &e, r, &ignored) < 0)
		return;
	supply_remember(s, s->remotes[k->remote].r, &e);
	ret->record = r;
	ret->from = remote_name(s->remotes[k->remote].r);
}

int supply_find(struct supply *s, const struct digest *keys, size_t n, struct arena *a,
                struct supply_found *ret, struct cairn_err *err)
{
	struct wave *w;
	int r;

	memset(ret, 0, n * sizeof(*ret));
	if (!n || !s->opts.n)
		return 0;
	TRY(supply_check_stop(s, err));
	w = wave_new(s, keys, n);
	r = wave_wait(w, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		take_answer(w, i, a, &ret[i]);
	wave_unref(w);
	return r;
}

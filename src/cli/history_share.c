#include "history_share.h"

#include "util/clock.h"
#include "util/log.h"

#define ATTEMPTS 6
#define FRESH_NS (2 * CLOCK_SEC) /* who wrote to a slot in the meantime would be overwritten */

static struct digest slot_name(unsigned slot)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.history", 1);
	digest_field_u64(&f, "slot", slot);
	return digest_fields_end(&f);
}

/* --- put ------------------------------------------------------------------------------------ */

void history_before_free(struct history_before *b)
{
	if (!b)
		return;
	strbuf_done(&b->text);
	free(b->version);
	free(b);
}

static int read_slot(struct remote *r, unsigned slot, struct history_before **ret,
                     struct cairn_err *err)
{
	struct history_before *b = xcalloc(1, sizeof(*b));
	struct digest name = slot_name(slot);
	bool found = false;

	b->when = clock_monotonic();
	strbuf_init(&b->text, REMOTE_POINTER_MAX);
	if (remote_pointer_get(r, &name, &b->text, &b->version, &found, err) < 0) {
		history_before_free(b);
		return err->code;
	}
	*ret = b;
	return 0;
}

int history_share_look(struct remote *r, const struct history_build *b, struct history_before **ret,
                       struct cairn_err *err)
{
	return read_slot(r, history_ring_slot(b, 0), ret, err);
}

/* *ret_done: it is there, or never will be. */
static int put_once(struct remote *r, unsigned slot, const struct history_build *b,
                    const struct history_before *old, bool *ret_done, struct cairn_err *err)
{
	struct digest name = slot_name(slot);
	struct remote_pointer p = { .version = old->version, .look = REMOTE_LOOK_AFTER };
	cleanup_strbuf struct strbuf now;
	bool lost = false;

	strbuf_init(&now, HISTORY_SLOT_MAX);
	*ret_done = history_ring_has(strbuf_view(&old->text), b) ||
	            !history_ring_put(strbuf_view(&old->text), b, &now);
	if (*ret_done)
		return 0;
	p.document = strbuf_view(&now);
	TRY(remote_pointer_put(r, &name, &p, &lost, err));
	*ret_done = !lost;
	return 0;
}

int history_share_put(struct remote *r, const struct history_build *b,
                      const struct history_before *before, struct cairn_err *err)
{
	unsigned attempt = 0;
	bool done = false;

	if (before && clock_monotonic() - before->when > FRESH_NS)
		before = NULL;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		unsigned slot = history_ring_slot(b, attempt);
		cleanup_history_before struct history_before *now = NULL;

		if (!before)
			TRY(read_slot(r, slot, &now, err));
		TRY(put_once(r, slot, b, before ? before : now, &done, err));
		if (done)
			return 0;
		before = NULL;
		/* A registry: the other's value may have it, too. Elsewhere: the slot is in use. */
		attempt += !remote_repository(r);
	}
	return cairn_fail(err, CAIRN_E_TRANSIENT, "others write to it all the time");
}

/* --- get ------------------------------------------------------------------------------------ */

struct asked {
	struct remote *remote;
	struct digest name;
	struct strbuf text;
	const bool *down; /* of its remote, or NULL: it is found out now */
	bool failed;
};

static int ask(void *ctx, size_t i, struct cairn_err *err)
{
	struct asked *q = (struct asked *)ctx + i;
	cleanup_free char *version = NULL;
	bool found = false;
	int r;

	if (!remote_ready(q->remote) || (q->down && *q->down))
		return 0;
	r = remote_pointer_get(q->remote, &q->name, &q->text, &version, &found, err);
	if (r < 0)
		log_debug("records of builds in %s: %s", remote_name(q->remote), err->msg);
	if (r < 0 || !found)
		strbuf_clear(&q->text);
	q->failed = r < 0;
	return r == CAIRN_E_CANCELLED ? r : 0;
}

int history_share_get(struct remote *const *remotes, size_t n, struct pool *net, struct history *h,
                      size_t *ret_added, struct cairn_err *err)
{
	size_t len = n * HISTORY_SLOTS, added = 0;
	struct asked *q = xcalloc(len + 1, sizeof(*q)); /* by slot, then by remote */
	int r;

	*ret_added = 0;
	for (size_t i = 0; i < len; i++) {
		q[i].remote = remotes[i % n];
		q[i].name = slot_name((unsigned)(i / n));
		q[i].down = i < n ? NULL : &q[i % n].failed;
		strbuf_init(&q[i].text, REMOTE_POINTER_MAX);
	}
	/* The first slots tell which remotes are worth the others. */
	r = pool_map(net, n, ask, q, err);
	if (r == 0)
		r = pool_map(net, len - n, ask, q + n, err);
	for (size_t i = 0; i < len; i++) {
		if (r == 0 && q[i].text.len)
			r = history_merge(h, strbuf_view(&q[i].text), &added, err);
		*ret_added += added;
		added = 0;
		strbuf_done(&q[i].text);
	}
	free(q);
	return r;
}

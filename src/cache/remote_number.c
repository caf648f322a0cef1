#include "remote_number.h"

#include <stdio.h>

void number_tag(const struct reference *base, unsigned n, struct reference *ret)
{
	*ret = *base;
	if (n)
		(void)snprintf(ret->tag, sizeof(ret->tag), "%.*s.%u", (int)sizeof(ret->tag) - 12,
		               base->tag, n);
}

int number_head(struct registry *r, const struct reference *ref, bool *ret_there,
                struct digest *ret, struct cairn_err *err)
{
	const struct media_type *type;
	struct cairn_err e;
	int rc = registry_head(r, ref, ret, &type, &e);

	*ret_there = rc == 0;
	if (rc == 0 || rc == CAIRN_E_NOT_FOUND)
		return 0;
	*err = e;
	return rc;
}

static void *look(void *ctx)
{
	struct number_look *l = ctx;

	http_guard_begin(registry_http(l->r), &l->guard);
	l->result = number_head(l->r, &l->ref, &l->there, &l->digest, &l->err);
	http_guard_end(registry_http(l->r), &l->guard);
	return NULL;
}

void number_look_begin(struct registry *r, const struct reference *base, struct number_look *l)
{
	l->r = r;
	l->base = base;
	l->guard = http_guard_copy(registry_http(r));
	number_tag(base, 1, &l->ref);
	l->running = pthread_create(&l->thread, NULL, look, l) == 0;
	if (!l->running)
		(void)look(l);
}

int number_look_end(struct number_look *l, struct cairn_err *err)
{
	if (l->running)
		(void)pthread_join(l->thread, NULL);
	if (l->result < 0)
		*err = l->err;
	return l->result;
}

int number_last(const struct number_look *l, unsigned *ret, struct digest *ret_digest,
                struct cairn_err *err)
{
	unsigned low = 0, high = 1; /* low is there, high is not */
	struct reference ref;
	struct digest d = l->digest;
	bool there = l->there;

	while (there && high <= NUMBER_MAX) {
		low = high;
		*ret_digest = d;
		high *= 2;
		number_tag(l->base, high, &ref);
		TRY(number_head(l->r, &ref, &there, &d, err));
	}
	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		number_tag(l->base, middle, &ref);
		TRY(number_head(l->r, &ref, &there, &d, err));
		if (!there) {
			high = middle;
			continue;
		}
		low = middle;
		*ret_digest = d;
	}
	*ret = low;
	return 0;
}

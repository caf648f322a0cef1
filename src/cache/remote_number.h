/* cache/remote_number.h - private to cache/: the tags of a pointer in a registry that does not let
 * a tag change.
 *
 * The first value has the tag itself, the n-th after it the tag with ".N" behind it
 * (remote_registry.c).
 *
 *	number_look_begin(registry, &base, &look);    meanwhile the tag itself is asked for
 *	number_look_end(&look, &err);
 *	number_last(&look, &n, &digest, &err);
 */
#ifndef CAIRN_CACHE_REMOTE_NUMBER_H
#define CAIRN_CACHE_REMOTE_NUMBER_H

#include <pthread.h>

#include "registry/registry.h"

#define NUMBER_MAX (1u << 20) /* values of one pointer */

/* The tag of value n; 0: `base` itself. */
void number_tag(const struct reference *base, unsigned n, struct reference *ret);

/* What a tag stands for, by HEAD; *ret_there false: nothing. Fails as registry_head() does. */
int number_head(struct registry *r, const struct reference *ref, bool *ret_there,
                struct digest *ret, struct cairn_err *err);

/* What the tag of value 1 stands for: nothing, wherever tags may change. All of it is private. */
struct number_look {
	struct registry *r;
	const struct reference *base;
	struct reference ref;
	pthread_t thread;
	bool running;            /* thread is */
	struct http_guard guard; /* of the call that it is a part of */
	bool there;
	struct digest digest;
	int result;
	struct cairn_err err;
};

/* Ask, in a thread of its own and within what the calling thread can stand (http_guard): behind a
 * long way one question after the other takes twice as long. `base` is borrowed until the last call
 * with it. */
void number_look_begin(struct registry *r, const struct reference *base, struct number_look *l);

/* Wait for the answer; has to be called. Fails as registry_head() does. */
int number_look_end(struct number_look *l, struct cairn_err *err);

/* The highest value that has a tag, 0 when none behind `base` has, and what that stands for. No
 * request when the look has found none. */
int number_last(const struct number_look *l, unsigned *ret, struct digest *ret_digest,
                struct cairn_err *err);

#endif

/* cache/inline.h - a cache inside the image that it is about.
 *
 * The config of an image has a member for us:
 *
 *	"cairn.cache.v1":{"layers":[..],"entries":[{"key":"sha256:..","n":N,"record":{..}},..]}
 *
 * An entry says what is known under a key: a record (record.h) without its layers, which are the
 * first N of "layers".  Where they lie the image's manifest says.  Only records whose chain the
 * image begins with can be there.  Readers that do not know the member ignore it.
 */
#ifndef CAIRN_CACHE_INLINE_H
#define CAIRN_CACHE_INLINE_H

#include "remote.h"

#define INLINE_MEMBER "cairn.cache.v1"

struct inline_entry {
	struct digest key;
	str record; /* stored form, record.h */
};

/* Append the config with these entries to out, whose maximum should be IMAGE_CONFIG_MAX.  Entries
 * that are not about the image's layers are left out; of two with one key the first stays. The
 * order does not matter. Fails with CAIRN_E_SYNTAX. */
int inline_add(str config, const struct inline_entry *entries, size_t n, struct strbuf *out,
               struct cairn_err *err);

/* The entries of a config; none when it has no cache. Fails with CAIRN_E_SYNTAX when it is
 * malformed. */
int inline_entries(str config, struct arena *a, struct inline_entry **ret, size_t *ret_n,
                   struct cairn_err *err);

/* The image at ref as a remote that is only read; it is looked at with the first question. An image
 * that is not there, or has no cache, is an empty one. */
int remote_open_inline(struct registry *registry, const struct reference *ref,
                       const struct platform *platform, struct remote **ret, struct cairn_err *err);

/* Look at the image now: the first entry that is asked for would. Any thread; fails as
 * remote_entry_get(). */
int remote_inline_look(struct remote *r, struct cairn_err *err);

/* Was it looked at, and has nothing that name? Then it is no cache of another kind either. */
bool remote_inline_absent(struct remote *r);

/* What a remote of that kind has, as far as it was looked at; lives as long as r. */
void remote_inline_entries(struct remote *r, const struct inline_entry **ret, size_t *ret_n);

#endif

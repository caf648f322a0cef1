/* store_record.h - what the cache knows: key digest -> opaque payload.
 *
 * A record refers to the layers and blobs without which it is worth nothing. One
 * whose references are not all here is never returned.
 */
#ifndef CAIRN_STORE_RECORD_H
#define CAIRN_STORE_RECORD_H

#include "store.h"

/* Longest payload. A record of 500 layers takes about 100 KiB. */
#define STORE_RECORD_MAX (1u << 20)

/* What kind of key led here; for listings and usage, never part of a look-up. */
enum store_record_kind {
	STORE_RECORD_DEFINITION = 1,
	STORE_RECORD_CONTENT,
	STORE_RECORD_ALIAS,
	STORE_RECORD_LINK,
	STORE_RECORD_FACT, /* something resolved: a tag, a URL */
};

enum store_ref_kind {
	STORE_REF_BLOB = 1,
	STORE_REF_LAYER, /* a diff_id */
};

struct store_ref {
	enum store_ref_kind kind;
	struct digest digest;
};

struct store_record {
	struct digest key;
	enum store_record_kind kind;
	int64_t created; /* ns since 1970: when its result was made */
	str payload;
	const struct store_ref *refs; /* for put; not filled by find */
	size_t n_refs;
};

/* What find returns for one key. */
struct store_found {
	bool found;
	enum store_record_kind kind;
	int64_t created;
	char *payload; /* owned, followed by a NUL; NULL when not found */
	size_t len;
};

/* Look n keys up and lease what is found (the record and all it refers to), in one
 * transaction. ret has room for n; store_found_done() each. */
int store_records_find(struct store *s, const struct digest *keys, size_t n,
                       struct store_found *ret, struct cairn_err *err);
void store_found_done(struct store_found *f);

enum store_policy {
	STORE_ADOPT,     /* a complete record that is there stays (normal build) */
	STORE_SUPERSEDE, /* the newer one stays, ties by payload digest (forced build) */
};

/* Put a record and lease it. ret_kept, which may be NULL: the record that stayed instead
 * of this one (found = true), or found = false when this one was taken. */
int store_record_put(struct store *s, const struct store_record *r, enum store_policy policy,
                     struct store_found *ret_kept, struct cairn_err *err);

/* Remove a record; an absent one is fine. */
int store_record_remove(struct store *s, const struct digest *key, struct cairn_err *err);

#endif

/* tests/conformance/cases.h - what the cases of several suites are made of. */
#ifndef CAIRN_TESTS_CASES_H
#define CAIRN_TESTS_CASES_H

#include "world.h"

#define RAISES 6 /* by one thread of check_counter() */

struct digest key_of(const char *text);
struct descriptor blob_of(str bytes, const char *type);                   /* borrows type */
int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err); /* a sink's; a strbuf */

/* Put a text as a layer's blob. */
struct descriptor put_text(struct remote *r, const char *text);

/* The entry is that text; NULL: there is none. */
void check_entry(struct remote *r, const struct digest *key, const char *want);
/* Put an entry; it is all the same who wins. */
int keep_entry(struct remote *r, const struct digest *key, str entry,
               const struct descriptor *blobs, size_t n, bool replace, struct cairn_err *err);
void put_entry(struct remote *r, const char *key, const char *text); /* without blobs */

/* Set, read, lose and fall back, one after the other. */
void check_pointers(struct world *w);

/* Threads raise a counter; exact: none of their steps may be lost. */
void check_counter(struct world *w, bool exact);

#endif

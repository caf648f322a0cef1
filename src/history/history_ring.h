/* history/history_ring.h - records that machines leave for one another in a shared place.
 *
 * The place keeps HISTORY_SLOTS documents. Each holds the newest records that were put into it, as
 * lines of history_export(), the newest first. Who has a record picks a slot by its id, so that
 * writers that come at the same time seldom meet, reads the document, puts its record in front and
 * writes it back on condition that nobody else did; else it takes another slot. A reader takes all
 * slots. What is kept is bounded: a slot by HISTORY_SLOT_MAX, a record in it by half of that.
 *
 * Pure: who reads and writes the documents is another matter.
 */
#ifndef CAIRN_HISTORY_HISTORY_RING_H
#define CAIRN_HISTORY_HISTORY_RING_H

#include <stdbool.h>

#include "util/strbuf.h"

struct history_build;

#include "history.h"

#define HISTORY_SLOTS    8u
#define HISTORY_SLOT_MAX (128u << 10) /* bytes of a document */

/* The slot for the n-th attempt (from 0) to put this record. */
unsigned history_ring_slot(const struct history_build *b, unsigned attempt);

/* Is the record in the document? */
bool history_ring_has(str document, const struct history_build *b);

/* Append to `out` (initialised, its maximum HISTORY_SLOT_MAX at least) the document with the record
 * in front; what no longer fits is dropped, the oldest first. False: the record is too large to be
 * shared, nothing is appended. */
bool history_ring_put(str document, const struct history_build *b, struct strbuf *out);

#endif

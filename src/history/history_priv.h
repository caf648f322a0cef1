/* history/history_priv.h - what the files of history share: which fields a record has.
 *
 * One table a struct makes the columns of the database, the members of the JSON lines, and what
 * reads and writes both. A change of a table is a new HISTORY_VERSION.
 */
#ifndef CAIRN_HISTORY_HISTORY_PRIV_H
#define CAIRN_HISTORY_HISTORY_PRIV_H

#include "history.h"
#include "util/json.h"

/* Of the database (user_version) and of the lines ("v"). Another version is not read. */
#define HISTORY_VERSION 2

#define HISTORY_LINE_MAX  (1u << 20) /* bytes of a JSON line */
#define HISTORY_TEXT_MAX  4096u      /* bytes of a text in it */
#define HISTORY_STEPS_MAX 2000u      /* of a build */
#define HISTORY_KEEP      20000u     /* records that are kept: the newest ones */

enum field_type {
	FIELD_STR,
	FIELD_U64,     /* uint64_t up to INT64_MAX: larger ones are cut to it */
	FIELD_TIME,    /* int64_t, not negative */
	FIELD_UINT,    /* unsigned */
	FIELD_BOOL,    /* bool */
	FIELD_DIGEST,  /* struct digest; "" and NULL: none */
	FIELD_OUTCOME, /* enum history_outcome; a word in JSON */
};

struct field {
	const char *name; /* of column and member */
	enum field_type type;
	size_t offset;
};

#define BUILD_FIELDS 27
#define STEP_FIELDS  8
extern const struct field history_build_fields[BUILD_FIELDS];
extern const struct field history_step_fields[STEP_FIELDS];

/* A record's id in hexadecimal, as lines have it. */
void history_id_text(const struct history_build *b, char buf[2 * HISTORY_ID + 1]);

/* Append a record as one line, with its newline. */
void history_encode(const struct history_build *b, struct strbuf *out);

/* Read a line; allocated in `a`. Fails with CAIRN_E_SYNTAX: damaged, too large, or of another
 * version. */
int history_decode(str line, struct arena *a, struct history_build *ret, struct cairn_err *err);

#endif

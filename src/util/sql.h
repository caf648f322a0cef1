/* util/sql.h - SQLite (https://sqlite.org/c3ref/intro.html), with our types.
 *
 * What is the same for every database: binding and reading str and struct digest. Who opens a
 * database decides about its journal, its locks and its errors.
 */
#ifndef CAIRN_UTIL_SQL_H
#define CAIRN_UTIL_SQL_H

#include <sqlite3.h>
#include <stdarg.h>

#include "util/digest.h"

/* Bind the parameters of a statement. types has a letter for each argument: d = const struct
 * digest * (NULL: null), s = str as text, b = str as bytes, i = int64_t. Everything is copied.
 * Returns SQLITE_OK or what SQLite says. */
int sql_vbind(sqlite3_stmt *st, const char *types, va_list ap);
int sql_bind(sqlite3_stmt *st, const char *types, ...);

struct digest sql_digest(sqlite3_stmt *st, int col); /* all zero when NULL or not 32 bytes */
str sql_bytes(sqlite3_stmt *st, int col);            /* dies with the next step */

static inline void sql_finalize_p_(sqlite3_stmt **st)
{
	(void)sqlite3_finalize(*st);
	*st = NULL;
}
/* For a statement that is used in one scope only. */
#define cleanup_sql __attribute__((cleanup(sql_finalize_p_)))

#endif

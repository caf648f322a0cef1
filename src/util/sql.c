#include "util/sql.h"

#include "util/err.h"

static int bind_one(sqlite3_stmt *st, int i, char type, va_list *ap)
{
	const struct digest *d;
	str v;

	switch (type) {
	case 'd':
		d = va_arg(*ap, const struct digest *);
		return d ? sqlite3_bind_blob(st, i, d->b, DIGEST_LEN, SQLITE_TRANSIENT)
		         : sqlite3_bind_null(st, i);
	case 's':
		v = va_arg(*ap, str);
		return sqlite3_bind_text64(st, i, v.ptr ? v.ptr : "", v.len, SQLITE_TRANSIENT,
		                           SQLITE_UTF8);
	case 'b':
		v = va_arg(*ap, str);
		return sqlite3_bind_blob64(st, i, v.ptr ? v.ptr : "", v.len, SQLITE_TRANSIENT);
	case 'i':
		return sqlite3_bind_int64(st, i, va_arg(*ap, int64_t));
	default:
		CAIRN_BUG("unknown binding '%c'", type);
	}
}

int sql_vbind(sqlite3_stmt *st, const char *types, va_list ap)
{
	int rc = SQLITE_OK;
	va_list list;

	va_copy(list, ap);
	for (int i = 1; *types && rc == SQLITE_OK; types++, i++)
		rc = bind_one(st, i, *types, &list);
	va_end(list);
	return rc;
}

int sql_bind(sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = sql_vbind(st, types, ap);
	va_end(ap);
	return rc;
}

struct digest sql_digest(sqlite3_stmt *st, int col)
{
	struct digest d = { 0 };
	const void *p = sqlite3_column_blob(st, col);

	if (p && sqlite3_column_bytes(st, col) == DIGEST_LEN)
		memcpy(d.b, p, DIGEST_LEN);
	return d;
}

str sql_bytes(sqlite3_stmt *st, int col)
{
	const char *p = sqlite3_column_blob(st, col);

	return str_n(p, (size_t)sqlite3_column_bytes(st, col));
}

/* cli/progress_text.h - making foreign text fit for a terminal. Pure functions. */
#ifndef CAIRN_CLI_PROGRESS_TEXT_H
#define CAIRN_CLI_PROGRESS_TEXT_H

#include "util/strbuf.h"

/* Append one line of a command's output so that it cannot steer a terminal:
 * escape sequences, control characters and characters that reorder text are
 * dropped, tabs become blanks, invalid UTF-8 becomes '?', and a carriage return
 * starts the line again, as a terminal would. */
void text_clean(str line, struct strbuf *out);

/* Columns that clean text takes: wide characters two, combining ones none. */
size_t text_width(str clean);

/* Append clean text in at most `columns` columns, "..." marking what was cut;
 * never splits a character. Returns the columns used. */
size_t text_fit(str clean, size_t columns, struct strbuf *out);

#endif

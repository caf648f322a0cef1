/* cli/table.h - columns of text, as docker prints them. */
#ifndef CAIRN_CLI_TABLE_H
#define CAIRN_CLI_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "util/str.h"

#define TABLE_COLUMNS_MAX 8

struct table;

/* A table with these headings, which are literals; ends with NULL. */
struct table *table_new(const char *const *headings);

/* Append a cell; a row is full when it has as many cells as there are headings.
 * Copied; control characters are dropped. */
void table_cell(struct table *t, const char *text);

/* Print headings and rows, columns three blanks apart; the table is freed.
 * out NULL: it is only freed. */
void table_print(struct table *t, FILE *out);

/* "3 hours ago", or "-" for a moment that is not known. buf is returned. */
const char *table_ago(int64_t then_ns, int64_t now_ns, char buf[32]);

#endif

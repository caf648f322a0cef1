/* util/log.h - messages for the person who debugs cairn.
 *
 * Off unless CAIRN_DEBUG=1; written to stderr.  Nothing a user needs goes here.
 */
#ifndef CAIRN_UTIL_LOG_H
#define CAIRN_UTIL_LOG_H

#include "util/err.h"

void log_debug(const char *fmt, ...) PRINTF(1, 2);

#endif

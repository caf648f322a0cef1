/* cache/cache.h - what was built before, and how it is found again.
 *
 *	context.h  the files of a build context
 *	select.h   which files a COPY or a mount reads
 *	keys.h     digests over what a step reads
 *	record.h   what is stored under a key
 *	remote.h   caches that machines share
 *	report.h   why steps were hits or misses, by name; parts.h what a key is made of
 */
#ifndef CAIRN_CACHE_CACHE_H
#define CAIRN_CACHE_CACHE_H

#include "context.h"
#include "keys.h"
#include "parts.h"
#include "record.h"
#include "remote.h"
#include "report.h"
#include "select.h"

#endif

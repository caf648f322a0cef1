/* cache/cache.h - what was built before, and how it is found again.
 *
 *	context.h  the files of a build context
 *	select.h   which files a COPY or a mount reads
 *	inline.h   a cache inside an image
 *	keys.h     digests over what a step reads
 *	define.h   what the steps of a graph read, and their keys before anything has run
 *	base_fact.h  what a remote knows about a base image
 *	mount_pointer.h  what a remote keeps for a cache mount
 *	record.h   what is stored under a key
 *	remote.h   caches that machines share
 *	report.h   why steps were hits or misses, by name; parts.h what a key is made of
 *	buildkit_* the same steps as BuildKit knows them
 */
#ifndef CAIRN_CACHE_CACHE_H
#define CAIRN_CACHE_CACHE_H

#include "base_fact.h"
#include "buildkit_config.h"
#include "buildkit_export.h"
#include "buildkit_hash.h"
#include "buildkit_import.h"
#include "buildkit_key.h"
#include "buildkit_match.h"
#include "context.h"
#include "define.h"
#include "inline.h"
#include "keys.h"
#include "mount_pointer.h"
#include "parts.h"
#include "record.h"
#include "remote.h"
#include "report.h"
#include "select.h"

#endif

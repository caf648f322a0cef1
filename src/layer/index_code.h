/* layer/index_code.h - private: the pieces of an encoded index (index.h). */
#ifndef CAIRN_LAYER_INDEX_CODE_H
#define CAIRN_LAYER_INDEX_CODE_H

#include "index.h"

#define INDEX_MAGIC       "cairnidx"
#define INDEX_MAGIC_LEN   8u
#define INDEX_HEADER      (INDEX_MAGIC_LEN + 4 + 4 + 8 + DIGEST_LEN)
#define INDEX_ABSENT      0xffffffffu /* length of an inlined file that is not there */
#define INDEX_FLAG_OPAQUE 1u
#define INDEX_FLAG_OFFSET 2u
#define INDEX_ENTRY_MIN   8u /* bytes of the shortest entry: bounds the count of entries */

static inline bool index_has_content(enum layer_type t)
{
	return t == LAYER_FILE || t == LAYER_HARDLINK;
}

static inline bool index_has_target(enum layer_type t)
{
	return t == LAYER_SYMLINK || t == LAYER_HARDLINK;
}

static inline bool index_is_device(enum layer_type t)
{
	return t == LAYER_CHAR || t == LAYER_BLOCK;
}

#endif

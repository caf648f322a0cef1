/* util/map.h - a hash map from bytes to pointers, in insertion order.
 *
 * Keys are copied; values are borrowed.  Iteration follows insertion, so that
 * output made from a map is deterministic.  Nothing is ever removed.
 */
#ifndef CAIRN_UTIL_MAP_H
#define CAIRN_UTIL_MAP_H

#include <stdint.h>

#include "util/str.h"

struct map_entry {
	str key; /* owned by the map */
	void *value;
	uint32_t hash;
};

struct map {
	struct map_entry *entries; /* len of them, in insertion order */
	size_t len, cap;
	uint32_t *slots; /* index + 1 into entries, 0 = free; n_slots is a power of two */
	size_t n_slots;
};

/* A zeroed struct is an empty map. */
void map_done(struct map *m);
void *map_get(const struct map *m, str key); /* NULL when absent */
bool map_has(const struct map *m, str key);
/* Set key to value; returns the value that was there before, or NULL. */
void *map_put(struct map *m, str key, void *value);

#define cleanup_map __attribute__((cleanup(map_done)))

#define map_foreach(it, m) \
	for (struct map_entry *it = (m)->entries; it && it < (m)->entries + (m)->len; it++)

#endif

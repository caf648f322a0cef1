#include "util/map.h"

#include "util/mem.h"

static uint32_t hash(str key) /* FNV-1a; keys come from the user's own files */
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 16777619u;
	return h;
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->len; i++)
		free((void *)(uintptr_t)m->entries[i].key.ptr);
	free(m->entries);
	free(m->slots);
	*m = (struct map){ 0 };
}

/* The slot that holds key, or the free one where it belongs. */
static uint32_t *find(const struct map *m, str key, uint32_t h)
{
	for (size_t i = h;; i++) {
		uint32_t *slot = &m->slots[i & (m->n_slots - 1)];
		const struct map_entry *e;

		if (!*slot)
			return slot;
		e = &m->entries[*slot - 1];
		if (e->hash == h && str_eq(e->key, key))
			return slot;
	}
}

static void grow(struct map *m)
{
	m->n_slots = m->n_slots ? m->n_slots * 2 : 16;
	free(m->slots);
	m->slots = xcalloc(m->n_slots, sizeof(*m->slots));
	for (size_t i = 0; i < m->len; i++)
		*find(m, m->entries[i].key, m->entries[i].hash) = (uint32_t)i + 1;
}

bool map_has(const struct map *m, str key)
{
	return m->len && *find(m, key, hash(key));
}

void *map_get(const struct map *m, str key)
{
	uint32_t i = m->len ? *find(m, key, hash(key)) : 0;

	return i ? m->entries[i - 1].value : NULL;
}

void *map_put(struct map *m, str key, void *value)
{
	uint32_t h = hash(key), *slot;

	if ((m->len + 1) * 4 > m->n_slots * 3)
		grow(m);
	slot = find(m, key, h);
	if (*slot) {
		void *old = m->entries[*slot - 1].value;

		m->entries[*slot - 1].value = value;
		return old;
	}
	if (m->len == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 16;
		m->entries = xreallocarray(m->entries, m->cap, sizeof(*m->entries));
	}
	m->entries[m->len] = (struct map_entry){ str_n(str_dup(key), key.len), value, h };
	*slot = (uint32_t)++m->len;
	return NULL;
}

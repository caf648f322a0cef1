#include "history_ring.h"

#include "history_priv.h"

unsigned history_ring_slot(const struct history_build *b, unsigned attempt)
{
	return b->id[attempt % HISTORY_ID] % HISTORY_SLOTS;
}

bool history_ring_has(str document, const struct history_build *b)
{
	char id[2 * HISTORY_ID + 1];

	history_id_text(b, id);
	return str_search(document, str_of(id)) >= 0;
}

bool history_ring_put(str document, const struct history_build *b, struct strbuf *out)
{
	cleanup_strbuf struct strbuf first;
	size_t room;
	str line;

	strbuf_init(&first, HISTORY_SLOT_MAX / 2);
	history_encode(b, &first);
	if (first.overflow)
		return false;
	strbuf_str(out, strbuf_view(&first));
	room = HISTORY_SLOT_MAX - first.len;
	while (str_next(&document, '\n', &line)) {
		if (!line.len)
			continue;
		if (line.len + 1 > room)
			break;
		strbuf_str(out, line);
		strbuf_char(out, '\n');
		room -= line.len + 1;
	}
	return true;
}

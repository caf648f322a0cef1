/* The document of a snapshot. The input is a number of packs (one byte), packs, and what follows
 * the header of a layer index: lengths and checksum are put right, so that the decoders are
 * reached.  What is accepted must encode to the same bytes and be safe to restore: no entry
 * outside, no bytes beyond the packs. */
#include <stdlib.h>

#include "layer/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACK_LEN (8u + 8 + DIGEST_LEN)

static void check(const struct snapshot *s, str bytes)
{
	uint64_t end =
		s->n_packs ? s->packs[s->n_packs - 1].start + s->packs[s->n_packs - 1].raw : 0;
	struct strbuf b;

	strbuf_init(&b, SNAPSHOT_MAX);
	snapshot_encode(s, &b);
	if (!str_eq(strbuf_view(&b), bytes))
		abort();
	strbuf_done(&b);
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i]->tar_offset + s->files[i]->size > end)
			abort();
	for (size_t i = 0; i < s->index->n_entries; i++)
		if (!layer_path_valid(s->index->entries[i].path))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size ? data[0] : 0, packs = n * PACK_LEN;
	struct snapshot *s = NULL;
	struct cairn_err err;
	struct digest sum;
	struct strbuf b;

	if (size < 1 + packs)
		return 0;
	sum = digest_of(data + 1 + packs, size - 1 - packs);
	strbuf_init(&b, SNAPSHOT_MAX);
	strbuf_cstr(&b, "cairnsnp");
	strbuf_u32le(&b, SNAPSHOT_VERSION);
	strbuf_u32le(&b, (uint32_t)n);
	strbuf_u64le(&b, 1);
	strbuf_add(&b, data + 1, packs);
	strbuf_cstr(&b, "cairnidx");
	strbuf_u32le(&b, LAYER_INDEX_VERSION);
	strbuf_u32le(&b, 0);
	strbuf_u64le(&b, size - 1 - packs);
	strbuf_add(&b, sum.b, DIGEST_LEN);
	strbuf_add(&b, data + 1 + packs, size - 1 - packs);
	if (snapshot_decode(strbuf_view(&b), &s, &err) == 0)
		check(s, strbuf_view(&b));
	snapshot_free(s);
	strbuf_done(&b);
	return 0;
}

/* An encoded layer index. The input is what follows the header: length and checksum are put
 * right, so that the decoder itself is reached. */
#include <stdlib.h>

#include "layer/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int see(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	(void)err;
	*(size_t *)ctx += node->entry->path.len;
	return 0;
}

static void check(const struct layer_index *ix, str bytes)
{
	struct tree *empty = tree_new(), *one = tree_push(empty, ix), *two = tree_push(one, ix);
	struct cairn_err err;
	struct strbuf b;
	size_t seen = 0;

	strbuf_init(&b, LAYER_INDEX_MAX);
	layer_index_encode(ix, &b);
	if (!str_eq(strbuf_view(&b), bytes))
		abort();
	(void)tree_walk(two, NULL, see, &seen, &err);
	strbuf_clear(&b);
	for (size_t i = 0; i < ix->n_entries; i++)
		if (ix->entries[i].type == LAYER_SYMLINK)
			(void)tree_resolve(two, ix->entries[i].path, 0, &b, NULL, &err);
	strbuf_done(&b);
	tree_unref(two);
	tree_unref(one);
	tree_unref(empty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest sum = digest_of(data, size);
	struct layer_index *ix = NULL;
	struct cairn_err err;
	struct strbuf b;

	strbuf_init(&b, LAYER_INDEX_MAX);
	strbuf_cstr(&b, "cairnidx");
	strbuf_u32le(&b, LAYER_INDEX_VERSION);
	strbuf_u32le(&b, 0);
	strbuf_u64le(&b, size);
	strbuf_add(&b, sum.b, DIGEST_LEN);
	strbuf_add(&b, data, size);
	if (layer_index_decode(strbuf_view(&b), &ix, &err) == 0)
		check(ix, strbuf_view(&b));
	layer_index_unref(ix);
	strbuf_done(&b);
	return 0;
}

/* A foreign layer's tar, over a small image; what comes out must be a valid index. Header
 * checksums are put right first, so that mutations reach what is behind them. */
#include <stdlib.h>

#include "layer/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	str left;
};

static int read_memory(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct memory *m = ctx;

	(void)err;
	n = n < m->left.len ? n : m->left.len;
	if (n)
		memcpy(p, m->left.ptr, n);
	m->left = str_skip(m->left, n);
	*ret_n = n;
	return 0;
}

static struct tree *base(void)
{
	const struct layer_entry e[] = {
		{ .path = S("d"), .type = LAYER_DIR, .mode = 0755 },
		{ .path = S("d/f"), .type = LAYER_FILE, .mode = 0644, .digest = { { 1 } } },
		{ .path = S("lib"), .type = LAYER_SYMLINK, .mode = 0777, .target = S("/usr/lib") },
		{ .path = S("loop"), .type = LAYER_SYMLINK, .mode = 0777, .target = S("loop") },
		{ .path = S("up"),
		  .type = LAYER_SYMLINK,
		  .mode = 0777,
		  .target = S("d/../../usr") },
		{ .path = S("usr"), .type = LAYER_DIR, .mode = 0755 },
		{ .path = S("usr/lib"), .type = LAYER_DIR, .mode = 0755 },
	};
	struct layer_index *ix = layer_index_new(e, ARRAY_SIZE(e), NULL);
	struct tree *empty = tree_new(), *t = tree_push(empty, ix);

	tree_unref(empty);
	layer_index_unref(ix);
	return t;
}

static void check_index(const struct layer_index *ix, const struct tree *below)
{
	struct layer_index *back = NULL;
	struct tree *t = tree_push(below, ix);
	struct cairn_err err;
	struct strbuf b;

	strbuf_init(&b, LAYER_INDEX_MAX);
	layer_index_encode(ix, &b);
	if (layer_index_decode(strbuf_view(&b), &back, &err) < 0)
		abort();
	for (size_t i = 0; i < ix->n_entries; i++)
		if ((tree_find(t, ix->entries[i].path) == NULL) !=
		    (ix->entries[i].type == LAYER_WHITEOUT))
			abort();
	layer_index_unref(back);
	strbuf_done(&b);
	tree_unref(t);
}

static char *with_checksums(const uint8_t *data, size_t size)
{
	char *copy = xmalloc(size);

	if (size)
		memcpy(copy, data, size);
	for (size_t at = 0; at + 512 <= size; at += 512) {
		char *h = copy + at, text[8];
		unsigned sum = 8 * ' ';

		if (memcmp(h + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < 512; i++)
			sum += i < 148 || i >= 156 ? (unsigned char)h[i] : 0;
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(h + 148, text, 7);
	}
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	cleanup_free char *copy = with_checksums(data, size);
	struct memory m = { str_n(copy, size) };
	const struct layer_reader in = { read_memory, &m };
	struct decompressor *d = decompress_new(&in, 1u << 24);
	const struct layer_reader tar = decompress_reader(d);
	struct tree *below = base();
	struct layer_result r = { 0 };
	struct cairn_err err;

	if (layer_unpack(&tar, below, &opts, &r, &err) == 0)
		check_index(r.index, below);
	layer_result_done(&r);
	tree_unref(below);
	decompress_free(d);
	return 0;
}

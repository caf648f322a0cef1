#include "arrive.h"

#include "userns.h"
#include "util/clock.h"
#include "util/fs.h"

int arrive_limits(struct arrive_limits *ret, struct cairn_err *err)
{
	struct userns_map *m = xcalloc(1, sizeof(*m));
	int r = userns_read_map(m, err);
	uint64_t end = 0;
	bool initial = m->n_uid == 1 && m->uid[0].inside == 0 && m->uid[0].outside == 0 &&
	               m->uid[0].count == UINT32_MAX;

	for (unsigned i = 0; r == 0 && i < m->n_uid; i++)
		if ((uint64_t)m->uid[i].inside + m->uid[i].count > end)
			end = (uint64_t)m->uid[i].inside + m->uid[i].count;
	if (r == 0)
		*ret = (struct arrive_limits){
			.max_id = end > 0 && end < UINT32_MAX ? (uint32_t)(end - 1) : 0,
			.xattr_ns = initial ? LAYER_XATTR_TRUSTED : LAYER_XATTR_USER
		};
	free(m);
	return r;
}

void arrival_done(struct arrival *a)
{
	layer_result_done(&a->result);
	store_layer_txn_free(a->txn);
	*a = (struct arrival){ 0 };
}

static int unpack_tar(const struct arriving *a, const struct layer_reader *tar, struct arrival *ret,
                      struct cairn_err *err)
{
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	cleanup_fd int dirfd = -1;

	TRY(store_layer_begin(a->store, &ret->txn, err));
	TRY(fs_open_dir(AT_FDCWD, store_layer_txn_fs(ret->txn), &dirfd, err));
	opts.out_dirfd = dirfd;
	opts.max_id = a->limits->max_id;
	opts.xattr_ns = a->limits->xattr_ns;
	opts.pool = a->pool;
	opts.open_lower = a->open_lower;
	opts.ctx = a->ctx;
	return layer_unpack(tar, a->below, &opts, &ret->result, err);
}

int arrive_unpack(const struct arriving *a, const struct layer_reader *raw, bool plain,
                  struct arrival *ret, struct cairn_err *err)
{
	cleanup_decompressor struct decompressor *d = NULL;
	struct layer_reader tar;

	if (plain)
		return unpack_tar(a, raw, ret, err);
	d = decompress_new(raw, LAYER_SIZE_MAX);
	tar = decompress_reader(d);
	TRY(unpack_tar(a, &tar, ret, err));
	ret->kind = decompress_kind(d);
	return 0;
}

int arrive_check(const struct arriving *a, const struct arrival *got, struct cairn_err *err)
{
	const struct layer_result *res = &got->result;
	struct digest content;

	if (!digest_eq(&res->diff_id, &a->ids[a->n - 1]))
		return cairn_fail(err, CAIRN_E_DIGEST, "it holds %s instead of %s",
		                  digest_text(&res->diff_id).s, digest_text(&a->ids[a->n - 1]).s);
	if (a->tar_size && res->tar_size != a->tar_size)
		return cairn_fail(err, CAIRN_E_DIGEST, "it has %llu bytes instead of %llu",
		                  (unsigned long long)res->tar_size,
		                  (unsigned long long)a->tar_size);
	content = layer_index_content_digest(res->index);
	if (!digest_none(&a->content) && !digest_eq(&content, &a->content))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "its files are not those that the cache says it has");
	return 0;
}

/* A layer has one index: on another image it must have come to the same. */
static int check_known(const struct arriving *a, const struct digest *content,
                       struct cairn_err *err)
{
	struct store_layer known;
	bool found = false;

	TRY(store_layer_find(a->store, &a->ids[a->n - 1], &known, &found, err));
	if (!found || digest_eq(&known.content, content))
		return 0;
	return cairn_fail(err, CAIRN_E_UNSUPPORTED,
	                  "it lies on other files than in an image that is in the store; remove "
	                  "that image and what was built from it, or use another CAIRN_HOME");
}

int arrive_commit(const struct arriving *a, struct arrival *got, char **ret_dir,
                  struct cairn_err *err)
{
	const struct layer_result *res = &got->result;
	struct digest chain_key = store_layer_chain_key(a->ids, a->n);
	struct store_layer_new l = {
		.layer = { .diff_id = a->ids[a->n - 1],
		           .content = layer_index_content_digest(res->index),
		           .tar_size = res->tar_size,
		           .n_entries = res->index->n_entries,
		           .created = clock_now(),
		           .foreign = a->foreign },
		.dir_key = res->lower_dependent ? &chain_key : &a->ids[a->n - 1],
		.dir_bytes = res->content_size,
	};
	cleanup_strbuf struct strbuf index;

	strbuf_init(&index, LAYER_INDEX_MAX);
	TRY(check_known(a, &l.layer.content, err));
	layer_index_encode(res->index, &index);
	TRY(strbuf_check(&index, "layer index", err));
	l.index = strbuf_view(&index);
	return store_layer_commit(got->txn, &l, ret_dir, err);
}

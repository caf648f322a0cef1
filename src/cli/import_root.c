#include "import_root.h"

#include "graph/graph.h"
#include "util/fs.h"
#include "util/map.h"
#include "util/pool.h"

#define CHANGES_MAX (1u << 20) /* bytes of all --change together */

/* Names of one file get the same number. */
static uint64_t link_of(struct map *links, const struct layer_index *ix,
                        const struct layer_entry *e)
{
	str path = e->type == LAYER_HARDLINK ? e->target : e->path;
	const struct layer_entry *file = layer_index_find(ix, path);

	if (e->type == LAYER_HARDLINK)
		return (uint64_t)(file - ix->entries) + 1;
	return map_has(links, path) ? (uint64_t)(file - ix->entries) + 1 : 0;
}

/* Everything in the directory, as it is, in canonical form. */
static struct layer_plan *plan_of(const struct layer_index *ix, int dirfd)
{
	struct layer_plan *plan = layer_plan_new();
	cleanup_map struct map links = { 0 };

	for (size_t i = 0; i < ix->n_entries; i++)
		if (ix->entries[i].type == LAYER_HARDLINK)
			(void)map_put(&links, ix->entries[i].target, plan);
	for (size_t i = 0; i < ix->n_entries; i++) {
		struct layer_entry e = ix->entries[i];
		struct layer_source src = { .kind = LAYER_SOURCE_NONE };
		uint64_t link = 0;

		if (e.type == LAYER_FILE || e.type == LAYER_HARDLINK) {
			src = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
				                     .dirfd = dirfd,
				                     .path = e.path,
				                     .expected = e.digest };
			link = link_of(&links, ix, &e);
			e.type = LAYER_FILE;
			e.target = str_n(NULL, 0);
		}
		layer_plan_add(plan, &e, &src, link);
	}
	return plan;
}

static int commit(const struct import_root *in, struct store_layer_txn *txn,
                  const struct layer_result *res, struct cairn_err *err)
{
	struct store_layer_new l = { .layer = { .diff_id = res->diff_id,
		                                .content = layer_index_content_digest(res->index),
		                                .tar_size = res->tar_size,
		                                .n_entries = res->index->n_entries,
		                                .created = in->created },
		                     .dir_key = &res->diff_id,
		                     .dir_bytes = res->content_size };
	cleanup_strbuf struct strbuf index;

	strbuf_init(&index, LAYER_INDEX_MAX);
	layer_index_encode(res->index, &index);
	TRY(strbuf_check(&index, "layer index", err));
	l.index = strbuf_view(&index);
	return store_layer_commit(txn, &l, NULL, err);
}

int import_root(const struct import_root *in, const struct layer_reader *tar, struct digest *ret,
                struct cairn_err *err)
{
	cleanup_store_layer_txn struct store_layer_txn *txn = NULL;
	cleanup_layer_result struct layer_result unpacked = { 0 }, written = { 0 };
	cleanup_layer_plan struct layer_plan *plan = NULL;
	cleanup_tree struct tree *empty = tree_new();
	struct layer_unpack_opts uo = LAYER_UNPACK_OPTS_INIT;
	struct layer_write_opts wo = LAYER_WRITE_OPTS_INIT;
	cleanup_fd int dirfd = -1;

	TRY(store_layer_begin(in->store, &txn, err));
	TRY(fs_open_dir(AT_FDCWD, store_layer_txn_fs(txn), &dirfd, err));
	uo.out_dirfd = dirfd;
	uo.max_id = wo.max_id = in->max_id;
	uo.xattr_ns = wo.xattr_ns = in->ns;
	wo.pool = in->pool;
	TRY(layer_unpack(tar, empty, &uo, &unpacked, err));
	if (unpacked.index->n_entries == 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the archive holds no files");
	plan = plan_of(unpacked.index, dirfd);
	TRY(layer_write(plan, empty, &wo, &written, err));
	TRY(commit(in, txn, &written, err));
	*ret = written.diff_id;
	return 0;
}

static int no_base(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                   struct graph_base *ret, struct cairn_err *err)
{
	(void)ctx;
	(void)arena;
	(void)platform;
	(void)ret;
	return cairn_fail(err, CAIRN_E_USAGE, "'%.*s' cannot be used here", STR(ref));
}

/* One line an instruction; a newline would smuggle another one in. */
static int changes_text(const char *const *changes, size_t n, struct strbuf *text,
                        struct cairn_err *err)
{
	strbuf_cstr(text, "FROM scratch\n");
	for (size_t i = 0; i < n; i++) {
		if (strchr(changes[i], '\n'))
			return cairn_fail(err, CAIRN_E_USAGE, "--change takes one line");
		strbuf_printf(text, "%s\n", changes[i]);
	}
	return strbuf_check(text, "--change", err);
}

/* Errors about the made-up Dockerfile are errors of the command line. */
static int fail_change(const char *const *changes, size_t n, struct cairn_err *err)
{
	unsigned i = err->line;

	err->path[0] = '\0';
	err->line = err->col = 0;
	err->code = CAIRN_E_USAGE;
	if (i >= 2 && i - 2 < n)
		return cairn_wrap(err, "--change '%s'", changes[i - 2]);
	return cairn_wrap(err, "--change");
}

/* Only instructions that make no files, but WORKDIR, whose folder is left out. */
static int check_changes(const struct dockerfile *df, struct cairn_err *err)
{
	static const char *const refused[] = { "from", "run", "copy", "add", "arg" };

	for (size_t i = 1; i < df->n_nodes; i++)
		for (size_t k = 0; k < ARRAY_SIZE(refused); k++)
			if (str_is(df->nodes[i].name, refused[k]))
				return cairn_fail(err, CAIRN_E_USAGE, "--change cannot take '%.*s'",
				                  STR(df->nodes[i].text));
	return 0;
}

int import_changes(const char *const *changes, size_t n, const struct platform *platform,
                   struct arena *a, struct image_config *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_graph struct graph *g = NULL;
	struct map none = { 0 };
	struct graph_opts o = { .build_args = &none,
		                .contexts = &none,
		                .platform = *platform,
		                .resolve_base = no_base };

	strbuf_init(&text, CHANGES_MAX);
	TRY(changes_text(changes, n, &text, err));
	if (dockerfile_parse(strbuf_view(&text), "--change", &df, err) < 0)
		return fail_change(changes, n, err);
	TRY(check_changes(df, err));
	if (graph_lower(df, "--change", &o, &g, err) < 0)
		return fail_change(changes, n, err);
	image_config_copy(a, g->target->config, ret);
	ret->platform = *platform;
	return 0;
}

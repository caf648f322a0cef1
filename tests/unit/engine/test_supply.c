#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine.h"
#include "layer/layer.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/pool.h"

#define N_LAYERS 3
#define BIG_FILE (3u << 20) /* bytes of a file: several frames */

/* A cache with one entry: a chain of layers, each with a small and a large file; the second
 * removes a file of the first. */
struct fixture {
	struct arena *a;
	struct remote *remote;
	struct chain *chain;
	struct remote_layer layers[N_LAYERS];
	struct digest key;
	char big[N_LAYERS][BIG_FILE];
};

static void put_blob(struct remote *r, str bytes, const char *type, struct descriptor *ret)
{
	const struct remote_source src = { -1, bytes };
	struct cairn_err err;

	*ret = (struct descriptor){ .media_type = str_of(type),
		                    .digest = digest_of(bytes.ptr, bytes.len),
		                    .size = bytes.len };
	assert_ok(remote_blob_put(r, ret, &src, &err));
}

static int collect(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

static void compress(struct layer_plan *plan, const struct tree *below, struct strbuf *blob,
                     struct layer_result *ret, struct layer_index **ret_index)
{
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct layer_sink to = { collect, blob }, in;
	struct compressor *c = compress_new(COMPRESS_ZSTD, 0, NULL, &to);
	struct compress_result made;
	struct cairn_err err;

	in = compress_sink(c);
	opts.tar = &in;
	assert_ok(layer_write(plan, below, &opts, ret, &err));
	assert_ok(compress_finish(c, &made, &err));
	*ret_index = layer_index_with_frames(ret->index, made.frames, made.n_frames);
	compress_free(c);
}

static void plan_file(struct layer_plan *p, const char *path, str bytes)
{
	const struct layer_entry e = {
		.path = str_of(path),
		.type = LAYER_FILE,
		.mode = 0644,
		.size = bytes.len,
		.uid = (uint32_t)geteuid(),
		.gid = (uint32_t)getegid() /* others a user may not use */
	};
	const struct layer_source s = { .kind = LAYER_SOURCE_BYTES, .bytes = bytes };

	layer_plan_add(p, &e, &s, 0);
}

static struct layer_plan *make_plan(struct fixture *f, size_t i)
{
	struct layer_plan *p = layer_plan_new();
	const struct layer_entry dir = { .path = S("d"),
		                         .type = LAYER_DIR,
		                         .mode = 0755,
		                         .uid = (uint32_t)geteuid(),
		                         .gid = (uint32_t)getegid() };
	uint32_t x = (uint32_t)i + 1;

	for (size_t k = 0; k < BIG_FILE; k++) {
		x = x * 1664525 + 1013904223;
		f->big[i][k] = (char)('a' + (x >> 24) % 13);
	}
	layer_plan_add(p, &dir, NULL, 0);
	plan_file(p, arena_printf(f->a, "d/big%zu", i), str_n(f->big[i], BIG_FILE));
	plan_file(p, arena_printf(f->a, "d/small%zu", i), S("small"));
	if (i == 1)
		layer_plan_remove(p, S("d/small0"));
	return p;
}

static void add_layer(struct fixture *f, size_t i, struct tree **tree)
{
	struct layer_plan *plan = make_plan(f, i);
	struct layer_result made = { 0 };
	struct layer_index *ix = NULL;
	struct strbuf blob, index, packed;
	struct layer_sink to = { collect, &packed }, in;
	struct compressor *c;
	struct compress_result done;
	struct chain_layer l;
	struct tree *t;
	struct cairn_err err;

	strbuf_init(&blob, 64u << 20);
	strbuf_init(&index, 64u << 20);
	strbuf_init(&packed, 64u << 20);
	compress(plan, *tree, &blob, &made, &ix);
	layer_index_encode(ix, &index);
	c = compress_new(COMPRESS_ZSTD, 0, NULL, &to);
	in = compress_sink(c);
	assert_ok(in.write(in.ctx, index.ptr, index.len, &err));
	assert_ok(compress_finish(c, &done, &err));
	compress_free(c);
	l = (struct chain_layer){ .diff_id = made.diff_id,
		                  .content = layer_index_content_digest(ix),
		                  .step = digest_of(&i, sizeof(i)),
		                  .created = 1000000000,
		                  .size = made.tar_size };
	f->chain = chain_push(f->a, f->chain, &l);
	f->layers[i].diff_id = made.diff_id;
	f->layers[i].from = S("");
	put_blob(f->remote, strbuf_view(&blob), media_type_layer(LAYER_COMPRESS_ZSTD, false),
	         &f->layers[i].blob);
	put_blob(f->remote, strbuf_view(&packed), media_type_layer(LAYER_COMPRESS_ZSTD, false),
	         &f->layers[i].index);
	t = tree_push(*tree, ix);
	tree_unref(*tree);
	*tree = t;
	layer_index_unref(ix);
	layer_result_done(&made);
	layer_plan_free(plan);
	strbuf_done(&blob);
	strbuf_done(&index);
	strbuf_done(&packed);
}

static void put_entry(struct fixture *f)
{
	struct record r = {
		.created = 1000000000, .text = S("RUN something"), .chain = *f->chain, .own = true
	};
	struct remote_entry e = { .layers = f->layers, .n_layers = N_LAYERS };
	struct strbuf text, entry;
	struct descriptor blobs[2 * N_LAYERS];
	struct remote_put put = { .blobs = blobs, .replace = true };
	struct cairn_err err;
	size_t n = 0;
	bool lost;

	strbuf_init(&text, RECORD_MAX);
	strbuf_init(&entry, REMOTE_ENTRY_MAX);
	record_encode(&r, &text);
	e.record = strbuf_view(&text);
	remote_entry_encode(&e, &entry);
	for (size_t i = 0; i < N_LAYERS; i++) {
		blobs[n++] = f->layers[i].blob;
		if (!digest_none(&f->layers[i].index.digest))
			blobs[n++] = f->layers[i].index;
	}
	put.entry = strbuf_view(&entry);
	put.n_blobs = n;
	strbuf_clear(&text);
	assert_ok(remote_entry_put(f->remote, &f->key, &put, &text, &lost, &err));
	assert_false(lost);
	strbuf_done(&text);
	strbuf_done(&entry);
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct remote_scopes scopes = { 0 };
	struct tree *tree = tree_new();
	struct cairn_err err;

	f->a = arena_new();
	f->chain = arena_new_of(f->a, struct chain);
	f->key = digest_of("key", 3);
	assert_ok(remote_open_dir(arena_printf(f->a, "%s/cache", harness_dir()), &scopes, false,
	                          &f->remote, &err));
	for (size_t i = 0; i < N_LAYERS; i++)
		add_layer(f, i, &tree);
	tree_unref(tree);
	put_entry(f);
	return f;
}

static void fixture_free(struct fixture *f)
{
	remote_free(f->remote);
	arena_free(f->a);
	free(f);
}

/* An empty machine. */
struct runner {
	struct store *store;
	struct pool *pool;
	struct supply *supply;
	struct arena *a;
	unsigned n_warned;
};

static void warn(void *ctx, str text)
{
	(void)text;
	((struct runner *)ctx)->n_warned++;
}

static void machine_init(struct runner *m, struct fixture *f, const char *home)
{
	struct store_opts so = { 0 };
	struct supply_opts o = { .remotes = &f->remote, .n = 1, .cancel_fd = -1, .warn = warn };
	struct cairn_err err;

	*m = (struct runner){ .a = arena_new(), .pool = pool_new(2) };
	so.path = arena_printf(m->a, "%s/%s", harness_dir(), home);
	assert_ok(store_open(&so, &m->store, &err));
	o.store = m->store;
	o.pool = m->pool;
	o.warn_ctx = m;
	m->supply = supply_new(&o);
}

static void machine_done(struct runner *m)
{
	supply_free(m->supply);
	pool_free(m->pool);
	store_close(m->store);
	arena_free(m->a);
}

static const struct record *find(struct runner *m, const struct digest *key)
{
	struct supply_found found = { 0 };
	struct cairn_err err;

	assert_ok(supply_find(m->supply, key, 1, m->a, &found, &err));
	return found.record;
}

static bool ready(struct runner *m, const struct chain *c, enum supply_level level)
{
	struct cairn_err err;
	bool r = false;

	assert_ok(supply_ready(m->supply, c, level, NULL, &r, &err));
	return r;
}

/* The directories hold what the layers were made from. */
static void check_files(struct runner *m, struct fixture *f)
{
	const struct digest ids[] = { f->chain->layers[0].diff_id, f->chain->layers[1].diff_id,
		                      f->chain->layers[2].diff_id };
	const struct unpacked u = { m->store, m->pool, ids, N_LAYERS };
	char **dirs = NULL;
	struct cairn_err err;

	assert_ok(unpacked_dirs(&u, m->a, &dirs, &err));
	for (size_t i = 0; i < N_LAYERS; i++) {
		struct strbuf bytes;

		strbuf_init(&bytes, BIG_FILE);
		assert_ok(fs_read_file(AT_FDCWD, arena_printf(m->a, "%s/d/big%zu", dirs[i], i),
		                       &bytes, &err));
		assert_int_equal(bytes.len, BIG_FILE);
		assert_memory_equal(bytes.ptr, f->big[i], BIG_FILE);
		strbuf_done(&bytes);
	}
}

static char *blob_path(struct fixture *f, const struct digest *d)
{
	return arena_printf(f->a, "%s/cache/blobs/sha256/%s", harness_dir(), digest_hex(d).s);
}

static void damage(struct fixture *f, const struct digest *d)
{
	int fd = open(blob_path(f, d), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "xxxx", 4, 30), 4);
	assert_int_equal(close(fd), 0);
}

static void lose(struct fixture *f, const struct digest *d)
{
	assert_int_equal(unlink(blob_path(f, d)), 0);
}

/* --- tests ------------------------------------------------------------------------ */

void test_supply__find_brings_nothing(void **state)
{
	struct fixture *f = fixture_new();
	struct digest other = digest_of("other", 5);
	struct runner m;
	const struct record *r;
	struct supply_layer place;

	(void)state;
	machine_init(&m, f, "home");
	assert_null(find(&m, &other));
	assert_false(supply_where(m.supply, &f->layers[0].diff_id, &place));
	r = find(&m, &f->key);
	assert_non_null(r);
	assert_int_equal(r->chain.n, N_LAYERS);
	assert_true(digest_eq(&r->chain.tree, &f->chain->tree));
	assert_true(supply_where(m.supply, &f->layers[0].diff_id, &place));
	assert_true(digest_eq(&place.blob.digest, &f->layers[0].blob.digest));
	assert_false(ready(&m, &r->chain, SUPPLY_INDEX));
	assert_int_equal(m.n_warned, 0);
	machine_done(&m);
	fixture_free(f);
}

void test_supply__what_the_build_has_seen_goes_first(void **state)
{
	struct fixture *f = fixture_new();
	struct runner m;
	struct supply_layer place;

	(void)state;
	f->layers[0].from = f->layers[1].from = S("old.example/base");
	put_entry(f);
	machine_init(&m, f, "home");
	supply_tell(m.supply, &f->layers[0].diff_id, &f->layers[0].blob, S("new.example/base"));
	supply_tell(m.supply, &f->layers[1].diff_id, &f->layers[0].blob, S("new.example/base"));
	assert_non_null(find(&m, &f->key));
	assert_true(supply_where(m.supply, &f->layers[0].diff_id, &place));
	assert_str(place.from, "new.example/base");
	assert_str(place.also, "old.example/base");
	assert_true(digest_eq(&place.index.digest, &f->layers[0].index.digest));
	/* It is another blob that was seen. */
	assert_true(supply_where(m.supply, &f->layers[1].diff_id, &place));
	assert_str(place.from, "old.example/base");
	assert_str(place.also, "");
	assert_true(digest_eq(&place.blob.digest, &f->layers[1].blob.digest));
	machine_done(&m);
	fixture_free(f);
}

void test_supply__indexes_then_files(void **state)
{
	struct fixture *f = fixture_new();
	struct runner m;
	const struct record *r;
	struct store_layer l;
	struct cairn_err err;
	bool found = false;

	(void)state;
	machine_init(&m, f, "home");
	r = find(&m, &f->key);
	assert_ok(supply_fetch(m.supply, &r->chain, SUPPLY_INDEX, NULL, &err));
	assert_true(ready(&m, &r->chain, SUPPLY_INDEX));
	assert_false(ready(&m, &r->chain, SUPPLY_FILES));
	assert_ok(store_layer_find(m.store, &f->layers[1].diff_id, &l, &found, &err));
	assert_true(found && !l.foreign);
	assert_ok(supply_fetch(m.supply, &r->chain, SUPPLY_FILES, NULL, &err));
	assert_true(ready(&m, &r->chain, SUPPLY_FILES));
	check_files(&m, f);
	machine_done(&m);
	fixture_free(f);
}

/* Only the layers that are wanted. */
void test_supply__some_files(void **state)
{
	static const bool files[N_LAYERS] = { false, true, false };
	struct fixture *f = fixture_new();
	struct runner m;
	const struct record *r;
	struct cairn_err err;
	char *path = NULL;
	bool is = false;

	(void)state;
	machine_init(&m, f, "home");
	r = find(&m, &f->key);
	lose(f, &f->layers[2].blob.digest); /* nobody asks for it */
	assert_ok(supply_fetch(m.supply, &r->chain, SUPPLY_INDEX, files, &err));
	assert_ok(supply_ready(m.supply, &r->chain, SUPPLY_INDEX, files, &is, &err));
	assert_true(is);
	assert_ok(store_layer_dirs_find(m.store, &f->layers[0].diff_id, 1, &path, &err));
	assert_null(path);
	machine_done(&m);
	fixture_free(f);
}

/* DECISIONS.md 22: without indexes each layer says itself what is in it. */
void test_supply__without_indexes(void **state)
{
	for (int lost = 0; lost < 3; lost++)
		for (int level = 0; level < 2; level++) {
			struct fixture *f = fixture_new();
			struct runner m;
			const struct record *r;
			struct cairn_err err;

			(void)state;
			for (size_t i = 0; i < N_LAYERS; i++) {
				if (lost == 0)
					lose(f, &f->layers[i].index.digest);
				else if (lost == 1)
					damage(f, &f->layers[i].index.digest);
				else
					f->layers[i].index = (struct descriptor){ 0 };
			}
			if (lost == 2)
				put_entry(f);
			machine_init(&m, f, arena_printf(f->a, "home%d", level));
			r = find(&m, &f->key);
			assert_ok(supply_fetch(m.supply, &r->chain, (enum supply_level)level, NULL,
			                       &err));
			if (level == SUPPLY_FILES)
				check_files(&m, f);
			else
				assert_true(ready(&m, &r->chain, SUPPLY_INDEX));
			machine_done(&m);
			fixture_free(f);
			assert_ok(fs_remove_tree(harness_dirfd(), "cache", &err));
			assert_ok(fs_remove_tree(harness_dirfd(), level ? "home1" : "home0", &err));
		}
}

/* DECISIONS.md 5: what proves empty is not believed again, also by the next attempt. */
void test_supply__gone_or_damaged(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct fixture *f = fixture_new();
		struct runner m;
		const struct record *r;
		struct cairn_err err;

		(void)state;
		if (how == 0) {
			lose(f, &f->layers[1].blob.digest);
		} else if (how == 1) {
			damage(f, &f->layers[1].blob.digest);
		} else { /* a lie: another layer's bytes */
			f->layers[1].blob = f->layers[2].blob;
			put_entry(f);
		}
		machine_init(&m, f, "home");
		r = find(&m, &f->key);
		assert_non_null(r);
		assert_fails(supply_fetch(m.supply, &r->chain, SUPPLY_FILES, NULL, &err),
		             CAIRN_E_NOT_FOUND);
		assert_false(ready(&m, &r->chain, SUPPLY_INDEX)); /* nothing names it any more */
		assert_null(find(&m, &f->key));
		machine_done(&m);
		fixture_free(f);
		assert_ok(fs_remove_tree(harness_dirfd(), "cache", &err));
		assert_ok(fs_remove_tree(harness_dirfd(), "home", &err));
	}
}

/* An index that is another layer's is not taken for this one's. */
void test_supply__lying_index(void **state)
{
	struct fixture *f = fixture_new();
	struct runner m;
	const struct record *r;
	struct cairn_err err;

	(void)state;
	f->layers[1].index = f->layers[0].index;
	put_entry(f);
	machine_init(&m, f, "home");
	r = find(&m, &f->key);
	assert_ok(supply_fetch(m.supply, &r->chain, SUPPLY_FILES, NULL, &err));
	check_files(&m, f);
	machine_done(&m);
	fixture_free(f);
}

struct fetcher {
	struct runner *m;
	const struct chain *c;
	int result;
};

static void *fetch(void *ctx)
{
	struct fetcher *t = ctx;
	struct cairn_err err;

	t->result = supply_fetch(t->m->supply, t->c, SUPPLY_FILES, NULL, &err);
	return NULL;
}

/* Two steps and two processes want the same layers. */
void test_supply__at_once(void **state)
{
	struct fixture *f = fixture_new();
	struct runner m[2];
	struct fetcher t[4];
	pthread_t threads[4];

	(void)state;
	machine_init(&m[0], f, "home");
	machine_init(&m[1], f, "home");
	for (size_t i = 0; i < 4; i++) {
		t[i] = (struct fetcher){ &m[i % 2], &find(&m[i % 2], &f->key)->chain, 1 };
		assert_int_equal(pthread_create(&threads[i], NULL, fetch, &t[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(t[i].result, 0);
	}
	check_files(&m[0], f);
	machine_done(&m[0]);
	machine_done(&m[1]);
	fixture_free(f);
}

/* A remote that does not work is told of once, and another one is asked. */
void test_supply__stop(void **state)
{
	struct fixture *f = fixture_new();
	struct runner m;
	const struct record *r;
	struct supply_found found;
	struct cairn_err err;

	(void)state;
	machine_init(&m, f, "home");
	r = find(&m, &f->key);
	supply_stop(m.supply);
	assert_fails(supply_fetch(m.supply, &r->chain, SUPPLY_FILES, NULL, &err),
	             CAIRN_E_CANCELLED);
	assert_fails(supply_find(m.supply, &f->key, 1, m.a, &found, &err), CAIRN_E_CANCELLED);
	machine_done(&m);
	fixture_free(f);
}

/* DECISIONS.md 24: one file out of a layer comes without the rest. */
void test_supply__pick(void **state)
{
	static const char *const names[] = { "d/small0", "d/big0" };

	(void)state;
	for (int bad = 0; bad < 2; bad++) {
		struct fixture *f = fixture_new();
		struct layer_index *ix = NULL;
		const struct layer_entry *e;
		struct strbuf bytes;
		struct runner m;
		const struct record *r;
		struct cairn_err err;

		machine_init(&m, f, "home");
		r = find(&m, &f->key);
		assert_ok(supply_fetch(m.supply, &r->chain, SUPPLY_INDEX, NULL, &err));
		assert_ok(unpacked_index(m.store, &f->layers[0].diff_id, &ix, &err));
		e = layer_index_find(ix, str_of(names[1])); /* most of the layer */
		assert_false(supply_can_pick(m.supply, &r->chain.layers[0], &e, 1));
		e = layer_index_find(ix, str_of(names[0]));
		assert_true(supply_can_pick(m.supply, &r->chain.layers[0], &e, 1));
		assert_int_equal(mkdirat(harness_dirfd(), "out", 0700), 0);
		if (bad) {
			struct strbuf blob;

			/* Bytes of the last frame, where the small file is. */
			strbuf_init(&blob, 64u << 20);
			assert_ok(fs_read_file(AT_FDCWD, blob_path(f, &f->layers[0].blob.digest),
			                       &blob, &err));
			memset(blob.ptr + blob.len - 200, 'x', 200);
			assert_ok(fs_write_file(AT_FDCWD, blob_path(f, &f->layers[0].blob.digest),
			                        strbuf_view(&blob), 0644, &err));
			strbuf_done(&blob);
			assert_fails(supply_pick(m.supply, &r->chain.layers[0], &e, 1,
			                         arena_printf(m.a, "%s/out", harness_dir()), &err),
			             CAIRN_E_DIGEST);
		} else {
			assert_ok(supply_pick(m.supply, &r->chain.layers[0], &e, 1,
			                      arena_printf(m.a, "%s/out", harness_dir()), &err));
			strbuf_init(&bytes, 100);
			assert_ok(fs_read_file(harness_dirfd(), "out/d/small0", &bytes, &err));
			assert_str(strbuf_view(&bytes), "small");
			strbuf_done(&bytes);
		}
		layer_index_unref(ix);
		machine_done(&m);
		fixture_free(f);
		assert_ok(fs_remove_tree(harness_dirfd(), "out", &err));
		assert_ok(fs_remove_tree(harness_dirfd(), "cache", &err));
		assert_ok(fs_remove_tree(harness_dirfd(), "home", &err));
	}
}

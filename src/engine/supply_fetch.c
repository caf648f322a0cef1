/* Chains of layers, brought into the store: all at once as far as their indexes are known.
 *
 * The calling thread decides what can be started; what is started runs in the pools of the
 * supply.  A layer can be started when the tree below it is known, that is, when all layers below
 * have their index: with indexes from a cache that is so from the beginning, without them a layer
 * waits for the one below it.
 */
#include "supply_priv.h"

#include <errno.h>
#include <time.h>

#include "unpacked.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/pool.h"

enum layer_state {
	LAYER_WANTED,
	LAYER_RUNNING,
	LAYER_THERE,
	LAYER_GONE, /* no source has it */
};

struct fetching;

struct fetch_item {
	struct fetching *f;
	size_t i;
	struct supply_item item;
	enum layer_state state;
	bool files;   /* its directory is wanted */
	bool index;   /* the store has it */
	char *dir;    /* owned; NULL while it has none */
	bool counted; /* it is one of the supply's layers on their way */
	bool after;   /* it needs files of the layers below: not before they are there */
	struct store_lock *lock;
	struct cairn_err err; /* GONE */
};

struct fetching {
	struct supply *s;
	const struct chain *c;
	struct digest *ids;
	struct arrive_limits limits;
	struct fetch_item *items;
	struct tree **trees; /* trees[i]: of the layers below the i-th; n_trees of them */
	size_t n_trees;
	pthread_mutex_t lock; /* of what follows, and of states and directories */
	pthread_cond_t changed;
	unsigned running;
	bool failed; /* because of this machine, or stopped */
	struct cairn_err err;
};

/* --- what is there ------------------------------------------------------------------ */

/* Look a layer up: *ret_index says whether its index is known, *ret_dir is its directory. */
static int look(struct supply *s, const struct chain *c, const struct digest *ids, size_t i,
                bool *ret_index, char **ret_dir, struct cairn_err *err)
{
	struct digest keys[] = { store_layer_chain_key(ids, i + 1), ids[i] };
	char *paths[2] = { NULL, NULL };
	struct store_layer l;

	*ret_dir = NULL;
	TRY(store_layer_find(s->opts.store, &ids[i], &l, ret_index, err));
	if (!*ret_index)
		return 0;
	if (!digest_none(&c->layers[i].content) && !digest_eq(&l.content, &c->layers[i].content))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "layer %.19s holds other files in the store than in the cache",
		                  digest_text(&ids[i]).s);
	TRY(store_layer_dirs_find(s->opts.store, keys, 2, paths, err));
	*ret_dir = paths[0] ? paths[0] : paths[1];
	if (paths[0])
		free(paths[1]);
	return 0;
}

static struct digest *ids_of(const struct chain *c)
{
	struct digest *ids = xcalloc(c->n + 1, sizeof(*ids));

	for (size_t i = 0; i < c->n; i++)
		ids[i] = c->layers[i].diff_id;
	return ids;
}

static bool wants_files(enum supply_level level, const bool *files, size_t i)
{
	return level == SUPPLY_FILES || (files && files[i]);
}

int supply_ready(struct supply *s, const struct chain *c, enum supply_level level,
                 const bool *files, bool *ret, struct cairn_err *err)
{
	cleanup_free struct digest *ids = ids_of(c);
	struct cairn_err why;

	*ret = true;
	for (size_t i = 0; i < c->n && *ret; i++) {
		char *dir = NULL;
		bool index = false;
		int r = look(s, c, ids, i, &index, &dir, &why);

		*ret = r == 0 && index && (dir || !wants_files(level, files, i));
		free(dir);
		if (r < 0 && r != CAIRN_E_DIGEST) { /* that is for supply_fetch() to say */
			*err = why;
			return err->code;
		}
	}
	return 0;
}

static bool wanted(const struct fetch_item *it)
{
	return it->files ? !it->dir : !it->index;
}

static int look_again(struct fetch_item *it, struct cairn_err *err)
{
	struct fetching *f = it->f;
	char *dir = NULL;
	int r = look(f->s, f->c, f->ids, it->i, &it->index, &dir, err);

	if (r == CAIRN_E_DIGEST) { /* what the cache says contradicts what is here */
		it->state = LAYER_GONE;
		it->err = *err;
		return 0;
	}
	TRY(r);
	pthread_mutex_lock(&f->lock);
	free(it->dir);
	it->dir = dir;
	if (!wanted(it))
		it->state = LAYER_THERE;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* --- tasks ----------------------------------------------------------------------------- */

static void task_ended(struct fetch_item *it, int result, enum layer_state good,
                       const struct cairn_err *err)
{
	struct fetching *f = it->f;

	pthread_mutex_lock(&f->lock);
	f->running--;
	it->state = good;
	if (result < 0 && it->after && good == LAYER_THERE && !it->item.hard) {
		it->state = LAYER_WANTED; /* once more, when those below are there */
	} else if (result < 0) {
		it->state = LAYER_GONE;
		it->err = *err;
		if (!f->failed && (it->item.hard || err->code == CAIRN_E_CANCELLED)) {
			f->failed = true;
			f->err = *err;
		}
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* A missing index is no failure: then the layer itself says what is in it. */
static int run_index(void *ctx, struct cairn_err *err)
{
	struct fetch_item *it = ctx;
	int r = supply_item_index(&it->item, err);

	if (r < 0 && r != CAIRN_E_CANCELLED && !it->item.hard)
		r = 0;
	task_ended(it, r, LAYER_WANTED, err);
	return 0;
}

static int run_unpack(void *ctx, struct cairn_err *err)
{
	struct fetch_item *it = ctx;
	struct fetching *f = it->f;
	bool after = it->after;
	char *dir = NULL;
	int r = supply_item_unpack(&it->item, &dir, err);

	if (r < 0 && it->after != after)
		it->item.hard = false; /* open_lower() has asked for another turn */
	pthread_mutex_lock(&f->lock);
	it->dir = r == 0 ? dir : NULL;
	it->index |= r == 0;
	if (after)
		it->after = false;
	pthread_mutex_unlock(&f->lock);
	task_ended(it, r, LAYER_THERE, err);
	return 0;
}

static void drop_task(void *ctx)
{
	struct fetch_item *it = ctx;
	struct cairn_err err;
	int r = cairn_fail(&err, CAIRN_E_CANCELLED, "stopped");

	task_ended(it, r, LAYER_GONE, &err);
}

static void start(struct fetch_item *it, struct pool *pool,
                  int (*run)(void *ctx, struct cairn_err *err))
{
	struct fetching *f = it->f;

	pthread_mutex_lock(&f->lock);
	it->state = LAYER_RUNNING;
	f->running++;
	pthread_mutex_unlock(&f->lock);
	pool_add(pool, (struct pool_task){ .run = run, .drop = drop_task, .ctx = it });
}

/* A hard link of a layer made elsewhere leads to a lower one. */
static int open_lower(void *ctx, const struct tree_node *node, int *ret_fd, struct cairn_err *err)
{
	struct fetch_item *it = ctx;
	struct fetching *f = it->f;
	const struct fetch_item *lower = &f->items[node->layer];
	cleanup_free char *path = str_dup(node->entry->path), *dir = NULL;
	cleanup_fd int dirfd = -1;
	int fd;

	pthread_mutex_lock(&f->lock);
	/* One that has a thread comes to its end. One that has none may need this one's. */
	while (lower->state == LAYER_RUNNING)
		pthread_cond_wait(&f->changed, &f->lock);
	if (lower->dir)
		dir = xstrdup(lower->dir);
	else
		it->after = true;
	pthread_mutex_unlock(&f->lock);
	if (!dir)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "the layer below is not there yet");
	TRY(fs_open_dir(AT_FDCWD, dir, &dirfd, err));
	fd = fs_open_beneath(dirfd, path, O_RDONLY);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%s/%s'", dir, path);
	*ret_fd = fd;
	return 0;
}

/* --- order ------------------------------------------------------------------------------ */

/* Trees as far up as the indexes go. */
static int grow_trees(struct fetching *f, struct cairn_err *err)
{
	while (f->n_trees < f->c->n) {
		struct layer_index *ix = NULL;
		bool known;

		pthread_mutex_lock(&f->lock);
		known = f->items[f->n_trees - 1].index;
		pthread_mutex_unlock(&f->lock);
		if (!known)
			break;
		TRY(unpacked_index(f->s->opts.store, &f->ids[f->n_trees - 1], &ix, err));
		f->trees[f->n_trees] = tree_push(f->trees[f->n_trees - 1], ix);
		f->n_trees++;
		layer_index_unref(ix);
	}
	return 0;
}

static bool all_below_there(const struct fetching *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!f->items[k].dir)
			return false;
	return true;
}

/* It waits for files below it that nobody has asked for: they are brought, too. */
static void want_below(struct fetching *f, size_t i)
{
	pthread_mutex_lock(&f->lock);
	for (size_t k = 0; k < i; k++) {
		struct fetch_item *it = &f->items[k];

		it->files = true;
		if (it->state == LAYER_THERE && !it->dir)
			it->state = LAYER_WANTED;
	}
	pthread_mutex_unlock(&f->lock);
}

/* The lock of one layer, against this and other processes; NULL: another has it. */
static int lock_layer(struct fetch_item *it, struct cairn_err *err)
{
	struct digest_fields k;
	struct digest key;

	digest_fields_begin(&k, "cairn.layer.fetch", 1);
	digest_field_digest(&k, "layer", &it->item.layer->diff_id);
	key = digest_fields_end(&k);
	return store_lock_try(it->f->s->opts.store, &key, &it->lock, err);
}

static int start_layer(struct fetch_item *it, bool *ret_busy, struct cairn_err *err)
{
	struct fetching *f = it->f;

	TRY(lock_layer(it, err));
	if (!it->lock) {
		*ret_busy = true;
		return 0;
	}
	TRY(look_again(it, err)); /* another process may have brought it */
	if (it->state == LAYER_WANTED) {
		it->item.below = f->trees[it->i];
		start(it, f->s->work, run_unpack);
		return 0;
	}
	store_lock_free(steal_ptr(&it->lock));
	return 0;
}

/* Start what can be started; *ret_busy: something has to be looked at again soon. */
static int start_layers(struct fetching *f, bool *ret_busy, struct cairn_err *err)
{
	bool gone = false;

	*ret_busy = false;
	TRY(grow_trees(f, err));
	for (size_t i = 0; i < f->c->n && !gone; i++) {
		struct fetch_item *it = &f->items[i];
		enum layer_state state;

		pthread_mutex_lock(&f->lock);
		state = it->state;
		pthread_mutex_unlock(&f->lock);
		if (state != LAYER_RUNNING && it->lock)
			store_lock_free(steal_ptr(&it->lock));
		gone = state == LAYER_GONE; /* what lies above is worth nothing without it */
		if (state != LAYER_WANTED || i >= f->n_trees)
			continue;
		if (!it->after || all_below_there(f, i))
			TRY(start_layer(it, ret_busy, err));
		else
			want_below(f, i);
	}
	return 0;
}

/* Until something ends; soon when a lock is busy. */
static void wait_some(struct fetching *f, bool busy)
{
	struct timespec until;
	int64_t at = clock_now() + (busy ? STORE_LOCK_RETRY_MS : 200) * (CLOCK_SEC / 1000);

	until = (struct timespec){ at / CLOCK_SEC, at % CLOCK_SEC };
	(void)pthread_cond_timedwait(&f->changed, &f->lock, &until);
}

/* Can anything still change? */
static bool open_items(const struct fetching *f)
{
	for (size_t i = 0; i < f->c->n; i++) {
		if (f->items[i].state == LAYER_GONE)
			return false;
		if (f->items[i].state == LAYER_WANTED)
			return true;
	}
	return false;
}

static int bring_layers(struct fetching *f, struct cairn_err *err)
{
	bool busy = false, more = true, failed = false;
	int r = 0;

	while (more) {
		if (r == 0 && !failed)
			r = supply_check_stop(f->s, err);
		if (r == 0 && !failed)
			r = start_layers(f, &busy, err);
		pthread_mutex_lock(&f->lock);
		failed = f->failed;
		more = f->running || (r == 0 && !failed && open_items(f));
		if (more && (f->running || busy))
			wait_some(f, busy);
		pthread_mutex_unlock(&f->lock);
	}
	return r;
}

/* Indexes first: they are small, and with them no layer has to wait for another. */
static int bring_indexes(struct fetching *f, struct cairn_err *err)
{
	for (size_t i = 0; i < f->c->n; i++)
		if (!f->items[i].index && f->items[i].state == LAYER_WANTED)
			start(&f->items[i], f->s->net, run_index);
	pthread_mutex_lock(&f->lock);
	while (f->running)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < f->c->n; i++)
		if (f->items[i].state == LAYER_WANTED)
			TRY(look_again(&f->items[i], err));
	return 0;
}

/* --- the whole ----------------------------------------------------------------------------- */

static struct fetching *fetching_new(struct supply *s, const struct chain *c,
                                     enum supply_level level, const bool *files)
{
	struct fetching *f = xcalloc(1, sizeof(*f));

	*f = (struct fetching){ .s = s, .c = c, .ids = ids_of(c) };
	f->items = xcalloc(c->n + 1, sizeof(*f->items));
	f->trees = xcalloc(c->n + 1, sizeof(*f->trees));
	f->trees[f->n_trees++] = tree_new();
	if (pthread_mutex_init(&f->lock, NULL) || pthread_cond_init(&f->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	for (size_t i = 0; i < c->n; i++) {
		struct fetch_item *it = &f->items[i];

		*it = (struct fetch_item){ .f = f, .i = i, .files = wants_files(level, files, i) };
		it->item = (struct supply_item){ .s = s,
			                         .layer = &c->layers[i],
			                         .ids = f->ids,
			                         .n = i + 1,
			                         .limits = &f->limits,
			                         .open_lower = open_lower,
			                         .ctx = it };
	}
	return f;
}

static void fetching_free(struct fetching *f)
{
	for (size_t i = 0; i < f->n_trees; i++)
		tree_unref(f->trees[i]);
	for (size_t i = 0; i < f->c->n; i++) {
		store_lock_free(f->items[i].lock);
		free(f->items[i].dir);
	}
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	free(f->trees);
	free(f->items);
	free(f->ids);
	free(f);
}

/* The layers that will be brought show in the progress; returns whether there are any. */
static bool count_layers(struct fetching *f)
{
	bool any = false;

	for (size_t i = 0; i < f->c->n; i++) {
		if (f->items[i].state != LAYER_WANTED)
			continue;
		any = true;
		f->items[i].counted = supply_count(f->s, &f->ids[i]);
	}
	return any;
}

static void uncount_layers(struct fetching *f)
{
	for (size_t i = 0; i < f->c->n; i++)
		if (f->items[i].counted)
			atomic_fetch_sub(&f->s->layers, 1);
}

static int bring(struct fetching *f, struct cairn_err *err)
{
	int r;

	for (size_t i = 0; i < f->c->n; i++)
		TRY(look_again(&f->items[i], err));
	TRY(bring_indexes(f, err));
	if (f->failed || !count_layers(f))
		return 0;
	r = arrive_limits(&f->limits, err);
	if (r == 0)
		r = bring_layers(f, err);
	uncount_layers(f);
	return r;
}

/* Layers that nobody has: whatever named them is not believed any more. */
static int check_gone(struct fetching *f, struct cairn_err *err)
{
	const struct cairn_err *first = NULL;

	for (size_t i = 0; i < f->c->n; i++) {
		if (f->items[i].state != LAYER_GONE)
			continue;
		supply_doubt(f->s, &f->ids[i]);
		if (!first)
			first = &f->items[i].err;
	}
	return first ? cairn_fail(err, CAIRN_E_NOT_FOUND, "%s", first->msg) : 0;
}

int supply_fetch(struct supply *s, const struct chain *c, enum supply_level level,
                 const bool *files, struct cairn_err *err)
{
	struct fetching *f = fetching_new(s, c, level, files);
	int r = bring(f, err);

	if (r == 0 && f->failed) {
		*err = f->err;
		r = err->code;
	}
	if (r == 0)
		r = check_gone(f, err);
	fetching_free(f);
	return r;
}

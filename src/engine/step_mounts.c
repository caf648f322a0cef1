/* Cache mounts of a step: locked before it starts, filled from other machines, released. */
#include "mount_cache.h"
#include "step.h"

/* What tells cache mounts apart on this machine. */
static struct digest mount_key(const struct graph_mount *m)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.mount", 1);
	digest_field_str(&f, "id", m->id);
	return digest_fields_end(&f);
}

static struct mount_use use_of(const struct step *s, size_t i)
{
	const struct graph_mount *m = &s->node->run.mounts[i];

	return (struct mount_use){
		.key = mount_key(m), .id = m->id, .target = m->target, .step = s->number
	};
}

static bool is_cache(const struct step *s, size_t i)
{
	return s->node->run.mounts[i].type == RUN_MOUNT_CACHE;
}

/* The first mount of the step that is the same directory: it alone is locked. */
static size_t first_of(const struct step *s, size_t i)
{
	const struct graph_mount *m = s->node->run.mounts;

	for (size_t k = 0; k < i; k++)
		if (is_cache(s, k) && str_eq(m[k].id, m[i].id))
			return k;
	return i;
}

struct store_mount *mounts_get(const struct step *s, size_t i)
{
	return s->mounts[first_of(s, i)];
}

void mounts_release(struct step *s)
{
	for (size_t i = 0; s->mounts && i < s->node->run.n_mounts; i++) {
		store_mount_free(s->mounts[i]);
		s->mounts[i] = NULL;
		s->restore[i] = s->filled[i] = false;
	}
}

/* Take one mount. Where it has to be replaced, nobody else may use it. */
static int lock_one(struct step *s, size_t i, bool *ret_ok, struct cairn_err *err)
{
	static const enum store_sharing sharing[RUN_SHARING_N_] = {
		[RUN_SHARING_SHARED] = STORE_SHARED,
		[RUN_SHARING_PRIVATE] = STORE_PRIVATE,
		[RUN_SHARING_LOCKED] = STORE_LOCKED,
	};
	struct mount_cache *c = s->b->opts->mounts;
	struct mount_use use = use_of(s, i);
	bool lost = false;

	*ret_ok = false;
	if (c && !mount_cache_asked(c, &use))
		return 0;
	TRY(store_mount_try(s->b->opts->store, &use.key, sharing[s->node->run.mounts[i].sharing],
	                    &s->mounts[i], err));
	if (!s->mounts[i])
		return 0;
	/* One that others use at the moment stays as it is. */
	if (c && mount_cache_newer(c, &use, s->mounts[i]))
		TRY(store_mount_alone(s->mounts[i], &s->restore[i], &lost, err));
	*ret_ok = !lost;
	return 0;
}

int mounts_lock(struct step *s, bool *ret_ok, struct cairn_err *err)
{
	const struct graph_run *r = &s->node->run;

	*ret_ok = true;
	if (s->node->kind != GRAPH_RUN)
		return 0;
	if (!s->mounts) {
		s->mounts = arena_array(s->b->arena, struct store_mount *, r->n_mounts);
		s->restore = arena_array(s->b->arena, bool, r->n_mounts);
		s->filled = arena_array(s->b->arena, bool, r->n_mounts);
	}
	for (size_t i = 0; i < r->n_mounts && *ret_ok; i++)
		if (is_cache(s, i) && first_of(s, i) == i)
			TRY(lock_one(s, i, ret_ok, err));
	if (!*ret_ok)
		mounts_release(s);
	return 0;
}

/* ---- contents of other machines ---- */

/* One restore of a step. */
struct mount_coming {
	struct step *s;
	size_t i;
};

static void restored(void *ctx, bool ok)
{
	struct mount_coming *a = ctx;
	struct step *s = a->s;
	struct cairn_err err;
	int r;

	s->filled[a->i] = ok;
	if (--s->restoring)
		return;
	r = s->b->stopping ? cairn_fail(&err, CAIRN_E_CANCELLED, "stopped") : op_run_start(s, &err);
	if (r < 0)
		step_fail(s, &err);
}

bool mounts_restore(struct step *s)
{
	const struct graph_run *r = &s->node->run;

	for (size_t i = 0; i < r->n_mounts; i++)
		s->restoring += s->restore[i];
	for (size_t i = 0; i < r->n_mounts; i++) {
		struct mount_use use;
		struct mount_coming *a;

		if (!s->restore[i])
			continue;
		use = use_of(s, i);
		a = arena_new_of(s->b->arena, struct mount_coming);
		*a = (struct mount_coming){ s, i };
		mount_cache_restore(s->b->opts->mounts, &use, s->mounts[i], restored, a);
	}
	return s->restoring > 0;
}

/* ---- the end ---- */

static bool uses(const struct step *s, const struct digest *key)
{
	const struct graph_run *r = &s->node->run;

	if (s->node->kind != GRAPH_RUN)
		return false;
	for (size_t i = 0; i < r->n_mounts; i++) {
		struct digest k;

		if (!is_cache(s, i))
			continue;
		k = mount_key(&r->mounts[i]);
		if (digest_eq(&k, key))
			return true;
	}
	return false;
}

/* Will another step use the mount, or does one? */
static bool more_users(const struct step *s, const struct digest *key)
{
	const struct engine_build *b = s->b;

	for (size_t i = 0; i < b->n && !b->stopping; i++) {
		const struct step *o = &b->steps[i];

		if (o != s && (o->state == STEP_WAITING || o->state == STEP_RUNNING) &&
		    uses(o, key))
			return true;
	}
	return false;
}

void mounts_used(struct step *s, bool ok)
{
	const struct graph_run *r = &s->node->run;
	struct mount_cache *c = s->b->opts->mounts;
	struct digest *copies;

	if (!s->mounts) /* not a RUN, or it never came so far */
		return;
	copies = arena_array(s->b->arena, struct digest, r->n_mounts);
	for (size_t i = 0; i < r->n_mounts; i++)
		if (s->mounts[i])
			copies[i] = *store_mount_key(s->mounts[i]);
	mounts_release(s);
	for (size_t i = 0; c && i < r->n_mounts; i++) {
		struct mount_use use;

		if (digest_none(&copies[i]))
			continue;
		use = use_of(s, i);
		mount_cache_used(c, &use, &copies[i], ok, more_users(s, &use.key));
	}
}

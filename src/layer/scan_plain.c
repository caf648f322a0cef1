#include "scan.h"

#include <time.h>

#include "scan_walk.h"
#include "util/clock.h"
#include "util/map.h"

enum seen {
	SEEN_NOT,   /* gone, or not looked at yet */
	SEEN_DIR,   /* it is a directory now */
	SEEN_OTHER, /* it is something else now */
};

/* Any change of a path changes one of these; contents and names through the change time,
 * which nobody can set. */
struct noted {
	ino_t ino;
	int64_t changed;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	off_t size;
	enum seen seen; /* used while scanning */
};

struct layer_snapshot {
	struct map paths; /* -> struct noted *, in notes */
	struct arena *notes;
};

static struct noted note_of(const struct stat *st)
{
	return (struct noted){ .ino = st->st_ino,
		               .changed = st->st_ctim.tv_sec * CLOCK_SEC + st->st_ctim.tv_nsec,
		               .mode = st->st_mode,
		               .uid = st->st_uid,
		               .gid = st->st_gid,
		               .size = st->st_size };
}

static bool same_note(const struct noted *a, const struct noted *b)
{
	return a->ino == b->ino && a->changed == b->changed && a->mode == b->mode &&
	       a->uid == b->uid && a->gid == b->gid && a->size == b->size;
}

static int snapshot_item(void *ctx, const struct walk_item *item, struct cairn_err *err)
{
	struct layer_snapshot *s = ctx;
	struct noted *n = arena_new_of(s->notes, struct noted);

	(void)err;
	*n = note_of(&item->st);
	map_put(&s->paths, str_of(item->path), n);
	return 0;
}

/* Files get the time of the last clock tick: a change within the tick of the scan would
 * leave the same time. */
static void wait_for_tick(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct timespec start, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	do {
		(void)nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == start.tv_sec && now.tv_nsec == start.tv_nsec);
}

int layer_snapshot_take(int dirfd, struct layer_snapshot **ret_owned, struct cairn_err *err)
{
	cleanup_layer_snapshot struct layer_snapshot *s = xcalloc(1, sizeof(*s));

	s->notes = arena_new();
	TRY(walk_dir(dirfd, snapshot_item, s, err));
	wait_for_tick();
	*ret_owned = steal_ptr(&s);
	return 0;
}

void layer_snapshot_free(struct layer_snapshot *s)
{
	if (!s)
		return;
	map_done(&s->paths);
	arena_free(s->notes);
	free(s);
}

struct scan {
	const struct layer_snapshot *before;
	struct layer_plan *plan;
};

static int scan_item(void *ctx, const struct walk_item *item, struct cairn_err *err)
{
	struct scan *s = ctx;
	struct noted *old = map_get(&s->before->paths, str_of(item->path));
	struct noted now = note_of(&item->st);
	struct walk_xattrs x;

	if (old) {
		old->seen = S_ISDIR(item->st.st_mode) ? SEEN_DIR : SEEN_OTHER;
		if (same_note(old, &now))
			return 0;
	}
	TRY(walk_read_xattrs(item, NULL, s->plan->arena, &x, err));
	return walk_add(s->plan, item, &x, err);
}

int layer_scan_plain(int dirfd, const struct layer_snapshot *before, struct layer_plan **ret_owned,
                     struct cairn_err *err)
{
	cleanup_layer_plan struct layer_plan *plan = layer_plan_new();
	struct scan s = { .before = before, .plan = plan };

	map_foreach (it, &before->paths)
		((struct noted *)it->value)->seen = SEEN_NOT;
	TRY(walk_dir(dirfd, scan_item, &s, err));
	map_foreach (it, &before->paths) {
		const struct noted *n = it->value, *parent;

		if (n->seen != SEEN_NOT)
			continue;
		parent = map_get(&before->paths, layer_path_parent(it->key));
		if (parent->seen == SEEN_DIR) /* else it went with its directory */
			layer_plan_remove(plan, it->key);
	}
	*ret_owned = steal_ptr(&plan);
	return 0;
}

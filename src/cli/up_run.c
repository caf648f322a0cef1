#include "up_run.h"

#include <errno.h>
#include <spawn.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "machine.h"
#include "plan_route.h"
#include "up_args.h"
#include "util/clock.h"
#include "util/fs.h"

#define GIB       (1ull << 30)
#define DISK_FREE (2 * GIB) /* below it images are built one after the other */
#define LOG_SHOWN 4000      /* bytes of the end of a log */

static void set_state(struct up *u, struct up_image *i, enum up_state state)
{
	u->n[i->state]--;
	u->n[state]++;
	i->state = state;
}

/* --- telling -------------------------------------------------------------------------- */

static void tell(const struct up *u, const struct up_image *i, const char *what)
{
	if (!u->opts->quiet)
		(void)fprintf(u->plan->ctx->err, "%-9s %.*s\n", what, STR(i->plan->image->name));
}

static void tell_took(const struct up *u, const struct up_image *i, const char *what)
{
	if (!u->opts->quiet)
		(void)fprintf(u->plan->ctx->err, "%-9s %.*s in %.1fs\n", what,
		              STR(i->plan->image->name), (double)i->wall_ns / 1e9);
}

static void show_log(const struct up *u, const struct up_image *i)
{
	cleanup_fd int fd = open(i->log, O_RDONLY | O_CLOEXEC);
	char buf[LOG_SHOWN];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	n = pread(fd, buf, sizeof(buf), st.st_size > LOG_SHOWN ? st.st_size - LOG_SHOWN : 0);
	if (n > 0)
		(void)fprintf(u->plan->ctx->err, "%.*s", (int)n, buf);
}

/* --- retagging ----------------------------------------------------------------------------- */

static int retag_here(struct up *u, const struct plan_image *p, const struct reference *to,
                      struct cairn_err *err)
{
	char text[REFERENCE_TEXT_MAX];

	return store_tag_put(u->plan->ctx->store, str_of(reference_text(to, text)),
	                     &p->known.config, err);
}

/* Within a repository only a manifest is put; elsewhere blobs are mounted. */
static int retag_there(struct up *u, const struct plan_image *p, const struct reference *to,
                       struct cairn_err *err)
{
	struct registry_copy_opts o = { 0 };
	struct reference from;
	struct digest made;
	uint64_t moved = 0;

	TRY(reference_parse(p->known.repository, &from, err));
	from.tag[0] = '\0';
	from.digest = p->known.manifest;
	return registry_copy(registry_session_registry(u->plan->net), &from, to, &o, &made, &moved,
	                     err);
}

static void retag(struct up *u, struct up_image *i)
{
	const struct plan_image *p = i->plan;
	struct cairn_err err;
	int r = 0;

	for (size_t k = 0; r == 0 && k < p->retag.len; k++) {
		struct reference to;

		r = reference_parse(p->retag.ptr[k], &to, &err);
		if (r == 0)
			r = digest_none(&p->known.manifest) ? retag_here(u, p, &to, &err)
			                                    : retag_there(u, p, &to, &err);
	}
	if (r < 0)
		i->why = str_of(arena_cstr(u->plan->a, str_of(err.msg)));
	set_state(u, i, r < 0 ? UP_FAILED : UP_RETAGGED);
	tell(u, i, r < 0 ? "failed" : "retagged");
}

/* --- building ------------------------------------------------------------------------------- */

/* The record of the build says which image of the workspace it was (build_history.h). */
static char **environment(struct up *u, const struct up_image *i)
{
	struct arena *a = u->plan->a;
	char **from = u->plan->ctx->envp, **env;
	size_t n = 0, k = 0;

	while (from[n])
		n++;
	env = arena_array(a, char *, n + 3);
	for (size_t e = 0; e < n; e++)
		if (!str_starts(str_of(from[e]), S("CAIRN_IMAGE=")) &&
		    !str_starts(str_of(from[e]), S("CAIRN_CATEGORY=")))
			env[k++] = from[e];
	env[k++] = arena_printf(a, "CAIRN_IMAGE=%.*s", STR(i->plan->image->name));
	env[k++] = arena_printf(a, "CAIRN_CATEGORY=%s",
	                        image_category_name(i->plan->category.category));
	return env;
}

static int spawn(struct up *u, struct up_image *i, char **argv, struct cairn_err *err)
{
	posix_spawn_file_actions_t fa;
	int rc;

	if (posix_spawn_file_actions_init(&fa) != 0)
		CAIRN_BUG("no memory for a process");
	(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, 1, i->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)posix_spawn_file_actions_adddup2(&fa, 1, 2);
	(void)posix_spawn_file_actions_addchdir_np(&fa, u->plan->ctx->config->root);
	rc = posix_spawn(&i->pid, "/proc/self/exe", &fa, NULL, argv, environment(u, i));
	posix_spawn_file_actions_destroy(&fa);
	errno = rc;
	return rc ? cairn_fail_sys(err, "start a build") : 0;
}

static void start(struct up *u, struct up_image *i)
{
	struct cairn_err err;
	char **argv = NULL;
	int r = up_args(u, i, &argv, &err);

	i->log = xasprintf("%s/%zu.log", u->dir, (size_t)(i - u->ptr));
	i->started = clock_monotonic();
	if (r == 0)
		r = spawn(u, i, argv, &err);
	if (r < 0) {
		i->why = str_of(arena_cstr(u->plan->a, str_of(err.msg)));
		set_state(u, i, UP_FAILED);
		tell(u, i, "failed");
		return;
	}
	set_state(u, i, UP_RUNNING);
	tell(u, i, "building");
}

static void ended(struct up *u, struct up_image *i, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	i->wall_ns = (uint64_t)(clock_monotonic() - i->started);
	i->pid = 0;
	set_state(u, i, code ? UP_FAILED : UP_BUILT);
	tell_took(u, i, code ? "failed" : "built");
	if (!code)
		return;
	i->why = str_of(arena_printf(u->plan->a, "exit code %d", code));
	show_log(u, i);
}

/* Wait for one of them. */
static void reap(struct up *u)
{
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
	} while (pid < 0 && errno == EINTR);
	if (pid < 0)
		CAIRN_BUG("no child to wait for");
	for (size_t k = 0; k < u->len; k++)
		if (u->ptr[k].state == UP_RUNNING && u->ptr[k].pid == pid)
			ended(u, &u->ptr[k], status);
}

/* --- in which order -------------------------------------------------------------------------- */

/* Images of the plan have their places in the order of all: one that stands on many is looked for
 * among thousands. NULL: it is not in the plan. */
static struct up_image *of(struct up *u, const struct ws_image *i)
{
	size_t low = 0, high = u->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->ptr[mid].plan->image->order < i->order)
			low = mid + 1;
		else
			high = mid;
	}
	return low < u->len && u->ptr[low].plan->image == i ? &u->ptr[low] : NULL;
}

/* Are all it stands on there? One that never will be makes it BLOCKED. */
static bool is_ready(struct up *u, struct up_image *i)
{
	const struct ws_image *w = i->plan->image;

	for (size_t k = 0; k < w->n_parents; k++) {
		const struct up_image *p = of(u, w->parents[k]);

		if (p && (p->state == UP_FAILED || p->state == UP_BLOCKED)) {
			i->why = str_of(arena_printf(u->plan->a, "image '%.*s' failed",
			                             STR(w->parents[k]->name)));
			set_state(u, i, UP_BLOCKED);
			return false;
		}
		if (p && (p->state == UP_WAITING || p->state == UP_RUNNING))
			return false;
	}
	return true;
}

static bool disk_is_short(const struct up *u)
{
	struct statvfs st;

	return statvfs(u->plan->ctx->home, &st) == 0 && st.f_bavail * st.f_frsize < DISK_FREE;
}

/* Is there room for another one? The first always runs. */
static bool has_room(const struct up *u, const struct up_image *next, uint64_t memory)
{
	size_t max = u->opts->jobs ? u->opts->jobs : (size_t)get_nprocs();
	uint64_t sum = next->memory;

	if (!u->n[UP_RUNNING])
		return true;
	if (u->n[UP_RUNNING] >= max || (!u->opts->jobs && disk_is_short(u)))
		return false;
	for (size_t k = 0; k < u->len; k++)
		if (u->ptr[k].state == UP_RUNNING)
			sum += u->ptr[k].memory;
	return u->opts->jobs || sum <= memory;
}

static void start_ready(struct up *u, uint64_t memory)
{
	for (size_t k = 0; k < u->len; k++) {
		struct up_image *i = &u->ptr[k];

		if (i->state == UP_WAITING && is_ready(u, i) && has_room(u, i, memory))
			start(u, i);
	}
}

static void prepare(struct up *u)
{
	for (size_t k = 0; k < u->len; k++) {
		struct up_image *i = &u->ptr[k];

		i->plan = &u->plan->plan->ptr[k];
		u->n[i->state]++;
		if (i->plan->error) {
			i->why = i->plan->why;
			set_state(u, i, UP_FAILED);
			tell(u, i, "failed");
		} else if (i->plan->verdict == PLAN_RETAG) {
			retag(u, i);
		} else if (i->plan->verdict == PLAN_BUILD) {
			set_state(u, i, UP_WAITING);
		}
	}
}

/* What builds of each took, or what such images are thought to need. */
static int predict_memory(struct up *u, unsigned cpus, struct cairn_err *err)
{
	const struct plan_route_opts o = { .plan = u->plan->plan,
		                           .config = u->plan->ctx->config,
		                           .home = u->plan->ctx->home };
	cleanup_plan_route struct plan_route *route = NULL;

	TRY(plan_route_make(&o, &route, err));
	for (size_t k = 0; k < route->n; k++) {
		struct prediction p;

		predict(route->predictor, &route->works[k], cpus, &p);
		u->ptr[route->images[k] - u->plan->plan->ptr].memory = p.memory;
	}
	return 0;
}

int up_run(struct plan_run *plan, const struct up_opts *o, struct up *ret, struct cairn_err *err)
{
	struct host_machine m;

	machine_measure(NULL, &m);
	*ret = (struct up){ .plan = plan, .opts = o, .len = plan->plan->len };
	ret->ptr = xcalloc(ret->len + 1, sizeof(*ret->ptr));
	TRY(store_tmp_dir(plan->ctx->store, &ret->dir, err));
	TRY(predict_memory(ret, m.cpus, err));
	prepare(ret);
	for (;;) {
		size_t waiting;

		do { /* what is blocked may block others */
			waiting = ret->n[UP_WAITING];
			start_ready(ret, m.available);
		} while (ret->n[UP_WAITING] != waiting);
		if (!ret->n[UP_RUNNING])
			return 0;
		reap(ret);
	}
}

void up_done(struct up *u)
{
	for (size_t k = 0; k < u->len; k++)
		free(u->ptr[k].log);
	free(u->ptr);
	free(u->dir);
}

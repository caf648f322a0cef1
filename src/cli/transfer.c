#include "transfer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctx.h"
#include "progress_text.h"
#include "settings.h"
#include "util/clock.h"
#include "util/num.h"
#include "util/pool.h"

#define TICK_MS       100
#define PLAIN_TICK_NS (5 * CLOCK_SEC) /* between lines where there is no terminal */
#define COLUMNS       80

struct transfer {
	struct cairn_ctx *ctx;
	char *what;
	bool quiet;
	bool tty;
	int signals;
	atomic_bool stop;
	int64_t started, last_line;
	struct registry_session *session;
	struct registry_progress progress;
	atomic_uint_least64_t total, done;
	bool shown; /* a line is on the terminal */
};

static void count(void *ctx, uint64_t total, uint64_t done)
{
	struct transfer *t = ctx;

	atomic_fetch_add_explicit(&t->total, total, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->done, done, memory_order_relaxed);
}

static int catch_signals(struct transfer *t, struct cairn_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return cairn_fail_sys(err, "block signals");
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signals < 0 ? cairn_fail_sys(err, "signalfd") : 0;
}

int transfer_new(struct cairn_ctx *ctx, const char *what, bool quiet, struct transfer **ret,
                 struct cairn_err *err)
{
	cleanup_transfer struct transfer *t = xcalloc(1, sizeof(*t));
	const char *term = ctx_env(ctx->envp, "TERM");

	t->ctx = ctx;
	t->what = xstrdup(what);
	t->quiet = quiet;
	t->tty = isatty(fileno(ctx->err)) && term && strcmp(term, "dumb") != 0;
	t->started = t->last_line = clock_monotonic();
	t->progress = (struct registry_progress){ count, t };
	t->signals = -1;
	TRY(settings_load(ctx, NULL, ".", err));
	TRY(catch_signals(t, err));
	*ret = steal_ptr(&t);
	return 0;
}

static void clear_line(struct transfer *t)
{
	if (t->shown)
		(void)fputs("\r\033[K", t->ctx->err);
	t->shown = false;
	(void)fflush(t->ctx->err);
}

void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	clear_line(t);
	registry_session_free(t->session);
	if (t->signals >= 0)
		close(t->signals);
	free(t->what);
	free(t);
}

/* From any thread. */
static void warn(void *ctx, str text)
{
	const struct transfer *t = ctx;

	(void)fprintf(t->ctx->err, "%scairn: warning: %.*s\n", t->tty ? "\r\033[K" : "", STR(text));
}

struct registry *transfer_registry(struct transfer *t)
{
	struct registry_session_opts opts = { .cancel = &t->stop, .warn = warn, .warn_ctx = t };

	if (!t->session) {
		settings_session(t->ctx, false, &opts);
		t->session = registry_session_new(&opts);
	}
	return registry_session_registry(t->session);
}

int transfer_cancel_fd(const struct transfer *t)
{
	return t->signals;
}

const atomic_bool *transfer_stop(const struct transfer *t)
{
	return &t->stop;
}

const struct registry_progress *transfer_progress(struct transfer *t)
{
	return &t->progress;
}

uint64_t transfer_ns(const struct transfer *t)
{
	return (uint64_t)(clock_monotonic() - t->started);
}

/* --- the line --------------------------------------------------------------------- */

static size_t columns(const struct transfer *t)
{
	struct winsize w = { 0 };

	return ioctl(fileno(t->ctx->err), TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : COLUMNS;
}

static void show(struct transfer *t, uint64_t total, uint64_t done)
{
	char have[32], all[32], rate[32];
	int64_t now = clock_monotonic();
	double seconds = (double)(now - t->started) / CLOCK_SEC;
	struct strbuf line cleanup_strbuf, fit cleanup_strbuf;

	strbuf_init(&line, 4096);
	strbuf_init(&fit, 4096);
	if (t->quiet || total == 0 || (!t->tty && now - t->last_line < PLAIN_TICK_NS))
		return;
	t->last_line = now;
	strbuf_printf(&line, "%s  %s / %s  %s/s", t->what,
	              num_human_bytes(done, have, sizeof(have)),
	              num_human_bytes(total, all, sizeof(all)),
	              num_human_bytes((uint64_t)((double)done / (seconds > 0.1 ? seconds : 0.1)),
	                              rate, sizeof(rate)));
	if (!t->tty) {
		(void)fprintf(t->ctx->err, "%s\n", line.ptr);
		return;
	}
	(void)text_fit(strbuf_view(&line), columns(t) - 1, &fit);
	(void)fprintf(t->ctx->err, "\r%s\033[K", fit.ptr);
	(void)fflush(t->ctx->err);
	t->shown = true;
}

const char *transfer_summary(const struct transfer *t, uint64_t moved, char buf[96])
{
	char bytes[32], time[32];

	(void)snprintf(buf, 96, "%s moved in %s", num_human_bytes(moved, bytes, sizeof(bytes)),
	               num_human_ns(transfer_ns(t), time, sizeof(time)));
	return buf;
}

/* --- running ------------------------------------------------------------------------ */

struct running {
	const struct transfer_work *work;
	bool ended;
	int result;
	struct cairn_err err;
};

static int run(void *ctx, struct cairn_err *err)
{
	struct running *r = ctx;

	return r->work->run(r->work->ctx, err);
}

static void done(void *ctx, int result, const struct cairn_err *err)
{
	struct running *r = ctx;

	r->ended = true;
	r->result = result;
	if (result < 0)
		r->err = *err;
}

static void look(struct transfer *t, const struct transfer_work *work)
{
	uint64_t total = atomic_load_explicit(&t->total, memory_order_relaxed);
	uint64_t have = atomic_load_explicit(&t->done, memory_order_relaxed);

	if (work->look)
		work->look(work->ctx, &total, &have);
	show(t, total, have);
}

int transfer_run(struct transfer *t, const struct transfer_work *work, struct cairn_err *err)
{
	struct running r = { .work = work };
	struct pool *pool = pool_new(1);

	pool_add(pool, (struct pool_task){ .run = run, .done = done, .ctx = &r });
	while (!r.ended) {
		struct pollfd fds[] = { { .fd = pool_fd(pool), .events = POLLIN },
			                { .fd = atomic_load(&t->stop) ? -1 : t->signals,
			                  .events = POLLIN } };

		(void)poll(fds, ARRAY_SIZE(fds), TICK_MS);
		if (fds[1].revents && !atomic_exchange(&t->stop, true) && work->stop)
			work->stop(work->ctx);
		pool_collect(pool);
		if (!r.ended)
			look(t, work);
	}
	pool_free(pool);
	clear_line(t);
	if (r.result < 0)
		*err = r.err;
	return r.result;
}

/* --- words ---------------------------------------------------------------------------- */

int transfer_reference(const char *word, struct reference *ret, struct cairn_err *err)
{
	if (reference_parse(str_of(word), ret, err) == 0)
		return 0;
	err->code = CAIRN_E_USAGE;
	return cairn_wrap(err, "'%s'", word);
}

int transfer_platforms(const struct cli_list *words, struct arena *a, struct platform **ret,
                       size_t *ret_n, struct cairn_err *err)
{
	size_t max = 0, n = 0;
	str rest, one;

	for (size_t i = 0; i < words->len; i++)
		for (rest = str_of(words->ptr[i]); str_next(&rest, ',', &one);)
			max++;
	*ret = arena_array(a, struct platform, max);
	for (size_t i = 0; i < words->len; i++)
		for (rest = str_of(words->ptr[i]); str_next(&rest, ',', &one);)
			if (platform_parse(str_trim(one), &(*ret)[n++], err) < 0) {
				err->code = CAIRN_E_USAGE;
				return cairn_wrap(err, "--platform");
			}
	*ret_n = n;
	return 0;
}

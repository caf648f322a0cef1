#include "driver.h"

const struct driver_ops *driver_of(enum runner_driver kind)
{
	switch (kind) {
	case RUNNER_LOCAL:
		return &driver_local;
	case RUNNER_CODEBUILD:
		return &driver_codebuild;
	case RUNNER_GITHUB:
	case RUNNER_CODEBUILD_RUNNER:
		return &driver_github;
	case RUNNER_UNKNOWN:
	case RUNNER_DRIVERS_:
		break;
	}
	return NULL;
}

void *driver_run_new(size_t size, const struct driver_ops *ops, const struct driver_env *env,
                     const struct driver_task *t)
{
	struct driver_run *r = xcalloc(1, size);

	*r = (struct driver_run){ .ops = ops,
		                  .env = env,
		                  .task = t,
		                  .a = arena_new(),
		                  .scratch = arena_new(),
		                  .marked = HISTORY_FAILED };
	return r;
}

void driver_run_free(struct driver_run *r)
{
	if (!r)
		return;
	arena_free(r->scratch);
	arena_free(r->a);
	free(r);
}

struct arena *driver_look(struct driver_run *r)
{
	arena_free(r->scratch);
	r->scratch = arena_new();
	return r->scratch;
}

/* A command of the build may print anything: only what stands behind `after`, which cairn or the
 * service wrote, is believed. */
static const struct mark {
	const char *after, *text;
	enum history_outcome outcome;
} marks[] = {
	{ "cairn: error:", "killed: out of memory", HISTORY_MEMORY },
	{ "cairn: error:", "No space left on device", HISTORY_DISK },
	{ "cairn: error:", "this machine will be stopped", HISTORY_INTERRUPTED },
	{ "cairn: error:", "this machine may be stopped", HISTORY_INTERRUPTED },
	{ "cairn: error:", "stopped by SIGTERM", HISTORY_INTERRUPTED },
	{ "##[error]", "exit code 137", HISTORY_MEMORY },
	{ "##[error]", "exit code 75", HISTORY_INTERRUPTED },
	{ "##[error]", "The runner has received a shutdown signal", HISTORY_INTERRUPTED },
};

static void mark_line(str line, enum history_outcome *marked)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		ptrdiff_t at = str_search(line, str_of(marks[i].after));

		if (at >= 0 && str_search(str_skip(line, (size_t)at), str_of(marks[i].text)) >= 0)
			*marked = marks[i].outcome;
	}
}

void driver_marks(str lines, enum history_outcome *marked)
{
	str rest = lines, line;

	while (str_next(&rest, '\n', &line))
		mark_line(line, marked);
}

int driver_log_lost(struct driver_run *r, const struct cairn_err *why, struct strbuf *log)
{
	if (why->code == CAIRN_E_CANCELLED)
		return why->code;
	if (!r->log_lost)
		strbuf_printf(log, "cairn: warning: what it prints cannot be read: %s\n", why->msg);
	r->log_lost = true;
	return 0;
}

/* cairn build: from options to an image in the store. */
#include "build_asked.h"
#include "build_priv.h"

#include <sys/sysinfo.h>

#include "background_sync.h"
#include "build_check.h"
#include "build_history.h"
#include "build_mounts.h"
#include "build_output.h"
#include "build_report.h"
#include "build_state.h"
#include "ctx.h"
#include "settings.h"
#include "util/clock.h"
#include "util/fs.h"

/* --- the Dockerfile and its ignore file ------------------------------------ */

static int read_stdin(struct strbuf *text, struct cairn_err *err)
{
	char buf[65536];
	size_t n = 0;

	do {
		TRY(fs_read_full(STDIN_FILENO, buf, sizeof(buf), &n, "standard input", err));
		strbuf_add(text, buf, n);
	} while (n == sizeof(buf) && !text->overflow);
	return strbuf_check(text, "the Dockerfile", err);
}

/* -f PATH is relative to the working directory, the default to the context. */
static int read_dockerfile(struct build_run *r, struct strbuf *text, struct cairn_err *err)
{
	const char *lower;

	if (r->o->file && strcmp(r->o->file, "-") == 0) {
		r->path = "Dockerfile";
		return read_stdin(text, err);
	}
	r->path = r->o->file ? r->o->file
	          : strcmp(r->o->context, ".") == 0
	                  ? "Dockerfile"
	                  : arena_printf(r->a, "%s/Dockerfile", r->o->context);
	if (fs_read_file(AT_FDCWD, r->path, text, err) == 0)
		return 0;
	lower = arena_printf(r->a, "%s/dockerfile", r->o->context);
	if (!r->o->file && err->code == CAIRN_E_NOT_FOUND && access(r->o->context, F_OK) == 0 &&
	    access(lower, F_OK) == 0) {
		r->path = lower;
		return fs_read_file(AT_FDCWD, r->path, text, err);
	}
	if (access(r->o->context, F_OK) < 0)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "the build context '%s' does not exist",
		                  r->o->context);
	return cairn_wrap(err, "Dockerfile");
}

/* FILE.dockerignore beside the Dockerfile wins over the context's. */
static int read_ignore(struct build_run *r, struct cairn_err *err)
{
	const char *paths[] = { arena_printf(r->a, "%s.dockerignore", r->path),
		                arena_printf(r->a, "%s/.dockerignore", r->o->context) };
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, 1u << 20);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int got = fs_read_file(AT_FDCWD, paths[i], &text, err);

		if (got == CAIRN_E_NOT_FOUND)
			continue;
		TRY(got);
		return ignore_parse(strbuf_view(&text), paths[i], &r->ignore, err);
	}
	return 0;
}

static int parse(struct build_run *r, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, DOCKERFILE_MAX);
	TRY(read_dockerfile(r, &text, err));
	TRY(read_ignore(r, err));
	TRY(dockerfile_parse(strbuf_view(&text), r->path, &r->df, err));
	TRY(dockerfile_check(r->df, r->ignore, err));
	progress_source(r->progress, str_of(r->path), r->df->text);
	return 0;
}

/* --- the build ---------------------------------------------------------------- */

static void tick(void *ctx, int64_t now_ns)
{
	struct build_run *r = ctx;

	build_warnings_show(r);
	if (r->publisher)
		publisher_collect(r->publisher);
	(void)progress_tick(r->progress, now_ns);
}

static int tag_image(struct build_run *r, const struct engine_image *im, const char **names,
                     struct cairn_err *err)
{
	for (size_t i = 0; i < r->o->tags.len; i++) {
		struct reference ref;
		char text[REFERENCE_TEXT_MAX];

		TRY(reference_parse(str_of(r->o->tags.ptr[i]), &ref, err));
		TRY(store_tag_put(r->store, str_of(reference_text(&ref, text)), &im->config_digest,
		                  err));
		names[i] = arena_cstr(r->a, str_of(reference_familiar(&ref, text)));
	}
	return 0;
}

static int write_file(const char *path, str text, struct cairn_err *err)
{
	return path ? fs_write_file(AT_FDCWD, path, text, 0644, err) : 0;
}

void build_run_warn(struct build_run *r, str text)
{
	r->observer.event(r->observer.ctx, &(struct build_event){ .kind = EVENT_WARNING,
	                                                          .time_ns = clock_monotonic(),
	                                                          .text = text });
}

static int show_warnings(struct build_run *r, struct cairn_err *err)
{
	const struct dockerfile *df = r->df;

	build_check_add(r->df, r->graph);
	for (size_t i = 0; i < df->n_warnings; i++)
		build_run_warn(r, str_of(arena_printf(r->a, "%s:%u: %s: %.*s", df->path,
		                                      df->warnings[i].line, df->warnings[i].rule,
		                                      STR(df->warnings[i].text))));
	for (size_t i = 0; i < r->graph->warnings.len; i++)
		build_run_warn(r, r->graph->warnings.ptr[i]);
	if (df->check_error && df->n_warnings)
		return cairn_fail_at(err, df->path, df->warnings[0].line, 0,
		                     "'# check=error=true' makes warnings errors: %.*s",
		                     STR(df->warnings[0].text));
	return 0;
}

static int open_outputs(struct build_run *r, struct cairn_err *err)
{
	struct outputs_opts *o = &r->oopts;
	struct build_outputs list = { .opts = o };

	TRY(build_outputs(r->o, &r->build_args, r->a, &list, err));
	r->insecure = list.insecure;
	r->n_insecure = list.n_insecure;
	o->store = r->store;
	o->pool = r->pool;
	o->press = r->press;
	o->observer = &r->observer;
	o->cancel_fd = r->cancel_fd;
	o->tick = tick;
	o->tick_ctx = r;
	TRY(build_remote_open(r, err));
	TRY(outputs_new(o, &r->outputs, err));
	r->eopts.chain_done = outputs_chain;
	r->eopts.chain_ctx = r->outputs;
	r->eopts.unregistered = o->has_epoch;
	return 0;
}

/* Names are checked before anything runs: a mistake in one must not cost a build. */
static int check_tags(const struct build_run *r, struct cairn_err *err)
{
	for (size_t i = 0; i < r->o->tags.len; i++) {
		struct reference ref;
		int bad = reference_parse(str_of(r->o->tags.ptr[i]), &ref, err);

		if (bad == 0 && !digest_none(&ref.digest))
			bad = cairn_fail(err, CAIRN_E_USAGE, "a name that is given has no digest");
		if (bad < 0) {
			err->code = CAIRN_E_USAGE;
			return cairn_wrap(err, "--tag '%s'", r->o->tags.ptr[i]);
		}
	}
	return 0;
}

/* Open what the options name; nobody is asked anything yet. */
static int prepare(struct build_run *r, struct cairn_err *err)
{
	TRY(build_set_pairs(r, err));
	TRY(build_set_graph_opts(r, err));
	return open_outputs(r, err);
}

/* Will it read or write files of layers, whatever the plan says? */
static bool needs_files(const struct build_run *r)
{
	return r->oopts.n || r->oopts.has_epoch || r->publisher || build_buildkit_writes(r);
}

static void tell_place(void *ctx, const struct digest *diff_id, const struct descriptor *blob,
                       str from)
{
	supply_tell(ctx, diff_id, blob, from);
}

/* Lower the Dockerfile, which start() has parsed, and find out what must run. */
static int plan(struct build_run *r, struct cairn_err *err)
{
	if (r->outputs)
		outputs_begin(r->outputs);
	TRY(graph_lower(r->df, r->path, &r->gopts, &r->graph, err));
	if (r->supply)
		base_places(r->bases, tell_place, r->supply);
	TRY(show_warnings(r, err));
	TRY(build_set_engine_opts(r, err));
	TRY(build_mounts_open(r, err));
	r->eopts.keyed = build_state_ask;
	r->eopts.keyed_ctx = r;
	return engine_plan(&r->eopts, &r->build, err);
}

static int write_metadata(struct build_run *r, const struct engine_image *im,
                          const struct outputs_result *made, const char *const *names,
                          struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, 1u << 20);
	build_metadata(im, made, names, clock_monotonic() - r->started, &text);
	return write_file(r->o->metadata_file, strbuf_view(&text), err);
}

static void keep_state(struct build_run *r, const struct engine_image *im,
                       const struct outputs_result *made)
{
	struct cairn_err err;

	if (build_state_keep(r, im, made, &err) < 0)
		build_state_warn(r, &err);
}

static int finish(struct build_run *r, struct engine_image *im, struct cairn_err *err)
{
	const char **names = arena_array(r->a, const char *, r->o->tags.len + 1);
	struct progress_result result = { .ok = true };
	struct outputs_result made = { 0 };

	build_history_ask(r);
	TRY(build_remote_inline(r, im, err));
	TRY(outputs_finish(r->outputs, im, &made, err));
	TRY(tag_image(r, im, names, err));
	build_mounts_finish(r, 0);
	TRY(build_remote_finish(r, im->n_steps, 0, err));
	TRY(build_buildkit_export(r, err));
	build_history_share(r);
	keep_state(r, im, &made);
	result.image_id = arena_cstr(r->a, str_of(digest_text(&im->config_digest).s));
	result.names = names;
	TRY(write_file(r->o->iidfile, str_of(result.image_id), err));
	TRY(write_metadata(r, im, &made, names, err));
	result.time_ns = clock_monotonic();
	progress_end(r->progress, &result);
	if (r->o->progress == PROGRESS_QUIET && !build_outputs_stdout(&r->oopts))
		(void)fprintf(r->ctx->out, "%s\n", result.image_id);
	return 0;
}

static void run_done(struct build_run *r)
{
	build_remote_free(r);
	build_asked_free(r->asked);
	build_history_drop(r);
	build_warnings_free(r);
	engine_free(r->build);
	bases_free(r->bases);
	http_connections_free(r->connections);
	base_lock_free(r->lock);
	layer_press_free(r->press);
	graph_free(r->graph);
	dockerfile_free(r->df);
	ignore_free(r->ignore);
	progress_free(r->progress);
	pool_free(r->pool);
	store_close(r->store);
	map_done(&r->build_args);
	map_done(&r->contexts);
	map_done(&r->context_values);
	interrupt_free(r->interrupt);
	arena_free(r->a);
}

/* What a tag of a base image is pinned to. */
static bool pinned(void *ctx, const struct reference *ref, struct digest *ret)
{
	const struct digest *d = base_lock_find(ctx, ref);

	if (d)
		*ret = *d;
	return d != NULL;
}

/* cairn.yaml and cairn.lock of the repository that the context is in. */
static int load_settings(struct build_run *r, struct cairn_err *err)
{
	const char *context = r->o->context;

	TRY(settings_load(r->ctx, r->o->config, strcmp(context, "-") == 0 ? "." : context, err));
	return base_lock_read(arena_cstr(r->a, r->ctx->config->base.lock), &r->lock, err);
}

static void warn_base(void *ctx, str text)
{
	build_run_warn(ctx, text);
}

/* What base images are looked up in. */
static int open_bases(struct build_run *r, struct cairn_err *err)
{
	struct store_opts sopts = { .path = r->ctx->home };
	struct base_opts bopts = { 0 };

	TRY(load_settings(r, err));
	TRY(interrupt_new(r->ctx->envp, &r->interrupt, err));
	r->cancel_fd = interrupt_stop_fd(r->interrupt);
	TRY(store_open(&sopts, &r->store, err));
	bopts.store = r->store;
	bopts.pool = r->pool;
	bopts.pull = r->o->pull;
	settings_session(r->ctx, true, &bopts.net);
	r->connections = http_connections_new();
	bopts.net.connections = r->connections;
	bopts.net.traffic = &r->traffic;
	bopts.pinned = pinned;
	bopts.pinned_ctx = r->lock;
	r->asked = build_asked_new();
	bopts.foresee = build_bases_foresee;
	bopts.recall = build_bases_recall;
	bopts.recall_ctx = r;
	bopts.cancel_fd = r->cancel_fd;
	bopts.warn = warn_base;
	bopts.ctx = r;
	r->bases = bases_new(&bopts);
	return 0;
}

/* hold: another process may do it again. */
static int start(struct build_run *r, bool hold, struct cairn_err *err)
{
	struct progress_opts popts = { .mode = r->o->progress,
		                       .out = r->ctx->err,
		                       .color = r->ctx->color_err,
		                       .start_ns = clock_monotonic(),
		                       .start_wall_ns = clock_now() };

	r->a = arena_new();
	r->started = popts.start_ns;
	r->cancel_fd = -1;
	r->progress = progress_new(&popts);
	r->observer = progress_observer(r->progress);
	build_warnings_new(r, userns_needed() && hold);
	r->pool = pool_new((unsigned)get_nprocs());
	r->press = layer_press_new();
	r->eopts.tick = tick;
	r->eopts.tick_ctx = r;
	if (r->o->check)
		return 0;
	TRY(check_tags(r, err));
	TRY(build_remote_parse(r, err));
	TRY(build_mounts_parse(r->o->cache_mounts, &(struct build_mounts){ 0 }, err));
	TRY(parse(r, err)); /* may wait for a terminal or a pipe: signals still end the process */
	return open_bases(r, err);
}

/* Do everything again as root of a user namespace. told: build_warnings_hand_over(), or NULL */
static int enter_userns(struct cairn_ctx *ctx, const char *told, int *ret_status,
                        struct cairn_err *err)
{
	char warning[256] = "";
	int r;

	r = userns_reexec(ctx->argv, told, warning, ret_status, err);
	if (warning[0])
		(void)fprintf(ctx->err, "cairn: warning: %s\n", warning);
	return r;
}

static int lower(struct build_run *r, struct cairn_err *err)
{
	TRY(open_bases(r, err));
	TRY(build_set_pairs(r, err));
	TRY(build_set_graph_opts(r, err));
	return graph_lower(r->df, r->path, &r->gopts, &r->graph, err);
}

/* Without the base images there is less to say, but not nothing. */
static int check(struct build_run *r, struct cairn_err *err)
{
	struct cairn_err why;
	bool wrong;
	int got, found;

	TRY(parse(r, err));
	got = lower(r, &why);
	wrong = got == CAIRN_E_CANCELLED || got == CAIRN_E_USAGE || (got < 0 && why.line);
	if (got == 0)
		build_check_add(r->df, r->graph);
	else if (!wrong)
		(void)fprintf(r->ctx->err,
		              "cairn: warning: undefined variables and platforms of base images "
		              "were not looked for: %s\n",
		              why.msg);
	found = !wrong || r->df->n_warnings ? build_check(r->df, r->ctx->out, err) : 0;
	if (wrong)
		*err = why;
	return wrong ? got : found;
}

static bool from_stdin(const struct cli_build_opts *o)
{
	return o->file && strcmp(o->file, "-") == 0;
}

/* Run what the plan says; a machine that is about to go is noticed from now on. */
static int execute(struct build_run *r, struct engine_image *im, struct cairn_err *err)
{
	enum interrupt_cause cause;
	int got;

	if (engine_work(r->build)) {
		interrupt_watch(r->interrupt);
		if (r->publisher) {
			publisher_check(r->publisher);
			build_bases_tell(r);
		}
		build_report_ask(r);
	}
	got = engine_run(r->build, im, err);
	cause = interrupt_cause(r->interrupt);
	if (got == CAIRN_E_CANCELLED && cause != INTERRUPT_NONE)
		return cairn_fail(err, CAIRN_E_CANCELLED,
		                  "%s; finished steps are kept, the next build goes on from there",
		                  interrupt_text(cause));
	return got;
}

/* What the build did is told to whoever asks later; a build does not fail for that. */
static void keep_report(struct build_run *r, const struct engine_image *im)
{
	struct cairn_err err;

	if (build_report_keep(r, im, &err) < 0)
		build_run_warn(
			r, str_of(arena_printf(r->a, "no report for 'cairn explain' is kept: %s",
		                               err.msg)));
}

/* So is what it took, for predictions. */
static void keep_history(struct build_run *r, int result, const struct cairn_err *why)
{
	struct cairn_err err;

	if (build_history_keep(r, result, why, &err) < 0)
		build_run_warn(r, str_of(arena_printf(r->a, "no record of this build is kept: %s",
		                                      err.msg)));
}

/* What was made survives a power cut, and the next build does not read this one's log. */
static void sync_store(const struct build_run *r)
{
	if (r->build && (engine_ran(r->build) || store_log_is_long(r->store)))
		background_sync_start(r->ctx->home);
}

/* *ret_again: it failed because of a hit that will be a miss in the next attempt. */
static int build_once(struct build_run *template, int *ret_status, bool *ret_again,
                      struct cairn_err *err)
{
	const struct cli_build_opts *o = template->o;
	struct cairn_ctx *ctx = template->ctx;
	struct build_run r = {
		.o = o, .ctx = ctx, .doubts = template->doubts, .watch = template->watch
	};
	struct engine_image im = { 0 };
	bool enter;
	int got;

	if (userns_needed() && from_stdin(o)) /* it can be read only once */
		return enter_userns(ctx, NULL, ret_status, err);
	got = start(&r, true, err);
	if (got == 0 && o->check) {
		got = check(&r, err);
		run_done(&r);
		return got;
	}
	if (got == 0)
		got = prepare(&r, err);
	enter = got == 0 && userns_needed() && needs_files(&r);
	if (got == 0 && !enter)
		got = plan(&r, err);
	if (got == 0 && !enter)
		enter = userns_needed() &&
		        (engine_work(r.build) || (r.supply && r.eopts.want_files));
	if (enter) {
		cleanup_free char *told = build_warnings_hand_over(&r);

		run_done(&r);
		return enter_userns(ctx, told, ret_status, err);
	}
	build_warnings_release(&r);
	if (got == 0)
		got = execute(&r, &im, err);
	if (got == 0)
		got = finish(&r, &im, err);
	*ret_again = got < 0 && r.build && !from_stdin(o) &&
	             (engine_demoted(r.build) || (r.outputs && outputs_demoted(r.outputs)));
	if (got < 0 && r.build)
		build_mounts_finish(&r, got);
	if (got < 0 && r.build)
		(void)build_remote_finish(&r, (unsigned)r.graph->n_nodes, got, err);
	build_warnings_show(&r);
	if (r.build && !*ret_again) {
		keep_report(&r, got == 0 ? &im : NULL);
		keep_history(&r, got, err);
	}
	if (r.teller)
		pool_wait(r.teller);
	if (got < 0)
		progress_end(r.progress, &(struct progress_result){ .time_ns = clock_monotonic() });
	sync_store(&r);
	run_done(&r);
	return got;
}

int build_planned(const struct cli_build_opts *o, struct cairn_ctx *ctx,
                  void (*use)(void *use_ctx, const struct report *r), void *use_ctx,
                  struct cairn_err *err)
{
	struct build_run r = { .o = o, .ctx = ctx, .explain = true, .watch = remote_watch_new() };
	struct report rep;
	int got = start(&r, false, err);

	if (got == 0)
		got = prepare(&r, err);
	if (got == 0)
		got = plan(&r, err);
	if (got == 0)
		got = build_report_planned(&r, &rep, err);
	if (got == 0)
		use(use_ctx, &rep);
	run_done(&r);
	remote_watch_free(r.watch);
	return got;
}

struct shown {
	struct cairn_ctx *ctx;
	bool json;
};

static void show_planned(void *ctx, const struct report *r)
{
	const struct shown *s = ctx;

	if (s->json)
		build_report_json(r, s->ctx->out);
	else
		build_report_print(r, s->ctx->color_out, s->ctx->out);
}

int build_explain(const struct cli_build_opts *o, struct cairn_ctx *ctx, bool json,
                  struct cairn_err *err)
{
	struct shown s = { ctx, json };

	return build_planned(o, ctx, show_planned, &s, err);
}

#define ATTEMPTS 3 /* each costs only the steps that the one before did not finish */

int build_run(const struct cli_build_opts *o, struct cairn_ctx *ctx, int *ret_status,
              struct cairn_err *err)
{
	struct build_run template = {
		.o = o, .ctx = ctx, .doubts = supply_doubts_new(), .watch = remote_watch_new()
	};
	bool again = true;
	int got = 0;

	for (int i = 0; i < ATTEMPTS && again; i++) {
		if (i)
			(void)fprintf(ctx->err, "cairn: warning: %s; building it again\n",
			              err->msg);
		if (i == ATTEMPTS - 1) /* enough was promised in vain */
			supply_doubt_all(template.doubts);
		again = false;
		got = build_once(&template, ret_status, &again, err);
	}
	supply_doubts_free(template.doubts);
	remote_watch_free(template.watch);
	return got;
}

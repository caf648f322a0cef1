#include "commands.h"
#include "history/history.h"
#include "history_share.h"
#include "plan_run.h"
#include "route/route.h"
#include "settings.h"
#include "table.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

struct report_opts {
	const char *config;
	uint64_t limit;
	bool json;
};

#define OUT_MAX    (16u << 20)
#define READ_MAX   5000 /* records that predictions are drawn from */
#define LIMIT_MOST 1000

/* A build, and what would have been predicted for it from those before it. */
struct row {
	const struct history_build *b;
	uint64_t predicted; /* ns; 0: nothing was known of the image */
	uint64_t cost;      /* 1e-6 USD */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of the builds that went well and had a prediction; negative: there is none. */
static double median_error(const struct row *rows, size_t n, struct arena *a)
{
	double *v = arena_array(a, double, n);
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		double actual = (double)rows[i].b->wall_ns, guess = (double)rows[i].predicted;

		if (rows[i].b->outcome == HISTORY_OK && rows[i].predicted && actual > 0)
			v[k++] = (guess > actual ? guess - actual : actual - guess) / actual;
	}
	if (!k)
		return -1;
	qsort(v, k, sizeof(*v), by_value);
	return k % 2 ? v[k / 2] : (v[k / 2 - 1] + v[k / 2]) / 2;
}

static uint64_t cost_of(const struct history_build *b, const struct runners *runners)
{
	const struct runner *r = runners_get(runners, b->runner.name);

	return b->cost ? b->cost : r ? route_price(r, b->queue_ns + b->wall_ns) : 0;
}

/* What was predicted then, else what the records before it say. */
static uint64_t predicted_of(const struct history_build *all, size_t n, size_t i, struct arena *a)
{
	cleanup_predictor struct predictor *p = NULL;
	struct prediction got;
	struct route_work w;

	if (all[i].predicted_ns)
		return all[i].predicted_ns;
	p = predictor_new(&all[i + 1], n - i - 1);
	predict_work_of(&all[i], a, &w);
	if (!w.n_steps) /* all was there, or it did not come to a step */
		return 0;
	predict(p, &w, all[i].runner.cpus, &got);
	return got.n_builds ? got.run_ns : 0;
}

static void add_row(struct table *t, const struct row *r)
{
	char text[64], ago[32], actual[32];
	cleanup_free char *image = str_dup(r->b->image), *runner = str_dup(r->b->runner.name);

	table_cell(t, table_ago(r->b->time, clock_now(), ago));
	table_cell(t, image);
	table_cell(t, history_outcome_name(r->b->outcome));
	table_cell(t, runner);
	table_cell(t, r->predicted ? num_human_ns(r->predicted, text, sizeof(text)) : "-");
	table_cell(t, num_human_ns(r->b->wall_ns, actual, sizeof(actual)));
	table_cell(t, r->b->memory ? num_human_bytes(r->b->memory, text, sizeof(text)) : "-");
	(void)snprintf(text, sizeof(text), "%.4f", (double)r->cost / 1e6);
	table_cell(t, text);
}

/* Steps of the builds, bases left out. */
static void count_steps(const struct row *rows, size_t n, size_t *ret_hits, size_t *ret_all)
{
	*ret_hits = *ret_all = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < rows[i].b->n_steps; k++) {
			const struct history_step *s = &rows[i].b->steps[k];

			if (str_is(s->kind, "from"))
				continue;
			*ret_hits += s->hit;
			++*ret_all;
		}
}

static void print_table(const struct row *rows, size_t n, double error, FILE *out)
{
	static const char *const headings[] = { "WHEN", "IMAGE",  "OUTCOME", "RUNNER", "PREDICTED",
		                                "TOOK", "MEMORY", "USD",     NULL };
	struct table *t = table_new(headings);
	size_t hits, steps;
	uint64_t cost = 0;

	count_steps(rows, n, &hits, &steps);
	for (size_t i = 0; i < n; i++) {
		add_row(t, &rows[i]);
		cost += rows[i].cost;
	}
	table_print(t, out);
	(void)fprintf(out, "\n%zu build%s, %.4f USD", n, n == 1 ? "" : "s", (double)cost / 1e6);
	if (steps)
		(void)fprintf(out, "; %.0f %% of the steps were cached",
		              100 * (double)hits / (double)steps);
	if (error >= 0)
		(void)fprintf(out, "; predictions were off by %.0f %% (median)", error * 100);
	(void)fputc('\n', out);
}

static int print_json(const struct row *rows, size_t n, double error, FILE *out,
                      struct cairn_err *err)
{
	cleanup_json json_t *o = json_object();
	json_t *list = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, OUT_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct history_build *b = &rows[i].b[0];
		size_t hits, steps;
		char time[CLOCK_TEXT_MAX];
		json_t *j = json_object();

		json_object_set_new(j, "time", json_string(clock_text(b->time, time)));
		json_object_set_new(j, "image", json_str(b->image));
		json_object_set_new(j, "outcome", json_string(history_outcome_name(b->outcome)));
		json_object_set_new(j, "runner", json_str(b->runner.name));
		json_object_set_new(j, "wall_ns", json_integer((json_int_t)b->wall_ns));
		json_object_set_new(j, "predicted_ns",
		                    rows[i].predicted ? json_integer((json_int_t)rows[i].predicted)
		                                      : json_null());
		json_object_set_new(j, "memory", json_integer((json_int_t)b->memory));
		json_object_set_new(j, "cost_micro_usd", json_integer((json_int_t)rows[i].cost));
		count_steps(&rows[i], 1, &hits, &steps);
		json_object_set_new(j, "steps", json_integer((json_int_t)steps));
		json_object_set_new(j, "hits", json_integer((json_int_t)hits));
		json_object_set_new(j, "pulled", json_integer((json_int_t)b->pulled));
		json_object_set_new(j, "pushed", json_integer((json_int_t)b->pushed));
		json_object_set_new(j, "queue_ns", json_integer((json_int_t)b->queue_ns));
		json_object_set_new(j, "fallback", json_str(b->fallback));
		json_object_set_new(j, "attempt", json_str(b->attempt));
		json_array_append_new(list, j);
	}
	json_object_set_new(o, "builds", list);
	json_object_set_new(o, "median_error", error >= 0 ? json_real(error) : json_null());
	json_write(o, &text);
	TRY(strbuf_check(&text, "the report", err));
	(void)fprintf(out, "%s\n", text.ptr);
	return 0;
}

/* Records of other machines; without the caches those of this one are shown. */
static void merge(struct cairn_ctx *ctx)
{
	struct plan_run shared cleanup_plan_run = { 0 };
	cleanup_history struct history *h = NULL;
	struct cairn_err why = { 0 };
	size_t added = 0;

	if (!ctx->config->caches.len)
		return;
	if (plan_run_caches(&shared, ctx, &why) < 0 ||
	    history_open(ctx->home, false, &h, &why) < 0 ||
	    history_share_get(shared.caches->remotes, shared.caches->n, shared.net_pool, h, &added,
	                      &why) < 0)
		(void)fprintf(ctx->err,
		              "cairn: warning: records of other machines are not shown: %s\n",
		              why.msg);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct report_opts *o = call->opts;
	cleanup_arena struct arena *a = arena_new();
	cleanup_history struct history *h = NULL;
	cleanup_runners struct runners *runners = NULL;
	struct history_query q = { .image = str_of(call->argc ? call->argv[0] : NULL),
		                   .limit = READ_MAX,
		                   .steps = true };
	struct history_build *all;
	struct row *rows;
	double error;
	size_t n, shown;

	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(runners_load(call->ctx->config, &runners, err));
	merge(call->ctx);
	TRY(history_open(call->ctx->home, true, &h, err));
	TRY(history_find(h, &q, a, &all, &n, err));
	shown = n < o->limit ? n : (size_t)o->limit;
	shown = shown < LIMIT_MOST ? shown : LIMIT_MOST;
	rows = arena_array(a, struct row, shown);
	for (size_t i = 0; i < shown; i++)
		rows[i] = (struct row){ &all[i], predicted_of(all, n, i, a),
			                cost_of(&all[i], runners) };
	error = median_error(rows, shown, a);
	if (o->json)
		return print_json(rows, shown, error, call->ctx->out, err);
	print_table(rows, shown, error, call->ctx->out);
	return 0;
}

#define T struct report_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "limit", 'n', OPT_UINT(T, limit), .arg = "N",
	  .help = "Show the newest N builds (default: 20)" },
	{ 0 },
};

static const struct report_opts defaults = { .limit = 20 };

const struct cli_cmd cmd_report = {
	.name = "report",
	.group = "Building",
	.summary = "Show recent builds: how long they took, what was predicted, what they cost",
	.description =
		"Builds, newest first, also those of other machines that share a cache of cairn.yaml. A build that nobody predicted is compared with what the "
		"records before it say. A build without a hit of any step is not the same as one with many: "
		"the prediction is for the steps that ran.",
	.args = "[OPTIONS] [IMAGE]",
	.max_args = 1,
	.needs = CLI_NEED_HOME,
	.opts = opts,
	.opts_size = sizeof(T),
	.defaults = &defaults,
	.run = run,
};

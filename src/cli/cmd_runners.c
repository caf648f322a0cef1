#include "commands.h"
#include "route/route.h"
#include "settings.h"
#include "table.h"
#include "util/json.h"
#include "util/num.h"

struct runners_opts {
	const char *config;
	bool json;
};

#define OUT_MAX (4u << 20)

static void set_str(json_t *o, const char *key, str value)
{
	if (value.len)
		json_object_set_new(o, key, json_str(value));
}

static void set_num(json_t *o, const char *key, uint64_t value)
{
	if (value)
		json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void set_list(json_t *o, const char *key, const struct image_strs *list)
{
	json_t *j = json_array();

	for (size_t i = 0; i < list->len; i++)
		json_array_append_new(j, json_str(list->ptr[i]));
	json_object_set_new(o, key, j);
}

static json_t *runner_json(const struct runner *r)
{
	const struct workspace_runner *c = &r->c;
	json_t *o = json_object();

	set_str(o, "name", c->name);
	json_object_set_new(o, "driver", json_string(runner_driver_name(c->driver)));
	json_object_set_new(o, "declared", json_boolean(r->declared));
	set_str(o, "compute", c->compute);
	set_str(o, "environment", c->environment);
	set_str(o, "image", c->image);
	set_list(o, "labels", &c->labels);
	json_object_set_new(o, "arch", json_string(runner_arch_name(c->arch)));
	set_num(o, "vcpu", c->vcpu);
	set_num(o, "memory", c->memory);
	set_num(o, "disk", c->disk);
	json_object_set_new(o, "price_per_minute_micro_usd",
	                    c->has_price ? json_integer((json_int_t)c->price) : json_null());
	json_object_set_new(o, "rounding",
	                    json_string(c->rounding == RUNNER_MINUTE ? "minute" : "second"));
	set_num(o, "start_latency_ns", c->latency);
	set_num(o, "concurrency", c->concurrency);
	json_object_set_new(o, "gpu", json_boolean(c->gpu));
	json_object_set_new(o, "spot", json_boolean(c->spot));
	set_num(o, "interruptions", c->interruptions);
	json_object_set_new(o, "privileged", json_boolean(c->privileged));
	set_str(o, "source", c->source);
	set_str(o, "date", c->date);
	set_list(o, "unconfirmed", &c->unconfirmed);
	return o;
}

static bool unconfirmed(const struct workspace_runner *c, const char *key)
{
	for (size_t i = 0; i < c->unconfirmed.len; i++)
		if (str_is(c->unconfirmed.ptr[i], key))
			return true;
	return false;
}

/* "72.0 GiB": what vendors say in powers of 1024. */
static void size_cell(struct table *t, const struct workspace_runner *c, const char *key,
                      uint64_t bytes)
{
	char text[32] = "-";

	if (bytes)
		(void)snprintf(text, sizeof(text), "%.0f GiB%s", (double)bytes / (1u << 30),
		               unconfirmed(c, key) ? " ?" : "");
	table_cell(t, text);
}

static void runner_row(const struct runner *r, struct table *t)
{
	const struct workspace_runner *c = &r->c;
	char text[64], name[128];

	(void)snprintf(name, sizeof(name), "%.*s%s", STR(c->name), r->declared ? "" : " *");
	table_cell(t, name);
	table_cell(t, runner_driver_name(c->driver));
	table_cell(t, runner_arch_name(c->arch));
	(void)snprintf(text, sizeof(text), c->vcpu ? "%u%s%s" : "-", (unsigned)c->vcpu,
	               c->gpu ? " + GPU" : "", c->spot ? ", spot" : "");
	table_cell(t, text);
	size_cell(t, c, "memory", c->memory);
	size_cell(t, c, "disk", c->disk);
	(void)snprintf(text, sizeof(text), "%.4f%s", (double)c->price / 1e6,
	               unconfirmed(c, "price") ? " ?" : "");
	table_cell(t, c->has_price ? text : "-");
	(void)snprintf(text, sizeof(text), "%.*s%s%.*s", STR(c->source), c->date.len ? ", " : "",
	               STR(c->date));
	table_cell(t, text);
}

static void print_table(const struct runners *list, FILE *out)
{
	static const char *const headings[] = { "NAME", "DRIVER",  "ARCH",   "VCPU", "MEMORY",
		                                "DISK", "USD/MIN", "SOURCE", NULL };
	struct table *t = table_new(headings);

	for (size_t i = 0; i < list->len; i++)
		runner_row(&list->ptr[i], t);
	table_print(t, out);
	(void)fprintf(out, "\n* of the catalogue: name it under runners: in cairn.yaml to use it. "
	                   "?: nobody has confirmed the figure.\n");
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct runners_opts *o = call->opts;
	cleanup_runners struct runners *list = NULL;
	cleanup_json json_t *j = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, OUT_MAX);
	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(runners_load(call->ctx->config, &list, err));
	if (!o->json) {
		print_table(list, call->ctx->out);
		return 0;
	}
	for (size_t i = 0; i < list->len; i++)
		json_array_append_new(j, runner_json(&list->ptr[i]));
	json_write(j, &text);
	(void)fprintf(call->ctx->out, "%s\n", text.ptr);
	return 0;
}

#define T struct runners_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ 0 },
};

const struct cli_cmd cmd_runners = {
	.name = "runners",
	.group = "Building",
	.summary = "List the machines that builds can be sent to, and what they cost",
	.description = "The machines of runners: in cairn.yaml, and those of the catalogue that is "
		       "built in (docs/routing.md).",
	.args = "[OPTIONS]",
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
};

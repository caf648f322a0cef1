#include "commands.h"
#include "image_lookup.h"
#include "table.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

struct history_opts {
	bool json, no_trunc;
};

#define COMMAND_COLUMNS 60 /* of CREATED BY without --no-trunc */
#define OUT_MAX         (64 * 1024 * 1024)

/* A row of an image's history. */
struct line {
	const struct image_history *h;
	const struct digest *diff_id; /* NULL: it made no layer */
	uint64_t size;                /* bytes of the layer's tar */
	bool known;                   /* the layer is in the store */
};

static int find_layer(struct store *s, const struct digest *diff_id, struct line *l,
                      struct cairn_err *err)
{
	struct store_layer layer;

	l->diff_id = diff_id;
	TRY(store_layer_find(s, diff_id, &layer, &l->known, err));
	l->size = l->known ? layer.tar_size : 0;
	return 0;
}

/* Clip to COMMAND_COLUMNS, as docker does. */
static void command_cell(struct table *t, str command, bool no_trunc)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, IMAGE_CONFIG_MAX);
	strbuf_str(&b, command);
	if (!no_trunc && command.len > COMMAND_COLUMNS) {
		strbuf_clear(&b);
		while (command.len > COMMAND_COLUMNS - 3 &&
		       ((unsigned char)command.ptr[COMMAND_COLUMNS - 3] & 0xc0) == 0x80)
			command = str_n(command.ptr, command.len - 1);
		strbuf_printf(&b, "%.*s...", COMMAND_COLUMNS - 3, command.ptr);
	}
	table_cell(t, b.ptr);
}

static void add_row(struct table *t, const struct line *l, bool no_trunc)
{
	char ago[32], size[32];
	cleanup_free char *comment = str_dup(l->h->comment);

	table_cell(t, table_ago(l->h->created.set ? l->h->created.ns : 0, clock_now(), ago));
	command_cell(t, l->h->created_by, no_trunc);
	table_cell(t, !l->diff_id ? "0 B"
	              : l->known  ? num_human_bytes(l->size, size, sizeof(size))
	                          : "?");
	table_cell(t, comment);
}

static void add_json(json_t *list, const struct line *l)
{
	json_t *o = json_object();
	char time[CLOCK_TEXT_MAX];

	if (l->h->created.set)
		json_object_set_new(o, "created", json_string(clock_text(l->h->created.ns, time)));
	json_object_set_new(o, "created_by", json_str(l->h->created_by));
	json_object_set_new(o, "comment", json_str(l->h->comment));
	json_object_set_new(o, "empty_layer", json_boolean(!l->diff_id));
	if (l->diff_id)
		json_object_set_new(o, "diff_id", json_string(digest_text(l->diff_id).s));
	json_object_set_new(o, "size",
	                    l->known || !l->diff_id ? json_integer((json_int_t)l->size)
	                                            : json_null());
	json_array_append_new(list, o);
}

/* Newest first. Images that hold fewer history entries than layers show those layers too. */
static int collect(struct store *s, const struct image_config *c, struct line *lines, size_t *ret_n,
                   struct cairn_err *err)
{
	static const struct image_history unknown = { 0 };
	size_t n = 0, layer = 0;

	for (size_t i = 0; i < c->n_history; i++, n++) {
		lines[n].h = &c->history[i];
		if (!c->history[i].empty_layer && layer < c->n_diff_ids)
			TRY(find_layer(s, &c->diff_ids[layer++], &lines[n], err));
	}
	for (; layer < c->n_diff_ids; n++) {
		lines[n].h = &unknown;
		TRY(find_layer(s, &c->diff_ids[layer++], &lines[n], err));
	}
	*ret_n = n;
	return 0;
}

static void print(struct cli_call *call, const struct line *lines, size_t n)
{
	static const char *const headings[] = { "CREATED", "CREATED BY", "SIZE", "COMMENT", NULL };
	const struct history_opts *o = call->opts;
	struct table *t = table_new(headings);
	cleanup_json json_t *j = json_array();
	cleanup_strbuf struct strbuf out;

	strbuf_init(&out, OUT_MAX);
	while (n-- > 0) {
		add_json(j, &lines[n]);
		add_row(t, &lines[n], o->no_trunc);
	}
	json_write(j, &out);
	if (o->json)
		(void)fprintf(call->ctx->out, "%s\n", out.ptr);
	table_print(t, o->json ? NULL : call->ctx->out);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct store *s = call->ctx->store;
	struct image_hit hit;
	struct image_config config;
	struct line *lines;
	size_t n = 0;
	int r;

	TRY(image_lookup(s, call->argv[0], &hit, err));
	r = image_read_config(s, &hit.image.config, a, &config, NULL, err);
	image_hit_done(&hit);
	TRY(r);
	lines = arena_array(a, struct line, config.n_history + config.n_diff_ids + 1);
	TRY(collect(s, &config, lines, &n, err));
	print(call, lines, n);
	return 0;
}

#define T struct history_opts

static const struct cli_opt opts[] = {
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "no-trunc", 0, OPT_FLAG(T, no_trunc), .help = "Print commands in full" },
	{ 0 },
};

const struct cli_cmd cmd_history = {
	.name = "history",
	.group = "Images",
	.summary = "Show the layers of an image and what made them, newest first",
	.args = "[OPTIONS] IMAGE",
	.min_args = 1,
	.max_args = 1,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE_READ,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
};

#include "base_images.h"
#include "commands.h"
#include "table.h"
#include "util/num.h"

struct sync_opts {
	const char *config;
	struct cli_list platforms;
	uint64_t jobs;
	bool json;
};

/* One image on its way. */
struct syncing {
	struct registry *registry;
	const struct base_asked *asked;
	struct reference dst;
	struct registry_copy_opts opts;
	struct digest digest;
	uint64_t moved;
};

static int copy_one(void *ctx, struct cairn_err *err)
{
	struct syncing *s = ctx;

	return registry_copy(s->registry, &s->asked->from, &s->dst, &s->opts, &s->digest, &s->moved,
	                     err);
}

/* Its name in the project's registry. A tag there means what it means here. */
static int name_copy(const struct base_images *b, struct syncing *s, struct cairn_err *err)
{
	const struct registry_mirror place = { NULL, arena_cstr(b->ctx->config->arena,
		                                                b->ctx->config->base.registry) };

	TRY(registry_mirror_name(&place, &s->asked->ref, &s->dst, err));
	s->dst.digest = s->dst.tag[0] ? (struct digest){ 0 } : s->asked->digest;
	return 0;
}

/* What has to be there: the images, with the digests that their tags are pinned to. Those that are
 * in the project's registry already are left out. */
static struct base_asked *list_images(const struct base_images *b, struct arena *a, size_t *ret_n)
{
	struct base_asked *asked = arena_array(a, struct base_asked, b->scan->images.len + 1);
	cleanup_free char *own = xasprintf("%.*s/", STR(b->ctx->config->base.registry));
	size_t n = 0;

	vec_foreach (use, &b->scan->images) {
		const struct digest *pin = base_lock_find(b->lock, &use->ref);

		if (str_starts(use->name, str_of(own)))
			continue;
		asked[n].ref = use->ref;
		asked[n].name = use->name;
		if (pin)
			asked[n].ref.digest = *pin;
		n++;
	}
	*ret_n = n;
	return asked;
}

static json_t *as_json(const struct syncing *s)
{
	char name[REFERENCE_TEXT_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "image", json_str(s->asked->name));
	json_object_set_new(o, "copy", json_string(reference_text(&s->dst, name)));
	json_object_set_new(o, "digest", json_string(digest_text(&s->digest).s));
	json_object_set_new(o, "moved_bytes", json_integer((json_int_t)s->moved));
	return o;
}

static void add_row(struct table *t, const struct syncing *s)
{
	char name[REFERENCE_TEXT_MAX], hex[16], bytes[32];

	table_cell(t, base_shown(s->asked->name, name));
	table_cell(t, base_short(&s->digest, hex));
	table_cell(t, num_human_bytes(s->moved, bytes, sizeof(bytes)));
}

/* One run of the command. */
struct sync {
	const struct base_images *b;
	struct transfer *transfer;
	struct syncing now;
	struct base_asked *asked;
	size_t n, failed;
	struct table *table;
	json_t *list;
};

static int copy_asked(struct sync *s, const struct base_asked *asked, struct cairn_err *err)
{
	struct transfer_work work = { .run = copy_one, .ctx = &s->now };

	s->now.asked = asked;
	s->now.moved = 0;
	if (!asked->ok) {
		*err = asked->err;
		return err->code;
	}
	TRY(name_copy(s->b, &s->now, err));
	return transfer_run(s->transfer, &work, err);
}

/* Copy all that were found; what fails is told and counted. */
static int copy_all(struct sync *s, struct cairn_err *err)
{
	char name[REFERENCE_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		int r = copy_asked(s, &s->asked[i], err);

		if (r == CAIRN_E_CANCELLED)
			return r;
		if (r < 0) {
			base_warn(s->b, "%s: %s", base_shown(s->asked[i].name, name), err->msg);
			s->failed++;
			continue;
		}
		add_row(s->table, &s->now);
		json_array_append_new(s->list, as_json(&s->now));
	}
	return 0;
}

static int sync_all(const struct base_images *b, const struct sync_opts *o, struct cairn_err *err)
{
	static const char *const headings[] = { "IMAGE", "DIGEST", "MOVED", NULL };
	cleanup_transfer struct transfer *t = NULL;
	cleanup_arena struct arena *a = arena_new();
	cleanup_json json_t *list = json_array();
	struct sync s = { .b = b, .list = list, .now.opts.parallel = (unsigned)o->jobs };
	struct platform *platforms = NULL;
	int r;

	TRY(transfer_platforms(&o->platforms, a, &platforms, &s.now.opts.n_platforms, err));
	TRY(transfer_new(b->ctx, "copying base images", o->json, &t, err));
	s.asked = list_images(b, a, &s.n);
	TRY(base_ask(s.b, t, s.asked, s.n, err));
	s.transfer = t;
	s.now.registry = transfer_registry(t);
	s.now.opts.platforms = platforms;
	s.now.opts.progress = transfer_progress(t);
	s.table = table_new(headings);
	r = copy_all(&s, err);
	table_print(s.table, o->json ? NULL : b->ctx->out);
	TRY(r);
	if (o->json)
		base_print_json(b, list);
	return s.failed ? cairn_fail(err, CAIRN_E_SYSTEM, "%zu of %zu base images were not copied",
	                             s.failed, s.n)
	                : 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct base_images b cleanup_base_images;

	TRY(base_images_open(call->ctx, ((const struct sync_opts *)call->opts)->config, &b, err));
	if (!call->ctx->config->base.registry.len)
		return cairn_fail(
			err, CAIRN_E_USAGE,
			"cairn.yaml does not say where to: set 'registry' of 'base', as in "
			"base: {registry: registry.example/base}");
	return sync_all(&b, call->opts, err);
}

#define T struct sync_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "jobs", 'j', OPT_UINT(T, jobs), .arg = "N", .help = "Blobs moved at once (default: 4)" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_LIST(T, platforms), .arg = "OS/ARCH[,...]",
	  .help = "Copy these platforms only; digests are then others (default: all)" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn base sync", "copy what is missing; run it before the builds, or once a night" },
	{ 0 },
};

const struct cli_cmd cmd_base_sync = {
	.name = "base sync",
	.group = "Registries",
	.summary = "Copy the base images to the project's own registry",
	.description =
		"Copies every base image that the Dockerfiles name to base.registry of cairn.yaml, byte "
		"for byte and with all platforms: debian:12 becomes "
		"REGISTRY/docker.io/library/debian:12. Tags that cairn.lock pins are copied as pinned. "
		"What is there is not moved, and what was interrupted goes on with the next "
		"run.\n\n"
		"Builds ask base.registry first from then on; names, tags and cache keys stay those of "
		"the Dockerfiles.",
	.args = "[OPTIONS]",
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};

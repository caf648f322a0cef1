#include <sys/sysinfo.h>

#include "background_sync.h"
#include "commands.h"
#include "engine/engine.h"
#include "settings.h"
#include "transfer.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"
#include "util/pool.h"

struct pull_opts {
	const char *config;
	const char *platform;
	bool json, quiet;
};

#define PARALLEL 4 /* images at once; each fetches a few layers at once */

/* An image that is pulled. base_fetch() wants a step of a graph. */
struct pulled {
	struct reference ref;
	struct graph_base base;
	struct graph_stage stage;
	struct graph_node node;
	struct base_progress seen; /* how far it was when it was last looked at */
	struct digest manifest;    /* none when it is not known */
};

struct pull {
	struct cli_call *call;
	struct transfer *transfer;
	struct arena *arena;
	struct pool *work, *fetches; /* for unpacking; for waiting */
	struct bases *bases;
	struct pulled *images;
	size_t n;
};

static void warn(void *ctx, str text)
{
	const struct pull *p = ctx;

	(void)fprintf(p->call->ctx->err, "cairn: warning: %.*s\n", STR(text));
}

/* --- what the registry has ----------------------------------------------------- */

static int resolve(struct pull *p, struct pulled *im, const char *word,
                   const struct platform *platform, struct cairn_err *err)
{
	char text[REFERENCE_TEXT_MAX];
	str ref;

	TRY(transfer_reference(word, &im->ref, err));
	ref = arena_str(p->arena, str_of(reference_text(&im->ref, text)));
	TRY(base_resolve(p->bases, p->arena, ref, platform, &im->base, err));
	im->stage.platform = *platform;
	im->node = (struct graph_node){ .kind = GRAPH_BASE,
		                        .stage = &im->stage,
		                        .base = { .ref = im->base.ref,
		                                  .config = im->base.config,
		                                  .config_digest = im->base.config_digest } };
	return 0;
}

static int resolve_all(struct pull *p, struct cairn_err *err)
{
	const struct pull_opts *o = p->call->opts;
	struct platform platform = platform_host();

	if (o->platform && platform_parse(str_of(o->platform), &platform, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--platform");
	}
	for (size_t i = 0; i < p->n; i++)
		TRY(resolve(p, &p->images[i], p->call->argv[i], &platform, err));
	return 0;
}

/* --- its layers --------------------------------------------------------------------- */

static int fetch(void *ctx, size_t i, struct cairn_err *err)
{
	struct pull *p = ctx;

	return base_fetch(p->bases, &p->images[i].node, err);
}

static int fetch_all(void *ctx, struct cairn_err *err)
{
	struct pull *p = ctx;

	return pool_map(p->fetches, p->n, fetch, p, err);
}

static void look(void *ctx, uint64_t *ret_total, uint64_t *ret_done)
{
	struct pull *p = ctx;

	*ret_total = *ret_done = 0;
	for (size_t i = 0; i < p->n; i++) {
		struct pulled *im = &p->images[i];
		struct base_progress now = { 0 };

		if (base_fetch_progress(p->bases, &im->node, &now))
			im->seen = now;
		else if (im->seen.total)
			im->seen.current = im->seen.total;
		*ret_total += im->seen.total;
		*ret_done += im->seen.current;
	}
}

static void stop(void *ctx)
{
	struct pull *p = ctx;

	base_fetch_stop(p->bases);
}

/* --- telling ------------------------------------------------------------------------- */

static void find_manifest(struct store *s, struct pulled *im)
{
	struct cairn_err ignored;
	bool found = false;

	if (store_manifest_find(s, &im->base.config_digest, S(BASE_MANIFEST), &im->manifest, &found,
	                        &ignored) < 0 ||
	    !found)
		im->manifest = (struct digest){ 0 };
}

static json_t *as_json(const struct pulled *im)
{
	char name[REFERENCE_TEXT_MAX], platform[PLATFORM_TEXT_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(reference_text(&im->ref, name)));
	json_object_set_new(o, "id", json_string(digest_text(&im->base.config_digest).s));
	json_object_set_new(o, "digest",
	                    digest_none(&im->manifest) ? json_null()
	                                               : json_string(digest_text(&im->manifest).s));
	json_object_set_new(o, "platform",
	                    json_string(platform_text(&im->base.config->platform, platform)));
	json_object_set_new(o, "moved_bytes", json_integer((json_int_t)im->seen.total));
	return o;
}

static void print(struct pull *p)
{
	const struct pull_opts *o = p->call->opts;
	cleanup_json json_t *list = json_array();
	struct strbuf out cleanup_strbuf;
	FILE *file = p->call->ctx->out;

	strbuf_init(&out, 64u << 20);
	for (size_t i = 0; i < p->n; i++) {
		struct pulled *im = &p->images[i];
		char name[REFERENCE_TEXT_MAX], summary[96];

		find_manifest(p->call->ctx->store, im);
		if (o->json)
			json_array_append_new(list, as_json(im));
		else if (o->quiet)
			(void)fprintf(file, "%s\n", digest_text(&im->base.config_digest).s);
		else
			(void)fprintf(file, "%s: %s, %s\n", reference_familiar(&im->ref, name),
			              digest_text(digest_none(&im->manifest)
			                                  ? &im->base.config_digest
			                                  : &im->manifest)
			                      .s,
			              transfer_summary(p->transfer, im->seen.total, summary));
	}
	if (!o->json)
		return;
	json_write(list, &out);
	(void)fprintf(file, "%s\n", out.ptr);
}

static int pull(struct pull *p, struct cairn_err *err)
{
	struct transfer_work work = { .run = fetch_all, .look = look, .stop = stop, .ctx = p };
	struct base_opts bo = { .store = p->call->ctx->store,
		                .pool = p->work,
		                .pull = true,
		                .cancel_fd = transfer_cancel_fd(p->transfer),
		                .warn = warn,
		                .ctx = p };

	settings_session(p->call->ctx, true, &bo.net);
	p->bases = bases_new(&bo);
	TRY(resolve_all(p, err));
	return transfer_run(p->transfer, &work, err);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct pull_opts *o = call->opts;
	cleanup_transfer struct transfer *t = NULL;
	cleanup_free char *what =
		xasprintf("pulling %s%s", call->argv[0], call->argc > 1 ? ", ..." : "");
	struct pull p = { .call = call, .n = (size_t)call->argc };
	int rc;

	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(transfer_new(call->ctx, what, o->quiet, &t, err));
	p.transfer = t;
	p.arena = arena_new();
	p.images = arena_array(p.arena, struct pulled, p.n);
	p.work = pool_new((unsigned)get_nprocs());
	p.fetches = pool_new(PARALLEL);
	rc = pull(&p, err);
	if (rc == 0)
		print(&p);
	pool_free(p.fetches);
	bases_free(p.bases);
	pool_free(p.work);
	arena_free(p.arena);
	background_sync_start(call->ctx->home);
	return rc;
}

#define T struct pull_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_STRING(T, platform), .arg = "OS/ARCH",
	  .help = "Which image of an index (default: this machine's)" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print the image's id only" },
	{ "all-tags", 'a', OPT_UNSUPPORTED(false, "'cairn tags' lists them") },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn pull debian:12", "from Docker Hub" },
	{ "cairn pull registry.example/app:1.2 registry.example/db:7", "several at once" },
	{ 0 },
};

const struct cli_cmd cmd_pull = {
	.name = "pull",
	.group = "Registries",
	.summary = "Get images from a registry into the store",
	.description =
		"The image is unpacked while it arrives, several layers at once, every byte compared "
		"with the digest that named it; afterwards 'cairn run' starts it and builds stand on it "
		"without a network. What the store has is not moved again. 'cairn build' pulls what it "
		"needs by itself.",
	.args = "[OPTIONS] NAME[:TAG|@DIGEST]...",
	.min_args = 1,
	.max_args = CLI_ARGS_ANY,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_NEED_USERNS,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};

#include <sys/sysinfo.h>

#include "background_sync.h"
#include "commands.h"
#include "engine/engine.h"
#include "image_lookup.h"
#include "settings.h"
#include "transfer.h"
#include "util/json.h"
#include "util/pool.h"

struct push_opts {
	const char *config;
	struct cli_list annotations;
	const char *platform;
	enum layer_compression compression;
	uint64_t level, jobs;
	bool all_platforms, force, json, quiet;
};

#define COMPRESSION_AS_IT_IS LAYER_COMPRESS_N_ /* the default */

struct pushing {
	const struct push_opts *o;
	struct cli_call *call;
	struct arena *arena;
	struct reference dst;
	struct layer_blob_form form;
	struct image_push_opts opts;
	struct image_push_result result;
	VEC(struct digest) images;
};

/* --- what ---------------------------------------------------------------------------- */

/* The images that have the name, one a platform. */
static int find_platforms(struct pushing *p, const char *name, struct cairn_err *err)
{
	struct store_listing list = { 0 };

	TRY(store_images_list(p->call->ctx->store, &list, err));
	for (size_t i = 0; i < list.len; i++)
		if (list.ptr[i].tag.name && strcmp(list.ptr[i].tag.name, name) == 0)
			vec_push(&p->images, list.ptr[i].image.config);
	store_listing_done(&list);
	return 0;
}

/* The one of that name for --platform. */
static int find_platform(struct pushing *p, const char *name, struct cairn_err *err)
{
	struct platform platform;
	char text[PLATFORM_TEXT_MAX];
	struct store_tag tag = { 0 };
	bool found = false;

	if (platform_parse(str_of(p->o->platform), &platform, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--platform");
	}
	(void)platform_text(&platform, text);
	TRY(store_tag_find(p->call->ctx->store, str_of(name), str_of(text), &tag, &found, err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "there is no image '%s' for %s", name,
		                  text);
	vec_push(&p->images, tag.config);
	store_tag_done(&tag);
	return 0;
}

static int find_images(struct pushing *p, const struct image_hit *hit, struct cairn_err *err)
{
	const char *word = p->call->argv[0];

	if ((p->o->all_platforms || p->o->platform) && !hit->name)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "'%s' is an id, which stands for one platform; give a name",
		                  word);
	if (p->o->all_platforms && p->o->platform)
		return cairn_fail(err, CAIRN_E_USAGE, "--platform or --all-platforms");
	if (p->o->all_platforms)
		return find_platforms(p, hit->name, err);
	if (p->o->platform)
		return find_platform(p, hit->name, err);
	vec_push(&p->images, hit->image.config);
	return 0;
}

/* Where to: the second word, else the name of the image. */
static int find_target(struct pushing *p, const struct image_hit *hit, struct cairn_err *err)
{
	const char *word = p->call->argc > 1 ? p->call->argv[1] : hit->name;

	if (!word)
		return cairn_fail(err, CAIRN_E_USAGE, "'%s' is an id; say where to push it",
		                  p->call->argv[0]);
	TRY(transfer_reference(word, &p->dst, err));
	if (!digest_none(&p->dst.digest))
		return cairn_fail(err, CAIRN_E_USAGE, "'%s' has a digest; a target ends with a tag",
		                  word);
	return 0;
}

/* --- how -------------------------------------------------------------------------------- */

/* [manifest:|index:]KEY=VALUE, as docker spells it. */
static int add_annotation(struct pushing *p, const char *text, struct cairn_err *err)
{
	struct image_kvs *to = &p->opts.annotations;
	str s = str_of(text), key, value;

	if (str_starts(s, S("index:"))) {
		to = &p->opts.index_annotations;
		s = str_skip(s, 6);
	} else if (str_starts(s, S("manifest:"))) {
		s = str_skip(s, 9);
	}
	if (!str_cut(s, '=', &key, &value) || key.len == 0)
		return cairn_fail(err, CAIRN_E_USAGE, "--annotation '%s': expected KEY=VALUE",
		                  text);
	image_kvs_set(p->arena, to, key, value);
	return 0;
}

static int set_form(struct pushing *p, struct cairn_err *err)
{
	const struct push_opts *o = p->o;
	uint64_t most = o->compression == LAYER_COMPRESS_ZSTD ? 19 : 12;

	if (o->compression == COMPRESSION_AS_IT_IS && !o->level && !o->force)
		return 0;
	p->form.compression =
		o->compression == COMPRESSION_AS_IT_IS ? LAYER_COMPRESS_GZIP : o->compression;
	p->form.level = (int)o->level;
	p->form.force = o->force;
	p->opts.form = &p->form;
	return o->level <= most
	               ? 0
	               : cairn_fail(err, CAIRN_E_USAGE, "--compression-level: at most %llu for %s",
	                            (unsigned long long)most,
	                            layer_compression_name(p->form.compression));
}

static int set_opts(struct pushing *p, struct transfer *t, struct cairn_err *err)
{
	for (size_t i = 0; i < p->o->annotations.len; i++)
		TRY(add_annotation(p, p->o->annotations.ptr[i], err));
	TRY(set_form(p, err));
	p->opts.store = p->call->ctx->store;
	p->opts.registry = transfer_registry(t);
	p->opts.images = p->images.ptr;
	p->opts.n = p->images.len;
	p->opts.index = p->o->all_platforms || p->opts.index_annotations.len > 0;
	p->opts.parallel = (unsigned)p->o->jobs;
	p->opts.progress = transfer_progress(t);
	p->opts.stop = transfer_stop(t);
	return 0;
}

/* --- the push ------------------------------------------------------------------------------ */

static int push(void *ctx, struct cairn_err *err)
{
	struct pushing *p = ctx;

	return image_push(&p->opts, &p->dst, &p->result, err);
}

static void print(struct pushing *p, const struct transfer *t)
{
	cleanup_json json_t *j = json_object();
	struct strbuf out cleanup_strbuf;
	char name[REFERENCE_TEXT_MAX], summary[96];
	FILE *file = p->call->ctx->out;

	strbuf_init(&out, 1u << 20);
	(void)reference_familiar(&p->dst, name);
	if (p->o->json) {
		json_object_set_new(j, "name", json_string(name));
		json_object_set_new(j, "digest", json_string(digest_text(&p->result.digest).s));
		json_object_set_new(j, "platforms", json_integer((json_int_t)p->images.len));
		json_object_set_new(j, "moved_bytes", json_integer((json_int_t)p->result.moved));
		json_write(j, &out);
		(void)fprintf(file, "%s\n", out.ptr);
	} else if (p->o->quiet) {
		(void)fprintf(file, "%s\n", digest_text(&p->result.digest).s);
	} else {
		(void)fprintf(file, "%s: %s, %s\n", name, digest_text(&p->result.digest).s,
		              transfer_summary(t, p->result.moved, summary));
	}
}

static int prepare(struct pushing *p, struct cairn_err *err)
{
	struct image_hit hit = { 0 };
	int rc;

	TRY(image_lookup(p->call->ctx->store, p->call->argv[0], &hit, err));
	rc = find_target(p, &hit, err);
	if (rc == 0)
		rc = find_images(p, &hit, err);
	image_hit_done(&hit);
	return rc;
}

static int go(struct pushing *p, struct cairn_err *err)
{
	cleanup_transfer struct transfer *t = NULL;
	cleanup_free char *what = NULL;
	struct transfer_work work = { .run = push, .ctx = p };
	char name[REFERENCE_TEXT_MAX];
	int rc;

	TRY(prepare(p, err));
	TRY(settings_load(p->call->ctx, p->o->config, ".", err));
	what = xasprintf("pushing %s", reference_familiar(&p->dst, name));
	TRY(transfer_new(p->call->ctx, what, p->o->quiet, &t, err));
	TRY(set_opts(p, t, err));
	p->opts.pool = pool_new((unsigned)get_nprocs());
	rc = transfer_run(t, &work, err);
	pool_free(p->opts.pool);
	if (rc == 0)
		print(p, t);
	return rc;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct pushing p = { .o = call->opts, .call = call };
	int rc;

	p.arena = arena_new();
	rc = go(&p, err);
	vec_free(&p.images);
	arena_free(p.arena);
	background_sync_start(call->ctx->home);
	return rc;
}

#define T struct push_opts

static const char *const compressions[] = { [LAYER_COMPRESS_NONE] = "none",
	                                    [LAYER_COMPRESS_GZIP] = "gzip",
	                                    [LAYER_COMPRESS_ZSTD] = "zstd",
	                                    [COMPRESSION_AS_IT_IS] = "keep",
	                                    NULL };

static const struct cli_opt opts[] = {
	{ "all-platforms", 0, OPT_FLAG(T, all_platforms),
	  .help = "Push an index of all platforms that the store has under this name" },
	{ "annotation", 0, OPT_LIST(T, annotations), .arg = "[index:]KEY=VALUE",
	  .help = "Annotate the manifest, or the index" },
	{ "compression", 0, OPT_ENUM(T, compression, compressions),
	  .help = "Of layers that are built here (default: keep; gzip where they have none yet)" },
	{ "compression-level", 0, OPT_UINT(T, level), .arg = "N",
	  .help = "1 to 12 for gzip, 1 to 19 for zstd" },
	SETTINGS_OPTION(T, config),
	{ "force-compression", 0, OPT_FLAG(T, force),
	  .help = "Compress layers anew that came from a registry in another form" },
	{ "jobs", 'j', OPT_UINT(T, jobs), .arg = "N", .help = "Layers sent at once (default: 4)" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_STRING(T, platform), .arg = "OS/ARCH",
	  .help = "Which of the images of this name" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print the digest only" },
	{ "all-tags", 'a', OPT_UNSUPPORTED(false, "") },
	{ 0 },
};

static const T defaults = { .compression = COMPRESSION_AS_IT_IS };

static const struct cli_example examples[] = {
	{ "cairn push registry.example/app:1.2", "an image under its name" },
	{ "cairn push app registry.example/app:ci", "under another one" },
	{ 0 },
};

const struct cli_cmd cmd_push = {
	.name = "push",
	.group = "Registries",
	.summary = "Send an image of the store to a registry",
	.description =
		"Only what the repository lacks is sent, several layers at once; layers that another "
		"repository of that registry is known to have are mounted from there. An image that was "
		"pulled and not changed keeps its digest. A transfer that breaks goes on where it was. "
		"The tag is set last: whoever reads it finds everything.\n\n"
		"Without TARGET the image goes to where its name says.",
	.args = "[OPTIONS] IMAGE [TARGET]",
	.min_args = 1,
	.max_args = 2,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_NEED_USERNS,
	.opts = opts,
	.opts_size = sizeof(T),
	.defaults = &defaults,
	.run = run,
	.examples = examples,
};

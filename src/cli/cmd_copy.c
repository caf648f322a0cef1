#include "commands.h"
#include "copy_archive.h"
#include "copy_docker.h"
#include "settings.h"
#include "transfer.h"
#include "util/json.h"

struct copy_opts {
	const char *config;
	struct cli_list platforms;
	uint64_t jobs;
	bool json, quiet;
};

/* An archive, which goes through a folder. */
struct archive {
	const char *file; /* NULL: it is none */
	bool docker;      /* as docker saves and loads it; else OCI's */
	bool named;       /* docker: the image's name is given */
	struct reference name;
	struct copy_archive dir;
};

struct copying {
	struct registry *registry;
	struct archive src_file, dst_file;
	struct registry_end src, dst;
	struct registry_copy_opts opts;
	struct digest digest;
	uint64_t moved;
};

static int copy(void *ctx, struct cairn_err *err)
{
	struct copying *c = ctx;

	return registry_copy_ends(c->registry, &c->src, &c->dst, &c->opts, &c->digest, &c->moved,
	                          err);
}

static void print(struct cli_call *call, const struct transfer *t, const struct copying *c)
{
	const struct copy_opts *o = call->opts;
	cleanup_json json_t *j = json_object();
	struct strbuf out cleanup_strbuf;
	char text[REFERENCE_TEXT_MAX], summary[96];
	const char *name = call->argv[1];

	strbuf_init(&out, 1u << 20);
	if (!c->dst.layout)
		name = reference_familiar(&c->dst.ref, text);
	if (o->json) {
		json_object_set_new(j, "name", json_string(name));
		json_object_set_new(j, "digest", json_string(digest_text(&c->digest).s));
		json_object_set_new(j, "moved_bytes", json_integer((json_int_t)c->moved));
		json_write(j, &out);
		(void)fprintf(call->ctx->out, "%s\n", out.ptr);
	} else if (o->quiet) {
		(void)fprintf(call->ctx->out, "%s\n", digest_text(&c->digest).s);
	} else {
		(void)fprintf(call->ctx->out, "%s: %s, %s\n", name, digest_text(&c->digest).s,
		              transfer_summary(t, c->moved, summary));
	}
}

/* "DIR[:TAG]" behind a prefix: a tag has no slash. */
static int parse_layout(const char *word, const char *prefix, struct arena *a,
                        struct registry_end *ret, struct cairn_err *err)
{
	const char *path = word + strlen(prefix), *colon = strrchr(path, ':');
	struct reference probe;

	*ret = (struct registry_end){ .layout = path, .shown = word };
	if (colon && !strchr(colon, '/')) {
		ret->layout = arena_cstr(a, str_n(path, (size_t)(colon - path)));
		ret->shown = arena_printf(a, "%s%s", prefix, ret->layout);
		if (reference_parse(str_of(arena_printf(a, "x:%s", colon + 1)), &probe, err) < 0)
			return cairn_fail(err, CAIRN_E_USAGE, "'%s': '%s' is no tag", word,
			                  colon + 1);
		(void)snprintf(ret->ref.tag, sizeof(ret->ref.tag), "%s", colon + 1);
	}
	if (*ret->layout)
		return 0;
	return cairn_fail(err, CAIRN_E_USAGE, "'%s': give %sPATH[:TAG]", word, prefix);
}

/* "FILE[:NAME[:TAG]]" behind a prefix: a file's path has no colon. */
static int parse_docker(const char *word, const char *prefix, struct arena *a,
                        struct registry_end *ret, struct archive *ret_file, struct cairn_err *err)
{
	str path, name;

	*ret_file = (struct archive){ .docker = true };
	ret_file->named = str_cut(str_of(word + strlen(prefix)), ':', &path, &name);
	ret_file->file = arena_cstr(a, path);
	*ret = (struct registry_end){ .layout = ret_file->file };
	ret->shown = arena_printf(a, "%s%s", prefix, ret_file->file);
	if (!path.len)
		return cairn_fail(err, CAIRN_E_USAGE, "'%s': give %sFILE[:NAME]", word, prefix);
	if (!ret_file->named)
		return 0;
	if (reference_parse(name, &ret_file->name, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "'%s'", word);
	}
	return 0;
}

static int parse_end(const char *word, struct arena *a, struct registry_end *ret,
                     struct archive *ret_file, struct cairn_err *err)
{
	static const struct {
		const char *prefix;
		bool is_file, docker, unsupported;
	} kinds[] = {
		{ "oci:", false, false, false },
		{ "oci-archive:", true, false, false },
		{ "docker-archive:", true, true, false },
		{ "docker-daemon:", false, false, true },
		{ "containers-storage:", false, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!str_starts(str_of(word), str_of(kinds[i].prefix)))
			continue;
		if (kinds[i].unsupported)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "'%s': %s is not built; give an image of a registry, "
			                  "oci:FOLDER[:TAG], oci-archive:FILE[:TAG] or "
			                  "docker-archive:FILE[:NAME]",
			                  word, kinds[i].prefix);
		if (kinds[i].docker)
			return parse_docker(word, kinds[i].prefix, a, ret, ret_file, err);
		TRY(parse_layout(word, kinds[i].prefix, a, ret, err));
		ret_file->file = kinds[i].is_file ? ret->layout : NULL;
		return 0;
	}
	*ret = (struct registry_end){ 0 };
	return transfer_reference(word, &ret->ref, err);
}

/* Does the word say a tag or a digest? A name without both has got "latest". */
static bool is_tagged(const char *word, const struct registry_end *end)
{
	const char *slash = strrchr(word, '/');

	return end->layout ? end->ref.tag[0] != '\0'
	                   : !digest_none(&end->ref.digest) ||
	                             strchr(slash ? slash : word, ':') != NULL;
}

/* DST takes over the tag of SRC, or of the image in its file, when it has none itself. */
static void take_tag(const char *word, const struct registry_end *src, const struct archive *file,
                     struct registry_end *dst)
{
	if (is_tagged(word, dst))
		return;
	if (file->named)
		(void)snprintf(dst->ref.tag, sizeof(dst->ref.tag), "%s", file->name.tag);
	else if (src->ref.tag[0])
		(void)snprintf(dst->ref.tag, sizeof(dst->ref.tag), "%s", src->ref.tag);
	else if (!dst->layout && !src->layout)
		dst->ref.digest = src->ref.digest;
}

static int open_source(struct copying *c, struct cairn_err *err)
{
	struct archive *f = &c->src_file;

	if (f->docker)
		TRY(copy_docker_unpack(f->file, f->named ? &f->name : NULL, &f->dir, err));
	else
		TRY(copy_archive_unpack(f->file, &f->dir, err));
	c->src.layout = f->dir.dir;
	return 0;
}

static int open_archives(struct copying *c, struct cairn_err *err)
{
	if (c->src_file.file)
		TRY(open_source(c, err));
	if (c->dst_file.file) {
		TRY(copy_archive_begin(c->dst_file.file, &c->dst_file.dir, err));
		c->dst.layout = c->dst_file.dir.dir;
	}
	return 0;
}

/* What docker would save is the image for this machine, under the name that it has. */
static void docker_defaults(struct copying *c, struct arena *a)
{
	struct archive *f = &c->dst_file;
	struct platform *host;

	if (!f->docker)
		return;
	if (!f->named && !c->src.layout && c->src.ref.tag[0]) {
		f->name = c->src.ref;
		f->name.digest = (struct digest){ 0 };
		f->named = true;
	} else if (!f->named && c->src_file.named) {
		f->name = c->src_file.name;
		f->named = true;
	}
	if (!c->opts.n_platforms && !c->src_file.docker) {
		host = arena_new_of(a, struct platform);
		*host = platform_host();
		c->opts.platforms = host;
		c->opts.n_platforms = 1;
	}
}

static int pack(struct copying *c, struct cairn_err *err)
{
	struct archive *f = &c->dst_file;

	if (f->docker)
		TRY(copy_docker_list(&f->dir, f->named ? &f->name : NULL, err));
	return copy_archive_pack(&f->dir, f->file, err);
}

static int parse(struct cli_call *call, struct arena *a, struct copying *c, struct cairn_err *err)
{
	const struct copy_opts *o = call->opts;
	struct platform *platforms = NULL;

	TRY(parse_end(call->argv[0], a, &c->src, &c->src_file, err));
	TRY(parse_end(call->argv[1], a, &c->dst, &c->dst_file, err));
	take_tag(call->argv[1], &c->src, &c->src_file, &c->dst);
	TRY(transfer_platforms(&o->platforms, a, &platforms, &c->opts.n_platforms, err));
	c->opts.platforms = platforms;
	c->opts.parallel = (unsigned)o->jobs;
	docker_defaults(c, a);
	return 0;
}

static int run_copy(struct cli_call *call, struct copying *c, struct cairn_err *err)
{
	const struct copy_opts *o = call->opts;
	cleanup_transfer struct transfer *t = NULL;
	struct transfer_work work = { .run = copy, .ctx = c };
	cleanup_free char *what = xasprintf("copying %s", call->argv[0]);

	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(transfer_new(call->ctx, what, o->quiet, &t, err));
	TRY(open_archives(c, err));
	c->registry = transfer_registry(t);
	c->opts.progress = transfer_progress(t);
	TRY(transfer_run(t, &work, err));
	if (c->dst_file.file)
		TRY(pack(c, err));
	print(call, t, c);
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct copying c = { 0 };
	int rc = parse(call, a, &c, err);

	if (rc == 0)
		rc = run_copy(call, &c, err);
	copy_archive_done(&c.src_file.dir);
	copy_archive_done(&c.dst_file.dir);
	return rc;
}

#define T struct copy_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "jobs", 'j', OPT_UINT(T, jobs), .arg = "N", .help = "Blobs moved at once (default: 4)" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_LIST(T, platforms), .arg = "OS/ARCH[,...]",
	  .help = "Copy these platforms of an index only (default: all)" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print the digest only" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn copy debian:12 registry.example/base/debian:12",
	  "all platforms, to your registry" },
	{ "cairn copy registry.example/app:ci registry.example/app:1.2",
	  "another tag: one small request, no layers" },
	{ "cairn copy registry.example/app:1 oci:/media/stick/images:1",
	  "into a folder; the other way round on the other side" },
	{ "cairn copy docker-archive:saved.tar registry.example/app:1",
	  "what 'docker save' wrote" },
	{ 0 },
};

const struct cli_cmd cmd_copy = {
	.name = "copy",
	.group = "Registries",
	.summary = "Copy an image from registry to registry, or from and to layouts and archives",
	.description =
		"Copies an image, or an index with all its platforms, byte for byte: digests stay what "
		"they were. What the target has is not moved; within one registry layers are mounted "
		"from repository to repository. What must be moved goes through this machine without "
		"touching its disk, is verified on the way, and a transfer that breaks goes on where it "
		"was. The store is not used.\n\n"
		"With one --platform the target is that image alone; with several, an index of those.\n\n"
		"Without a tag DST gets SRC's.\n\n"
		"SRC and DST are names of images, oci:FOLDER[:TAG], an OCI image layout, "
		"oci-archive:FILE[:TAG], the same in a tar, as skopeo and 'cairn build --output type=oci' "
		"write them, or docker-archive:FILE[:NAME], what docker saves and loads, for machines that no "
		"registry reaches. An archive of docker's has no manifest: one is made, layers that are not "
		"compressed get zstd; it holds one platform, this machine's unless --platform says which. "
		"A folder that is written keeps the "
		"images it has, and blobs that are there stay; an archive is replaced. Archives go through "
		"a folder: below TMPDIR (/var/tmp) when they are read, beside the file when they are "
		"written.",
	.args = "[OPTIONS] SRC DST",
	.min_args = 2,
	.max_args = 2,
	.hint = CLI_HINT_IMAGE,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};

/* Caches of a build: opened, each place once. */
#include "build_cache.h"
#include "ctx.h"

/* What a remote of S3 stands on. */
struct build_s3 {
	char **envp;     /* owned array; NULL: the credentials of the machine are used */
	struct aws *aws; /* owned; NULL likewise */
	struct s3_client *client;
};

/* A place that is open. */
struct opened {
	const char *place; /* with its scopes: what makes it different from others */
	struct remote *remote;
};

struct opening {
	const struct build_caches_opts *opts;
	struct build_caches *c;
	struct remote_scopes ci; /* where the build runs */
	struct opened *all;
	size_t n;
};

/* --- cairn.yaml ------------------------------------------------------------------------ */

/* A cache of cairn.yaml is read, and written unless it says otherwise. */
static int add_configured(const char *file, const struct workspace_cache *c, struct arena *a,
                          struct build_cache_spec *specs, size_t *n, struct cairn_err *err)
{
	const char *what = arena_printf(a, "%s:%u: cache", file, c->line);
	const char **fallbacks = arena_array(a, const char *, c->fallbacks.len + 1);

	for (size_t i = 0; i < c->fallbacks.len; i++)
		fallbacks[i] = arena_cstr(a, c->fallbacks.ptr[i]);
	for (int to = 0; to < 2 - c->read_only; to++) {
		struct build_cache_spec *s = &specs[*n];

		TRY(build_cache_from_attrs(what, c->type, &c->attrs, to == 1, a, s, err));
		s->max = s->max || !image_kvs_get(&c->attrs, S("mode"));
		s->no_image = true;
		if (c->scope.len)
			s->scope = arena_cstr(a, c->scope);
		s->fallbacks = fallbacks;
		s->n_fallbacks = c->fallbacks.len;
		s->has_fallbacks = c->fallbacks.len > 0;
		(*n)++;
	}
	return 0;
}

int build_caches_configured(const struct workspace_config *config, struct arena *a,
                            struct build_cache_spec **specs, size_t *n, struct cairn_err *err)
{
	const struct workspace_caches *list = &config->caches;
	struct build_cache_spec *all =
		arena_array(a, struct build_cache_spec, *n + 2 * list->len + 1);

	if (*n)
		memcpy(all, *specs, *n * sizeof(*all));
	*specs = all;
	for (size_t i = 0; i < list->len; i++)
		TRY(add_configured(config->file, &list->ptr[i], a, all, n, err));
	return 0;
}

/* --- scopes --------------------------------------------------------------------------- */

/* Scopes of a reference with a tag are its own. */
static const char *named(struct arena *a, const char *tag, const char *scope)
{
	return tag ? arena_printf(a, "%s:%s", tag, scope) : scope;
}

/* name=A;B as buildx has it: A is written, all are read. */
static void scopes_of_names(struct arena *a, const char *names, struct remote_scopes *ret)
{
	size_t max = strlen(names) + 1;
	const char **read = arena_array(a, const char *, max);
	str rest = str_of(names), piece;
	size_t n = 0;

	while (str_next(&rest, ';', &piece))
		read[n++] = arena_cstr(a, piece);
	ret->write = read[0];
	ret->read = read + 1;
	ret->n_read = n ? n - 1 : 0;
}

static void scopes_of(const struct opening *o, const struct build_cache_spec *s, const char *tag,
                      struct remote_scopes *ret)
{
	struct arena *a = o->c->arena;
	const char **read;

	*ret = (struct remote_scopes){ 0 };
	if (s->scope) {
		ret->write = s->scope;
	} else if (s->name) {
		scopes_of_names(a, s->name, ret);
	} else {
		ret->write = named(a, tag, o->ci.write);
		read = arena_array(a, const char *, o->ci.n_read + 1);
		for (size_t i = 0; i < o->ci.n_read; i++)
			read[i] = named(a, tag, o->ci.read[i]);
		ret->read = read;
		ret->n_read = o->ci.n_read;
	}
	if (s->has_fallbacks) {
		ret->read = s->fallbacks;
		ret->n_read = s->n_fallbacks;
	}
}

/* --- places ----------------------------------------------------------------------------- */

static void place_add(struct strbuf *b, const char *s)
{
	strbuf_printf(b, "%zu:%s", s ? strlen(s) : 0, s ? s : "");
}

static const char *place_of(const struct opening *o, const struct build_cache_spec *s,
                            const char *where, const struct remote_scopes *scopes)
{
	const char *parts[] = { where,           s->bucket,        s->prefix,
		                s->endpoint_url, s->access_key_id, scopes->write };
	struct strbuf b;
	const char *place;

	strbuf_init(&b, 1u << 20);
	strbuf_printf(&b, "%d;", (int)s->type);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		place_add(&b, parts[i]);
	for (size_t i = 0; i < scopes->n_read; i++)
		place_add(&b, scopes->read[i]);
	place = arena_cstr(o->c->arena, strbuf_view(&b));
	strbuf_done(&b);
	return place;
}

static struct remote *find_open(const struct opening *o, const char *place)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->all[i].place, place) == 0)
			return o->all[i].remote;
	return NULL;
}

/* The environment with the keys of a cache in front. */
static char **with_keys(struct arena *a, char *const *envp, const struct build_cache_spec *s)
{
	size_t n = 0, k = 0;
	char **all;

	while (envp[n])
		n++;
	all = xcalloc(n + 4, sizeof(*all));
	all[k++] = arena_printf(a, "AWS_ACCESS_KEY_ID=%s", s->access_key_id);
	all[k++] = arena_printf(a, "AWS_SECRET_ACCESS_KEY=%s", s->secret_access_key);
	all[k++] =
		arena_printf(a, "AWS_SESSION_TOKEN=%s", s->session_token ? s->session_token : "");
	memcpy(all + k, envp, n * sizeof(*all));
	return all;
}

static int open_s3(struct opening *o, const struct build_cache_spec *s,
                   const struct remote_scopes *scopes, struct remote **ret, struct cairn_err *err)
{
	struct registry_session *net = o->opts->net;
	struct build_s3 *s3 = &o->c->s3[o->c->n_s3++];
	struct s3_opts opts = { .http = registry_session_http(net),
		                .aws = registry_session_aws(net),
		                .bucket = s->bucket,
		                .region = s->region,
		                .endpoint_url = s->endpoint_url,
		                .path_style = s->use_path_style };

	if (s->access_key_id) {
		s3->envp = with_keys(o->c->arena, o->opts->envp, s);
		s3->aws = aws_new(&(struct aws_opts){ .http = opts.http, .envp = s3->envp });
		opts.aws = s3->aws;
	}
	TRY(s3_new(&opts, &s3->client, err));
	return remote_open_s3(s3->client, s->prefix ? s->prefix : "", scopes, ret, err);
}

/* Is the folder also written? */
static bool is_written(const struct opening *o, const char *dir)
{
	for (size_t i = 0; i < o->opts->n; i++) {
		const struct build_cache_spec *s = &o->opts->specs[i];

		if (s->to && s->type == BUILD_CACHE_LOCAL && strcmp(s->dir, dir) == 0)
			return true;
	}
	return false;
}

static int open_place(struct opening *o, const struct build_cache_spec *s,
                      const struct reference *ref, const struct remote_scopes *scopes,
                      struct remote **ret, struct cairn_err *err)
{
	switch (s->type) {
	case BUILD_CACHE_REGISTRY:
		return remote_open_registry(registry_session_registry(o->opts->net), ref, scopes,
		                            ret, err);
	case BUILD_CACHE_S3:
		return open_s3(o, s, scopes, ret, err);
	case BUILD_CACHE_LOCAL:
		return remote_open_dir(s->dir, scopes, !is_written(o, s->dir), ret, err);
	case BUILD_CACHE_INLINE:
	case BUILD_CACHE_N_:
		break;
	}
	CAIRN_BUG("cache of no place");
}

static int parse_ref(const struct build_cache_spec *s, struct reference *ref, struct cairn_err *err)
{
	if (reference_parse(str_of(s->ref), ref, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--cache-%s", s->to ? "to" : "from");
	}
	if (s->to && !digest_none(&ref->digest))
		return cairn_fail(err, CAIRN_E_USAGE, "--cache-to '%s': a digest cannot be written",
		                  s->ref);
	return 0;
}

static int open_one(struct opening *o, const struct build_cache_spec *s, struct remote **ret,
                    struct cairn_err *err)
{
	char name[REFERENCE_TEXT_MAX];
	struct remote_scopes scopes;
	struct reference ref = { 0 };
	const char *place, *tag = s->tag, *where = s->dir;

	if (s->type == BUILD_CACHE_REGISTRY) {
		TRY(parse_ref(s, &ref, err));
		where = reference_name(&ref, name);
		if (ref.tag[0] && strcmp(ref.tag, REFERENCE_DEFAULT_TAG) != 0)
			tag = ref.tag;
	}
	scopes_of(o, s, tag, &scopes);
	place = place_of(o, s, where, &scopes);
	*ret = find_open(o, place);
	if (*ret)
		return 0;
	TRY(open_place(o, s, &ref, &scopes, ret, err));
	o->all[o->n++] = (struct opened){ place, *ret };
	return 0;
}

/* --- all of them -------------------------------------------------------------------------- */

static struct layer_blob_form form_of(const struct opening *o, const struct build_cache_spec *s)
{
	struct layer_blob_form f = { .compression = LAYER_COMPRESS_ZSTD };

	if (s->has_compression)
		f = (struct layer_blob_form){ .compression = s->compression, .level = s->level };
	else if (o->opts->form) /* nothing is compressed twice */
		f = (struct layer_blob_form){ .compression = o->opts->form->compression,
			                      .level = o->opts->form->level };
	f.force = s->force_compression;
	return f;
}

static void add_target(struct opening *o, const struct build_cache_spec *s, struct remote *remote)
{
	o->c->targets[o->c->n_targets++] = (struct publish_target){ .remote = remote,
		                                                    .min = !s->max,
		                                                    .ignore_error = s->ignore_error,
		                                                    .form = form_of(o, s) };
}

static void add_read(struct build_caches *c, struct remote *remote)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->remotes[i] == remote)
			return;
	c->remotes[c->n++] = remote;
}

/* What --cache-from names may also be an image with a cache inside. */
static int add_image(struct opening *o, const struct build_cache_spec *s, struct cairn_err *err)
{
	struct build_caches *c = o->c;
	struct remote *remote = NULL;
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	const char *place;

	if (s->to || s->no_image || s->type != BUILD_CACHE_REGISTRY)
		return 0;
	TRY(parse_ref(s, &ref, err));
	place = arena_printf(c->arena, "image;%s", reference_text(&ref, name));
	if (find_open(o, place))
		return 0;
	TRY(remote_open_inline(registry_session_registry(o->opts->net), &ref, o->opts->platform,
	                       &remote, err));
	o->all[o->n++] = (struct opened){ place, remote };
	c->images[c->n_images++] = remote;
	add_read(c, remote);
	return 0;
}

static int open_all(struct opening *o, struct cairn_err *err)
{
	for (size_t i = 0; i < o->opts->n; i++) {
		const struct build_cache_spec *s = &o->opts->specs[i];
		struct remote *remote = NULL;

		if (s->type == BUILD_CACHE_INLINE) {
			o->c->inline_cache = true;
			continue;
		}
		TRY(open_one(o, s, &remote, err));
		o->c->of_spec[i] = remote;
		if (s->format == BUILD_CACHE_BUILDKIT) /* build_buildkit.c goes there itself */
			continue;
		if (s->to)
			add_target(o, s, remote);
		else
			add_read(o->c, remote);
		TRY(add_image(o, s, err));
	}
	return 0;
}

int build_caches_open(const struct build_caches_opts *opts, struct build_caches **ret,
                      struct cairn_err *err)
{
	struct build_caches *c = xcalloc(1, sizeof(*c));
	struct opening o = { .opts = opts, .c = c };
	int r;

	c->arena = arena_new();
	c->remotes = arena_array(c->arena, struct remote *, 2 * opts->n + 1);
	c->images = arena_array(c->arena, struct remote *, opts->n + 1);
	c->targets = arena_array(c->arena, struct publish_target, opts->n + 1);
	c->of_spec = arena_array(c->arena, struct remote *, opts->n + 1);
	c->s3 = arena_array(c->arena, struct build_s3, opts->n + 1);
	o.all = arena_array(c->arena, struct opened, 2 * opts->n + 1);
	build_scopes(opts->envp, c->arena, &o.ci);
	r = open_all(&o, err);
	c->opened = arena_array(c->arena, struct remote *, o.n + 1);
	for (size_t i = 0; i < o.n; i++)
		c->opened[c->n_opened++] = o.all[i].remote;
	if (r == 0)
		*ret = c;
	else
		build_caches_free(c);
	return r;
}

void build_caches_free(struct build_caches *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_opened; i++)
		remote_free(c->opened[i]);
	for (size_t i = 0; i < c->n_s3; i++) {
		s3_free(c->s3[i].client);
		aws_free(c->s3[i].aws);
		free(c->s3[i].envp);
	}
	arena_free(c->arena);
	free(c);
}

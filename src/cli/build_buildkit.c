/* cairn build: BuildKit's caches, read and written. */
#include "build_cache.h"
#include "build_priv.h"

/* Caches that were opened for reading; by number of the spec. */
struct build_imports {
	struct engine_import *list;
	size_t n;
};

static int spec_ref(const struct build_cache_spec *s, struct reference *ret, struct cairn_err *err)
{
	if (reference_parse(str_of(s->ref), ret, err) == 0)
		return 0;
	err->code = CAIRN_E_USAGE;
	return cairn_wrap(err, "--cache-%s", s->to ? "to" : "from");
}

/* --- reading ------------------------------------------------------------------------ */

struct opening {
	struct build_run *r;
	struct reference ref;
	struct buildkit_cache *c;
};

static int look(void *ctx, struct cairn_err *err)
{
	struct opening *o = ctx;

	return buildkit_import_open(registry_session_registry(o->r->net), &o->ref,
	                            &o->r->gopts.platform, &o->c, err);
}

/* Somebody has looked for an image of that name, and nothing has it? */
static bool is_absent(const struct build_caches *c, const struct reference *ref)
{
	char name[REFERENCE_TEXT_MAX];

	(void)reference_text(ref, name);
	for (size_t i = 0; i < c->n_images; i++)
		if (strcmp(remote_name(c->images[i]), name) == 0)
			return remote_inline_absent(c->images[i]);
	return false;
}

/* What --cache-from names may be a cache of BuildKit, or an image with one inside: that is seen
 * when it is looked at. One that cannot be had is a miss. */
static int open_import(struct build_run *r, const struct build_cache_spec *s, struct remote *remote,
                       struct cairn_err *err)
{
	struct engine_import *im = &r->imports->list[r->imports->n];
	struct opening o = { .r = r };
	char name[REFERENCE_TEXT_MAX];
	int got;

	TRY(spec_ref(s, &o.ref, err));
	if (is_absent(r->caches, &o.ref))
		return 0;
	got = remote_visit(remote, look, &o, err);
	if (got == CAIRN_E_CANCELLED)
		return got;
	if (got < 0 && !remote_told(remote, err))
		build_run_warn(r, str_of(arena_printf(r->a, "the cache %s is not used: %s", s->ref,
		                                      err->msg)));
	if (!o.c)
		return 0;
	*im = (struct engine_import){ o.c, str_of(arena_printf(r->a, "%s",
		                                               reference_name(&o.ref, name))) };
	r->imports->n++;
	return 0;
}

static int open_imports(void *ctx, const struct engine_import **ret, size_t *ret_n,
                        struct cairn_err *err)
{
	struct build_run *r = ctx;

	if (!r->imports) {
		r->imports = arena_new_of(r->a, struct build_imports);
		r->imports->list = arena_array(r->a, struct engine_import, r->n_specs + 1);
		for (size_t i = 0; i < r->n_specs; i++)
			if (!r->specs[i].to && r->specs[i].type == BUILD_CACHE_REGISTRY)
				TRY(open_import(r, &r->specs[i], r->caches->of_spec[i], err));
	}
	*ret = r->imports->list;
	*ret_n = r->imports->n;
	return 0;
}

void build_buildkit_open(struct build_run *r)
{
	r->eopts.imports = open_imports;
	r->eopts.imports_ctx = r;
}

void build_buildkit_free(struct build_run *r)
{
	for (size_t i = 0; r->imports && i < r->imports->n; i++)
		buildkit_cache_free((struct buildkit_cache *)(uintptr_t)r->imports->list[i].cache);
}

/* --- writing ---------------------------------------------------------------------------- */

static bool is_export(const struct build_cache_spec *s)
{
	return s->to && s->format == BUILD_CACHE_BUILDKIT;
}

bool build_buildkit_writes(const struct build_run *r)
{
	for (size_t i = 0; i < r->n_specs; i++)
		if (is_export(&r->specs[i]))
			return true;
	return false;
}

static int export_one(struct build_run *r, const struct build_cache_spec *s, struct remote *remote,
                      struct cairn_err *err)
{
	struct reference ref;
	struct engine_export x = { .registry = registry_session_registry(r->net),
		                   .ref = &ref,
		                   .press = r->press,
		                   /* What BuildKit writes unless it is told otherwise. */
		                   .form = { .compression = LAYER_COMPRESS_GZIP },
		                   .max = s->max,
		                   .index = !s->image_manifest,
		                   .stop = &r->net_cancel };
	const struct descriptor nothing = { .digest = digest_of("", 0) };
	bool there;

	TRY(spec_ref(s, &ref, err));
	if (s->has_compression) {
		x.form.compression = s->compression;
		x.form.level = s->level;
	}
	x.form.force = s->force_compression;
	/* Before much is compressed and tried often: is anybody there? */
	TRY(remote_blob_has(remote, &nothing, &there, err));
	if (engine_export(r->build, &x, err) < 0)
		return cairn_wrap(err, "--cache-to %s", s->ref);
	return 0;
}

int build_buildkit_export(struct build_run *r, struct cairn_err *err)
{
	for (size_t i = 0; i < r->n_specs; i++) {
		const struct build_cache_spec *s = &r->specs[i];
		int got = is_export(s) ? export_one(r, s, r->caches->of_spec[i], err) : 0;

		if (got < 0 && (!s->ignore_error || got == CAIRN_E_CANCELLED))
			return got;
		if (got < 0)
			build_run_warn(r, str_of(err->msg));
	}
	return 0;
}

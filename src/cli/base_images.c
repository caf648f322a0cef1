#include "base_images.h"

#include <stdarg.h>

#include "util/pool.h"

#define ASK_PARALLEL 8u

void base_warn(const struct base_images *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("cairn: warning: ", b->ctx->err);
	(void)vfprintf(b->ctx->err, fmt, ap);
	(void)fputc('\n', b->ctx->err);
	va_end(ap);
}

bool base_wanted(const char *word, const struct reference *ref)
{
	const char *slash = strrchr(word, '/');
	struct reference want;
	struct cairn_err ignored;

	if (reference_parse(str_of(word), &want, &ignored) < 0)
		return false;
	if (strcmp(want.domain, ref->domain) != 0 || strcmp(want.path, ref->path) != 0)
		return false;
	return !strchr(slash ? slash : word, ':') || reference_eq(&want, ref);
}

static bool ignored(const struct workspace_config *c, const struct reference *ref)
{
	for (size_t i = 0; i < c->base.ignore.len; i++) {
		cleanup_free char *word = str_dup(c->base.ignore.ptr[i]);

		if (base_wanted(word, ref))
			return true;
	}
	return false;
}

static void drop_ignored(struct base_scan *s, const struct workspace_config *c)
{
	size_t kept = 0;

	vec_foreach (i, &s->images) {
		if (ignored(c, &i->ref))
			vec_free(&i->places);
		else
			s->images.ptr[kept++] = *i;
	}
	s->images.len = kept;
}

static bool is_named(const str *names, size_t n, str text)
{
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	struct cairn_err unnamed;

	for (size_t i = 0; i < n; i++)
		if (reference_parse(names[i], &ref, &unnamed) == 0 &&
		    str_is(text, reference_text(&ref, name)))
			return true;
	return false;
}

/* Does the name mean an image that is built here? An image FROM its own name means another one. */
static bool built_here(const struct ws_images *w, str name)
{
	bool ours = false;

	for (size_t i = 0; i < w->len; i++) {
		const struct ws_image *image = w->ptr[i];

		for (size_t k = 0; k < image->bases.len; k++)
			if (str_eq(image->bases.ptr[k], name))
				return false;
		ours |= is_named(&image->name, 1, name) ||
		        is_named(image->tags.ptr, image->tags.len, name);
	}
	return ours;
}

static void drop_own(struct base_images *b)
{
	struct images_opts o = { .config = b->ctx->config };
	cleanup_images struct ws_images *w = NULL;
	struct cairn_err why;
	size_t kept = 0;

	if (images_load(&o, &w, &why) < 0) {
		base_warn(b, "images of this repository may be among the base images: %s", why.msg);
		return;
	}
	vec_foreach (i, &b->scan->images) {
		if (built_here(w, i->name))
			vec_free(&i->places);
		else
			b->scan->images.ptr[kept++] = *i;
	}
	b->scan->images.len = kept;
}

int base_images_open(struct cairn_ctx *ctx, const char *config, struct base_images *ret,
                     struct cairn_err *err)
{
	*ret = (struct base_images){ .ctx = ctx };
	TRY(settings_load(ctx, config, ".", err));
	ret->lock_path = arena_cstr(ctx->config->arena, ctx->config->base.lock);
	TRY(base_scan_dir(ctx->config->root, &ret->scan, err));
	TRY(base_lock_read(ret->lock_path, &ret->lock, err));
	drop_ignored(ret->scan, ctx->config);
	drop_own(ret);
	vec_foreach (u, &ret->scan->unresolved) {
		cleanup_free char *line =
			u->place.line ? xasprintf(":%u", u->place.line) : xstrdup("");

		base_warn(ret, "%.*s%s: %s%.*s%s%.*s", STR(u->place.file), line,
		          u->text.len ? "'" : "", STR(u->text),
		          u->text.len ? "' names no image: " : "", STR(u->why));
	}
	return 0;
}

void base_images_done(struct base_images *b)
{
	base_scan_free(b->scan);
	base_lock_free(b->lock);
}

/* --- asking ---------------------------------------------------------------------- */

struct asking {
	struct registry *registry;
	struct base_asked *asked;
	size_t n;
};

/* A tag's digest into exact; what fails is noted in q, except that the user stopped it. */
static int ask_registry(struct asking *a, struct base_asked *q, struct reference *exact,
                        struct cairn_err *err)
{
	const struct media_type *type;

	if (!digest_none(&exact->digest) ||
	    registry_head(a->registry, &q->ref, &exact->digest, &type, err) == 0)
		return 0;
	exact->digest = (struct digest){ 0 };
	q->err = *err;
	q->mirrored = true;
	return err->code == CAIRN_E_CANCELLED ? err->code : 0;
}

static bool is_mirror(const struct base_asked *q)
{
	return strcmp(q->from.domain, q->ref.domain) != 0 || strcmp(q->from.path, q->ref.path) != 0;
}

static int ask_one(void *ctx, size_t i, struct cairn_err *err)
{
	struct asking *a = ctx;
	struct base_asked *q = &a->asked[i];
	struct reference exact = q->ref;
	struct strbuf bytes cleanup_strbuf;
	cleanup_free char *type = NULL;

	strbuf_init(&bytes, MANIFEST_MAX);
	TRY(ask_registry(a, q, &exact, err));
	if (registry_manifest_find(a->registry, &exact, &bytes, &type, &q->from, err) < 0) {
		if (!q->mirrored)
			q->err = *err;
		return err->code == CAIRN_E_CANCELLED ? err->code : 0;
	}
	q->ok = true;
	q->mirrored = q->mirrored && is_mirror(q);
	q->digest = q->from.digest = digest_of(bytes.ptr, bytes.len);
	return 0;
}

static int ask_all(void *ctx, struct cairn_err *err)
{
	struct asking *a = ctx;
	struct pool *pool = pool_new(ASK_PARALLEL);
	int r = pool_map(pool, a->n, ask_one, a, err);

	pool_free(pool);
	return r;
}

int base_ask(const struct base_images *b, struct transfer *t, struct base_asked *asked, size_t n,
             struct cairn_err *err)
{
	struct asking a = { transfer_registry(t), asked, n };
	struct transfer_work work = { .run = ask_all, .ctx = &a };

	if (n)
		TRY(transfer_run(t, &work, err));
	for (size_t i = 0; i < n; i++) {
		char name[REFERENCE_TEXT_MAX];

		if (asked[i].ok && asked[i].mirrored)
			base_warn(b, "%s: what a mirror says is taken: %s",
			          base_shown(asked[i].name, name), asked[i].err.msg);
	}
	return 0;
}

void base_facts(struct registry *r, const struct reference *ref, const struct digest *digest,
                struct base_facts *ret)
{
	cleanup_registry_image struct registry_image *img = NULL;
	struct reference exact = *ref;
	struct platform platform = platform_host();
	struct cairn_err unknown;

	*ret = (struct base_facts){ 0 };
	exact.digest = *digest;
	if (digest_none(digest) || registry_resolve(r, &exact, &platform, &img, &unknown) < 0)
		return;
	ret->known = true;
	ret->created = img->config.created.ns;
	for (size_t i = 0; i < img->manifest.n_layers; i++)
		ret->size += img->manifest.layers[i].size;
}

/* --- texts ------------------------------------------------------------------------ */

const char *base_shown(str name, char buf[REFERENCE_TEXT_MAX])
{
	struct reference ref;
	struct cairn_err err;

	if (reference_parse(name, &ref, &err) < 0)
		CAIRN_BUG("'%.*s' was a name: %s", STR(name), err.msg);
	return reference_familiar(&ref, buf);
}

const char *base_short(const struct digest *d, char buf[16])
{
	struct digest_text hex = digest_hex(d);

	(void)snprintf(buf, 16, "%.12s", digest_none(d) ? "-" : hex.s);
	return buf;
}

void base_print_json(const struct base_images *b, const json_t *list)
{
	struct strbuf out cleanup_strbuf;

	strbuf_init(&out, 64u << 20);
	json_write(list, &out);
	(void)fprintf(b->ctx->out, "%s\n", out.ptr);
}

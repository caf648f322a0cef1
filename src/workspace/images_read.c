/* Dockerfiles of images: each is read once, many at a time. */
#include "images_priv.h"
#include "util/fs.h"

struct image_read *images_read_new(struct images_loader *l)
{
	struct image_read *r = arena_new_of(l->a, struct image_read);

	r->arena = arena_new();
	vec_push(&l->w->reads, r);
	return r;
}

void images_read(const struct images_loader *l, const struct image_reading *what)
{
	struct image_read *r = what->to;
	cleanup_strbuf struct strbuf buf;
	str text = what->text;

	strbuf_init(&buf, DOCKERFILE_MAX);
	if (!text.len) {
		r->result = fs_read_file(l->root_fd, what->path, &buf, &r->err);
		if (r->result < 0)
			return;
		text = strbuf_view(&buf);
	}
	r->there = true;
	r->result = image_refs_read(text, what->path, what->target, what->args, r->arena, &r->refs,
	                            &r->err);
}

const struct dockerfile *images_dockerfile(const struct ws_image *i)
{
	return i->read && i->read->result == 0 ? i->read->refs.df : NULL;
}

void images_reads_done(struct ws_images *w)
{
	vec_foreach (r, &w->reads) {
		image_refs_done(&(*r)->refs);
		arena_free((*r)->arena);
	}
	vec_free(&w->reads);
}

void images_in_pool(const struct images_loader *l, size_t n,
                    int (*fn)(void *ctx, size_t i, struct cairn_err *err), void *ctx)
{
	struct cairn_err ignored;

	if (l->pool)
		(void)pool_map(l->pool, n, fn, ctx, &ignored);
	for (size_t i = 0; !l->pool && i < n; i++)
		(void)fn(ctx, i, &ignored);
}

struct all {
	const struct images_loader *l;
	VEC(struct image_reading) list;
};

static int read_one(void *ctx, size_t i, struct cairn_err *ignored)
{
	const struct all *a = ctx;

	(void)ignored;
	images_read(a->l, &a->list.ptr[i]);
	return 0;
}

void images_read_all(struct images_loader *l)
{
	struct all a = { .l = l };

	map_foreach (e, &l->names) {
		struct ws_image *i = e->value;
		str text = i->dockerfile_inline;
		struct image_reading what = { .text = text,
			                      .path = text.len ? i->file.ptr : i->dockerfile.ptr,
			                      .target = i->target,
			                      .args = &i->args };

		if (i->read || (images_is_url(i->context) && !text.len))
			continue;
		i->read = what.to = images_read_new(l);
		vec_push(&a.list, what);
	}
	images_in_pool(l, a.list.len, read_one, &a);
	vec_free(&a.list);
}

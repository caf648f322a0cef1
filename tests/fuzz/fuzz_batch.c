/* docker-bake.json and compose files are read or refused; images that come out have clean names and
 * paths. The first byte says which of the two it is. */
#include "workspace/images_priv.h"

static void check(const struct images_loader *l)
{
	map_foreach (e, &l->names) {
		const struct ws_image *i = e->value;

		if (!i->name.len || !i->context.len)
			CAIRN_BUG("an image without name or context");
		if (!images_is_url(i->context) &&
		    (i->context.ptr[0] == '/' || str_search(i->context, S("..")) == 0))
			CAIRN_BUG("a context outside: %.*s", STR(i->context));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct workspace_config config = { .root = "/" };
	struct images_loader l = { .config = &config, .root_fd = -1 };
	struct cairn_err err = { 0 };
	str text = str_n((const char *)data, size);
	int r;

	if (!size)
		return 0;
	l.w = xcalloc(1, sizeof(*l.w));
	l.a = l.w->arena = arena_new();
	r = (data[0] == 'b' ? images_bake : images_compose)(&l, str_skip(text, 1), S("file"), &err);
	if (r == 0)
		r = images_order(&l, &err);
	if (r == 0)
		check(&l);
	else if ((err.code != CAIRN_E_SYNTAX && err.code != CAIRN_E_NOT_FOUND) || !err.msg[0])
		CAIRN_BUG("a mistake without its place: %s", err.msg);
	map_done(&l.names);
	vec_free(&l.groups);
	images_free(l.w);
	return 0;
}

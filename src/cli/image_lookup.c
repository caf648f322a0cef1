#include "image_lookup.h"

void image_hit_done(struct image_hit *h)
{
	store_image_done(&h->image);
	free(h->name);
	h->name = NULL;
}

static bool all_hex(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.ptr[i]))
			return false;
	return s.len > 0 && s.len <= DIGEST_HEX_LEN;
}

/* The digits of an id, without "sha256:"; empty when the word is no id. */
static str id_digits(str word)
{
	str digits = str_starts(word, S("sha256:")) ? str_skip(word, 7) : word;

	return all_hex(digits) ? digits : str_n(NULL, 0);
}

/* The image whose id begins with digits; *ret_found is false when there is none. */
static int by_digits(struct store *s, str digits, struct digest *ret, bool *ret_found,
                     struct cairn_err *err)
{
	struct store_listing list;
	size_t n = 0;

	TRY(store_images_list(s, &list, err));
	for (size_t i = 0; i < list.len; i++) {
		const struct digest *id = &list.ptr[i].image.config;
		struct digest_text hex = digest_hex(id);

		if (!str_starts(str_of(hex.s), digits) || (n > 0 && digest_eq(id, ret)))
			continue;
		*ret = *id;
		n++;
	}
	store_listing_done(&list);
	*ret_found = n > 0;
	if (n > 1)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "%zu images have ids that begin with '%.*s'; give more digits", n,
		                  STR(digits));
	return 0;
}

static int by_name(struct store *s, const struct reference *ref, struct image_hit *h,
                   bool *ret_found, struct cairn_err *err)
{
	char text[REFERENCE_TEXT_MAX];
	struct store_tag tag = { 0 };

	TRY(store_tag_find(s, str_of(reference_text(ref, text)), S(""), &tag, ret_found, err));
	if (!*ret_found)
		return 0;
	h->name = xstrdup(text);
	h->image.config = tag.config;
	store_tag_done(&tag);
	return 0;
}

int image_lookup(struct store *s, const char *word, struct image_hit *ret, struct cairn_err *err)
{
	struct image_hit h = { 0 };
	str digits = id_digits(str_of(word));
	struct reference ref;
	struct digest id;
	bool found = false, is_name;
	int r = 0;

	ref.digest = (struct digest){ 0 };
	is_name = reference_parse(str_of(word), &ref, err) == 0;
	if (!is_name && digits.len == 0) {
		err->code = CAIRN_E_USAGE;
		return err->code;
	}
	if (s && is_name)
		r = by_name(s, &ref, &h, &found, err);
	if (s && r == 0 && !found && digits.len > 0) {
		r = by_digits(s, digits, &h.image.config, &found, err);
	} else if (s && r == 0 && !found && !digest_none(&ref.digest)) {
		h.image.config = ref.digest;
		found = true;
	}
	if (r == 0 && found) {
		id = h.image.config;
		r = store_image_find(s, &id, &h.image, &found, err);
	}
	if (r == 0 && !found)
		r = cairn_fail(err, CAIRN_E_NOT_FOUND,
		               "no image '%s' in the store; 'cairn images' lists what there is",
		               word);
	if (r < 0)
		free(h.name);
	else
		*ret = h;
	return r;
}

int image_read_config(struct store *s, const struct digest *id, struct arena *a,
                      struct image_config *ret, str *ret_bytes, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;
	struct digest_text text = digest_text(id);
	str copy;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	TRY(store_blob_read(s, id, &bytes, err));
	copy = arena_str(a, strbuf_view(&bytes));
	if (image_config_parse(a, copy, ret, err) < 0)
		return cairn_wrap(err, "config %s", text.s);
	if (ret_bytes)
		*ret_bytes = copy;
	return 0;
}

int image_size(struct store *s, const struct store_image *i, uint64_t *ret, struct cairn_err *err)
{
	uint64_t size = 0;

	for (size_t k = 0; k < i->n_layers; k++) {
		struct store_layer layer;
		bool found = false;

		TRY(store_layer_find(s, &i->diff_ids[k], &layer, &found, err));
		if (found)
			size += layer.tar_size;
	}
	*ret = size;
	return 0;
}

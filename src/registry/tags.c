/* registry/tags.c - the tags of a repository, page by page. */
#include "host.h"
#include "push.h"
#include "util/json.h"

#define PAGE_TAGS      1000u /* asked for at once; registries may give fewer */
#define PAGE_BYTES_MAX (16u << 20)
#define PAGES_MAX      REGISTRY_TAGS_MAX

struct listing {
	struct arena *arena;
	VEC(str) tags;
};

static int add_page(struct listing *l, str body, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	json_t *tags = NULL, *tag;
	size_t i;

	TRY(json_parse(body, "list of tags", &j, err));
	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "the list of tags is not an object");
	if (json_is_null(json_object_get(j, "tags")))
		return 0;
	TRY(json_get_array(j, "tags", &tags, err));
	json_array_foreach(tags, i, tag)
	{
		if (!json_is_string(tag))
			return cairn_fail(err, CAIRN_E_SYNTAX, "a tag is not a string");
		if (l->tags.len == REGISTRY_TAGS_MAX)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED, "it has more than %u tags",
			                  REGISTRY_TAGS_MAX);
		vec_push(&l->tags, arena_str(l->arena, str_n(json_string_value(tag),
		                                             json_string_length(tag))));
	}
	return 0;
}

/* The address of rel="next" in a Link header (RFC 8288), as registries write it; false: none. */
static bool next_link(const char *link, str *ret)
{
	str s = str_of(link), address, rest;

	s = str_trim(s);
	if (!str_starts(s, S("<")) || !str_cut(str_skip(s, 1), '>', &address, &rest))
		return false;
	*ret = address;
	return str_search(rest, S("rel=\"next\"")) >= 0 || str_search(rest, S("rel=next")) >= 0;
}

/* Where the next page is, in url; *ret_more false: there is none. */
static int find_next(const struct http_response *resp, char url[HTTP_URL_MAX], bool *ret_more,
                     struct cairn_err *err)
{
	cleanup_free char *address = NULL;
	char next[HTTP_URL_MAX];
	str link;

	*ret_more = next_link(http_header(resp, "Link"), &link);
	if (!*ret_more)
		return 0;
	address = str_dup(link);
	TRY(http_url_join(resp->url, address, next, err));
	if (!http_same_origin(resp->url, next))
		return cairn_fail(err, CAIRN_E_SYNTAX, "the next page is on another host");
	if (strcmp(resp->url, next) == 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the next page is the same page");
	memcpy(url, next, sizeof(next));
	return 0;
}

static int get_page(struct registry *r, struct registry_call *call, const char *what,
                    struct http_response *resp, struct cairn_err *err)
{
	TRY(registry_send(r, call, resp, err));
	return resp->status == 200 ? 0 : registry_fail(call, resp, what, err);
}

static int list(struct registry *r, const struct reference *repo, struct listing *l,
                struct cairn_err *err)
{
	cleanup_free char *path = xasprintf("tags/list?n=%u", PAGE_TAGS);
	struct registry_call call = { .domain = repo->domain,
		                      .repo = repo->path,
		                      .actions = "pull",
		                      .method = "GET",
		                      .path = path,
		                      .max_body = PAGE_BYTES_MAX };
	char url[HTTP_URL_MAX], what[REFERENCE_TEXT_MAX];
	bool more = true;

	for (size_t pages = 0; more && pages < PAGES_MAX; pages++) {
		struct http_response resp cleanup_http_response;

		http_response_init(&resp);
		TRY(get_page(r, &call, reference_name(repo, what), &resp, err));
		if (add_page(l, strbuf_view(&resp.body), err) < 0 ||
		    find_next(&resp, url, &more, err) < 0)
			return cairn_wrap(err, "tags of %s", what);
		call.url = url;
	}
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

int registry_tags(struct registry *r, const struct reference *repo, struct arena *a,
                  struct image_strs *ret, struct cairn_err *err)
{
	struct listing l = { .arena = a };
	size_t n = 0;
	int rc = list(r, repo, &l, err);

	if (rc < 0) {
		vec_free(&l.tags);
		return rc;
	}
	if (l.tags.len)
		qsort(l.tags.ptr, l.tags.len, sizeof(str), by_bytes);
	ret->ptr = arena_array(a, str, l.tags.len);
	for (size_t i = 0; i < l.tags.len; i++)
		if (n == 0 || !str_eq(ret->ptr[n - 1], l.tags.ptr[i]))
			ret->ptr[n++] = l.tags.ptr[i];
	ret->len = n;
	vec_free(&l.tags);
	return 0;
}

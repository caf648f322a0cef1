#include "base_lock.h"

#include "config.h"
#include "util/fs.h"

#define HEADER                                                                      \
	"# Base images and what their tags mean here; made by 'cairn base lock'.\n" \
	"# 'cairn base update' renews it, 'cairn build' honours it. Keep it in git.\n"

/* Where `name` is, or belongs. */
static size_t place_of(const struct base_lock *l, str name)
{
	size_t low = 0, high = l->lines.len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (str_cmp(l->lines.ptr[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_at(const struct base_lock *l, size_t i, str name)
{
	return i < l->lines.len && str_eq(l->lines.ptr[i].name, name);
}

void base_lock_set(struct base_lock *l, str name, const struct digest *digest)
{
	size_t at = place_of(l, name);

	if (!is_at(l, at, name)) {
		vec_push(&l->lines, (struct base_lock_line){ 0 });
		memmove(&l->lines.ptr[at + 1], &l->lines.ptr[at],
		        (l->lines.len - 1 - at) * sizeof(*l->lines.ptr));
		l->lines.ptr[at].name = arena_str(l->arena, name);
	}
	l->lines.ptr[at].digest = *digest;
}

const struct digest *base_lock_find(const struct base_lock *l, const struct reference *ref)
{
	char text[REFERENCE_TEXT_MAX];
	size_t at;

	if (!digest_none(&ref->digest))
		return NULL;
	(void)reference_text(ref, text);
	at = place_of(l, str_of(text));
	return is_at(l, at, str_of(text)) ? &l->lines.ptr[at].digest : NULL;
}

static int parse_line(struct base_lock *l, str line, const char *path, unsigned number,
                      struct cairn_err *err)
{
	struct cairn_err why;
	struct reference ref;
	struct digest digest;
	char text[REFERENCE_TEXT_MAX];
	str name, rest;

	line = str_trim(line);
	if (!line.len || line.ptr[0] == '#')
		return 0;
	(void)str_cut(line, ' ', &name, &rest);
	if (digest_parse(str_trim(rest), &digest, &why) < 0)
		return cairn_fail_at(err, path, number, 0,
		                     "expected an image's name and a digest: %s", why.msg);
	if (digest_none(&digest))
		return cairn_fail_at(err, path, number, 0, "a digest of zeros is none");
	if (reference_parse(name, &ref, &why) < 0)
		return cairn_fail_at(err, path, number, 0, "%s", why.msg);
	if (!digest_none(&ref.digest))
		return cairn_fail_at(err, path, number, 0,
		                     "'%.*s' has a digest in its name: it cannot be pinned",
		                     STR(name));
	(void)reference_text(&ref, text);
	if (base_lock_find(l, &ref))
		return cairn_fail_at(err, path, number, 0,
		                     "'%s' stands here for the second time; was a merge left "
		                     "unfinished?",
		                     text);
	base_lock_set(l, str_of(text), &digest);
	return 0;
}

int base_lock_parse(str text, const char *path, struct base_lock **ret, struct cairn_err *err)
{
	cleanup_base_lock struct base_lock *l = xcalloc(1, sizeof(*l));
	unsigned number = 0;
	str line;

	l->arena = arena_new();
	while (str_next(&text, '\n', &line))
		TRY(parse_line(l, line, path, ++number, err));
	*ret = steal_ptr(&l);
	return 0;
}

int base_lock_read(const char *path, struct base_lock **ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;
	int r;

	strbuf_init(&text, BASE_LOCK_MAX);
	r = fs_read_file(AT_FDCWD, path, &text, err);
	if (r < 0 && r != CAIRN_E_NOT_FOUND)
		return r;
	TRY(base_lock_parse(strbuf_view(&text), workspace_shown(path), ret, err));
	(*ret)->there = r == 0;
	return 0;
}

void base_lock_encode(const struct base_lock *l, struct strbuf *out)
{
	strbuf_cstr(out, HEADER);
	vec_foreach (line, &l->lines)
		strbuf_printf(out, "%.*s %s\n", STR(line->name), digest_text(&line->digest).s);
}

int base_lock_write(const struct base_lock *l, const char *path, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, BASE_LOCK_MAX);
	base_lock_encode(l, &text);
	TRY(strbuf_check(&text, path, err));
	return fs_write_file(AT_FDCWD, path, strbuf_view(&text), 0644, err);
}

void base_lock_free(struct base_lock *l)
{
	if (!l)
		return;
	arena_free(l->arena);
	vec_free(&l->lines);
	free(l);
}

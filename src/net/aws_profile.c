#include "aws_profile.h"

#include "aws_priv.h"
#include "util/fs.h"

/* --- the format -------------------------------------------------------------------------- */

void aws_profiles_done(struct aws_profiles *p)
{
	arena_free(p->arena);
	p->arena = NULL;
	vec_free(&p->settings);
	vec_free(&p->names);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A value ends where a blank and '#' or ';' begin a comment. */
static str without_comment(str s)
{
	for (size_t i = 1; i < s.len; i++)
		if ((s.ptr[i] == '#' || s.ptr[i] == ';') && blank(s.ptr[i - 1]))
			return str_n(s.ptr, i);
	return s;
}

static str unquote(str s)
{
	if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0])
		return str_n(s.ptr + 1, s.len - 2);
	return s;
}

/* The profile that a "[section]" line begins; empty for sections of other kinds. */
static str section_profile(str line, bool config)
{
	ptrdiff_t end = str_find(line, ']');
	str name;

	if (end < 0)
		return S("");
	name = str_trim(str_n(line.ptr + 1, (size_t)end - 1));
	if (!config || str_is(name, "default"))
		return unquote(name);
	if (str_starts(name, S("profile")) && name.len > 7 && blank(name.ptr[7]))
		return unquote(str_trim(str_skip(name, 7)));
	return S("");
}

static str lower(struct arena *a, str s)
{
	char *copy = arena_cstr(a, s);

	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	return str_of(copy);
}

void aws_profiles_add(struct aws_profiles *p, str text, bool config)
{
	size_t indent = 0; /* of the last setting */
	bool open = false; /* a setting precedes in this section */
	str profile = S(""), line;

	if (!p->arena)
		p->arena = arena_new();
	while (str_next(&text, '\n', &line)) {
		size_t blanks = line.len - str_trim_left(line).len;
		str key, value, s = str_trim(line);

		if (!s.len || s.ptr[0] == '#' || s.ptr[0] == ';')
			continue;
		if (s.ptr[0] == '[') {
			profile = arena_str(p->arena, section_profile(s, config));
			open = false;
			if (profile.len)
				vec_push(&p->names, profile);
			continue;
		}
		if (!profile.len || (open && blanks > indent) || !str_cut(s, '=', &key, &value))
			continue;
		open = true;
		indent = blanks;
		vec_push(&p->settings,
		         (struct aws_setting){
				 profile, lower(p->arena, str_trim(key)),
				 arena_str(p->arena, str_trim(without_comment(value))) });
	}
}

const char *aws_profiles_get(const struct aws_profiles *p, const char *profile, const char *key)
{
	for (size_t i = p->settings.len; i-- > 0;) {
		const struct aws_setting *s = &p->settings.ptr[i];

		if (str_is(s->profile, profile) && str_is(s->key, key))
			return s->value.len ? s->value.ptr : NULL;
	}
	return NULL;
}

bool aws_profiles_has(const struct aws_profiles *p, const char *profile)
{
	vec_foreach (n, &p->names)
		if (str_is(*n, profile))
			return true;
	return false;
}

/* --- the files -------------------------------------------------------------------------------- */

static int add_file(struct aws *a, const char *variable, const char *name, struct aws_profiles *p,
                    struct cairn_err *err)
{
	const char *given = aws_env(a, variable), *home = aws_env(a, "HOME");
	cleanup_free char *path = NULL;
	struct strbuf text cleanup_strbuf;
	int rc;

	strbuf_init(&text, AWS_PROFILE_FILE_MAX);
	if (!given && !home)
		return 0;
	path = given && (given[0] != '~' || given[1] != '/' || !home)
	               ? xstrdup(given)
	               : xasprintf("%s/%s", home, given ? given + 2 : name);
	rc = fs_read_file(AT_FDCWD, path, &text, err);
	if (rc == CAIRN_E_NOT_FOUND)
		return 0;
	TRY(rc);
	aws_profiles_add(p, strbuf_view(&text), strcmp(variable, "AWS_CONFIG_FILE") == 0);
	if (text.cap)
		explicit_bzero(text.ptr, text.cap);
	return 0;
}

int aws_profiles_load(struct aws *a, struct aws_profiles *p, const char **ret_name,
                      struct cairn_err *err)
{
	const char *name = aws_env(a, "AWS_PROFILE");

	if (!name)
		name = aws_env(a, "AWS_DEFAULT_PROFILE");
	TRY(add_file(a, "AWS_CONFIG_FILE", ".aws/config", p, err));
	TRY(add_file(a, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", p, err));
	if (name && !aws_profiles_has(p, name))
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS_PROFILE is '%.100s', which neither ~/.aws/config nor "
		                  "~/.aws/credentials has",
		                  name);
	*ret_name = name ? name : "default";
	return 0;
}

int aws_profile_value(struct aws *a, const char *key, char **ret, struct cairn_err *err)
{
	struct aws_profiles p cleanup_aws_profiles = { 0 };
	const char *name, *value;

	TRY(aws_profiles_load(a, &p, &name, err));
	value = aws_profiles_get(&p, name, key);
	*ret = value ? xstrdup(value) : NULL;
	return 0;
}

/* Which ids exist in the user namespace: pure parsing, and the questions about it. */
#include <pwd.h>
#include <unistd.h>

#include "userns.h"
#include "util/fs.h"
#include "util/num.h"

#define FILE_MAX (1u << 20) /* largest /etc/subuid that is read */

/* "NAME:START:COUNT" of the caller; *ret_mine is false for other people's lines. */
static int parse_line(str line, const char *user, uint32_t uid, bool *ret_mine,
                      struct userns_range *ret, struct cairn_err *err)
{
	str name, rest, start, count;
	uint64_t a, n, id;

	*ret_mine = false;
	if (line.len == 0 || line.ptr[0] == '#' || !str_cut(line, ':', &name, &rest))
		return 0;
	if (!(user[0] && str_is(name, user)) &&
	    (num_u64(name, UINT32_MAX, &id, err) < 0 || id != uid))
		return 0;
	if (!str_cut(rest, ':', &start, &count) || num_u64(start, UINT32_MAX, &a, err) < 0 ||
	    num_u64(str_trim(count), UINT32_MAX, &n, err) < 0 || a + n > UINT32_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not NAME:START:COUNT", STR(line));
	*ret_mine = n > 0;
	ret->outside = (uint32_t)a;
	ret->count = (uint32_t)n;
	return 0;
}

static int parse_file(const char *text, const char *what, const char *user, uint32_t uid,
                      struct userns_range *map, unsigned *n, struct cairn_err *err)
{
	str rest = str_of(text), line;
	unsigned number = 0;

	while (str_next(&rest, '\n', &line)) {
		const struct userns_range *last = &map[*n - 1];
		struct userns_range r = { .inside = last->inside + last->count };
		bool mine;

		number++;
		if (parse_line(str_trim(line), user, uid, &mine, &r, err) < 0)
			return cairn_wrap(err, "%s, line %u", what, number);
		if (!mine || *n == USERNS_RANGES_MAX)
			continue;
		if (r.inside + (uint64_t)r.count > UINT32_MAX)
			return cairn_fail(err, CAIRN_E_SYNTAX, "%s, line %u: more than 2^32 ids",
			                  what, number);
		map[(*n)++] = r;
	}
	return 0;
}

int userns_parse(const char *subuid, const char *subgid, const char *user, uint32_t uid,
                 uint32_t gid, struct userns_map *ret, struct cairn_err *err)
{
	ret->uid[0] = (struct userns_range){ .outside = uid, .count = 1 };
	ret->gid[0] = (struct userns_range){ .outside = gid, .count = 1 };
	ret->n_uid = ret->n_gid = 1;
	TRY(parse_file(subuid, "/etc/subuid", user, uid, ret->uid, &ret->n_uid, err));
	return parse_file(subgid, "/etc/subgid", user, uid, ret->gid, &ret->n_gid, err);
}

/* A missing file is an empty one. */
static int read_text(const char *path, struct strbuf *b, struct cairn_err *err)
{
	int r = fs_read_file(AT_FDCWD, path, b, err);

	return r == CAIRN_E_NOT_FOUND ? 0 : r;
}

int userns_caller_map(struct userns_map *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf uids;
	cleanup_strbuf struct strbuf gids;
	const struct passwd *pw = getpwuid(getuid());

	strbuf_init(&uids, FILE_MAX);
	strbuf_init(&gids, FILE_MAX);
	TRY(read_text("/etc/subuid", &uids, err));
	TRY(read_text("/etc/subgid", &gids, err));
	return userns_parse(uids.ptr, gids.ptr, pw ? pw->pw_name : "", getuid(), getgid(), ret,
	                    err);
}

/* One number of a line of /proc/self/uid_map, which pads them with blanks. */
static int take_number(str *rest, uint32_t *ret, struct cairn_err *err)
{
	str word;
	uint64_t v;

	*rest = str_trim_left(*rest);
	(void)str_cut(*rest, ' ', &word, rest);
	TRY(num_u64(str_trim(word), UINT32_MAX, &v, err));
	*ret = (uint32_t)v;
	return 0;
}

static int read_ranges(const char *path, struct userns_range *map, unsigned *n,
                       struct cairn_err *err)
{
	cleanup_strbuf struct strbuf b;
	str rest, line;

	strbuf_init(&b, FILE_MAX);
	TRY(fs_read_file(AT_FDCWD, path, &b, err));
	rest = strbuf_view(&b);
	for (*n = 0; *n < USERNS_RANGES_MAX && str_next(&rest, '\n', &line);) {
		struct userns_range *r = &map[*n];

		if (str_trim(line).len == 0)
			continue;
		TRY(take_number(&line, &r->inside, err));
		TRY(take_number(&line, &r->outside, err));
		TRY(take_number(&line, &r->count, err));
		(*n)++;
	}
	return 0;
}

int userns_read_map(struct userns_map *ret, struct cairn_err *err)
{
	TRY(read_ranges("/proc/self/uid_map", ret->uid, &ret->n_uid, err));
	return read_ranges("/proc/self/gid_map", ret->gid, &ret->n_gid, err);
}

static bool root_is(const struct userns_range *map, unsigned n, uint32_t id)
{
	for (unsigned i = 0; i < n; i++)
		if (map[i].inside == 0 && map[i].count)
			return map[i].outside == id;
	return false;
}

bool userns_map_root(const struct userns_map *m, uint32_t uid, uint32_t gid)
{
	bool initial = m->n_uid == 1 && m->uid[0].inside == 0 && m->uid[0].outside == 0 &&
	               m->uid[0].count == UINT32_MAX;

	return !initial && root_is(m->uid, m->n_uid, uid) && root_is(m->gid, m->n_gid, gid);
}

static bool has_id(const struct userns_range *map, unsigned n, uint32_t id)
{
	for (unsigned i = 0; i < n; i++)
		if (id >= map[i].inside && id - map[i].inside < map[i].count)
			return true;
	return false;
}

static uint64_t count_ids(const struct userns_range *map, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += map[i].count;
	return sum;
}

int userns_check_owner(const struct userns_map *m, uint32_t uid, uint32_t gid, const char *path,
                       struct cairn_err *err)
{
	bool uid_ok = has_id(m->uid, m->n_uid, uid);

	if (uid_ok && has_id(m->gid, m->n_gid, gid))
		return 0;
	return cairn_fail(
		err, CAIRN_E_DENIED,
		"%s %u of '%s' has no place in this user namespace of %llu ids: give this "
		"user more in /etc/sub%s, or run cairn as root",
		uid_ok ? "gid" : "uid", uid_ok ? gid : uid, path,
		(unsigned long long)(uid_ok ? count_ids(m->gid, m->n_gid)
	                                    : count_ids(m->uid, m->n_uid)),
		uid_ok ? "gid" : "uid");
}

#include "userdb.h"

#include "util/num.h"
#include "util/vec.h"

/* A line of passwd or group, cut at ':'. */
struct line {
	str f[7];
	size_t n;
};

static bool next_line(str *rest, struct line *ret)
{
	str text, piece;

	while (str_next(rest, '\n', &text)) {
		text = str_trim_right(text);
		if (!text.len || text.ptr[0] == '#')
			continue;
		ret->n = 0;
		while (ret->n < ARRAY_SIZE(ret->f) && str_next(&text, ':', &piece))
			ret->f[ret->n++] = piece;
		return true;
	}
	return false;
}

static bool number(str s, uint32_t *ret)
{
	struct cairn_err ignored;
	uint64_t v;

	if (num_u64(s, USERDB_ID_MAX, &v, &ignored) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* The passwd entry of a name, else of a number. */
static bool find_passwd(const struct userdb *db, str user, struct line *ret)
{
	str rest = db->passwd;
	uint32_t want, uid;
	bool by_number = number(user, &want);

	while (next_line(&rest, ret))
		if (ret->n >= 4 && str_eq(ret->f[0], user))
			return true;
	rest = db->passwd;
	while (by_number && next_line(&rest, ret))
		if (ret->n >= 4 && number(ret->f[2], &uid) && uid == want)
			return true;
	return false;
}

static int find_group(const struct userdb *db, str group, uint32_t *ret, struct cairn_err *err)
{
	str rest = db->group;
	struct line l;

	while (next_line(&rest, &l))
		if (l.n >= 3 && str_eq(l.f[0], group) && number(l.f[2], ret))
			return 0;
	if (number(group, ret))
		return 0;
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "no group '%.*s' in the image's /etc/group",
	                  STR(group));
}

static bool is_member(str members, str name)
{
	str m;

	while (str_next(&members, ',', &m))
		if (m.len && str_eq(m, name))
			return true;
	return false;
}

/* name empty: the user's own group alone. */
static void set_groups(const struct userdb *db, str name, struct arena *a, struct userdb_user *u)
{
	VEC(gid_t) groups = { 0 };
	str rest = name.len ? db->group : S("");
	struct line l;
	uint32_t gid;

	vec_push(&groups, u->gid);
	while (next_line(&rest, &l))
		if (l.n >= 4 && is_member(l.f[3], name) && number(l.f[2], &gid) && gid != u->gid)
			vec_push(&groups, gid);
	u->n_groups = groups.len;
	u->groups = arena_array(a, gid_t, groups.len);
	memcpy(u->groups, groups.ptr, groups.len * sizeof(*groups.ptr));
	vec_free(&groups);
}

int userdb_find(const struct userdb *db, str spec, struct arena *a, struct userdb_user *ret,
                struct cairn_err *err)
{
	struct userdb_user u = { .home = S("/") };
	struct line l;
	str user, group, member = { 0 };
	bool has_group = str_cut(spec, ':', &user, &group);

	if (!user.len)
		user = S("0");
	if (find_passwd(db, user, &l) && number(l.f[2], &u.uid) && number(l.f[3], &u.gid)) {
		if (l.n >= 6 && l.f[5].len)
			u.home = arena_str(a, l.f[5]);
		if (!has_group)
			member = l.f[0];
	} else if (!number(user, &u.uid)) {
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "no user '%.*s' in the image's /etc/passwd", STR(user));
	}
	if (has_group && group.len)
		TRY(find_group(db, group, &u.gid, err));
	set_groups(db, member, a, &u);
	*ret = u;
	return 0;
}

int userdb_owner(const struct userdb *db, str spec, uint32_t *ret_uid, uint32_t *ret_gid,
                 struct cairn_err *err)
{
	struct line l;
	str user, group;
	uint32_t uid, gid;
	bool has_group = str_cut(spec, ':', &user, &group);

	if (!user.len) /* ":group" */
		user = S("0");
	if (number(user, &uid)) {
		gid = uid; /* as BuildKit: --chown=1000 is 1000:1000 */
	} else if (!find_passwd(db, user, &l) || !number(l.f[2], &uid) || !number(l.f[3], &gid)) {
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "no user '%.*s' in the image's /etc/passwd", STR(user));
	}
	if (has_group && group.len)
		TRY(find_group(db, group, &gid, err));
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

#include "engine/userns.h"
#include "harness.h"
#include "util/mem.h"

void test_map__own_ranges_follow_the_own_id(void **state)
{
	cleanup_free struct userns_map *m = xcalloc(1, sizeof(*m));
	struct cairn_err err;

	(void)state;
	assert_ok(userns_parse("other:1:2\n# eve:5:5\neve:100000:65536\n\n1001:300000:10\n",
	                       "eve:200000:65536", "eve", 1001, 1002, m, &err));
	assert_int_equal(m->n_uid, 3);
	assert_int_equal(m->n_gid, 2);
	assert_int_equal(m->uid[0].outside, 1001);
	assert_int_equal(m->uid[0].count, 1);
	assert_int_equal(m->uid[1].inside, 1);
	assert_int_equal(m->uid[1].outside, 100000);
	assert_int_equal(m->uid[2].inside, 65537);
	assert_int_equal(m->uid[2].outside, 300000);
	assert_int_equal(m->gid[0].outside, 1002);
	assert_int_equal(m->gid[1].outside, 200000);
}

void test_map__bad_lines_are_named(void **state)
{
	static const char *const bad[] = {
		"x:1:2\neve:100000",           "\neve:a:b",     "#\neve:1:99999999999",
		"\neve:4294967295:4294967295", "x:y:z\neve::1",
	};
	cleanup_free struct userns_map *m = xcalloc(1, sizeof(*m));
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_fails(userns_parse(bad[i], "", "eve", 1, 1, m, &err), CAIRN_E_SYNTAX);
		assert_non_null(strstr(err.msg, "/etc/subuid, line 2"));
	}
	assert_ok(userns_parse("", "", "", 1, 1, m, &err));
	assert_int_equal(m->n_uid, 1);
}

void test_map__owners_outside_are_refused(void **state)
{
	static const struct {
		uint32_t uid, gid;
		const char *says; /* NULL = fine */
	} cases[] = {
		{ 0, 0, NULL },
		{ 65536, 65536, NULL },
		{ 70000, 0, "uid 70000 of 'etc/x'" },
		{ 0, 65537, "gid 65537 of 'etc/x'" },
		{ 4294967295u, 0, "uid 4294967295" },
	};
	cleanup_free struct userns_map *m = xcalloc(1, sizeof(*m));
	struct cairn_err err;

	(void)state;
	assert_ok(userns_parse("e:100000:65536", "e:100000:65536", "e", 1, 1, m, &err));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = userns_check_owner(m, cases[i].uid, cases[i].gid, "etc/x", &err);

		assert_int_equal(r, cases[i].says ? CAIRN_E_DENIED : 0);
		if (cases[i].says)
			assert_non_null(strstr(err.msg, cases[i].says));
	}
}

void test_map__own_map_is_read(void **state)
{
	cleanup_free struct userns_map *m = xcalloc(1, sizeof(*m));
	struct cairn_err err;

	(void)state;
	assert_ok(userns_read_map(m, &err));
	assert_true(m->n_uid >= 1 && m->n_gid >= 1);
}

/* Whose inner process is it? Not one that only has the variable. */
void test_map__root_is_the_caller(void **state)
{
	static const struct {
		struct userns_range uid, gid;
		uint32_t is_uid, is_gid;
		bool want;
	} cases[] = {
		{ { 0, 1000, 1 }, { 0, 1001, 1 }, 1000, 1001, true },
		{ { 0, 1000, 1 }, { 0, 1001, 1 }, 1000, 1000, false },
		{ { 0, 1000, 1 }, { 0, 1001, 1 }, 0, 1001, false },
		{ { 0, 100000, 65536 }, { 0, 100000, 65536 }, 1000, 1000, false }, /* a container */
		{ { 0, 0, UINT32_MAX }, { 0, 0, UINT32_MAX }, 0, 0, false }, /* the first one */
		{ { 0, 0, UINT32_MAX }, { 0, 0, UINT32_MAX }, 1000, 1000, false },
		{ { 1, 1000, 5 }, { 1, 1000, 5 }, 1000, 1000, false },
	};
	cleanup_free struct userns_map *m = xcalloc(1, sizeof(*m));

	(void)state;
	m->n_uid = m->n_gid = 1;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		m->uid[0] = cases[i].uid;
		m->gid[0] = cases[i].gid;
		assert_int_equal(userns_map_root(m, cases[i].is_uid, cases[i].is_gid),
		                 cases[i].want);
	}
}

#include "harness.h"

#include "dockerfile/dockerfile.h"
#include "util/strbuf.h"

static bool look_up_v(void *ctx, str name, str *ret_value)
{
	(void)ctx;
	if (!str_is(name, "V"))
		return false;
	*ret_value = S("x,y");
	return true;
}

void test_run_mount__types(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct words w = { .lookup = look_up_v, .arena = a, .escape = '\\' };
	struct cairn_err err;
	struct run_mount m;

	(void)state;
	assert_ok(run_mount_parse(S("type=cache,target=/root/.cache"), NULL, a, &m, &err));
	assert_int_equal(m.type, RUN_MOUNT_CACHE);
	assert_str(m.target, "/root/.cache");
	assert_int_equal(m.sharing, RUN_SHARING_SHARED);
	assert_false(m.readonly);
	assert_int_equal(m.mode, 0755);
	assert_null(m.id.ptr);
	assert_ok(run_mount_parse(S("type=cache,id=x,dst=c,sharing=LOCKED,from=base,source=/s,"
	                            "mode=0700,uid=5,gid=6,ro"),
	                          NULL, a, &m, &err));
	assert_str(m.id, "x");
	assert_str(m.target, "c");
	assert_str(m.from, "base");
	assert_str(m.source, "/s");
	assert_int_equal(m.sharing, RUN_SHARING_LOCKED);
	assert_true(m.has_mode && m.has_uid && m.has_gid && m.readonly);
	assert_int_equal(m.mode, 0700);
	assert_int_equal(m.uid, 5);
	assert_int_equal(m.gid, 6);

	assert_ok(run_mount_parse(S("target=/src"), NULL, a, &m, &err)); /* bind is the default */
	assert_int_equal(m.type, RUN_MOUNT_BIND);
	assert_true(m.readonly);
	assert_ok(run_mount_parse(S("type=bind,target=/src,rw"), NULL, a, &m, &err));
	assert_false(m.readonly);
	assert_ok(run_mount_parse(S("type=bind,target=/src,readwrite=false"), NULL, a, &m, &err));
	assert_true(m.readonly);

	assert_ok(run_mount_parse(S("type=tmpfs,target=/t,size=64m"), NULL, a, &m, &err));
	assert_int_equal(m.size, 64 << 20);
	assert_false(m.readonly);

	assert_ok(run_mount_parse(S("type=secret,id=k"), NULL, a, &m, &err));
	assert_str(m.id, "k");
	assert_null(m.target.ptr);
	assert_int_equal(m.mode, 0400);
	assert_false(m.required);
	assert_ok(run_mount_parse(S("type=secret,id=k,env=KEY,required=true"), NULL, a, &m, &err));
	assert_str(m.env, "KEY");
	assert_true(m.required);
	assert_ok(run_mount_parse(S("required,type=ssh"), NULL, a, &m, &err));
	assert_int_equal(m.mode, 0600);
	assert_true(m.required);

	/* CSV first, expansion then: a comma in a value stays in it */
	assert_ok(run_mount_parse(S("type=cache,\"target=/a,b\",id=$V"), &w, a, &m, &err));
	assert_str(m.target, "/a,b");
	assert_str(m.id, "x,y");
}

void test_run_mount__errors(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "--mount=: it is empty" },
		{ "type=bnd,target=/x",
		  "--mount=type=bnd,target=/x: unknown type 'bnd' (did you mean bind?)" },
		{ "type=foo,target=/x", "--mount=type=foo,target=/x: unknown type 'foo'" },
		{ "type=cache", "--mount=type=cache: it needs a target" },
		{ "tpye=cache", "--mount=tpye=cache: unknown option 'tpye' (did you mean type?)" },
		{ "type=cache,target", "--mount=type=cache,target: 'target' needs a value" },
		{ "type=cache,target=/x,sharing=none",
		  "--mount=type=cache,target=/x,sharing=none: unknown sharing 'none'" },
		{ "type=bind,target=/x,sharing=locked",
		  "--mount=type=bind,target=/x,sharing=locked: type=bind has no option 'sharing'" },
		{ "type=bind,target=/x,mode=0755",
		  "--mount=type=bind,target=/x,mode=0755: type=bind has no option 'mode'" },
		{ "type=cache,target=/x,mode=9",
		  "--mount=type=cache,target=/x,mode=9: mode is an octal number, not '9'" },
		{ "type=cache,target=/x,uid=root",
		  "--mount=type=cache,target=/x,uid=root: uid is a number, not 'root'" },
		{ "type=secret", "--mount=type=secret: a secret needs an id" },
		{ "type=secret,id=a,from=b",
		  "--mount=type=secret,id=a,from=b: type=secret has no option 'from'" },
		{ "type=secret,id=a,source=b",
		  "--mount=type=secret,id=a,source=b: source and id of "
		  "a secret are the same thing; give one" },
		{ "type=bind,target=/x,from=$Y", "--mount=type=bind,target=/x,from=$Y: from cannot "
		                                 "have variables; make a stage with a fixed name" },
		{ "type=tmpfs,target=/x,size=big",
		  "--mount=type=tmpfs,target=/x,size=big: size is a number of bytes like 64m" },
		{ "target=/x,ro=maybe",
		  "--mount=target=/x,ro=maybe: ro is true or false, not 'maybe'" },
		{ "\"target=/x", "--mount=\"target=/x: a quote is not closed" },
		{ "target=\"/x\"", "--mount=target=\"/x\": a quote stands inside of a field" },
		{ "target=/x,", "--mount=target=/x,: unknown option ''" },
	};
	cleanup_arena struct arena *a = arena_new();
	struct cairn_err err;
	struct run_mount m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(run_mount_parse(str_of(cases[i].text), NULL, a, &m, &err),
		             CAIRN_E_SYNTAX);
		assert_string_equal(err.msg, cases[i].message);
	}
}

void test_chmod__apply(void **state)
{
	static const struct {
		const char *spec;
		unsigned mode;
		bool dir;
		unsigned want;
	} cases[] = {
		{ "755", 0644, false, 0755 },        { "0", 0644, false, 0 },
		{ "04755", 0, false, 04755 },        { "u+x", 0644, false, 0744 },
		{ "+x", 0644, false, 0755 },         { "a+x", 0644, false, 0755 },
		{ "u=rwx,go=rx", 0, false, 0755 },   { "go-w", 0666, false, 0644 },
		{ "a=r", 0777, false, 0444 },        { "u=", 0777, false, 077 },
		{ "u+rX", 0444, false, 0444 },       { "u+rX", 0444, true, 0544 },
		{ "a+X", 0744, false, 0755 },        { "a+X", 0644, false, 0644 },
		{ "g=u", 0740, false, 0770 },        { "o=g", 0750, false, 0755 },
		{ "u+s", 0755, false, 04755 },       { "g+s", 0755, false, 02755 },
		{ "+t", 0777, true, 01777 },         { "a=rwx", 06755, false, 0777 },
		{ "u+r-w", 0200, false, 0400 },      { "ug+rw,o-rwx", 0007, false, 0660 },
		{ "u=rwX,go=rX", 0600, true, 0755 }, { "u=rwX,go=rX", 0600, false, 0644 },
	};
	static const char *const bad[] = { "",     "8",    "77777", "u",      "rwx", "u+q",
		                           "u+r,", ",u+r", "+x,",   "u++x y", "x+r", "u+rg" };
	struct chmod_spec spec;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned got;

		assert_ok(chmod_parse(str_of(cases[i].spec), &spec, &err));
		got = chmod_apply(&spec, cases[i].mode, cases[i].dir);
		if (got != cases[i].want)
			fail_msg("%s on %o gives %o, not %o", cases[i].spec, cases[i].mode, got,
			         cases[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (chmod_parse(str_of(bad[i]), &spec, &err) != CAIRN_E_SYNTAX)
			fail_msg("mode '%s' is accepted", bad[i]);
}

void test_port__parse(void **state)
{
	static const struct {
		const char *text;
		unsigned first, last;
		const char *proto; /* NULL: an error */
	} cases[] = {
		{ "80", 80, 80, "tcp" },
		{ "80/tcp", 80, 80, "tcp" },
		{ "53/udp", 53, 53, "udp" },
		{ "53/UDP", 53, 53, "udp" },
		{ "9/sctp", 9, 9, "sctp" },
		{ "8000-8010", 8000, 8010, "tcp" },
		{ "8000-8010/udp", 8000, 8010, "udp" },
		{ "0", 0, 0, "tcp" },
		{ "8080:80", 80, 80, "tcp" },
		{ "127.0.0.1:8080:80/tcp", 80, 80, "tcp" },
		{ "65536", 0, 0, NULL },
		{ "", 0, 0, NULL },
		{ "http", 0, 0, NULL },
		{ "80/icmp", 0, 0, NULL },
		{ "90-80", 0, 0, NULL },
		{ "80-", 0, 0, NULL },
		{ "-80", 0, 0, NULL },
	};
	struct port_range p;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = port_parse(str_of(cases[i].text), &p, &err);

		if ((r == 0) != (cases[i].proto != NULL))
			fail_msg("port '%s' gives %d", cases[i].text, r);
		if (r < 0)
			continue;
		assert_int_equal(p.first, cases[i].first);
		assert_int_equal(p.last, cases[i].last);
		assert_string_equal(p.proto, cases[i].proto);
	}
}

void test_signal__check(void **state)
{
	static const char *const good[] = { "SIGTERM", "TERM",       "sigkill",  "9",     "64",
		                            "RTMIN",   "SIGRTMIN+3", "RTMAX-14", "RTMAX", "WINCH" };
	static const char *const bad[] = { "",         "0",       "65",      "SIG",     "SIGFOO",
		                           "RTMIN+16", "RTMAX+1", "RTMIN-1", "RTMIN+0", "-1" };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(signal_check(str_of(good[i]), &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (signal_check(str_of(bad[i]), &err) != CAIRN_E_SYNTAX)
			fail_msg("signal '%s' is accepted", bad[i]);
	assert_fails(signal_check(S("SIGTREM"), &err), CAIRN_E_SYNTAX);
	assert_string_equal(err.msg, "unknown signal 'SIGTREM' (did you mean SIGTERM?)");
}

void test_user__parse(void **state)
{
	struct cairn_err err;
	str u, g;

	(void)state;
	assert_ok(user_parse(S("app"), &u, &g, &err));
	assert_str(u, "app");
	assert_null(g.ptr);
	assert_ok(user_parse(S("1000:staff"), &u, &g, &err));
	assert_str(u, "1000");
	assert_str(g, "staff");
	assert_fails(user_parse(S(""), &u, &g, &err), CAIRN_E_SYNTAX);
	assert_fails(user_parse(S(":g"), &u, &g, &err), CAIRN_E_SYNTAX);
	assert_fails(user_parse(S("u:"), &u, &g, &err), CAIRN_E_SYNTAX);
}

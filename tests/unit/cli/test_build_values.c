#include "harness.h"

#include "cli/build_values.h"
#include "util/strbuf.h"

static const char *or_dash(const char *s)
{
	return s ? s : "-none-";
}

static void show(const char *value, int what, struct arena *a, struct strbuf *out, int *ret_r,
                 struct cairn_err *err)
{
	struct build_output o;
	struct build_secret s;
	struct build_host h;
	struct build_ulimit u;
	struct build_pair p;

	switch (what) {
	case 'o':
		*ret_r = build_output_parse(value, a, &o, err);
		if (*ret_r == 0)
			strbuf_printf(out, "%d %s %s %d %d %d", (int)o.type, or_dash(o.dest),
			              or_dash(o.name), (int)o.compression, o.level, o.tar);
		break;
	case 's':
		*ret_r = build_secret_parse(value, a, &s, err);
		if (*ret_r == 0)
			strbuf_printf(out, "%s %s %s", s.id, or_dash(s.src), or_dash(s.env));
		break;
	case 'h':
		*ret_r = build_host_parse(value, a, &h, err);
		if (*ret_r == 0)
			strbuf_printf(out, "%s %s", h.name, h.ip);
		break;
	case 'u':
		*ret_r = build_ulimit_parse(value, &u, err);
		if (*ret_r == 0)
			strbuf_printf(out, "%s %lld %lld", u.name, (long long)u.soft,
			              (long long)u.hard);
		break;
	default:
		*ret_r = build_pair_parse("build-arg", value, a, &p, err);
		if (*ret_r == 0)
			strbuf_printf(out, "%s %s", p.key, or_dash(p.value));
	}
}

void test_values__good(void **state)
{
	static const struct {
		int what;
		const char *value, *want;
	} cases[] = {
		{ 'o', "out", "4 out -none- 0 -1 1" },
		{ 'o', "-", "3 - -none- 0 -1 1" },
		{ 'o', "type=oci,dest=a.tar", "1 a.tar -none- 0 -1 1" },
		{ 'o', "type=oci,dest=d,tar=false", "1 d -none- 0 -1 0" },
		{ 'o', "type=docker", "2 - -none- 0 -1 1" },
		{ 'o', "type=store,name=x/y:1", "0 -none- x/y:1 0 -1 1" },
		{ 'o', "type=oci,\"dest=a,b.tar\",compression=zstd,compression-level=3",
		  "1 a,b.tar -none- 3 3 1" },
		{ 's', "id=t,src=/run/t", "t /run/t -none-" },
		{ 's', "id=t,env=TOKEN", "t -none- TOKEN" },
		{ 's', "type=env,id=t,src=TOKEN", "t -none- TOKEN" },
		{ 's', "id=t", "t -none- t" },
		{ 'h', "db:10.0.0.1", "db 10.0.0.1" },
		{ 'h', "db=::1", "db ::1" },
		{ 'h', "db:[fe80::1]", "db fe80::1" },
		{ 'h', "h:host-gateway", "h host-gateway" },
		{ 'u', "nofile=1024", "nofile 1024 1024" },
		{ 'u', "nofile=1024:2048", "nofile 1024 2048" },
		{ 'u', "core=0:-1", "core 0 -1" },
		{ 'p', "A=b=c", "A b=c" },
		{ 'p', "A=", "A " },
		{ 'p', "A", "A -none-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf out;
		struct cairn_err err = { 0 };
		int r = -1;

		strbuf_init(&out, 1000);
		show(cases[i].value, cases[i].what, a, &out, &r, &err);
		assert_ok(r);
		assert_str(strbuf_view(&out), cases[i].want);
	}
}

void test_values__bad(void **state)
{
	static const struct {
		int what;
		const char *value, *msg;
	} cases[] = {
		{ 'o', "", "--output is empty" },
		{ 'o', "dest=x", "--output 'dest=x': type= is missing" },
		{ 'o', "type=local", "--output 'type=local': dest=FOLDER is missing" },
		{ 'o', "type=oci,tar=false",
		  "--output 'type=oci,tar=false': dest=FOLDER is missing" },
		{ 'o', "type=zip,dest=x",
		  "--output: 'type=zip' is not one of type=registry, image, oci, docker, tar, local, "
		  "store" },
		{ 'o', "type=oci,push=true",
		  "--output 'type=oci,push=true': push= belongs to type=image" },
		{ 'o', "type=image,name=x",
		  "--output 'type=image,name=x': name= needs push=true; --tag names it here" },
		{ 'o', "type=registry,dest=x",
		  "--output 'type=registry,dest=x': dest= makes no sense for a registry; give name=" },
		{ 'o', "type=oci,annotation.a=b",
		  "--output 'type=oci,annotation.a=b': only an image that is pushed has annotations, "
		  "push-by-digest, oci-mediatypes, force-compression, registry.insecure" },
		{ 'o', "type=registry,push-by-digest=1",
		  "--output: 'push-by-digest=1' is not true or false" },
		{ 'o', "type=oci,compression=lzma",
		  "--output: 'compression=lzma' is not compression=uncompressed, gzip or zstd" },
		{ 'o', "type=registy,name=x",
		  "--output: 'type=registy' is not one of type=registry, image, oci, docker, tar, "
		  "local, store; did you mean 'registry'?" },
		{ 'o', "type=oci,compression=gzp",
		  "--output: 'compression=gzp' is not compression=uncompressed, gzip or zstd; did you "
		  "mean 'gzip'?" },
		{ 'o', "type=oci,dst=x",
		  "--output: 'dst=x' is not a field of --output; did you mean 'dest'?" },
		{ 's', "id=a,sorce=b",
		  "--secret: 'sorce=b' is not a field of --secret; did you mean 'source'?" },
		{ 's', "id=a,type=fil",
		  "--secret: 'type=fil' is not type=file or env; did you mean 'file'?" },
		{ 'u', "nofiles=1",
		  "--ulimit 'nofiles=1': no limit is called 'nofiles'; did you mean 'nofile'?" },
		{ 'o', "type=oci,frob=1", "--output: 'frob=1' is not a field of --output" },
		{ 'o', "type=oci,\"dest=x", "--output 'type=oci,\"dest=x': a \" is not closed" },
		{ 's', "src=x", "--secret 'src=x': id= is missing" },
		{ 's', "id=", "--secret: 'id=' is not KEY=VALUE" },
		{ 's', "id=a,src=b,env=c", "--secret 'id=a,src=b,env=c' has both src= and env=" },
		{ 'h', "db", "--add-host 'db': give HOST:IP" },
		{ 'h', ":1.2.3.4", "--add-host ':1.2.3.4': the host is missing" },
		{ 'h', "a b:1.2.3.4", "--add-host 'a b:1.2.3.4': the host is missing" },
		{ 'h', "db:1.2.3", "--add-host 'db:1.2.3': '1.2.3' is no IP address" },
		{ 'u', "nofile", "--ulimit 'nofile': give NAME=SOFT[:HARD]" },
		{ 'u', "files=1", "--ulimit 'files=1': no limit is called 'files'" },
		{ 'u', "nofile=2:1", "--ulimit 'nofile=2:1': soft is above hard" },
		{ 'u', "nofile=x", "--ulimit 'nofile=x': 'x' is not a number" },
		{ 'p', "=v", "--build-arg '=v': the name is missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf out;
		struct cairn_err err = { 0 };
		int r = 0;

		strbuf_init(&out, 1000);
		show(cases[i].value, cases[i].what, a, &out, &r, &err);
		assert_fails(r, CAIRN_E_USAGE);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

void test_values__output_not_built(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct build_output o;
	struct cairn_err err;

	(void)state;
	assert_fails(build_output_parse("type=cacheonly", a, &o, &err), CAIRN_E_UNSUPPORTED);
}

void test_values__output_registry(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct build_output o;
	struct cairn_err err;

	(void)state;
	assert_ok(build_output_parse("type=image,push=true,name=r.example/x:1,annotation.b=2,"
	                             "annotation-manifest.a=1,push-by-digest=true,"
	                             "oci-mediatypes=false,registry.insecure=true",
	                             a, &o, &err));
	assert_int_equal(o.type, BUILD_OUTPUT_REGISTRY);
	assert_string_equal(o.name, "r.example/x:1");
	assert_true(o.by_digest && o.docker && o.insecure && !o.force_compression);
	assert_int_equal(o.annotations.len, 2);
	assert_str(o.annotations.ptr[0].key, "a");
	assert_str(o.annotations.ptr[1].value, "2");
	assert_ok(build_output_parse("type=image", a, &o, &err));
	assert_int_equal(o.type, BUILD_OUTPUT_STORE);
}

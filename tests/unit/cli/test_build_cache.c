#include "harness.h"

#include "cli/build_cache.h"
#include "util/fs.h"

/* --- options ----------------------------------------------------------------- */

void test_cache__good(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct build_cache_spec s;
	struct cairn_err err;

	(void)state;
	assert_ok(build_cache_parse("cache-from", "r.example/app:cache", a, &s, &err));
	assert_int_equal(s.type, BUILD_CACHE_REGISTRY);
	assert_string_equal(s.ref, "r.example/app:cache");
	assert_false(s.to);

	assert_ok(build_cache_parse("cache-to",
	                            "type=registry,ref=r/x,mode=max,image-manifest=true,"
	                            "oci-mediatypes=true,compression=gzip,compression-level=9,"
	                            "force-compression=true,ignore-error=true,scope=s,"
	                            "fallback-scope=a;b,fallback-scope=c",
	                            a, &s, &err));
	assert_true(s.to && s.max && s.ignore_error && s.force_compression && s.has_compression);
	assert_int_equal(s.compression, LAYER_COMPRESS_GZIP);
	assert_int_equal(s.level, 9);
	assert_string_equal(s.scope, "s");
	assert_int_equal(s.n_fallbacks, 3);
	assert_string_equal(s.fallbacks[1], "b");
	assert_string_equal(s.fallbacks[2], "c");

	assert_ok(build_cache_parse("cache-to",
	                            "type=s3,bucket=b,prefix=p/,region=r,name=n;main,"
	                            "endpoint_url=http://h:1,use_path_style=true,access_key_id=k,"
	                            "secret_access_key=s,session_token=t",
	                            a, &s, &err));
	assert_int_equal(s.type, BUILD_CACHE_S3);
	assert_string_equal(s.name, "n;main");
	assert_true(s.use_path_style && !s.max && !s.has_compression);

	assert_ok(build_cache_parse("cache-to", "type=local,dest=/d,compression-level=3", a, &s,
	                            &err));
	assert_string_equal(s.dir, "/d");
	assert_int_equal(s.level, 0); /* zstd's own */
	assert_ok(build_cache_parse("cache-to", "type=inline", a, &s, &err));
	assert_int_equal(s.type, BUILD_CACHE_INLINE);
}

void test_cache__bad(void **state)
{
	static const struct {
		const char *opt, *value, *msg;
	} cases[] = {
		{ "cache-to", "ref=x", "--cache-to 'ref=x': type= is missing" },
		{ "cache-to", "type=registry", "--cache-to: ref= is missing" },
		{ "cache-to", "type=s3,region=x", "--cache-to: bucket= is missing" },
		{ "cache-to", "type=local", "--cache-to: dest= is missing" },
		{ "cache-from", "type=local", "--cache-from: src= is missing" },
		{ "cache-from", "type=local,dest=x",
		  "--cache-from: 'dest' is only for --cache-to" },
		{ "cache-to", "type=local,src=x", "--cache-to: 'src' is only for --cache-from" },
		{ "cache-from", "type=registry,ref=x,mode=max",
		  "--cache-from: 'mode' is only for --cache-to" },
		{ "cache-to", "type=registry,ref=x,frob=1",
		  "--cache-to: type=registry has no option 'frob'" },
		{ "cache-to", "type=registry,ref=x,moed=max",
		  "--cache-to: type=registry has no option 'moed'; did you mean 'mode'?" },
		{ "cache-from", "type=s3,buckt=x",
		  "--cache-from: type=s3 has no option 'buckt'; did you mean 'bucket'?" },
		{ "cache-from", "type=registry,ref=x,moed=max",
		  "--cache-from: type=registry has no option 'moed'" },
		{ "cache-to", "type=registy,ref=x",
		  "--cache-to: type=registy: expected registry, s3, local or inline; did you mean "
		  "'registry'?" },
		{ "cache-to", "type=registry,ref=x,mode=mx",
		  "--cache-to: mode=mx: expected min or max; did you mean 'max'?" },
		{ "cache-to", "type=registry,ref=x,ignore-error=tru",
		  "--cache-to: ignore-error=tru: expected false or true; did you mean 'true'?" },
		{ "cache-to", "type=registry,ref=x,bucket=1",
		  "--cache-to: 'bucket' is no option of type=registry" },
		{ "cache-to", "type=registry,ref=x,mode=all",
		  "--cache-to: mode=all: expected min or max" },
		{ "cache-to", "type=registry,ref=", "--cache-to: ref= is empty" },
		{ "cache-to", "type=registry,ref=x,ignore-error=maybe",
		  "--cache-to: ignore-error=maybe: expected false or true" },
		{ "cache-to", "type=registry,ref=x,compression=lzma",
		  "--cache-to: compression=lzma: expected uncompressed, gzip or zstd" },
		{ "cache-to", "type=registry,ref=x,compression=gzip,compression-level=15",
		  "--cache-to: compression-level=15: gzip has levels 1 to 12" },
		{ "cache-to", "type=registry,ref=x,image-manifest=false",
		  "--cache-to: image-manifest=false: cairn writes image manifests of OCI's media types" },
		{ "cache-to", "type=s3,bucket=b,access_key_id=k",
		  "--cache-to: access_key_id= and secret_access_key= belong together" },
		{ "cache-to", "type=tape",
		  "--cache-to: type=tape: expected registry, s3, local or inline" },
		{ "cache-from", "type=inline",
		  "--cache-from: type=inline is read with type=registry,ref=IMAGE" },
		{ "cache-from", "", "--cache-from: ref= is missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct build_cache_spec s;
		struct cairn_err err;

		assert_fails(build_cache_parse(cases[i].opt, cases[i].value, a, &s, &err),
		             CAIRN_E_USAGE);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

void test_cache__types_that_are_not_built(void **state)
{
	static const char *const values[] = { "type=gha", "type=azblob,account_url=x",
		                              "type=registry,ref=x,compression=estargz" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct build_cache_spec s;
		struct cairn_err err;

		assert_fails(build_cache_parse("cache-to", values[i], a, &s, &err),
		             CAIRN_E_UNSUPPORTED);
	}
}

/* A configured cache is described once and used on both sides. */
void test_cache__attributes_of_a_configuration(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct image_kvs attrs = { 0 };
	struct build_cache_spec s;
	struct cairn_err err;

	(void)state;
	image_kvs_set(a, &attrs, S("dest"), S("/d"));
	image_kvs_set(a, &attrs, S("mode"), S("max"));
	assert_ok(build_cache_from_attrs("cairn.yaml:1: cache", S("local"), &attrs, true, a, &s,
	                                 &err));
	assert_true(s.to && s.max);
	assert_ok(build_cache_from_attrs("cairn.yaml:1: cache", S("local"), &attrs, false, a, &s,
	                                 &err));
	assert_string_equal(s.dir, "/d");
	image_kvs_set(a, &attrs, S("frob"), S("1"));
	assert_fails(build_cache_from_attrs("cairn.yaml:1: cache", S("local"), &attrs, false, a, &s,
	                                    &err),
	             CAIRN_E_USAGE);
	assert_string_equal(err.msg, "cairn.yaml:1: cache: type=local has no option 'frob'");
}

/* --- scopes --------------------------------------------------------------------- */

#define VARS 8

void test_scope__of_branches(void **state)
{
	static const struct {
		const char *vars[VARS];
		const char *want; /* what is written, what is read; separated by blanks */
	} cases[] = {
		{ { NULL }, "''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_REF_NAME=main" }, "''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_REF_NAME=feature/x" }, "'feature/x' ''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_REF_NAME=v1", "GITHUB_REF_TYPE=tag" },
		  "'tag~v1' ''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_REF_NAME=main", "GITHUB_REF_TYPE=tag" },
		  "'tag~main' ''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main",
		    "GITHUB_REF_NAME=7/merge" },
		  "'pr~fix' ''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=release",
		    "GITHUB_REF_NAME=7/merge" },
		  "'pr~fix' 'release' ''" },
		/* A fork's branch of the same name. */
		{ { "GITHUB_ACTIONS=true", "GITHUB_HEAD_REF=main", "GITHUB_BASE_REF=main" },
		  "'pr~main' ''" },
		{ { "CODEBUILD_BUILD_ID=p:1", "CODEBUILD_WEBHOOK_HEAD_REF=refs/heads/main" },
		  "''" },
		{ { "CODEBUILD_BUILD_ID=p:1", "CODEBUILD_WEBHOOK_HEAD_REF=refs/heads/a" },
		  "'a' ''" },
		{ { "CODEBUILD_BUILD_ID=p:1", "CODEBUILD_WEBHOOK_HEAD_REF=refs/heads/main",
		    "CODEBUILD_WEBHOOK_BASE_REF=refs/heads/dev", "CODEBUILD_WEBHOOK_TRIGGER=pr/3" },
		  "'pr~3' 'dev' ''" },
		{ { "GITHUB_ACTIONS=true", "GITHUB_HEAD_REF=fix", "GITHUB_BASE_REF=main",
		    "GITHUB_REF=refs/pull/12/merge" },
		  "'pr~12' ''" },
		{ { "CODEBUILD_BUILD_ID=p:1", "CODEBUILD_WEBHOOK_TRIGGER=branch/b" }, "'b' ''" },
		{ { "CODEBUILD_BUILD_ID=p:1", "CODEBUILD_SOURCE_VERSION=pr/7" }, "'pr~7' ''" },
		{ { "CODEBUILD_BUILD_ID=p:1" }, "''" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf got;
		struct remote_scopes s;
		char *envp[VARS + 1] = { NULL };

		for (size_t k = 0; k < VARS && cases[i].vars[k]; k++)
			envp[k] = arena_cstr(a, str_of(cases[i].vars[k]));
		build_scopes(envp, a, &s);
		strbuf_init(&got, 1000);
		strbuf_printf(&got, "'%s'", s.write);
		for (size_t k = 0; k < s.n_read; k++)
			strbuf_printf(&got, " '%s'", s.read[k]);
		assert_str(strbuf_view(&got), cases[i].want);
	}
}

void test_scope__default_branch_of_an_event(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	char *path = arena_printf(a, "%s/event.json", harness_dir());
	char *envp[] = { arena_cstr(a, S("GITHUB_ACTIONS=true")),
		         arena_cstr(a, S("GITHUB_REF_NAME=trunk")),
		         arena_printf(a, "GITHUB_EVENT_PATH=%s", path), NULL };
	struct remote_scopes s;
	struct cairn_err err;

	(void)state;
	build_scopes(envp, a, &s);
	assert_string_equal(s.write, "trunk"); /* no event: not known to be the default */
	assert_ok(fs_write_file(AT_FDCWD, path,
	                        S("{\"repository\":{\"default_branch\":\"trunk\"}}"), 0600, &err));
	build_scopes(envp, a, &s);
	assert_string_equal(s.write, "");
	assert_int_equal(s.n_read, 0);
	envp[1] = arena_cstr(a, S("GITHUB_REF_NAME=main"));
	build_scopes(envp, a, &s);
	assert_string_equal(s.write, "main"); /* a branch as any other */
}

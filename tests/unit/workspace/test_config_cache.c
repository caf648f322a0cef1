/* `cache:` in all its spellings. */
#include "harness.h"

#include "workspace/workspace.h"

struct cache_case {
	const char *text; /* behind "cache: " */
	const char *want; /* "TYPE key=value ...", or a part of the error */
};

static void describe(const struct workspace_cache *c, struct strbuf *out)
{
	strbuf_str(out, c->type);
	for (size_t i = 0; i < c->attrs.len; i++)
		strbuf_printf(out, " %.*s=%.*s", STR(c->attrs.ptr[i].key),
		              STR(c->attrs.ptr[i].value));
	if (c->scope.len)
		strbuf_printf(out, " scope:%.*s", STR(c->scope));
	for (size_t i = 0; i < c->fallbacks.len; i++)
		strbuf_printf(out, " fallback:%.*s", STR(c->fallbacks.ptr[i]));
	if (c->read_only)
		strbuf_cstr(out, " read-only");
}

static void check(const struct cache_case *c, bool good)
{
	cleanup_workspace_config struct workspace_config *config = NULL;
	cleanup_free char *text = xasprintf("cache: %s\n", c->text);
	cleanup_strbuf struct strbuf got;
	struct cairn_err err = { 0 };
	int r = workspace_config_parse(str_of(text), "cairn.yaml", "/repo", &config, &err);

	strbuf_init(&got, 4096);
	if (good != (r == 0))
		fail_msg("'%s': %s", c->text, r < 0 ? err.msg : "no error");
	for (size_t i = 0; r == 0 && i < config->caches.len; i++) {
		strbuf_cstr(&got, i ? "; " : "");
		describe(&config->caches.ptr[i], &got);
	}
	if (good ? strcmp(got.ptr, c->want) != 0 : !strstr(err.msg, c->want) || err.line != 1)
		fail_msg("'%s' gave '%s' (%u:%u)", c->text, good ? got.ptr : err.msg, err.line,
		         err.col);
}

void test_config_cache__spellings(void **state)
{
	static const struct cache_case good[] = {
		{ "registry://reg.example/team/cache", "registry ref=reg.example/team/cache" },
		{ "registry://localhost:5000/c?mode=min&ignore_error=true",
		  "registry ignore-error=true mode=min ref=localhost:5000/c" },
		{ "registry://docker.io/me/cache", "registry ref=docker.io/me/cache" },
		{ "{url: \"registry://r.example/c\", compression: zstd, compression_level: 9}",
		  "registry compression=zstd compression-level=9 ref=r.example/c" },
		{ "s3://bucket", "s3 bucket=bucket" },
		{ "s3://my-bucket/a/b/?region=eu-central-1&endpoint_url=http%3A%2F%2F127.0.0.1%3A1",
		  "s3 bucket=my-bucket endpoint_url=http://127.0.0.1:1 prefix=a/b/ region=eu-central-1" },
		{ "{url: s3://bucket/p, scope: pr-7, fallback: [main, old], read_only: true}",
		  "s3 bucket=bucket prefix=p/ scope:pr-7 fallback:main fallback:old read-only" },
		{ "\"s3://bucket?scope=x&fallback=main&read_only=true&use_path_style=true\"",
		  "s3 bucket=bucket use_path_style=true scope:x fallback:main read-only" },
		{ "local:///var/cache", "local dest=/var/cache" },
		{ "local:cache", "local dest=/repo/cache" },
		{ "dir:../shared?mode=max", "local dest=/repo/../shared mode=max" },
		{ "[local:a, {url: \"local:b\"}]", "local dest=/repo/a; local dest=/repo/b" },
		{ "[]", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		check(&good[i], true);
}

void test_config_cache__mistakes(void **state)
{
	static const struct cache_case bad[] = {
		{ "gha://x", "expected registry://" },
		{ "\"\"", "empty text" },
		{ "{mode: max}", "the key 'url' is missing" },
		{ "{url: }", "the key 'url' is missing" },
		{ "[[a]]", "expected a mapping of keys, not a list" },
		{ "registry://team/cache", "does not begin with the host" },
		{ "registry://reg.example", "host" },
		{ "registry://reg.example/Team", "lower-case" },
		{ "registry://reg.example/c:tag", "without tag" },
		{ "s3://B/x", "is no name of a bucket" },
		{ "s3://ab", "is no name of a bucket" },
		{ "\"local:\"", "the folder is missing" },
		{ "local://relative", "write local:PATH" },
		{ "local:x?mode", "should be key=value" },
		{ "local:x?mode=", "has no value" },
		{ "local:x?mode=most", "mode: expected min or max, not 'most'" },
		{ "local:x?mdoe=max", "did you mean 'mode'?" },
		{ "local:x?url=y", "unknown key 'url'" },
		{ "local:x?scope=%zz", "hexadecimal" },
		{ "local:x?scope=%00", "hexadecimal" },
		{ "local:x?region=eu", "region is no option of a local cache" },
		{ "{url: \"registry://a.b/c\", endpoint_url: \"http://x\"}",
		  "no option of a registry" },
		{ "{url: \"local:x\", compression_level: 23}", "expected a number from 0 to 22" },
		{ "{url: \"local:x\", compression: lz4}", "expected uncompressed, gzip or zstd" },
		{ "{url: \"local:x\", ignore_error: maybe}", "expected false or true" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check(&bad[i], false);
}

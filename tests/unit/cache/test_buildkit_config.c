#include "harness.h"

#include <fcntl.h>

#include "cache/buildkit_config.h"
#include "util/fs.h"

#define D "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
#define E "sha256:8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1"

/* What BuildKit wrote is read; what is written of it is the same to the byte when it is read and
 * written again. (BuildKit's own order of equal blobs is left to chance.) */
void test_buildkit_config__real_ones_survive(void **state)
{
	static const char *const names[] = { "steps-max", "steps-old", "steps-oci", "steps-min",
		                             "more-max" };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct strbuf bytes cleanup_strbuf, one cleanup_strbuf, two cleanup_strbuf;
		char *path = arena_printf(a, TEST_ASSETS "/buildkit/%s.config.json", names[i]);
		struct buildkit_config c, again;

		strbuf_init(&bytes, 1u << 24);
		strbuf_init(&one, 1u << 24);
		strbuf_init(&two, 1u << 24);
		assert_ok(fs_read_file(AT_FDCWD, path, &bytes, &err));
		assert_ok(buildkit_config_parse(a, strbuf_view(&bytes), &c, &err));
		buildkit_config_encode(&c, &one);
		assert_ok(buildkit_config_parse(a, strbuf_view(&one), &again, &err));
		buildkit_config_encode(&again, &two);
		assert_string_equal(one.ptr, two.ptr);
		assert_int_equal(c.n_layers, again.n_layers);
		assert_int_equal(c.n_records, again.n_records);
		assert_true(c.n_layers > 20 && c.n_records > 40);
		/* From the records on it is BuildKit's text but for the numbers of layers. */
		assert_true(one.len > bytes.len - 100 && one.len < bytes.len + 100);
	}
}

void test_buildkit_config__what_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "not JSON" },
		{ "[", "not JSON" },
		{ "{\"layers\":1}", "not an array" },
		{ "{\"layers\":[{\"blob\":\"x\"}]}", "digest" },
		{ "{\"layers\":[{\"blob\":\"" D "\",\"parent\":1}]}", "no parent 1" },
		{ "{\"layers\":[{\"blob\":\"" D "\",\"parent\":-2}]}", "no parent -2" },
		/* An absent parent is 0: the layer itself. */
		{ "{\"layers\":[{\"blob\":\"" D "\"}],\"records\":[{\"layers\":[{\"layer\":0}]}]}",
		  "more than 500 layers" },
		{ "{\"records\":[{\"inputs\":[[]]}]}", "empty input" },
		{ "{\"records\":[{\"inputs\":[[{\"link\":0}]]}]}", "circle" },
		{ "{\"records\":[{\"inputs\":[[{\"link\":1}]]},{\"inputs\":[[{\"link\":0}]]}]}",
		  "circle" },
		{ "{\"records\":[{\"inputs\":[[{\"link\":1}]]}]}", "no record 1" },
		{ "{\"records\":[{\"inputs\":[[{\"link\":-1}]]}]}", "no record -1" },
		{ "{\"records\":[{\"inputs\":[[{}]]}]}", "no record -1" },
		{ "{\"records\":[{\"inputs\":[1]}]}", "empty input" },
		{ "{\"records\":[{\"layers\":[{\"layer\":0}]}]}", "no layer 0" },
		{ "{\"records\":[{\"chains\":[{\"layers\":[0]}]}]}", "not there" },
		{ "{\"records\":[{\"digest\":\"random:x\"}]}", "digest" },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct buildkit_config c;

		assert_fails(buildkit_config_parse(a, str_of(cases[i].text), &c, &err),
		             CAIRN_E_SYNTAX);
		if (!strstr(err.msg, cases[i].why))
			fail_msg("%s: '%s' lacks '%s'", cases[i].text, err.msg, cases[i].why);
	}
}

/* The same records in another order give the same bytes. */
void test_buildkit_config__order(void **state)
{
	static const char *const forms[] = {
		"{\"layers\":[{\"blob\":\"" D "\",\"parent\":-1},{\"blob\":\"" E
		"\"}],\"records\":["
		"{\"digest\":\"" D "\"},{\"layers\":[{\"layer\":1,\"createdAt\":"
		"\"2026-01-02T03:04:05Z\"}],\"digest\":\"" E "\",\"inputs\":[[{\"link\":0}]]}]}",
		"{\"layers\":[{\"blob\":\"" E "\",\"parent\":1},{\"blob\":\"" D
		"\",\"parent\":-1}],"
		"\"records\":[{\"layers\":[{\"layer\":0,\"createdAt\":\"2026-01-02T03:04:05Z\"}],"
		"\"digest\":\"" E "\",\"inputs\":[[{\"link\":1}]]},{\"digest\":\"" D "\"}]}",
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct strbuf out cleanup_strbuf;
		struct buildkit_config c;

		strbuf_init(&out, 10000);
		assert_ok(buildkit_config_parse(a, str_of(forms[i]), &c, &err));
		buildkit_config_encode(&c, &out);
		assert_string_equal(out.ptr, forms[0]);
	}
}

void test_buildkit_config__inline(void **state)
{
	/* [{"digest":D},{"digest":E,"layers":[{"layer":1}],"chains":[{"layers":[1,0]}],
	 *   "inputs":[[{"link":0}]]}] */
	static const char base64[] =
		"W3siZGlnZXN0Ijoic2hhMjU2OjVmNzBiZjE4YTA4NjAwNzAxNmU5NDhiMDRhZWQzYjgyMTAzYTM2YmVh"
		"NDE3NTViNmNkZGZhZjEwYWNlM2M2ZWYifSx7ImRpZ2VzdCI6InNoYTI1Njo4YTVlZGFiMjgyNjMyNDQz"
		"MjE5ZTA1MWU0YWRlMmQxZDViYmM2NzFjNzgxMDUxYmYxNDM3ODk3Y2JkZmVhMGYxIiwibGF5ZXJzIjpb"
		"eyJsYXllciI6MX1dLCJjaGFpbnMiOlt7ImxheWVycyI6WzEsMF19XSwiaW5wdXRzIjpbW3sibGluayI6"
		"MH1dXX1d";
	cleanup_arena struct arena *a = arena_new();
	struct buildkit_config c;
	struct cairn_err err;

	(void)state;
	assert_ok(buildkit_inline_parse(a, str_of(base64), 2, &c, &err));
	assert_int_equal(c.n_layers, 2);
	assert_int_equal(c.n_records, 2);
	assert_int_equal(c.records[1].n_results, 2);
	assert_int_equal(c.records[1].results[0].n_layers, 2);
	assert_fails(buildkit_inline_parse(a, str_of(base64), 1, &c, &err), CAIRN_E_SYNTAX);
	assert_fails(buildkit_inline_parse(a, S("a!b"), 1, &c, &err), CAIRN_E_SYNTAX);
}

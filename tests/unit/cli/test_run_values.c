#include "harness.h"

#include "cli/run_opts.h"
#include "image/image.h"

static char *word(struct arena *a, const char *s)
{
	return arena_cstr(a, str_of(s));
}

void test_run__command_line(void **state)
{
	static str entry[] = { { "/e", 2 }, { "x", 1 } }, cmd[] = { { "c", 1 } };
	static const struct {
		bool has_entry, has_cmd;
		const char *entrypoint, *words[3], *want; /* want NULL: fails */
	} cases[] = {
		{ true, true, NULL, { NULL }, "/e x c " },
		{ true, true, NULL, { "w", "v" }, "/e x w v " },
		{ true, true, "/o", { NULL }, "/o " },
		{ true, true, "/o", { "w" }, "/o w " },
		{ true, true, "", { "w" }, "w " },
		{ true, true, "", { NULL }, NULL },
		{ false, true, NULL, { NULL }, "c " },
		{ false, true, NULL, { "w" }, "w " },
		{ false, false, NULL, { NULL }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf got;
		struct image_config c = { .arena = a };
		char *words[3] = { NULL };
		struct run_words w = { cases[i].entrypoint, words, 0 };
		const char *const *argv = NULL;
		struct cairn_err err;
		size_t n = 0;

		strbuf_init(&got, 1000);
		c.entrypoint = (struct image_strs){ entry, cases[i].has_entry ? 2 : 0 };
		c.cmd = (struct image_strs){ cmd, cases[i].has_cmd ? 1 : 0 };
		for (; w.n < 3 && cases[i].words[w.n]; w.n++)
			words[w.n] = word(a, cases[i].words[w.n]);
		if (!cases[i].want) {
			assert_fails(run_command_line(&c, &w, a, &argv, &n, &err), CAIRN_E_USAGE);
			continue;
		}
		assert_ok(run_command_line(&c, &w, a, &argv, &n, &err));
		for (size_t k = 0; k < n; k++)
			strbuf_printf(&got, "%s ", argv[k]);
		assert_str(strbuf_view(&got), cases[i].want);
	}
}

void test_run__volumes(void **state)
{
	static const struct {
		const char *text, *host, *inside; /* host NULL: refused */
		bool read_only;
	} cases[] = {
		{ "/a:/b", "/a", "/b", false },    { "/a:/b:ro", "/a", "/b", true },
		{ "/a:/b:rw", "/a", "/b", false }, { "/a", NULL, NULL, false },
		{ "name:/b", NULL, NULL, false },  { "/a:b", NULL, NULL, false },
		{ "/a:/b:rx", NULL, NULL, false }, { ":/b", NULL, NULL, false },
		{ "/a:", NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct run_volume v = { 0 };
		struct cairn_err err;

		if (!cases[i].host) {
			assert_fails(run_volume_parse(cases[i].text, a, &v, &err), CAIRN_E_USAGE);
			continue;
		}
		assert_ok(run_volume_parse(cases[i].text, a, &v, &err));
		assert_string_equal(v.host, cases[i].host);
		assert_string_equal(v.inside, cases[i].inside);
		assert_int_equal(v.read_only, cases[i].read_only);
	}
}

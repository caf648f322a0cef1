#include "harness.h"

#include "cli/opt.h"
#include "util/mem.h"
#include "util/strbuf.h"

enum mode {
	MODE_AUTO,
	MODE_PLAIN
};

struct opts {
	bool force, all;
	const char *file;
	struct cli_list labels;
	uint64_t size, wait, jobs;
	enum mode mode;
};

static const char *const modes[] = { "auto", "plain", NULL };

static const struct cli_opt table[] = {
	{ "force", 'f', OPT_FLAG(struct opts, force) },
	{ "all", 'a', OPT_FLAG(struct opts, all) },
	{ "file", 'o', OPT_STRING(struct opts, file), .arg = "FILE" },
	{ "label", 'l', OPT_LIST(struct opts, labels), .arg = "KEY=VALUE" },
	{ "size", 0, OPT_BYTES(struct opts, size) },
	{ "wait", 0, OPT_DURATION(struct opts, wait) },
	{ "jobs", 'j', OPT_UINT(struct opts, jobs) },
	{ "mode", 0, OPT_ENUM(struct opts, mode, modes) },
	{ "attest", 0, OPT_UNSUPPORTED(true, "leave it out") },
	{ 0 },
};

#define ARGS_MAX 8

/* One line that shows everything that was parsed. */
static int parse(const char *const *args, bool stop, struct strbuf *out, struct cairn_err *err)
{
	struct opt_spec spec = { "test", table, stop };
	struct opts o = { .mode = MODE_AUTO };
	struct opt_result res;
	char *argv[ARGS_MAX + 1] = { NULL };
	int argc = 0, r;

	for (; argc < ARGS_MAX && args[argc]; argc++)
		argv[argc] = xstrdup(args[argc]);
	r = opt_parse(&spec, argc, argv, &o, &res, err);
	strbuf_printf(out, "%s%s%s", o.force ? "force " : "", o.all ? "all " : "",
	              o.mode == MODE_PLAIN ? "plain " : "");
	if (o.file)
		strbuf_printf(out, "file=%s ", o.file);
	for (size_t i = 0; i < o.labels.len; i++)
		strbuf_printf(out, "label=%s ", o.labels.ptr[i]);
	strbuf_printf(out, "%llu %llu %llu", (unsigned long long)o.size, (unsigned long long)o.wait,
	              (unsigned long long)o.jobs);
	for (int i = 0; i < res.argc; i++)
		strbuf_printf(out, " [%s]", res.argv[i]);
	strbuf_cstr(out, res.help ? " help" : "");
	opt_done(table, &o);
	opt_result_done(&res);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

void test_opt__spellings(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		bool stop;
		const char *want;
	} cases[] = {
		{ { NULL }, false, "0 0 0" },
		{ { "a", "b" }, false, "0 0 0 [a] [b]" },
		{ { "--force", "a", "--all" }, false, "force all 0 0 0 [a]" },
		{ { "--force=false" }, false, "0 0 0" },
		{ { "--force", "--force=0" }, false, "0 0 0" },
		{ { "-fa" }, false, "force all 0 0 0" },
		{ { "-fao", "x" }, false, "force all file=x 0 0 0" },
		{ { "-ox" }, false, "file=x 0 0 0" },
		{ { "-o=x" }, false, "file=x 0 0 0" },
		{ { "-o", "-" }, false, "file=- 0 0 0" },
		{ { "--file", "--force" }, false, "file=--force 0 0 0" },
		{ { "--file=a", "--file=b" }, false, "file=b 0 0 0" },
		{ { "--file=" }, false, "file= 0 0 0" },
		{ { "-l", "a=1", "--label=b=2" }, false, "label=a=1 label=b=2 0 0 0" },
		{ { "--size=2k", "--wait", "1s", "-j4" }, false, "2048 1000000000 4" },
		{ { "--mode=plain" }, false, "plain 0 0 0" },
		{ { "--", "--force", "-x" }, false, "0 0 0 [--force] [-x]" },
		{ { "-f", "img", "-x", "--", "y" }, true, "force 0 0 0 [img] [-x] [--] [y]" },
		{ { "-f", "--", "-x", "--", "y" }, true, "force 0 0 0 [-x] [--] [y]" },
		{ { "-", "-f" }, false, "force 0 0 0 [-]" },
		{ { "--help", "--nonsense" }, false, "0 0 0 help" },
		{ { "-fh", "--nonsense" }, false, "force 0 0 0 help" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_strbuf struct strbuf out;
		struct cairn_err err;

		strbuf_init(&out, 1000);
		assert_ok(parse(cases[i].args, cases[i].stop, &out, &err));
		assert_str(strbuf_view(&out), cases[i].want);
	}
}

void test_opt__errors(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		enum cairn_code code;
		const char *msg;
	} cases[] = {
		{ { "--forse" }, CAIRN_E_USAGE, "unknown option --forse; did you mean --force?" },
		{ { "--zzzzzz=1" }, CAIRN_E_USAGE, "unknown option --zzzzzz" },
		{ { "-fz" }, CAIRN_E_USAGE, "unknown option -z" },
		{ { "--file" }, CAIRN_E_USAGE, "--file needs a value (FILE)" },
		{ { "--size" }, CAIRN_E_USAGE, "--size needs a value (VALUE)" },
		{ { "--jobs=x" }, CAIRN_E_USAGE, "--jobs: 'x' is not a number" },
		{ { "--jobs=" }, CAIRN_E_USAGE, "--jobs: '' is not a number" },
		{ { "--force=maybe" }, CAIRN_E_USAGE, "--force takes true or false, not 'maybe'" },
		{ { "--mode=x" }, CAIRN_E_USAGE, "--mode is one of auto, plain, not 'x'" },
		{ { "--attest=x" },
		  CAIRN_E_UNSUPPORTED,
		  "--attest is not built yet: leave it out" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_strbuf struct strbuf out;
		struct cairn_err err;

		strbuf_init(&out, 1000);
		assert_fails(parse(cases[i].args, false, &out, &err), cases[i].code);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

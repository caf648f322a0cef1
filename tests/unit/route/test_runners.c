/* The catalogue, and what cairn.yaml makes of it. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

void test_runners__catalogue(void **state)
{
	cleanup_runners struct runners *r = NULL;
	struct cairn_err err;

	(void)state;
	assert_ok(runners_load(NULL, &r, &err));
	assert_true(r->len >= 20);
	for (size_t i = 0; i < r->len; i++) {
		const struct workspace_runner *c = &r->ptr[i].c;

		assert_true(c->source.len > 0 && c->concurrency > 0);
		assert_true(c->driver == RUNNER_LOCAL || (c->date.len && c->vcpu && c->memory));
		assert_int_equal(r->ptr[i].declared, c->driver == RUNNER_LOCAL);
	}
	assert_int_equal(runners_get(r, S("codebuild-large"))->c.price, 20000);
	assert_int_equal(runners_get(r, S("codebuild-arm-small"))->c.price, 3400);
	assert_false(runners_get(r, S("codebuild-gpu-small"))->c.has_price);
	assert_null(runners_get(r, S("nobody")));
}

void test_runners__overridden(void **state)
{
	static const char text[] =
		"runners:\n  codebuild-large:\n    price: \"0.015\"\n    concurrency: 3\n"
		"  mine: {driver: github, labels: [self-hosted, x], price: \"0\"}\n";
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_runners struct runners *r = NULL;
	const struct runner *large, *mine;
	struct cairn_err err;

	(void)state;
	assert_ok(workspace_config_parse(str_of(text), "cairn.yaml", "/w", &c, &err));
	assert_ok(runners_load(c, &r, &err));
	large = runners_get(r, S("codebuild-large"));
	mine = runners_get(r, S("mine"));
	assert_true(large->declared && mine->declared && mine->c.has_price);
	assert_int_equal(large->c.price, 15000);
	assert_int_equal(large->c.concurrency, 3);
	assert_int_equal(large->c.vcpu, 8);
	assert_str(large->c.source, "cairn.yaml");
	assert_int_equal(mine->c.labels.len, 2);
}

void test_runners__mistakes(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "runners:\n  a: {price: \"1.2345678\"}\n", "is no price" },
		{ "runners:\n  a: {price: cheap}\n", "is no price" },
		{ "runners:\n  a: {driver: codebuilt}\n", "codebuild" },
		{ "runners:\n  \"a b\": {driver: local}\n", "is no name of a runner" },
		{ "runners:\n  a: {vcpu: 0}\n", "vcpu" },
		{ "runners:\n  a: {colour: red}\n", "colour" },
		{ "runners:\n  a: {vcpu: 3}\n", "has no driver" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_workspace_config struct workspace_config *c = NULL;
		cleanup_runners struct runners *r = NULL;
		struct cairn_err err = { 0 };
		str text = str_of(cases[i].text);

		if (workspace_config_parse(text, "cairn.yaml", "/w", &c, &err) == 0)
			assert_fails(runners_load(c, &r, &err), CAIRN_E_SYNTAX);
		assert_int_equal(err.line, 2);
		if (!strstr(err.msg, cases[i].want))
			fail_msg("case %zu: %s", i, err.msg);
	}
}

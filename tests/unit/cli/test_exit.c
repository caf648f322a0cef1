#include "harness.h"

#include "cli/exit.h"

/* The numbers are a contract: this test is the place where a change hurts. */
void test_exit__numbers(void **state)
{
	static const struct {
		enum cairn_code code;
		int want;
	} cases[] = {
		{ CAIRN_OK, 0 },         { CAIRN_E_SYSTEM, 1 },    { CAIRN_E_USAGE, 2 },
		{ CAIRN_E_SYNTAX, 3 },   { CAIRN_E_NOT_FOUND, 4 }, { CAIRN_E_UNSUPPORTED, 5 },
		{ CAIRN_E_STEP, 6 },     { CAIRN_E_AUTH, 7 },      { CAIRN_E_DIGEST, 8 },
		{ CAIRN_E_DENIED, 9 },   { CAIRN_E_EXISTS, 10 },   { CAIRN_E_TRANSIENT, 11 },
		{ CAIRN_E_TIMEOUT, 11 }, { CAIRN_E_BUG, 70 },      { CAIRN_E_CANCELLED, 75 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(exit_of(cases[i].code), cases[i].want);
}

void test_exit__table_is_sorted_and_complete(void **state)
{
	size_t n;
	const struct exit_row *rows = exit_table(&n);

	(void)state;
	for (size_t i = 1; i < n; i++)
		assert_true(rows[i - 1].code < rows[i].code);
	for (int code = CAIRN_E_STEP; code <= CAIRN_OK; code++) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found = found || rows[i].code == exit_of((enum cairn_code)code);
		assert_true(found);
	}
}

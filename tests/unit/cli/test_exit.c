#include <errno.h>

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
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cairn_err err = { .code = cases[i].code };

		assert_int_equal(exit_of(&err), cases[i].want);
	}
}

/* A full disk has a code of its own, wherever it was noticed; not what fails with the same number
 * and means something else. */
void test_exit__full_disk(void **state)
{
	static const struct {
		enum cairn_code code;
		int sys, want;
	} cases[] = {
		{ CAIRN_E_SYSTEM, ENOSPC, 12 }, { CAIRN_E_SYSTEM, EDQUOT, 12 },
		{ CAIRN_E_SYSTEM, EIO, 1 },     { CAIRN_E_SYSTEM, 0, 1 },
		{ CAIRN_E_DENIED, ENOSPC, 9 },  { CAIRN_E_STEP, ENOSPC, 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cairn_err err = { .code = cases[i].code, .sys = cases[i].sys };

		assert_int_equal(exit_of(&err), cases[i].want);
		assert_int_equal(exit_disk_full(&err), cases[i].want == 12);
	}
}

void test_exit__table_is_sorted_and_complete(void **state)
{
	size_t n;
	const struct exit_row *rows = exit_table(&n);

	(void)state;
	for (size_t i = 1; i < n; i++)
		assert_true(rows[i - 1].code < rows[i].code);
	for (int code = CAIRN_E_STEP; code <= CAIRN_OK; code++) {
		struct cairn_err err = { .code = (enum cairn_code)code };
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found = found || rows[i].code == exit_of(&err);
		assert_true(found);
	}
}

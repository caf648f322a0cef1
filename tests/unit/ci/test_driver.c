#include "harness.h"

#include "ci/ci.h"

void test_driver_marks__table(void **state)
{
	static const struct {
		const char *line;
		enum history_outcome outcome;
	} cases[] = {
		{ "all is well\n", HISTORY_FAILED },
		/* what a command of the build prints is not believed */
		{ "#4 0.1 killed: out of memory\n", HISTORY_FAILED },
		{ "#4 0.1 No space left on device\n", HISTORY_FAILED },
		{ "Dockerfile:2\ncairn: error: Dockerfile:2: RUN x: killed: out of memory, exit "
		  "code 137\n",
		  HISTORY_MEMORY },
		{ "cairn: error: write '/x': No space left on device\n", HISTORY_DISK },
		{ "cairn: error: this machine will be stopped (spot interruption)\n",
		  HISTORY_INTERRUPTED },
		{ "##[error]Process completed with exit code 137.\n", HISTORY_MEMORY },
		{ "##[error]Process completed with exit code 75.\n", HISTORY_INTERRUPTED },
		{ "##[error]Process completed with exit code 6.\n", HISTORY_FAILED },
		{ "cairn: error: No space left on device, and no newline", HISTORY_DISK },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum history_outcome marked = HISTORY_FAILED;

		driver_marks(str_of(cases[i].line), &marked);
		assert_int_equal(marked, cases[i].outcome);
	}
}

void test_driver_of__every_kind_has_one(void **state)
{
	(void)state;
	for (unsigned k = RUNNER_UNKNOWN + 1; k < RUNNER_DRIVERS_; k++)
		assert_non_null(driver_of((enum runner_driver)k));
	assert_null(driver_of(RUNNER_UNKNOWN));
}

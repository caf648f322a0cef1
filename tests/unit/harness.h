/* tests/unit/harness.h - what every unit test has.
 *
 * Tests are functions `void test_WHAT__CASE(void **state)`, not static, found by
 * name when the program is built (scripts/collect-tests).  Each runs in a
 * temporary directory of its own: harness_dir() and harness_dirfd().  A test
 * that leaves a descriptor open or a child behind fails.
 */
#ifndef CAIRN_TESTS_HARNESS_H
#define CAIRN_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/err.h"
#include "util/str.h"

int harness_setup(void **state);
int harness_teardown(void **state);
const char *harness_dir(void); /* absolute path; removed after the test */
int harness_dirfd(void);

/* Write bytes to a file below harness_dir(), creating parents. */
void harness_write(const char *path, str bytes);

/* Processor time that this program has used, ns: how fast code is, whoever else is busy. */
int64_t harness_cpu_ns(void);

/* The call succeeds / fails with that code; the message is printed when not. */
#define assert_ok(expr)                                     \
	do {                                                \
		struct cairn_err *e_ = &err;                \
		int r_ = (expr);                            \
		if (r_ < 0)                                 \
			fail_msg("%s: %s", #expr, e_->msg); \
	} while (0)
#define assert_fails(expr, want)                                               \
	do {                                                                   \
		int r_ = (expr);                                               \
		if (r_ != (want))                                              \
			fail_msg("%s gave %d, not %d (%s)", #expr, r_, (want), \
			         r_ < 0 ? err.msg : "no error");               \
	} while (0)
#define assert_str(view, want)                                                      \
	do {                                                                        \
		str v_ = (view);                                                    \
		if (!str_eq(v_, str_of(want)))                                      \
			fail_msg("%s is '%.*s', not '%s'", #view, STR(v_), (want)); \
	} while (0)

extern const struct CMUnitTest harness_tests[];
extern const size_t harness_n_tests;

#endif

#include "harness.h"

#include "engine/engine.h"
#include "engine/sandbox_seccomp.h"

/* What was compiled into cairn is what would be compiled now. */
void test_sandbox_filter__built_in_program(void **state)
{
	struct strbuf built_in, now;
	struct cairn_err err;

	(void)state;
	strbuf_init(&built_in, SECCOMP_PROGRAM_MAX);
	strbuf_init(&now, SECCOMP_PROGRAM_MAX);
	assert_ok(seccomp_program(SANDBOX_CAPS_DEFAULT, &built_in, &err));
	assert_ok(seccomp_compile(SANDBOX_CAPS_DEFAULT, &now, &err));
	assert_true(built_in.len > 0 && built_in.len == now.len);
	assert_memory_equal(built_in.ptr, now.ptr, now.len);
	strbuf_clear(&now);
	assert_ok(seccomp_program(SANDBOX_CAPS_DEFAULT | 1u << 21, &now,
	                          &err)); /* with CAP_SYS_ADMIN */
	assert_false(now.len == built_in.len && memcmp(now.ptr, built_in.ptr, now.len) == 0);
	strbuf_done(&built_in);
	strbuf_done(&now);
}

#include "harness.h"

#include "cli/progress_state.h"

void test_tail__keeps_the_last_bytes(void **state)
{
	struct tail t = { 0 };
	cleanup_strbuf struct strbuf want, got;
	size_t n = 0;

	(void)state;
	strbuf_init(&want, 1 << 20);
	for (size_t size = 1; want.len < 3 * PROGRESS_TAIL_MAX; size = size * 3 % 5003 + 1) {
		size_t from = want.len;

		for (size_t i = 0; i < size; i++)
			strbuf_char(&want, (char)('a' + n++ % 23));
		tail_add(&t, str_n(want.ptr + from, size));
		assert_true(t.len <= PROGRESS_TAIL_MAX);
		assert_int_equal(t.cut, want.len > PROGRESS_TAIL_MAX);
		strbuf_init(&got, PROGRESS_TAIL_MAX);
		tail_copy(&t, SIZE_MAX, &got);
		assert_memory_equal(got.ptr, want.ptr + want.len - got.len, got.len);
		assert_int_equal(got.len,
		                 want.len < PROGRESS_TAIL_MAX ? want.len : PROGRESS_TAIL_MAX);
		strbuf_done(&got);
	}
	strbuf_init(&got, 16);
	tail_copy(&t, 10, &got);
	assert_memory_equal(got.ptr, want.ptr + want.len - 10, 10);
	tail_done(&t);
}

void test_tail__one_huge_piece(void **state)
{
	struct tail t = { 0 };
	char *big = xcalloc(1, 3 * PROGRESS_TAIL_MAX);

	(void)state;
	tail_add(&t, str_n("x", 1));
	tail_add(&t, str_n(big, 3 * PROGRESS_TAIL_MAX));
	assert_int_equal(t.len, PROGRESS_TAIL_MAX);
	assert_true(t.cut);
	tail_done(&t);
	free(big);
}

static void count_line(void *ctx, struct progress_step *step, str line)
{
	(void)step;
	strbuf_printf(ctx, "[%zu:%.*s]", line.len, line.len > 8 ? 1 : (int)line.len, line.ptr);
}

void test_output__lines_are_put_together_and_bounded(void **state)
{
	struct progress_step step = { 0 };
	cleanup_strbuf struct strbuf got;
	char *big = xcalloc(1, PROGRESS_LINE_MAX + 5);

	(void)state;
	strbuf_init(&got, 1000);
	strbuf_init(&step.part, PROGRESS_LINE_MAX);
	state_output(&step, S("ab"), false, count_line, &got);
	state_output(&step, S("c\n\nd"), false, count_line, &got);
	assert_str(strbuf_view(&got), "[3:abc][0:]");
	state_output(&step, S(""), true, count_line, &got);
	assert_str(strbuf_view(&got), "[3:abc][0:][1:d]");
	strbuf_clear(&got);
	memset(big, 'x', PROGRESS_LINE_MAX + 5);
	big[PROGRESS_LINE_MAX + 4] = '\n';
	state_output(&step, str_n(big, PROGRESS_LINE_MAX + 5), false, count_line, &got);
	assert_str(strbuf_view(&got), "[16384:x][4:xxxx]");
	free(big);
	tail_done(&step.tail);
	strbuf_done(&step.part);
}

void test_state__counts(void **state)
{
	struct progress_state s = { 0 };
	struct build_event ev = { .kind = EVENT_PLAN, .step = 3, .name = S("three") };

	(void)state;
	assert_non_null(state_apply(&s, &ev));
	assert_int_equal(s.steps.len, 3);
	assert_int_equal(s.count[STEP_WAITING], 3);
	ev = (struct build_event){ .kind = EVENT_START, .step = 3, .time_ns = 5 };
	assert_string_equal(state_apply(&s, &ev)->name, "three");
	assert_int_equal(s.count[STEP_RUNNING], 1);
	ev = (struct build_event){ .kind = EVENT_FAILED, .step = 3, .exit_code = 2 };
	assert_int_equal(state_apply(&s, &ev)->exit_code, 2);
	assert_int_equal(s.failed, 3);
	assert_int_equal(s.count[STEP_RUNNING], 0);
	ev = (struct build_event){ .kind = EVENT_WARNING, .step = 0 };
	assert_null(state_apply(&s, &ev));
	ev = (struct build_event){ .kind = EVENT_START, .step = 4000000000u };
	assert_null(state_apply(&s, &ev));
	state_done(&s);
}

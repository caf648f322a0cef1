/* A document of a slot: the newest in front, bounded, readable by history_merge(). */
#include "harness.h"

#include "history/history.h"

static struct history_build record(struct history_step *s, size_t text)
{
	static char long_text[4096];
	struct history_build b = { .image = S("app"), .steps = s, .n_steps = 1 };
	struct cairn_err err;

	memset(long_text, 'x', sizeof(long_text));
	*s = (struct history_step){ .name = str_n(long_text, text), .kind = S("run") };
	assert_ok(history_id(&b, &err));
	return b;
}

void test_history_ring__put(void **state)
{
	cleanup_strbuf struct strbuf doc;
	cleanup_history struct history *h = NULL;
	struct history_build first = { 0 }, b = { 0 };
	struct history_step s;
	struct cairn_err err;
	size_t added;

	(void)state;
	strbuf_init(&doc, HISTORY_SLOT_MAX);
	for (size_t i = 0; i < 100; i++) {
		cleanup_strbuf struct strbuf next;

		strbuf_init(&next, HISTORY_SLOT_MAX);
		b = record(&s, 4000);
		if (i == 0)
			first = b;
		assert_false(history_ring_has(strbuf_view(&doc), &b));
		assert_true(history_ring_put(strbuf_view(&doc), &b, &next));
		assert_true(history_ring_has(strbuf_view(&next), &b));
		assert_false(next.overflow);
		assert_true(i > 10 || history_ring_has(strbuf_view(&next), &first));
		strbuf_clear(&doc);
		strbuf_str(&doc, strbuf_view(&next));
	}
	assert_false(history_ring_has(strbuf_view(&doc), &first));
	assert_ok(history_open(harness_dir(), false, &h, &err));
	assert_ok(history_merge(h, strbuf_view(&doc), &added, &err));
	assert_true(added > 20 && added < 40);
}

void test_history_ring__too_large(void **state)
{
	cleanup_strbuf struct strbuf out;
	struct history_step s, many[20];
	struct history_build b = record(&s, 4000);

	(void)state;
	strbuf_init(&out, HISTORY_SLOT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = s;
	b.steps = many;
	b.n_steps = ARRAY_SIZE(many);
	assert_false(history_ring_put(S("{}\n"), &b, &out));
	assert_int_equal(out.len, 0);
}

void test_history_ring__slots(void **state)
{
	struct history_build b = { .id = { 3, 11, 255 } };

	(void)state;
	assert_int_equal(history_ring_slot(&b, 0), 3);
	assert_int_equal(history_ring_slot(&b, 1), 3);
	assert_int_equal(history_ring_slot(&b, 2), 7);
	assert_int_equal(history_ring_slot(&b, HISTORY_ID), 3);
}

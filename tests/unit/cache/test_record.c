#include "harness.h"

#include "cache/cache.h"

static struct digest some(char c)
{
	return digest_of(&c, 1);
}

static struct record sample(struct arena *a)
{
	static struct record_input inputs[1];
	struct chain base = { 0 };
	struct chain_layer one = { some('1'), some('2'), { { 0 } }, 5, 10 };
	struct chain_layer two = { some('3'), some('4'), some('5'), 6000000001, 20 };
	struct record r = {
		.created = 7, .text = S("RUN \"x\" \xff"), .parent_tree = some('6'), .own = true
	};

	r.chain = *chain_push(a, chain_push(a, &base, &one), &two);
	r.cost = (struct record_cost){ 1, 2, 3, 4 };
	inputs[0] = (struct record_input){ some('7'), some('8') };
	r.inputs = inputs;
	r.n_inputs = 1;
	return r;
}

void test_record__round_trip(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf b;
	struct record r = sample(a), back = { 0 };
	struct cairn_err err;

	(void)state;
	strbuf_init(&b, RECORD_MAX);
	record_encode(&r, &b);
	assert_ok(record_decode(strbuf_view(&b), a, &back, &err));
	assert_int_equal(back.created, 7);
	assert_int_equal(back.chain.n, 2);
	assert_memory_equal(back.chain.layers, r.chain.layers, 2 * sizeof(*r.chain.layers));
	assert_true(digest_eq(&back.chain.tree, &r.chain.tree));
	assert_int_equal(back.cost.written_bytes, 4);
	assert_int_equal(back.n_inputs, 1);
	assert_true(back.own);
	assert_str(back.text, "RUN \"x\" \xef\xbf\xbd");
}

/* Every cut and every changed byte either fails or still is a record: never a crash. */
void test_record__damage_is_an_error(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf b;
	struct record r = sample(a), back;
	struct cairn_err err;

	(void)state;
	strbuf_init(&b, RECORD_MAX);
	record_encode(&r, &b);
	for (size_t i = 0; i < b.len; i++)
		assert_fails(record_decode(str_n(b.ptr, i), a, &back, &err), CAIRN_E_DIGEST);
	assert_fails(record_decode(S("{\"version\":2}"), a, &back, &err), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "version 2"));
	for (size_t i = 0; i < b.len; i++) {
		char saved = b.ptr[i];

		b.ptr[i] = '}';
		(void)record_decode(strbuf_view(&b), a, &back, &err);
		b.ptr[i] = saved;
	}
}

/* Ids depend on content digests and their order, not on diff IDs and times. */
void test_record__tree_id(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct chain none = { 0 };
	struct chain_layer x = { some('1'), some('x'), { { 0 } }, 5, 10 };
	struct chain_layer x2 = { some('2'), some('x'), some('s'), 9, 11 };
	struct chain_layer y = { some('3'), some('y'), { { 0 } }, 5, 10 };
	const struct chain *xy = chain_push(a, chain_push(a, &none, &x), &y);
	const struct chain *x2y = chain_push(a, chain_push(a, &none, &x2), &y);
	const struct chain *yx = chain_push(a, chain_push(a, &none, &y), &x);

	(void)state;
	assert_true(digest_eq(&xy->tree, &x2y->tree));
	assert_false(digest_eq(&xy->tree, &yx->tree));
}

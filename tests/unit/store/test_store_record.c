#include "helper.h"

static struct store_record record(const char *key, const char *payload, int64_t created)
{
	return (struct store_record){ .key = digest_of_text(key),
		                      .kind = STORE_RECORD_CONTENT,
		                      .created = created,
		                      .payload = str_of(payload) };
}

static void check(struct store *s, const char *key, const char *want)
{
	struct digest d = digest_of_text(key);
	struct store_found f;
	struct cairn_err err;

	assert_ok(store_records_find(s, &d, 1, &f, &err));
	if (want)
		assert_string_equal(f.found ? f.payload : "(absent)", want);
	else
		assert_false(f.found);
	store_found_done(&f);
}

/* Which of two records with one key stays. */
void test_record__policy(void **state)
{
	static const struct {
		const char *old, *new;
		int64_t old_created, new_created;
		enum store_policy policy;
		const char *stays;
	} cases[] = {
		{ "old", "new", 1, 2, STORE_ADOPT, "old" },
		{ "old", "new", 2, 1, STORE_ADOPT, "old" },
		{ "old", "new", 1, 2, STORE_SUPERSEDE, "new" },
		{ "old", "new", 2, 1, STORE_SUPERSEDE, "old" },
		/* sha256: "b" 3e23..., "a" ca97... */
		{ "a", "b", 1, 1, STORE_SUPERSEDE, "a" },
		{ "b", "a", 1, 1, STORE_SUPERSEDE, "a" },
		{ "a", "a", 1, 1, STORE_SUPERSEDE, "a" },
	};
	struct store *s = open_store();
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char key[16];
		struct store_record old, new;
		struct store_found kept = { 0 };

		(void)snprintf(key, sizeof(key), "key%zu", i);
		old = record(key, cases[i].old, cases[i].old_created);
		new = record(key, cases[i].new, cases[i].new_created);
		assert_ok(store_record_put(s, &old, STORE_ADOPT, &kept, &err));
		assert_false(kept.found);
		assert_ok(store_record_put(s, &new, cases[i].policy, &kept, &err));
		assert_int_equal(kept.found, strcmp(cases[i].stays, cases[i].old) == 0);
		if (kept.found)
			assert_string_equal(kept.payload, cases[i].old);
		store_found_done(&kept);
		check(s, key, cases[i].stays);
	}
	store_close(s);
}

/* A record whose layer or blob is not here is no record; a complete one may take its place. */
void test_record__needs_its_references(void **state)
{
	struct digest blob = digest_of_text("blob"), layer = digest_of_text("layer");
	struct store_ref refs[] = { { STORE_REF_BLOB, blob }, { STORE_REF_LAYER, layer } };
	struct store *s = open_store();
	struct store_record r = record("key", "first", 1), other = record("key", "second", 1);
	struct store_found kept;
	struct cairn_err err;

	(void)state;
	r.refs = refs;
	r.n_refs = 2;
	assert_ok(store_blob_put(s, S("blob"), NULL, &err));
	assert_ok(commit_layer(s, "layer", NULL, &err));
	assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	check(s, "key", "first");
	assert_ok(store_blob_forget(s, &blob, &err));
	check(s, "key", NULL);
	assert_ok(store_blob_put(s, S("blob"), NULL, &err));
	check(s, "key", "first");
	assert_ok(store_layer_forget(s, &layer, &err));
	check(s, "key", NULL);
	assert_ok(store_record_put(s, &other, STORE_ADOPT, &kept, &err));
	assert_false(kept.found);
	check(s, "key", "second");
	assert_ok(store_record_remove(s, &r.key, &err));
	check(s, "key", NULL);
	store_close(s);
}

void test_record__bytes_and_limits(void **state)
{
	struct store *s = open_store();
	struct store_record r = record("key", "", 1);
	struct store_found f;
	struct cairn_err err;
	char *big = xcalloc(1, STORE_RECORD_MAX + 1);

	(void)state;
	r.payload = str_n("a\0b", 3);
	assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	assert_ok(store_records_find(s, &r.key, 1, &f, &err));
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.payload, "a\0b", 4);
	store_found_done(&f);
	r.payload = str_n(big, STORE_RECORD_MAX + 1);
	assert_fails(store_record_put(s, &r, STORE_ADOPT, NULL, &err), CAIRN_E_SYNTAX);
	r.payload.len--;
	r.created = 2;
	assert_ok(store_record_put(s, &r, STORE_SUPERSEDE, NULL, &err));
	free(big);
	store_close(s);
}

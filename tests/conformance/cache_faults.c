/* One request of an exchange with a remote cache goes wrong, each in turn, in each way: what comes
 * of it is right or an error, and the next exchange finds nothing in its way. */
#include <stdio.h>

#include "cases.h"

#define LAYER "the bytes of a layer"
#define ENTRY "{\"text\":\"an entry\"}"

static const char *const fault_names[WORLD_FAULTS_N_] = { "reset", "lost", "busy",
	                                                  "limit", "flip", "cut" };

/* What happened. */
struct outcome {
	int failed;           /* calls that returned an error */
	struct cairn_err err; /* of the last of them */
};

static bool good(struct outcome *o, int rc, const struct cairn_err *err)
{
	if (rc == 0)
		return true;
	if (rc != CAIRN_E_TRANSIENT && rc != CAIRN_E_DIGEST && rc != CAIRN_E_SYNTAX &&
	    rc != CAIRN_E_NOT_FOUND && rc != CAIRN_E_SYSTEM)
		fail_msg("code %d: %s", rc, err->msg);
	o->failed++;
	o->err = *err;
	return false;
}

static void write_things(struct remote *r, struct outcome *o, bool *ret_entry)
{
	struct remote_source src = { .fd = -1, .bytes = S(LAYER) };
	struct descriptor blob = blob_of(S(LAYER), MEDIA_OCI_LAYER "+zstd");
	struct digest key = key_of("k");
	struct cairn_err err;

	*ret_entry = good(o, remote_blob_put(r, &blob, &src, &err), &err) &&
	             good(o, keep_entry(r, &key, S(ENTRY), &blob, 1, false, &err), &err);
}

static void read_things(struct remote *r, struct outcome *o, bool entry_is_there)
{
	struct descriptor blob = blob_of(S(LAYER), MEDIA_OCI_LAYER "+zstd");
	struct digest key = key_of("k");
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	bool found = false;

	strbuf_init(&b, 1000);
	if (good(o, remote_entry_get(r, &key, &b, &found, &err), &err)) {
		if (entry_is_there)
			assert_true(found);
		if (found)
			assert_str(strbuf_view(&b), ENTRY);
	}
	strbuf_clear(&b);
	if (good(o, remote_blob_read(r, &blob, &b, &err), &err))
		assert_str(strbuf_view(&b), LAYER);
	else
		assert_int_equal(b.len, 0);
}

/* Move a pointer on by one of three values. */
static void move_pointer(struct remote *r, struct outcome *o)
{
	static const char *const values[] = { "one", "two", "three" };
	struct remote_pointer p = { .document = S("one") };
	cleanup_free char *version = NULL, *now = NULL;
	struct digest name = key_of("p");
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	bool found = false, lost = false;

	strbuf_init(&b, 1000);
	if (!good(o, remote_pointer_get(r, &name, &b, &version, &found, &err), &err))
		return;
	for (size_t i = 0; found && i < ARRAY_SIZE(values); i++)
		if (str_is(strbuf_view(&b), values[i]))
			p.document = str_of(values[(i + 1) % ARRAY_SIZE(values)]);
	p.version = version;
	if (!good(o, remote_pointer_put(r, &name, &p, &lost, &err), &err))
		return;
	assert_false(lost); /* nobody else is here */
	strbuf_clear(&b);
	if (good(o, remote_pointer_get(r, &name, &b, &now, &found, &err), &err))
		assert_true(found && str_eq(strbuf_view(&b), p.document));
}

static struct outcome exchange_all(struct world *w)
{
	cleanup_remote struct remote *r = world_remote(w, NULL, NULL);
	cleanup_remote struct remote *other = world_remote(w, NULL, NULL);
	struct outcome o = { 0 };
	bool entry = false;

	write_things(r, &o, &entry);
	read_things(other, &o, entry);
	move_pointer(r, &o);
	return o;
}

/* A clean exchange in a new place; how many requests it takes. */
static unsigned count_requests(void)
{
	struct world w cleanup_world;
	struct outcome o;

	world_open(&w, NULL);
	o = exchange_all(&w);
	if (o.failed)
		fail_msg("%s", o.err.msg);
	return world_requests(&w);
}

static void check_fault(enum world_fault fault, unsigned n, unsigned times)
{
	struct world w cleanup_world;
	struct outcome o, after;

	world_open(&w, NULL);
	world_fault(&w, fault, n, times);
	o = exchange_all(&w);
	/* What is tried again succeeds; a lying answer may be an error. */
	if (o.failed && times == 1 && fault != WORLD_FLIP && fault != WORLD_CUT)
		fail_msg("%s at request %u: %s", fault_names[fault], n, o.err.msg);
	world_fault(&w, fault, 0, 0);
	after = exchange_all(&w);
	if (after.failed)
		fail_msg("after %s at request %u: %s", fault_names[fault], n, after.err.msg);
}

void test_faults__each_request_once(void **state)
{
	unsigned n = count_requests();

	(void)state;
	(void)printf("%u requests, %d faults\n", n, WORLD_FAULTS_N_);
	for (enum world_fault f = 0; f < WORLD_FAULTS_N_; f++)
		for (unsigned i = 0; i < n; i++)
			check_fault(f, i, 1);
}

/* From some request on nothing works: each call fails, and says that another try may help. */
void test_faults__server_gone(void **state)
{
	unsigned n = count_requests();

	(void)state;
	for (unsigned i = 0; i < n; i += 3) {
		struct world w cleanup_world;
		struct outcome o;

		world_open(&w, NULL);
		world_fault(&w, WORLD_RESET, i, 1000000);
		o = exchange_all(&w);
		assert_true(o.failed);
		assert_int_equal(o.err.code, CAIRN_E_TRANSIENT);
	}
}

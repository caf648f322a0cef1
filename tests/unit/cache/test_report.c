/* Reports: what a build says about its misses. */
#include "harness.h"

#include "cache/cache.h"

static struct digest some(char c)
{
	return digest_of(&c, 1);
}

#define PARTS_MAX 4

/* A step of a report in a table: kind, text, key, result, parts. */
struct row {
	const char *kind, *text;
	char key;
	enum report_result result;
	struct {
		enum report_part_kind kind;
		const char *name;
		uint64_t digest;
		uint32_t mode;
	} parts[PARTS_MAX];
	int below; /* -1: nothing */
};

static void fill(struct arena *a, const struct row *rows, size_t n, struct report *ret)
{
	*ret = (struct report){ .n_steps = n, .dockerfile = S("Dockerfile") };
	ret->steps = arena_array(a, struct report_step, n);
	for (size_t i = 0; i < n; i++) {
		struct report_step *s = &ret->steps[i];

		s->name = s->text = str_of(rows[i].text);
		s->stage = S("");
		s->kind = str_of(rows[i].kind);
		s->key = some(rows[i].key);
		s->result = rows[i].result;
		s->file = s->from = S("");
		s->parts = arena_array(a, struct report_part, PARTS_MAX);
		for (size_t k = 0; k < PARTS_MAX && rows[i].parts[k].name; k++)
			s->parts[s->n_parts++] = (struct report_part){
				rows[i].parts[k].kind, str_of(rows[i].parts[k].name),
				rows[i].parts[k].digest, rows[i].parts[k].mode
			};
		if (rows[i].below >= 0) {
			s->below = arena_new_of(a, unsigned);
			s->below[0] = (unsigned)rows[i].below;
			s->n_below = 1;
		}
	}
}

static const struct row before[] = {
	{ "from", "FROM debian", 'a', REPORT_HIT, { { REPORT_BASE, "debian", 1, 0 } }, -1 },
	{ "copy",
	  "COPY . /src",
	  'b',
	  REPORT_RAN,
	  { { REPORT_TEXT, "", 5, 0 },
	    { REPORT_FILE, "a.c", 1, 0100644 },
	    { REPORT_FILE, "run.sh", 2, 0100644 } },
	  0 },
	{ "run",
	  "RUN make",
	  'c',
	  REPORT_RAN,
	  { { REPORT_TEXT, "", 7, 0 }, { REPORT_ENV, "LANG", 1, 0 } },
	  1 },
};

/* What each step's reasons read, joined by "; ". */
static void check(const struct row *now, size_t n, bool with_before, const char *const *want)
{
	cleanup_arena struct arena *a = arena_new();
	struct report old, r;

	fill(a, before, ARRAY_SIZE(before), &old);
	fill(a, now, n, &r);
	report_explain(&r, with_before ? &old : NULL, a);
	for (size_t i = 0; i < n; i++) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, 4096);
		for (size_t k = 0; k < r.steps[i].n_reasons; k++) {
			strbuf_cstr(&text, k ? "; " : "");
			report_reason_text(&r.steps[i].reasons[k], &text);
		}
		assert_str(strbuf_view(&text), want[i]);
	}
}

void test_report__file_and_mode(void **state)
{
	static const struct row now[] = {
		{ "from", "FROM debian", 'a', REPORT_HIT, { { REPORT_BASE, "debian", 1, 0 } }, -1 },
		{ "copy",
		  "COPY . /src",
		  'x',
		  REPORT_RAN,
		  { { REPORT_TEXT, "", 5, 0 },
		    { REPORT_FILE, "a.c", 9, 0100644 },
		    { REPORT_FILE, "b.c", 9, 0100644 },
		    { REPORT_FILE, "run.sh", 2, 0100755 } },
		  0 },
		{ "run",
		  "RUN make",
		  'y',
		  REPORT_WOULD,
		  { { REPORT_TEXT, "", 7, 0 }, { REPORT_ENV, "LANG", 1, 0 } },
		  1 },
	};
	static const char *const want[] = {
		"",
		"a.c changed; b.c is new; mode of run.sh changed, its content did not",
		"follows from COPY . /src",
	};

	(void)state;
	check(now, ARRAY_SIZE(now), true, want);
}

void test_report__text_env_base_evicted_new(void **state)
{
	static const struct row now[] = {
		{ "from", "FROM debian", 'q', REPORT_HIT, { { REPORT_BASE, "debian", 2, 0 } }, -1 },
		{ "copy", "COPY . /src", 'b', REPORT_RAN, { { 0 } }, 0 },
		{ "run",
		  "RUN make -j2",
		  'y',
		  REPORT_RAN,
		  { { REPORT_TEXT, "", 8, 0 },
		    { REPORT_ENV, "LANG", 1, 0 },
		    { REPORT_ENV, "NEW", 1, 0 } },
		  1 },
		{ "run", "RUN more", 'z', REPORT_RAN, { { 0 } }, 2 },
	};
	static const char *const want[] = {
		"",
		"built before, but its result is no longer in any cache",
		"the instruction changed; variable NEW is new",
		"never built: the instruction is new",
	};

	(void)state;
	check(now, ARRAY_SIZE(now), true, want);
}

void test_report__first_build(void **state)
{
	static const struct row now[] = {
		{ "from", "FROM debian", 'a', REPORT_RAN, { { 0 } }, -1 },
		{ "run", "RUN make", 'y', REPORT_RAN, { { 0 } }, 0 },
	};
	static const char *const want[] = {
		"", "never built: no earlier build is known, here or to the caches asked"
	};

	(void)state;
	check(now, ARRAY_SIZE(now), false, want);
}

/* A base image that moved is named where it is, and whatever stands on it follows. */
void test_report__base_changed(void **state)
{
	static const struct row now[] = {
		{ "from", "FROM debian", 'q', REPORT_RAN, { { REPORT_BASE, "debian", 2, 0 } }, -1 },
		{ "copy",
		  "COPY . /src",
		  'r',
		  REPORT_RAN,
		  { { REPORT_TEXT, "", 5, 0 },
		    { REPORT_FILE, "a.c", 1, 0100644 },
		    { REPORT_FILE, "run.sh", 2, 0100644 } },
		  0 },
	};
	static const char *const want[] = { "base image debian changed",
		                            "follows from FROM debian" };

	(void)state;
	check(now, ARRAY_SIZE(now), true, want);
}

void test_report__many_reasons_are_counted(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct report old, now;
	struct report_part *parts[2];
	size_t n = REPORT_REASONS_MAX + 20;

	(void)state;
	fill(a, before, ARRAY_SIZE(before), &old);
	fill(a, before, ARRAY_SIZE(before), &now);
	for (size_t k = 0; k < 2; k++) {
		parts[k] = arena_array(a, struct report_part, n);
		for (size_t i = 0; i < n; i++)
			parts[k][i] = (struct report_part){ REPORT_FILE,
				                            str_of(arena_printf(a, "f%04zu", i)),
				                            i + k, 0 };
	}
	old.steps[1].parts = parts[0];
	now.steps[1].parts = parts[1];
	old.steps[1].n_parts = now.steps[1].n_parts = n;
	now.steps[1].key = some('z');
	report_explain(&now, &old, a);
	assert_int_equal(now.steps[1].n_reasons, REPORT_REASONS_MAX + 1);
	assert_int_equal(now.steps[1].reasons[REPORT_REASONS_MAX].kind, REPORT_MORE);
	assert_str(now.steps[1].reasons[REPORT_REASONS_MAX].name, "20");
}

void test_report__round_trip_and_damage(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf text;
	struct report r, back = { 0 };
	struct cairn_err err;

	(void)state;
	fill(a, before, ARRAY_SIZE(before), &r);
	r.time = 1700000000000000000;
	r.platform = S("linux/amd64");
	r.image = some('i');
	r.names = arena_new_of(a, str);
	r.names[0] = S("app:1");
	r.n_names = 1;
	r.salt[3] = 0xab;
	report_explain(&r, NULL, a);
	strbuf_init(&text, REPORT_MAX);
	report_encode(&r, &text);
	assert_ok(report_decode(strbuf_view(&text), a, &back, &err));
	assert_int_equal(back.n_steps, 3);
	assert_str(back.steps[1].parts[2].name, "run.sh");
	assert_int_equal(back.steps[1].parts[2].mode, 0100644);
	assert_int_equal(back.steps[2].below[0], 1);
	assert_int_equal(back.steps[1].reasons[0].kind, REPORT_FIRST);
	assert_memory_equal(back.salt, r.salt, sizeof(r.salt));
	assert_true(digest_eq(&back.image, &r.image));
	for (size_t i = 0; i < text.len; i += 7) { /* never a crash */
		(void)report_decode(str_n(text.ptr, i), a, &back, &err);
		text.ptr[i] ^= 0x11;
		(void)report_decode(strbuf_view(&text), a, &back, &err);
		text.ptr[i] ^= 0x11;
	}
	assert_int_equal(report_decode(S("{\"version\":2}"), a, &back, &err), CAIRN_E_DIGEST);
}

void test_report__too_large_keeps_the_steps(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf text;
	struct report r = { .n_steps = 20, .dockerfile = S("Dockerfile"), .platform = S("") };
	struct report back = { 0 };
	struct cairn_err err;

	(void)state;
	r.steps = arena_array(a, struct report_step, r.n_steps);
	for (size_t i = 0; i < r.n_steps; i++) {
		struct report_step *s = &r.steps[i];

		s->name = s->stage = s->kind = s->text = s->file = s->from = S("x");
		s->n_parts = i ? REPORT_PARTS_MAX : 1;
		s->parts = arena_array(a, struct report_part, s->n_parts);
		for (size_t k = 0; k < s->n_parts; k++)
			s->parts[k] = (struct report_part){
				REPORT_FILE, str_of(arena_printf(a, "some/longer/path/%zu", k)), k,
				0
			};
	}
	strbuf_init(&text, REPORT_MAX);
	report_encode(&r, &text);
	assert_false(text.overflow);
	assert_ok(report_decode(strbuf_view(&text), a, &back, &err));
	assert_int_equal(back.n_steps, 20);
	assert_int_equal(back.steps[0].n_parts, 1);
	assert_int_equal(back.steps[1].n_parts, 0);
}

void test_report__values_are_keyed(void **state)
{
	struct report x = { 0 }, y = { .salt = { 1 } };

	(void)state;
	assert_true(report_value(&x, S("secret")) == report_value(&x, S("secret")));
	assert_true(report_value(&x, S("secret")) != report_value(&x, S("secreT")));
	assert_true(report_value(&x, S("secret")) != report_value(&y, S("secret")));
}

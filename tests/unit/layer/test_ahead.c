#include <stdlib.h>

#include "harness.h"
#include "layer/ahead.h"
#include "util/pool.h"

#define SOURCE_MAX (9u * AHEAD_SIZE + 12345)

/* Bytes that differ from buffer to buffer; fails instead of ending, where it is told to. */
struct source {
	size_t at, size;
	bool fails;
};

static char byte_at(size_t i)
{
	return (char)(i * 31 + i / 251 + i / AHEAD_SIZE);
}

static int source_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct source *s = ctx;

	if (s->fails && s->at == s->size)
		return cairn_fail(err, CAIRN_E_TRANSIENT, "no more");
	n = n < 70001 ? n : 70001;
	n = n < s->size - s->at ? n : s->size - s->at;
	for (size_t i = 0; i < n; i++)
		((char *)p)[i] = byte_at(s->at + i);
	s->at += n;
	*ret_n = n;
	return 0;
}

static struct digest digest_at(size_t from, size_t n)
{
	char *p = malloc(n + 1);
	struct digest d;

	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(from + i);
	d = digest_of(p, n);
	free(p);
	return d;
}

/* 512 bytes of something else, then a file, and so on: as in a tar. */
struct file {
	size_t from, size, done;
	struct digest digest;
};

static size_t say(struct ahead *a, struct file *f, size_t at, size_t n)
{
	size_t used = 0;

	while (used < n && at + used < f->from) {
		size_t part = f->from - at - used < n - used ? f->from - at - used : n - used;

		ahead_other(a, part);
		used += part;
	}
	while (used < n && f->done < f->size) {
		size_t left = f->size - f->done, part = left < n - used ? left : n - used;

		ahead_content(a, part, f->done == 0, part == left ? &f->digest : NULL);
		f->done += part;
		used += part;
	}
	return used;
}

static void check(struct pool *pool, size_t size)
{
	enum {
		FILES = 40
	};
	struct source s = { .size = size };
	const struct layer_reader in = { source_read, &s };
	struct ahead *a = ahead_new(&in, pool);
	struct file files[FILES] = { 0 };
	struct digest all, want = digest_at(0, size);
	struct cairn_err err;
	size_t n = 0, at = 0;
	str part;

	for (size_t i = 0, from = 512; i < FILES; i++) {
		files[i] = (struct file){ .from = from, .size = i % 7 == 3 ? 700000 : 64 * i + 1 };
		from += (files[i].size / 512 + 2) * 512;
	}
	do {
		assert_ok(ahead_next(a, &part, &err));
		for (size_t i = 0; i < part.len; i += 9999)
			assert_int_equal(part.ptr[i], byte_at(at + i));
		for (size_t done = 0; done < part.len;) {
			size_t used = say(a, &files[n], at, part.len - done);

			done += used;
			at += used;
			n += n + 1 < FILES && files[n].done == files[n].size;
			if (used == 0) { /* behind the last file */
				ahead_other(a, part.len - done);
				at += part.len - done;
				done = part.len;
			}
		}
	} while (part.len);
	all = ahead_digest(a);
	assert_true(digest_eq(&all, &want));
	for (size_t i = 0; i < FILES; i++) {
		if (files[i].done < files[i].size)
			continue;
		want = digest_at(files[i].from, files[i].size);
		assert_true(digest_eq(&files[i].digest, &want));
	}
	assert_int_equal(at, size);
	ahead_free(a);
}

void test_ahead__digests_of_all_and_of_files(void **state)
{
	static const size_t sizes[] = {
		0, 1, 513, AHEAD_SIZE, AHEAD_SIZE + 1, 3 * AHEAD_SIZE, SOURCE_MAX
	};

	(void)state;
	for (unsigned threads = 0; threads <= 3; threads++) {
		struct pool *pool = threads ? pool_new(threads) : NULL;

		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			check(pool, sizes[i]);
		pool_free(pool);
	}
}

/* What came before a failure is given first; then it stays. */
void test_ahead__failure(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 2; threads++) {
		struct pool *pool = threads ? pool_new(threads) : NULL;
		struct source s = { .size = 2 * AHEAD_SIZE, .fails = true };
		const struct layer_reader in = { source_read, &s };
		struct ahead *a = ahead_new(&in, pool);
		struct cairn_err err;
		str part;

		for (int i = 0; i < 2; i++) {
			assert_ok(ahead_next(a, &part, &err));
			assert_int_equal(part.len, AHEAD_SIZE);
			ahead_other(a, part.len);
		}
		assert_fails(ahead_next(a, &part, &err), CAIRN_E_TRANSIENT);
		assert_fails(ahead_next(a, &part, &err), CAIRN_E_TRANSIENT);
		ahead_free(a);
		pool_free(pool);
	}
}

/* The caller stops early, while others read and hash; digests that it wanted are not touched
 * any more. */
void test_ahead__given_up(void **state)
{
	struct pool *pool = pool_new(2);

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		struct source s = { .size = SOURCE_MAX };
		const struct layer_reader in = { source_read, &s };
		struct ahead *a = ahead_new(&in, pool);
		struct digest *digest = malloc(sizeof(*digest));
		struct cairn_err err;
		str part;

		for (size_t i = 0; i < n; i++) {
			assert_ok(ahead_next(a, &part, &err));
			ahead_content(a, part.len, true, digest);
		}
		ahead_free(a);
		free(digest);
	}
	pool_free(pool);
}

#include <stdatomic.h>
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
	struct ahead *a = ahead_new(&(struct ahead_opts){ .in = &in, .pool = pool });
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
		struct ahead *a = ahead_new(&(struct ahead_opts){ .in = &in, .pool = pool });
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
		struct ahead *a = ahead_new(&(struct ahead_opts){ .in = &in, .pool = pool });
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

/* Files one behind the other, and who has written how much of them. */
enum {
	WRITTEN = 60
};

struct piece {
	size_t file, offset, len;
	const char *bytes;
};

struct writing {
	struct {
		struct piece p[WRITTEN + 1];
		size_t n;
	} pieces[AHEAD_BUFFERS];
	size_t from[WRITTEN + 1], done[WRITTEN];
	atomic_uint calls;
	atomic_bool wrong;
	unsigned fails_at; /* number of the call; 0: none */
};

static int write_pieces(void *ctx, uint64_t number, enum ahead_part part, struct cairn_err *err)
{
	struct writing *w = ctx;
	const struct piece *p = w->pieces[number % AHEAD_BUFFERS].p;

	for (size_t i = 0; i < w->pieces[number % AHEAD_BUFFERS].n; i++) {
		size_t f = p[i].file;

		if ((p[i].offset == 0) != (part == AHEAD_REST))
			continue;
		if (w->done[f] != p[i].offset) /* in order, each after the other */
			atomic_store(&w->wrong, true);
		for (size_t k = 0; k < p[i].len; k += 997)
			if (p[i].bytes[k] != byte_at(w->from[f] + p[i].offset + k))
				atomic_store(&w->wrong, true);
		w->done[f] += p[i].len;
	}
	return atomic_fetch_add(&w->calls, 1) + 1 == w->fails_at
	               ? cairn_fail(err, CAIRN_E_SYSTEM, "the disk is full")
	               : 0;
}

/* Hand all files out; drains in the middle, too. */
static int write_all(struct ahead *a, struct writing *w, struct cairn_err *err)
{
	size_t at = 0, f = 0;
	str part;

	for (;;) {
		uint64_t slot;
		str rest;

		TRY(ahead_next(a, &part, err));
		if (part.len == 0)
			return ahead_drain(a, err);
		slot = ahead_number(a) % AHEAD_BUFFERS;
		w->pieces[slot].n = 0;
		for (rest = part; rest.len && f < WRITTEN;) {
			size_t left = w->from[f + 1] - at;
			struct piece p = { f, at - w->from[f], left < rest.len ? left : rest.len,
				           rest.ptr };

			w->pieces[slot].p[w->pieces[slot].n++] = p;
			ahead_behind(a, p.offset ? AHEAD_HEAD : AHEAD_REST);
			at += p.len;
			rest = str_skip(rest, p.len);
			f += at == w->from[f + 1];
			if (at == w->from[f] && f % 16 == 0) {
				TRY(ahead_drain(a, err));
				w->pieces[slot].n = 0;
				assert_int_equal(w->done[f - 1], w->from[f] - w->from[f - 1]);
			}
		}
		ahead_other(a, part.len);
	}
}

/* Small files, files as long as a buffer, files of several. */
static void check_writing(struct pool *pool, unsigned fails_at)
{
	struct writing *w = calloc(1, sizeof(*w));
	struct source s = { 0 };
	const struct layer_reader in = { source_read, &s };
	struct ahead_opts opts = { .in = &in, .pool = pool, .behind = write_pieces, .ctx = w };
	struct ahead *a;
	struct cairn_err err;

	w->fails_at = fails_at;
	for (size_t i = 0; i < WRITTEN; i++)
		w->from[i + 1] = w->from[i] + (i % 5 == 1   ? AHEAD_SIZE
		                               : i % 5 == 3 ? 3 * AHEAD_SIZE + 17 * i
		                                            : 900 * i + 1);
	s.size = w->from[WRITTEN];
	a = ahead_new(&opts);
	if (fails_at) {
		assert_fails(write_all(a, w, &err), CAIRN_E_SYSTEM);
	} else {
		assert_ok(write_all(a, w, &err));
		for (size_t i = 0; i < WRITTEN; i++)
			assert_int_equal(w->done[i], w->from[i + 1] - w->from[i]);
	}
	ahead_free(a);
	assert_false(w->wrong);
	free(w);
}

void test_ahead__what_is_done_behind(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 4; threads++) {
		struct pool *pool = threads ? pool_new(threads) : NULL;

		check_writing(pool, 0);
		check_writing(pool, 1);
		check_writing(pool, 40);
		pool_free(pool);
	}
}

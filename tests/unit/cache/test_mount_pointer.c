#include "harness.h"

#include "cache/cache.h"
#include "util/clock.h"

static struct cairn_err err;

void test_mount_pointer__round_trip(void **state)
{
	struct mount_pointer p = { .created = 1700000000123456789,
		                   .used = 1700000001 * CLOCK_SEC,
		                   .bytes = 12345,
		                   .packed = 678,
		                   .snapshot = { .digest = { { 7 } }, .size = 99 } };
	struct mount_pointer q = { 0 };
	cleanup_strbuf struct strbuf b;

	(void)state;
	strbuf_init(&b, 4096);
	p.snapshot.media_type = S("application/vnd.oci.image.layer.v1.tar+zstd");
	mount_pointer_encode(&p, &b);
	assert_ok(mount_pointer_decode(strbuf_view(&b), &q, &err));
	assert_int_equal(q.created, p.created);
	assert_int_equal(q.used, p.used);
	assert_int_equal(q.bytes, 12345);
	assert_int_equal(q.packed, 678);
	assert_int_equal(q.snapshot.size, 99);
	assert_true(digest_eq(&q.snapshot.digest, &p.snapshot.digest));
	assert_str(q.snapshot.media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
	strbuf_clear(&b);
	p.empty = true;
	mount_pointer_encode(&p, &b);
	assert_ok(mount_pointer_decode(strbuf_view(&b), &q, &err));
	assert_true(q.empty);
}

#define TIMES      "\"created\":\"2026-01-02T03:04:05Z\",\"used\":\"2026-01-02T03:04:05Z\""
#define SUM        "sha256:0707070707070707070707070707070707070707070707070707070707070707"
#define SNAP(size) "\"snapshot\":{\"mediaType\":\"x/y\",\"digest\":\"" SUM "\",\"size\":" size "}"

void test_mount_pointer__damaged_ones_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{",
		"{\"version\":2," TIMES ",\"empty\":true}",
		"{\"version\":1,\"created\":\"yesterday\",\"used\":\"2026-01-02T03:04:05Z\"}",
		"{\"version\":1," TIMES "}",
		"{\"version\":1," TIMES ",\"bytes\":1,\"packed\":1}",
		"{\"version\":1," TIMES ",\"bytes\":-1,\"packed\":1," SNAP("5") "}",
		"{\"version\":1," TIMES ",\"bytes\":1,\"packed\":1," SNAP("-5") "}",
		"{\"version\":1," TIMES ",\"bytes\":1,\"packed\":1," SNAP("99999999999") "}",
	};
	struct mount_pointer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_fails(mount_pointer_decode(str_of(bad[i]), &p, &err), CAIRN_E_DIGEST);
	assert_ok(mount_pointer_decode(
		S("{\"version\":1," TIMES ",\"bytes\":1,\"packed\":1," SNAP("5") "}"), &p, &err));
}

/* Everything that its name is made of makes another name. */
void test_mount_pointer_name__tells_apart(void **state)
{
	struct platform amd = { 0 }, arm = { 0 };
	struct digest names[4];

	(void)state;
	assert_ok(platform_parse(S("linux/amd64"), &amd, &err));
	assert_ok(platform_parse(S("linux/arm64"), &arm, &err));
	names[0] = mount_pointer_name(S("/root/.cache"), &amd, true);
	names[1] = mount_pointer_name(S("/root/.cache"), &arm, true);
	names[2] = mount_pointer_name(S("/root/.cache"), &amd, false);
	names[3] = mount_pointer_name(S("/root/.cach"), &amd, true);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = i + 1; k < 4; k++)
			assert_false(digest_eq(&names[i], &names[k]));
}

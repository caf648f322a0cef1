#include "mount_pointer.h"

#include "layer/layer.h"
#include "util/clock.h"

#define VERSION 1

struct digest mount_pointer_name(str id, const struct platform *platform, bool all_ids)
{
	char text[PLATFORM_TEXT_MAX];
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.mount.pointer", VERSION);
	digest_field_str(&f, "id", id);
	digest_field_str(&f, "platform", str_of(platform_text(platform, text)));
	digest_field_u64(&f, "all-ids", all_ids);
	return digest_fields_end(&f);
}

static void set_time(json_t *j, const char *key, int64_t ns)
{
	char text[CLOCK_TEXT_MAX];

	json_object_set_new(j, key, json_string(clock_text(ns, text)));
}

void mount_pointer_encode(const struct mount_pointer *p, struct strbuf *out)
{
	cleanup_json json_t *j = json_object();

	json_object_set_new(j, "version", json_integer(VERSION));
	set_time(j, "created", p->created);
	set_time(j, "used", p->used);
	if (p->empty) {
		json_object_set_new(j, "empty", json_true());
	} else {
		json_object_set_new(j, "bytes", json_integer((json_int_t)p->bytes));
		json_object_set_new(j, "packed", json_integer((json_int_t)p->packed));
		json_object_set_new(j, "snapshot", descriptor_to_json(&p->snapshot));
	}
	json_write(j, out);
}

static int get_time(const json_t *j, const char *key, int64_t *ret, struct cairn_err *err)
{
	const char *text = NULL;

	TRY(json_get_str(j, key, &text, err));
	if (!text)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is missing", key);
	return clock_parse(str_of(text), ret, err);
}

static int get_snapshot(const json_t *j, struct mount_pointer *p, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	json_t *d = NULL;
	int64_t bytes = 0, packed = 0;

	TRY(json_get_int(j, "bytes", -1, &bytes, err));
	TRY(json_get_int(j, "packed", -1, &packed, err));
	TRY(json_get_object(j, "snapshot", &d, err));
	if (bytes < 0 || packed < 0 || !d)
		return cairn_fail(err, CAIRN_E_SYNTAX, "it says too little");
	TRY(descriptor_from_json(a, d, &p->snapshot, err));
	/* Only these two are believed; the rest dies with the arena. */
	p->snapshot = (struct descriptor){ .digest = p->snapshot.digest, .size = p->snapshot.size };
	p->snapshot.media_type = str_of(media_type_layer(LAYER_COMPRESS_ZSTD, false));
	p->bytes = (uint64_t)bytes;
	p->packed = (uint64_t)packed;
	if (p->snapshot.size > SNAPSHOT_MAX || digest_none(&p->snapshot.digest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "its snapshot is impossible");
	return 0;
}

static int decode(str text, struct mount_pointer *p, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;

	TRY(json_parse_version(text, VERSION, &j, err));
	TRY(get_time(j, "created", &p->created, err));
	TRY(get_time(j, "used", &p->used, err));
	TRY(json_get_bool(j, "empty", false, &p->empty, err));
	return p->empty ? 0 : get_snapshot(j, p, err);
}

int mount_pointer_decode(str text, struct mount_pointer *ret, struct cairn_err *err)
{
	struct mount_pointer p = { 0 };

	if (decode(text, &p, err) < 0) {
		err->code = CAIRN_E_DIGEST;
		return cairn_wrap(err, "what is kept of a cache mount is damaged");
	}
	*ret = p;
	return 0;
}

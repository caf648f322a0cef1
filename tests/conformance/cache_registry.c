/* What only a registry has: tags, and a clean-up of its own. */
#include <stdio.h>

#include "cases.h"

/* Tags that cannot be moved: the first entry stays, and pointers count. */
void test_registry__immutable_tags(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest key = key_of("k");
	struct descriptor blob;
	struct cairn_err err;

	(void)state;
	world_open(&w, NULL);
	world_immutable(&w, true);
	r = world_remote(&w, NULL, NULL);
	blob = put_text(r, "immutable");
	assert_ok(keep_entry(r, &key, S("{\"n\":1}"), &blob, 1, false, &err));
	assert_ok(keep_entry(r, &key, S("{\"n\":1}"), &blob, 1, false, &err));
	assert_ok(keep_entry(r, &key, S("{\"n\":1}"), &blob, 1, true, &err));
	assert_ok(keep_entry(r, &key, S("{\"n\":2}"), &blob, 1, true, &err));
	check_entry(r, &key, "{\"n\":1}");
	check_pointers(&w);
	check_counter(&w, true);
}

/* The registry's clean-up keeps what entries and pointers bring, and takes what nothing names. */
void test_registry__registry_collects_garbage(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest key = key_of("k"), none = key_of("none");
	struct descriptor kept[3], alone;
	struct remote_pointer pointer;
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	bool lost;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, 100);
	kept[0] = put_text(r, "kept layer");
	kept[1] = put_text(r, "kept index");
	kept[1].media_type = S("application/vnd.example.index+zstd");
	kept[2] = put_text(r, "kept pack");
	assert_ok(keep_entry(r, &key, S("{}"), kept, 2, false, &err));
	assert_ok(keep_entry(r, &none, S("{}"), NULL, 0, false, &err));
	pointer = (struct remote_pointer){ S("{}"), &kept[2], 1, NULL, REMOTE_LOOK_BEFORE };
	assert_ok(remote_pointer_put(r, &key, &pointer, &lost, &err));
	alone = put_text(r, "sent, and then the machine died");
	world_collect();
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_ok(remote_blob_read(r, &kept[i], &b, &err));
	check_entry(r, &key, "{}");
	check_entry(r, &none, "{}");
	assert_fails(remote_blob_read(r, &alone, &b, &err), CAIRN_E_NOT_FOUND);
	assert_fails(keep_entry(r, &key, S("{}"), &alone, 1, true, &err), CAIRN_E_NOT_FOUND);
	alone = put_text(r, "sent, and then the machine died");
	assert_ok(keep_entry(r, &key, S("{\"n\":2}"), &alone, 1, true, &err));
	check_entry(r, &key, "{\"n\":2}");
}

/* A manifest that somebody tagged as another key's is not that key's entry. */
void test_registry__moved_tag(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest one = key_of("one"), two = key_of("two");
	struct strbuf bytes cleanup_strbuf;
	cleanup_free char *type = NULL;
	struct reference ref;
	struct cairn_err err;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	put_entry(r, "one", "{}");
	strbuf_init(&bytes, MANIFEST_MAX);
	assert_ok(reference_parse(str_of(w.repository), &ref, &err));
	(void)snprintf(ref.tag, sizeof(ref.tag), "cairn-_-%s", digest_hex(&one).s);
	assert_ok(registry_manifest_get(w.registry, &ref, &bytes, &type, &err));
	(void)snprintf(ref.tag, sizeof(ref.tag), "cairn-_-%s", digest_hex(&two).s);
	assert_ok(registry_manifest_put(w.registry, &ref, S(MEDIA_OCI_MANIFEST),
	                                strbuf_view(&bytes), &err));
	check_entry(r, &one, "{}");
	check_entry(r, &two, NULL);
}

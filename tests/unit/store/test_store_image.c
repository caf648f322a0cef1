#include "helper.h"

static struct digest put_image(struct store *s, const char *config, const char *platform, size_t n)
{
	struct digest ids[2] = { digest_of_text("l0"), digest_of_text("l1") };
	struct store_image image = { .created = 5, .diff_ids = ids, .n_layers = n };
	struct cairn_err err;

	image.platform = xstrdup(platform);
	assert_ok(store_blob_put(s, str_of(config), &image.config, &err));
	assert_ok(store_image_put(s, &image, &err));
	free(image.platform);
	return image.config;
}

void test_image__put_and_find(void **state)
{
	struct store *s = open_store();
	struct digest d = put_image(s, "{}", "linux/amd64", 2), no = digest_of_text("no");
	struct store_image got, bad = { .config = no };
	struct cairn_err err;
	bool found = false;

	(void)state;
	assert_ok(store_image_find(s, &d, &got, &found, &err));
	assert_true(found);
	assert_int_equal(got.n_layers, 2);
	assert_string_equal(got.platform, "linux/amd64");
	assert_int_equal(got.created, 5);
	store_image_done(&got);
	assert_ok(store_image_find(s, &no, &got, &found, &err));
	assert_false(found);
	assert_fails(store_image_put(s, &bad, &err), CAIRN_E_NOT_FOUND);
	store_close(s);
}

/* One name, two platforms. */
void test_tag__platforms(void **state)
{
	struct store *s = open_store();
	struct digest amd = put_image(s, "amd", "linux/amd64", 1);
	struct digest arm = put_image(s, "arm", "linux/arm64/v8", 2);
	struct digest newer = put_image(s, "newer", "linux/amd64", 0), no = digest_of_text("no");
	struct store_tag tag;
	struct cairn_err err;
	bool found = false;
	size_t n = 0;

	(void)state;
	assert_fails(store_tag_put(s, S("x"), &no, &err), CAIRN_E_NOT_FOUND);
	assert_ok(store_tag_put(s, S("x"), &amd, &err));
	assert_ok(store_tag_put(s, S("x"), &arm, &err));
	assert_ok(store_tag_find(s, S("x"), S("linux/amd64"), &tag, &found, &err));
	assert_true(found && digest_eq(&tag.config, &amd) && tag.updated > 0);
	store_tag_done(&tag);
	assert_ok(store_tag_find(s, S("x"), S(""), &tag, &found, &err));
	assert_true(found && digest_eq(&tag.config, &arm));
	store_tag_done(&tag);
	assert_ok(store_tag_put(s, S("x"), &newer, &err));
	assert_ok(store_tag_find(s, S("x"), S("linux/amd64"), &tag, &found, &err));
	assert_true(found && digest_eq(&tag.config, &newer));
	store_tag_done(&tag);
	assert_ok(store_tag_find(s, S("x"), S("linux/s390x"), &tag, &found, &err));
	assert_false(found);
	assert_ok(store_tag_remove(s, S("x"), &n, &err));
	assert_int_equal(n, 2);
	assert_ok(store_tag_find(s, S("x"), S(""), &tag, &found, &err));
	assert_false(found);
	store_close(s);
}

void test_image__list_and_remove(void **state)
{
	struct store *s = open_store();
	struct digest a = put_image(s, "a", "linux/amd64", 1);
	struct digest b = put_image(s, "b", "linux/amd64", 2);
	struct store_listing list;
	struct cairn_err err;

	(void)state;
	assert_ok(commit_layer(s, "l0", NULL, &err));
	assert_ok(store_tag_put(s, S("zoo"), &a, &err));
	assert_ok(store_tag_put(s, S("ant"), &a, &err));
	assert_ok(store_images_list(s, &list, &err));
	assert_int_equal(list.len, 3);
	assert_string_equal(list.ptr[0].tag.name, "ant");
	assert_string_equal(list.ptr[1].tag.name, "zoo");
	assert_null(list.ptr[2].tag.name);
	assert_true(digest_eq(&list.ptr[2].image.config, &b));
	assert_int_equal(list.ptr[2].image.n_layers, 2);
	assert_int_equal(list.ptr[0].size, 1024);
	store_listing_done(&list);
	assert_ok(store_image_remove(s, &a, &err));
	assert_ok(store_images_list(s, &list, &err));
	assert_int_equal(list.len, 1);
	store_listing_done(&list);
	store_close(s);
}

void test_manifest__first_wins(void **state)
{
	struct store *s = open_store();
	struct digest c = put_image(s, "c", "linux/amd64", 0);
	struct digest a = digest_of_text("a"), b = digest_of_text("b"), got;
	struct cairn_err err;
	bool found = true;

	(void)state;
	assert_ok(store_manifest_find(s, &c, S("oci+zstd"), &got, &found, &err));
	assert_false(found);
	assert_ok(store_manifest_put(s, &c, S("oci+zstd"), &a, &got, &err));
	assert_ok(store_manifest_put(s, &c, S("oci+zstd"), &b, &got, &err));
	assert_true(digest_eq(&got, &a));
	assert_ok(store_manifest_find(s, &c, S("oci+zstd"), &got, &found, &err));
	assert_true(found && digest_eq(&got, &a));
	store_close(s);
}

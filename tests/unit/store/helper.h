/* helper.h - what the tests of the store share. */
#ifndef CAIRN_TESTS_STORE_HELPER_H
#define CAIRN_TESTS_STORE_HELPER_H

#include "../harness.h"

#include "store/store.h"

/* A store in the test's directory, made when missing. */
static inline struct store *open_store(void)
{
	char path[128];
	struct store_opts opts = { .path = path, .busy_ms = 10000 };
	struct store *s = NULL;
	struct cairn_err err;

	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	assert_ok(store_open(&opts, &s, &err));
	return s;
}

static inline struct digest digest_of_text(const char *text)
{
	return digest_of(text, strlen(text));
}

/* Commit a layer whose index is `name` and whose tree holds one file; its diff_id is the
 * digest of the name, its directory key the same. */
static inline int commit_layer(struct store *s, const char *name, char **ret_path,
                               struct cairn_err *err)
{
	cleanup_store_layer_txn struct store_layer_txn *t = NULL;
	struct digest d = digest_of_text(name);
	struct store_layer_new l = { .layer = { .diff_id = d, .content = d, .tar_size = 1024 },
		                     .index = str_of(name),
		                     .dir_key = &d,
		                     .dir_bytes = 5 };
	char path[512];
	FILE *f;

	TRY(store_layer_begin(s, &t, err));
	(void)snprintf(path, sizeof(path), "%s/file", store_layer_txn_fs(t));
	f = fopen(path, "we");
	if (!f || fputs(name, f) < 0 || fclose(f) != 0)
		return cairn_fail_sys(err, "write '%s'", path);
	return store_layer_commit(t, &l, ret_path, err);
}

#endif

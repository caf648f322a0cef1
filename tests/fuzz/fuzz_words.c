/* Expand any word in all three ways, and give it to the parsers of expanded values.
 * The first byte chooses the escape character; variables are set to texts with teeth. */
#include <assert.h>
#include <stdint.h>

#include "dockerfile/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lookup(void *ctx, str name, str *ret_value)
{
	(void)ctx;
	if (name.len != 1)
		return false;
	switch (name.ptr[0]) {
	case 'a':
		*ret_value = S("value/with.many-parts:1.2");
		return true;
	case 'b':
		*ret_value = S("");
		return true;
	case 'c':
		*ret_value = S(" x \xc3\xa9\n'\"$\\` \xff");
		return true;
	default:
		return false;
	}
}

static void values(const struct words *w, str text)
{
	struct cairn_err err;
	struct chmod_spec mode;
	struct port_range port;
	struct run_mount mount;
	str user, group;

	if (chmod_parse(text, &mode, &err) == 0)
		assert(chmod_apply(&mode, 0644, false) <= 07777);
	if (port_parse(text, &port, &err) == 0)
		assert(port.first <= port.last && port.last <= 65535 && port.proto);
	if (run_mount_parse(text, w, w->arena, &mount, &err) == 0)
		assert(mount.type < RUN_MOUNT_N_ && mount.mode <= 07777);
	if (user_parse(text, &user, &group, &err) == 0)
		assert(user.len);
	(void)signal_check(text, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *arena = arena_new();
	struct words w = { .lookup = lookup, .arena = arena, .escape = '\\' };
	struct cairn_err err;
	str *words = NULL, text, result;
	size_t n = 0;

	if (!size)
		return 0;
	if (data[0] & 1)
		w.escape = '`';
	text = str_n((const char *)data + 1, size - 1);
	if (words_expand(&w, text, &result, &err) == 0)
		assert(!words_is_plain(text, w.escape) || str_eq(result, text));
	else
		assert(err.code == CAIRN_E_SYNTAX);
	(void)words_split(&w, text, &words, &n, &err);
	for (size_t i = 0; i < n; i++)
		assert(words[i].len);
	(void)words_expand_body(&w, text, &result, &err);
	values(&w, text);
	return 0;
}

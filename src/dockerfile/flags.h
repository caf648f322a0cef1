/* flags.h - the builder flags of instructions: which exist, and their values. */
#ifndef CAIRN_DOCKERFILE_FLAGS_H
#define CAIRN_DOCKERFILE_FLAGS_H

#include "dockerfile.h"

enum flag_id {
	FLAG_CHECKSUM,
	FLAG_CHMOD,
	FLAG_CHOWN,
	FLAG_DEVICE,
	FLAG_EXCLUDE,
	FLAG_FROM,
	FLAG_INTERVAL,
	FLAG_KEEP_GIT_DIR,
	FLAG_LINK,
	FLAG_MOUNT,
	FLAG_NETWORK,
	FLAG_PARENTS,
	FLAG_PLATFORM,
	FLAG_RETRIES,
	FLAG_SECURITY,
	FLAG_START_INTERVAL,
	FLAG_START_PERIOD,
	FLAG_TIMEOUT,
	FLAG_UNPACK,
	FLAG_N_
};

struct flag_value {
	bool given;
	bool on;     /* bool flags */
	str value;   /* string flags; ptr NULL when not given */
	str *values; /* list flags, in order */
	size_t n;
};

struct flags {
	struct flag_value v[FLAG_N_];
};

/* Read node's flags as `kind` has them. Arrays live in arena, strings in the node.
 * Fails with CAIRN_E_SYNTAX (path, line): unknown flag, flag given twice, value missing. */
int flags_parse(const struct dockerfile_node *node, enum instr_kind kind, const char *path,
                struct arena *arena, struct flags *ret, struct cairn_err *err);

#endif

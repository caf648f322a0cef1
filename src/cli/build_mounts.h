/* cli/build_mounts.h - --cache-mounts: which cache mounts of a build outlive the machine. */
#ifndef CAIRN_CLI_BUILD_MOUNTS_H
#define CAIRN_CLI_BUILD_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum build_mounts_mode {
	BUILD_MOUNTS_AUTO, /* restored from the caches that are read, saved to those that are
	                      written */
	BUILD_MOUNTS_OFF,
	BUILD_MOUNTS_RO, /* restored only */
};

struct build_mounts {
	enum build_mounts_mode mode;
	bool has_mode; /* it was said; else cairn.yaml decides */
	uint64_t max;  /* bytes of one mount; 0: not said */
	uint64_t ttl;  /* ns; 0: not said */
};

/* "auto|off|ro[,max=SIZE][,ttl=DURATION]", the mode may be left out; NULL says nothing.
 * Fails with CAIRN_E_USAGE. */
int build_mounts_parse(const char *text, struct build_mounts *ret, struct cairn_err *err);

struct build_run;

/* Sets the engine's option, when there are caches. After build_set_engine_opts(). */
int build_mounts_open(struct build_run *r, struct cairn_err *err);

/* The build has ended, or failed with `result`: wait until mounts are saved. */
void build_mounts_finish(struct build_run *r, int result);

#endif

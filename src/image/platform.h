/* image/platform.h - operating system, architecture and variant.
 *
 * Names are Go's (GOOS, GOARCH), normalised as containerd does: aarch64 -> arm64,
 * x86_64 -> amd64, armhf -> arm/v7, armel -> arm/v6, arm -> arm/v7, arm64/v8 -> arm64,
 * amd64/v1 -> amd64, macos -> darwin; lower case.  A platform is a plain value.
 */
#ifndef CAIRN_IMAGE_PLATFORM_H
#define CAIRN_IMAGE_PLATFORM_H

#include "util/err.h"
#include "util/str.h"

#define PLATFORM_PART_MAX 31
#define PLATFORM_TEXT_MAX (3 * (PLATFORM_PART_MAX + 1))

struct platform {
	char os[PLATFORM_PART_MAX + 1];         /* "linux"; "" when unknown */
	char arch[PLATFORM_PART_MAX + 1];       /* "amd64" */
	char variant[PLATFORM_PART_MAX + 1];    /* "" or "v7"; part of keys, see DECISIONS 13 */
	char os_version[PLATFORM_PART_MAX + 1]; /* Windows only; never compared */
};

/* Parse "os/arch[/variant]", "os" or "arch" alone (the rest is this machine's, and
 * linux), or "local". Fails with CAIRN_E_SYNTAX. */
int platform_parse(str text, struct platform *ret, struct cairn_err *err);

/* Build one from separate parts, as JSON has them, and normalise. Fails with
 * CAIRN_E_SYNTAX when a part is too long or has other characters than [A-Za-z0-9_.-]. */
int platform_make(str os, str arch, str variant, struct platform *ret, struct cairn_err *err);

/* What containers run as on this machine: linux, and the kernel's architecture. */
struct platform platform_host(void);

/* "linux/amd64" or "linux/arm/v7". Returns buf. */
const char *platform_text(const struct platform *p, char buf[PLATFORM_TEXT_MAX]);

bool platform_eq(const struct platform *a, const struct platform *b); /* without os_version */

/* How well an image for `have` serves one who wants `want`: 0 is exact, larger is
 * worse, -1 is not at all. A lower variant serves a higher one (arm/v6 for arm/v7,
 * amd64 for amd64/v3); another architecture never does. */
int platform_rank(const struct platform *want, const struct platform *have);

#endif

#include "xattr.h"

#define CAPS_V2_LEN 20u
#define CAPS_V3_LEN 24u
#define CAPS_REV_AT 3u /* byte of the little-endian magic that holds the version */

str xattr_caps_v2(struct arena *a, str value)
{
	str copy;

	if (value.len != CAPS_V3_LEN || value.ptr[CAPS_REV_AT] != 3)
		return value;
	copy = arena_str(a, str_n(value.ptr, CAPS_V2_LEN));
	/* The arena's copy is ours to change. */
	memcpy((char *)(uintptr_t)copy.ptr + CAPS_REV_AT, "\2", 1);
	return copy;
}

bool xattr_is_overlay(str name)
{
	return str_starts(name, S("trusted.overlay.")) || str_starts(name, S("user.overlay."));
}

bool xattr_allowed(str name)
{
	return str_is(name, XATTR_CAPS) ||
	       (str_starts(name, S("user.")) && name.len > 5 && !xattr_is_overlay(name));
}

const char *xattr_overlay_opaque(enum layer_xattr_ns ns)
{
	return ns == LAYER_XATTR_USER ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

uint32_t xattr_sort(struct layer_xattr *x, uint32_t n)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < n; i++) { /* at most LAYER_XATTRS_MAX of them */
		uint32_t k = 0;
		struct layer_xattr new = x[i];

		while (k < out && str_cmp(x[k].name, new.name) < 0)
			k++;
		if (k < out && str_eq(x[k].name, new.name)) {
			x[k] = new;
			continue;
		}
		memmove(&x[k + 1], &x[k], (out - k) * sizeof(*x));
		x[k] = new;
		out++;
	}
	return out;
}

#include "platform.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "util/mem.h"
#include "util/num.h"

/* Other names of an architecture. variant NULL matches any and is kept. */
static const struct {
	const char *arch, *variant;
	const char *to_arch, *to_variant; /* to_variant NULL = keep */
} aliases[] = {
	{ "x86_64", NULL, "amd64", NULL },  { "x86-64", NULL, "amd64", NULL },
	{ "aarch64", NULL, "arm64", NULL }, { "i386", NULL, "386", NULL },
	{ "i486", NULL, "386", NULL },      { "i586", NULL, "386", NULL },
	{ "i686", NULL, "386", NULL },      { "armhf", NULL, "arm", "v7" },
	{ "armel", NULL, "arm", "v6" },     { "armv6l", NULL, "arm", "v6" },
	{ "armv7l", NULL, "arm", "v7" },    { "armv8l", NULL, "arm", "v7" },
};

/* Spellings of a variant; "" is the one that is usual for the architecture. */
static const struct {
	const char *arch, *variant, *to;
} variants[] = {
	{ "amd64", "v1", "" },   { "amd64", "2", "v2" }, { "amd64", "3", "v3" },
	{ "amd64", "4", "v4" },  { "amd64", "1", "" },   { "arm", "", "v7" },
	{ "arm", "5", "v5" },    { "arm", "6", "v6" },   { "arm", "7", "v7" },
	{ "arm", "8", "v8" },    { "arm64", "8", "" },   { "arm64", "v8", "" },
	{ "arm64", "v8.0", "" }, { "arm64", "9", "v9" },
};

/* What the empty variant stands for when variants are compared. */
static const struct {
	const char *arch;
	int variant;
} defaults[] = { { "amd64", 1 }, { "arm", 7 }, { "arm64", 8 } };

/* Names that may stand alone. */
static const char *const systems[] = {
	"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd"
};
static const char *const archs[] = { "386",    "amd64",    "arm",     "arm64",   "loong64",
	                             "mips64", "mips64le", "ppc64le", "riscv64", "s390x" };

static int part(str s, const char *what, char to[PLATFORM_PART_MAX + 1], struct cairn_err *err)
{
	if (s.len > PLATFORM_PART_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s of a platform is longer than %d characters", what,
		                  PLATFORM_PART_MAX);
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 32);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
		      c == '-'))
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not the %s of a platform",
			                  STR(s), what);
		to[i] = c;
	}
	to[s.len] = '\0';
	return 0;
}

static void copy(char to[PLATFORM_PART_MAX + 1], const char *from)
{
	(void)snprintf(to, PLATFORM_PART_MAX + 1, "%s", from);
}

static void normalise(struct platform *p)
{
	if (strcmp(p->os, "macos") == 0)
		copy(p->os, "darwin");
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(p->arch, aliases[i].arch) == 0) {
			copy(p->arch, aliases[i].to_arch);
			if (aliases[i].to_variant)
				copy(p->variant, aliases[i].to_variant);
			break;
		}
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
		if (strcmp(p->arch, variants[i].arch) == 0 &&
		    strcmp(p->variant, variants[i].variant) == 0) {
			copy(p->variant, variants[i].to);
			break;
		}
}

int platform_make(str os, str arch, str variant, struct platform *ret, struct cairn_err *err)
{
	struct platform p = { 0 };

	TRY(part(os, "operating system", p.os, err));
	TRY(part(arch, "architecture", p.arch, err));
	TRY(part(variant, "variant", p.variant, err));
	normalise(&p);
	*ret = p;
	return 0;
}

struct platform platform_host(void)
{
	struct platform p = { .os = "linux" };
	struct utsname u;

	if (uname(&u) == 0)
		copy(p.arch, u.machine);
	normalise(&p);
	return p;
}

static bool known(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* "linux", "arm64", "local": the rest comes from the host. */
static int parse_single(str text, struct platform *ret, struct cairn_err *err)
{
	struct platform host = platform_host(), p;

	if (str_is(text, "local")) {
		*ret = host;
		return 0;
	}
	TRY(platform_make(S("linux"), text, S(""), &p, err));
	if (known(p.arch, systems, ARRAY_SIZE(systems))) {
		copy(host.os, p.arch);
		*ret = host;
		return 0;
	}
	if (!known(p.arch, archs, ARRAY_SIZE(archs)))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%.*s' is not a platform; write OS/ARCH as in linux/amd64",
		                  STR(text));
	*ret = p;
	return 0;
}

int platform_parse(str text, struct platform *ret, struct cairn_err *err)
{
	str os, arch, variant, rest;

	if (!str_cut(text, '/', &os, &rest))
		return parse_single(text, ret, err);
	if (str_cut(rest, '/', &arch, &variant) && variant.len == 0)
		arch.len = 0; /* "linux/arm/" */
	if (os.len == 0 || arch.len == 0 || str_find(variant, '/') >= 0)
		return cairn_fail(
			err, CAIRN_E_SYNTAX,
			"'%.*s' is not a platform; write OS/ARCH[/VARIANT] as in linux/arm/v7",
			STR(text));
	return platform_make(os, arch, variant, ret, err);
}

const char *platform_text(const struct platform *p, char buf[PLATFORM_TEXT_MAX])
{
	(void)snprintf(buf, PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os, p->arch,
	               p->variant[0] ? "/" : "", p->variant);
	return buf;
}

bool platform_eq(const struct platform *a, const struct platform *b)
{
	return strcmp(a->os, b->os) == 0 && strcmp(a->arch, b->arch) == 0 &&
	       strcmp(a->variant, b->variant) == 0;
}

/* "v7" as 7, "" as the architecture's default; -1 when it is no plain number. */
static int variant_number(const struct platform *p)
{
	uint64_t v;
	struct cairn_err err;

	if (p->variant[0] == '\0')
		for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
			if (strcmp(p->arch, defaults[i].arch) == 0)
				return defaults[i].variant;
	if (p->variant[0] != 'v' || num_u64(str_of(p->variant + 1), 99, &v, &err) < 0)
		return -1;
	return (int)v;
}

int platform_rank(const struct platform *want, const struct platform *have)
{
	int w, h;

	if (strcmp(want->os, have->os) != 0 || strcmp(want->arch, have->arch) != 0)
		return -1;
	if (strcmp(want->variant, have->variant) == 0)
		return 0;
	w = variant_number(want);
	h = variant_number(have);
	return w < 0 || h < 0 || h > w ? -1 : w - h;
}

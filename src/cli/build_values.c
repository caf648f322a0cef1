#include "build_values.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include "util/num.h"

int build_fields_split(const char *opt, const char *text, struct arena *a, struct build_fields *ret,
                       struct cairn_err *err)
{
	const char *p = text;

	ret->n = 0;
	while (*p) {
		bool quoted = *p == '"';
		const char *start = quoted ? p + 1 : p;
		const char *end = start;
		str key, value;

		while (*end && *end != (quoted ? '"' : ','))
			end++;
		if (quoted && !*end)
			return cairn_fail(err, CAIRN_E_USAGE, "--%s '%s': a \" is not closed", opt,
			                  text);
		p = end + quoted;
		if (*p == ',')
			p++;
		else if (*p)
			return cairn_fail(err, CAIRN_E_USAGE, "--%s '%s': a comma must follow \"",
			                  opt, text);
		if (ret->n == BUILD_FIELDS_MAX)
			return cairn_fail(err, CAIRN_E_USAGE, "--%s has more than %d fields", opt,
			                  BUILD_FIELDS_MAX);
		if (!str_cut(str_n(start, (size_t)(end - start)), '=', &key, &value))
			value = str_n(NULL, 0);
		ret->at[ret->n].key = arena_cstr(a, key);
		ret->at[ret->n++].value = value.ptr ? arena_cstr(a, value) : NULL;
	}
	return 0;
}

static int fail_field(const char *opt, const struct build_pair *p, const char *want,
                      struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_USAGE, "--%s: '%s%s%s' is not %s", opt, p->key,
	                  p->value ? "=" : "", p->value ? p->value : "", want);
}

/* The value, or the name of the field, is none of these; `want` tells which there are. */
static int fail_word(const char *opt, const struct build_pair *p, const char *word,
                     const char *const *words, const char *want, struct cairn_err *err)
{
	char hint[STR_HINT_MAX];

	return cairn_fail(err, CAIRN_E_USAGE, "--%s: '%s%s%s' is not %s%s", opt, p->key,
	                  p->value ? "=" : "", p->value ? p->value : "", want,
	                  str_did_you_mean(str_of(word), words, hint));
}

static int index_of(const char *const *names, const char *s)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	return -1;
}

/* What type=image says in two fields. */
struct image_output {
	bool image, push;
};

static int output_type(const struct build_pair *p, const char *v, struct build_output *o,
                       struct image_output *image, struct cairn_err *err)
{
	static const char *const types[] = { "store", "oci",      "docker", "tar",
		                             "local", "registry", NULL };
	static const char *const known[] = { "registry", "image", "oci",   "docker",
		                             "tar",      "local", "store", NULL };
	int i = index_of(types, v);

	if (strcmp(v, "cacheonly") == 0)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "--output type=cacheonly is not built yet");
	image->image = strcmp(v, "image") == 0;
	if (image->image)
		i = BUILD_OUTPUT_STORE;
	if (i < 0)
		return fail_word("output", p, v, known,
		                 "one of type=registry, image, oci, docker, tar, local, store",
		                 err);
	o->type = (enum build_output_type)i;
	return 0;
}

static int output_compression(const struct build_pair *p, const char *v, struct build_output *o,
                              struct cairn_err *err)
{
	static const char *const methods[] = { "", "uncompressed", "gzip", "zstd", NULL };
	int i = index_of(methods, v);

	if (i < 1)
		return fail_word("output", p, v, methods + 1,
		                 "compression=uncompressed, gzip or zstd", err);
	o->compression = (enum build_compression)i;
	return 0;
}

/* annotation.KEY=V and annotation-manifest.KEY=V: an image of one platform has one manifest. */
static bool output_annotation(const struct build_pair *p, struct arena *a, struct build_output *o)
{
	static const char *const prefixes[] = { "annotation.", "annotation-manifest." };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(p->key, prefixes[i], n) != 0 || !p->key[n])
			continue;
		image_kvs_set(a, &o->annotations, str_of(p->key + n), str_of(p->value));
		return true;
	}
	return false;
}

static int output_flag(const struct build_pair *p, const char *v, struct build_output *o,
                       struct image_output *image, struct cairn_err *err)
{
	/* all fields, for who misspells one */
	static const char *const fields[] = { "type",
		                              "dest",
		                              "name",
		                              "compression",
		                              "compression-level",
		                              "tar",
		                              "push",
		                              "push-by-digest",
		                              "oci-mediatypes",
		                              "force-compression",
		                              "registry.insecure",
		                              NULL };
	bool oci = true;
	const struct {
		const char *name;
		bool *at;
	} flags[] = { { "tar", &o->tar },
		      { "push", &image->push },
		      { "push-by-digest", &o->by_digest },
		      { "oci-mediatypes", &oci },
		      { "force-compression", &o->force_compression },
		      { "registry.insecure", &o->insecure } };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(p->key, flags[i].name) != 0)
			continue;
		if (p->value && strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
			return fail_field("output", p, "true or false", err);
		*flags[i].at = !p->value || v[0] == 't';
		o->docker |= !oci;
		return 0;
	}
	return fail_word("output", p, p->key, fields, "a field of --output", err);
}

static int output_field(const struct build_pair *p, struct arena *a, struct build_output *o,
                        struct image_output *image, struct cairn_err *err)
{
	const char *v = p->value ? p->value : "";
	uint64_t level = 0;

	if (strcmp(p->key, "type") == 0)
		return output_type(p, v, o, image, err);
	if (strcmp(p->key, "compression") == 0)
		return output_compression(p, v, o, err);
	if (strcmp(p->key, "dest") == 0 && *v) {
		o->dest = p->value;
	} else if (strcmp(p->key, "name") == 0 && *v) {
		o->name = p->value;
	} else if (strcmp(p->key, "compression-level") == 0) {
		if (num_u64(str_of(v), 22, &level, err) < 0)
			return fail_field("output", p, "a level of 0 to 22", err);
		o->level = (int)level;
	} else if (!output_annotation(p, a, o)) {
		return output_flag(p, v, o, image, err);
	}
	return 0;
}

/* Do the fields make sense together? */
static int check_output(const char *value, const struct image_output *image, struct build_output *o,
                        struct cairn_err *err)
{
	bool local = o->type == BUILD_OUTPUT_LOCAL || (o->type == BUILD_OUTPUT_OCI && !o->tar);

	if (image->push && image->image)
		o->type = BUILD_OUTPUT_REGISTRY;
	else if (image->push && o->type != BUILD_OUTPUT_REGISTRY)
		return cairn_fail(err, CAIRN_E_USAGE, "--output '%s': push= belongs to type=image",
		                  value);
	else if (image->image && o->name)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output '%s': name= needs push=true; --tag names it here",
		                  value);
	if (o->type == BUILD_OUTPUT_REGISTRY && o->dest)
		return cairn_fail(
			err, CAIRN_E_USAGE,
			"--output '%s': dest= makes no sense for a registry; give name=", value);
	if (local && (!o->dest || strcmp(o->dest, "-") == 0))
		return cairn_fail(err, CAIRN_E_USAGE, "--output '%s': dest=FOLDER is missing",
		                  value);
	if (o->type != BUILD_OUTPUT_REGISTRY && (o->annotations.len || o->by_digest ||
	                                         o->insecure || o->force_compression || o->docker))
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output '%s': only an image that is pushed has annotations, "
		                  "push-by-digest, oci-mediatypes, force-compression, "
		                  "registry.insecure",
		                  value);
	if (!o->dest && o->type != BUILD_OUTPUT_STORE && o->type != BUILD_OUTPUT_REGISTRY)
		o->dest = "-";
	return 0;
}

int build_output_parse(const char *value, struct arena *a, struct build_output *ret,
                       struct cairn_err *err)
{
	struct build_output o = { .level = -1, .tar = true };
	struct image_output image = { 0 };
	bool typed = false;
	struct build_fields f;

	if (!strchr(value, '=') && !strchr(value, ',')) {
		if (!*value)
			return cairn_fail(err, CAIRN_E_USAGE, "--output is empty");
		o.type = strcmp(value, "-") == 0 ? BUILD_OUTPUT_TAR : BUILD_OUTPUT_LOCAL;
		o.dest = arena_cstr(a, str_of(value));
		*ret = o;
		return 0;
	}
	TRY(build_fields_split("output", value, a, &f, err));
	for (size_t i = 0; i < f.n; i++) {
		typed = typed || strcmp(f.at[i].key, "type") == 0;
		TRY(output_field(&f.at[i], a, &o, &image, err));
	}
	if (!typed)
		return cairn_fail(err, CAIRN_E_USAGE, "--output '%s': type= is missing", value);
	TRY(check_output(value, &image, &o, err));
	*ret = o;
	return 0;
}

int build_secret_parse(const char *value, struct arena *a, struct build_secret *ret,
                       struct cairn_err *err)
{
	static const char *const fields[] = { "id", "src", "source", "env", "type", NULL };
	static const char *const types[] = { "file", "env", NULL };
	struct build_secret s = { 0 };
	const char *type = "";
	struct build_fields f;

	TRY(build_fields_split("secret", value, a, &f, err));
	for (size_t i = 0; i < f.n; i++) {
		const struct build_pair *p = &f.at[i];

		if (!p->value || !*p->value)
			return fail_field("secret", p, "KEY=VALUE", err);
		if (strcmp(p->key, "id") == 0)
			s.id = p->value;
		else if (strcmp(p->key, "src") == 0 || strcmp(p->key, "source") == 0)
			s.src = p->value;
		else if (strcmp(p->key, "env") == 0)
			s.env = p->value;
		else if (strcmp(p->key, "type") == 0 && index_of(types, p->value) >= 0)
			type = p->value;
		else if (strcmp(p->key, "type") == 0)
			return fail_word("secret", p, p->value, types, "type=file or env", err);
		else
			return fail_word("secret", p, p->key, fields, "a field of --secret", err);
	}
	if (!s.id)
		return cairn_fail(err, CAIRN_E_USAGE, "--secret '%s': id= is missing", value);
	if (s.src && s.env)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--secret '%s' has both src= and env=", value);
	if (strcmp(type, "env") == 0 && s.src) {
		s.env = s.src;
		s.src = NULL;
	}
	if (!s.src && !s.env) /* as docker: the variable of that name, else the file */
		s.env = s.id;
	*ret = s;
	return 0;
}

int build_pair_parse(const char *opt, const char *text, struct arena *a, struct build_pair *ret,
                     struct cairn_err *err)
{
	str key, value;
	bool cut = str_cut(str_of(text), '=', &key, &value);

	if (key.len == 0)
		return cairn_fail(err, CAIRN_E_USAGE, "--%s '%s': the name is missing", opt, text);
	*ret = (struct build_pair){ arena_cstr(a, key), cut ? arena_cstr(a, value) : NULL };
	return 0;
}

static bool is_ip(const char *s)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, buf) == 1 || inet_pton(AF_INET6, s, buf) == 1;
}

int build_host_parse(const char *text, struct arena *a, struct build_host *ret,
                     struct cairn_err *err)
{
	str name = str_of(text), ip;
	char *addr;

	if (!str_cut(str_of(text), '=', &name, &ip) && !str_cut(str_of(text), ':', &name, &ip))
		return cairn_fail(err, CAIRN_E_USAGE, "--add-host '%s': give HOST:IP", text);
	if (ip.len > 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']')
		ip = str_n(ip.ptr + 1, ip.len - 2);
	addr = arena_cstr(a, ip);
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] <= ' ')
			name.len = 0;
	if (name.len == 0)
		return cairn_fail(err, CAIRN_E_USAGE, "--add-host '%s': the host is missing", text);
	if (strcmp(addr, "host-gateway") != 0 && !is_ip(addr))
		return cairn_fail(err, CAIRN_E_USAGE, "--add-host '%s': '%s' is no IP address",
		                  text, addr);
	*ret = (struct build_host){ arena_cstr(a, name), addr };
	return 0;
}

static const struct {
	const char *name;
	int resource;
} limits[] = {
	{ "as", RLIMIT_AS },
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

static int limit_value(str s, uint64_t *ret, struct cairn_err *err)
{
	if (str_is(s, "-1") || str_is(s, "unlimited")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return num_u64(s, UINT64_MAX - 1, ret, err);
}

static int fail_limit(const char *text, str name, struct cairn_err *err)
{
	const char *names[ARRAY_SIZE(limits) + 1];
	char hint[STR_HINT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		names[i] = limits[i].name;
	names[ARRAY_SIZE(limits)] = NULL;
	return cairn_fail(err, CAIRN_E_USAGE, "--ulimit '%s': no limit is called '%.*s'%s", text,
	                  STR(name), str_did_you_mean(name, names, hint));
}

int build_ulimit_parse(const char *text, struct build_ulimit *ret, struct cairn_err *err)
{
	struct build_ulimit u = { .resource = -1 };
	str name, values, soft, hard;

	if (!str_cut(str_of(text), '=', &name, &values))
		return cairn_fail(err, CAIRN_E_USAGE, "--ulimit '%s': give NAME=SOFT[:HARD]", text);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (str_is(name, limits[i].name)) {
			u.name = limits[i].name;
			u.resource = limits[i].resource;
		}
	}
	if (u.resource < 0)
		return fail_limit(text, name, err);
	if (!str_cut(values, ':', &soft, &hard))
		hard = soft;
	if (limit_value(soft, &u.soft, err) < 0 || limit_value(hard, &u.hard, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--ulimit '%s'", text);
	}
	if (u.soft > u.hard)
		return cairn_fail(err, CAIRN_E_USAGE, "--ulimit '%s': soft is above hard", text);
	*ret = u;
	return 0;
}

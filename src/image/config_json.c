/* image/config_json.c - image configs from and to JSON. */
#include "config.h"

#include "util/clock.h"

static str view(const json_t *j)
{
	return str_n(json_string_value(j), json_string_length(j));
}

/* A string member into the arena; absent is "". */
static int read_str(struct arena *a, const json_t *j, const char *key, str *ret,
                    struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(j, key, &s, err));
	*ret = arena_str(a, str_of(s));
	return 0;
}

static int read_strs(struct arena *a, const json_t *j, const char *key, struct image_strs *ret,
                     struct cairn_err *err)
{
	json_t *list = NULL;
	struct image_strs v = { 0 };

	TRY(json_get_array(j, key, &list, err));
	if (json_array_size(list) > IMAGE_LIST_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has more than %u members", key,
		                  IMAGE_LIST_MAX);
	v.len = json_array_size(list);
	v.ptr = arena_array(a, str, v.len);
	for (size_t i = 0; i < v.len; i++) {
		const json_t *s = json_array_get(list, i);

		if (!json_is_string(s))
			return cairn_fail(err, CAIRN_E_SYNTAX, "member %zu of '%s' is not a string",
			                  i, key);
		v.ptr[i] = arena_str(a, view(s));
	}
	*ret = v;
	return 0;
}

static int str_cmp_p(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

/* The keys of {"80/tcp":{}}, sorted. */
static int read_set(struct arena *a, const json_t *j, const char *key, struct image_strs *ret,
                    struct cairn_err *err)
{
	json_t *obj = NULL, *value;
	struct image_strs v = { 0 };
	const char *name;

	TRY(json_get_object(j, key, &obj, err));
	if (json_object_size(obj) > IMAGE_LIST_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has more than %u members", key,
		                  IMAGE_LIST_MAX);
	v.ptr = arena_array(a, str, json_object_size(obj));
	json_object_foreach(obj, name, value) v.ptr[v.len++] = arena_str(a, str_of(name));
	if (v.len)
		qsort(v.ptr, v.len, sizeof(*v.ptr), str_cmp_p);
	*ret = v;
	return 0;
}

/* Years outside what 64-bit nanoseconds hold (Go's zero time among them) count as absent. */
static int read_time(const json_t *j, const char *key, struct image_time *ret,
                     struct cairn_err *err)
{
	const char *s = NULL;
	struct image_time t = { 0 };

	TRY(json_get_str(j, key, &s, err));
	if (s && s[0] && !str_starts(str_of(s), S("0001-01-01T"))) {
		if (clock_parse(str_of(s), &t.ns, err) < 0)
			return cairn_wrap(err, "'%s'", key);
		t.set = true;
	}
	*ret = t;
	return 0;
}

static int read_healthcheck(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	struct image_healthcheck *h = &c->healthcheck;

	c->has_healthcheck = true;
	TRY(read_strs(c->arena, j, "Test", &h->test, err));
	TRY(json_get_int(j, "Interval", 0, &h->interval, err));
	TRY(json_get_int(j, "Timeout", 0, &h->timeout, err));
	TRY(json_get_int(j, "StartPeriod", 0, &h->start_period, err));
	TRY(json_get_int(j, "StartInterval", 0, &h->start_interval, err));
	return json_get_int(j, "Retries", 0, &h->retries, err);
}

static int read_run_config(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	struct arena *a = c->arena;
	json_t *health = NULL;

	TRY(read_str(a, j, "User", &c->user, err));
	TRY(read_set(a, j, "ExposedPorts", &c->ports, err));
	TRY(read_strs(a, j, "Env", &c->env, err));
	TRY(read_strs(a, j, "Entrypoint", &c->entrypoint, err));
	TRY(read_strs(a, j, "Cmd", &c->cmd, err));
	TRY(read_set(a, j, "Volumes", &c->volumes, err));
	TRY(read_str(a, j, "WorkingDir", &c->workdir, err));
	TRY(image_kvs_from_json(a, json_object_get(j, "Labels"), "Labels", &c->labels, err));
	TRY(read_str(a, j, "StopSignal", &c->stop_signal, err));
	TRY(json_get_bool(j, "ArgsEscaped", false, &c->args_escaped, err));
	TRY(read_strs(a, j, "OnBuild", &c->onbuild, err));
	TRY(read_strs(a, j, "Shell", &c->shell, err));
	TRY(json_get_object(j, "Healthcheck", &health, err));
	return health ? read_healthcheck(c, health, err) : 0;
}

static int read_diff_ids(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	json_t *rootfs = NULL;
	struct image_strs ids = { 0 };

	TRY(json_get_object(j, "rootfs", &rootfs, err));
	TRY(read_strs(c->arena, rootfs, "diff_ids", &ids, err));
	c->diff_ids = arena_array(c->arena, struct digest, ids.len);
	for (size_t i = 0; i < ids.len; i++)
		if (digest_parse(ids.ptr[i], &c->diff_ids[i], err) < 0)
			return cairn_wrap(err, "diff_ids[%zu]", i);
	c->n_diff_ids = ids.len;
	return 0;
}

static int read_history(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	json_t *list = NULL;
	size_t n;

	TRY(json_get_array(j, "history", &list, err));
	n = json_array_size(list);
	if (n > IMAGE_LIST_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'history' has more than %u members",
		                  IMAGE_LIST_MAX);
	c->history = arena_array(c->arena, struct image_history, n);
	for (size_t i = 0; i < n; i++) {
		struct image_history *h = &c->history[i];
		const json_t *e = json_array_get(list, i);

		if (!json_is_object(e))
			return cairn_fail(err, CAIRN_E_SYNTAX, "history[%zu] is not an object", i);
		TRY(read_time(e, "created", &h->created, err));
		TRY(read_str(c->arena, e, "created_by", &h->created_by, err));
		TRY(read_str(c->arena, e, "author", &h->author, err));
		TRY(read_str(c->arena, e, "comment", &h->comment, err));
		TRY(json_get_bool(e, "empty_layer", false, &h->empty_layer, err));
	}
	c->n_history = n;
	return 0;
}

static int read_platform(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	str os, arch, variant, version;

	TRY(read_str(c->arena, j, "os", &os, err));
	TRY(read_str(c->arena, j, "architecture", &arch, err));
	TRY(read_str(c->arena, j, "variant", &variant, err));
	TRY(read_str(c->arena, j, "os.version", &version, err));
	TRY(platform_make(os, arch, variant, &c->platform, err));
	if (version.len <= PLATFORM_PART_MAX)
		memcpy(c->platform.os_version, version.ptr, version.len);
	return read_strs(c->arena, j, "os.features", &c->os_features, err);
}

static int read_config(struct image_config *c, const json_t *j, struct cairn_err *err)
{
	json_t *run = NULL;

	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(read_platform(c, j, err));
	TRY(read_time(j, "created", &c->created, err));
	TRY(read_str(c->arena, j, "author", &c->author, err));
	TRY(json_get_object(j, "config", &run, err));
	if (run)
		TRY(read_run_config(c, run, err));
	TRY(read_diff_ids(c, j, err));
	return read_history(c, j, err);
}

int image_config_parse(struct arena *a, str bytes, struct image_config *ret, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	struct image_config c = { .arena = a };

	if (bytes.len > IMAGE_CONFIG_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "image config is larger than %u bytes",
		                  IMAGE_CONFIG_MAX);
	TRY(json_parse(bytes, "image config", &j, err));
	if (read_config(&c, j, err) < 0)
		return cairn_wrap(err, "image config");
	*ret = c;
	return 0;
}

/* The put_* functions leave out what is empty. */
static void put_str(json_t *obj, const char *key, str s)
{
	if (s.len)
		(void)json_object_set_new(obj, key, json_str(s));
}

static void put_strs(json_t *obj, const char *key, const struct image_strs *s)
{
	json_t *list;

	if (s->len == 0)
		return;
	list = json_array();
	for (size_t i = 0; i < s->len; i++)
		(void)json_array_append_new(list, json_str(s->ptr[i]));
	(void)json_object_set_new(obj, key, list);
}

static void put_set(json_t *obj, const char *key, const struct image_strs *s)
{
	json_t *set;

	if (s->len == 0)
		return;
	set = json_object();
	for (size_t i = 0; i < s->len; i++) {
		cleanup_json json_t *name = json_str(s->ptr[i]); /* makes it UTF-8 */

		(void)json_object_set_new(set, json_string_value(name), json_object());
	}
	(void)json_object_set_new(obj, key, set);
}

static void put_int(json_t *obj, const char *key, int64_t v)
{
	if (v)
		(void)json_object_set_new(obj, key, json_integer(v));
}

static void put_bool(json_t *obj, const char *key, bool v)
{
	if (v)
		(void)json_object_set_new(obj, key, json_true());
}

static void put_time(json_t *obj, const char *key, const struct image_time *t)
{
	char b[CLOCK_TEXT_MAX];

	if (t->set)
		(void)json_object_set_new(obj, key, json_str(str_of(clock_text(t->ns, b))));
}

static json_t *healthcheck_to_json(const struct image_healthcheck *h)
{
	json_t *j = json_object();

	put_strs(j, "Test", &h->test);
	put_int(j, "Interval", h->interval);
	put_int(j, "Timeout", h->timeout);
	put_int(j, "StartPeriod", h->start_period);
	put_int(j, "StartInterval", h->start_interval);
	put_int(j, "Retries", h->retries);
	return j;
}

/* In the order of Go's struct: OCI's members, then Docker's. */
static json_t *run_config_to_json(const struct image_config *c)
{
	json_t *j = json_object();

	put_str(j, "User", c->user);
	put_set(j, "ExposedPorts", &c->ports);
	put_strs(j, "Env", &c->env);
	put_strs(j, "Entrypoint", &c->entrypoint);
	put_strs(j, "Cmd", &c->cmd);
	put_set(j, "Volumes", &c->volumes);
	put_str(j, "WorkingDir", c->workdir);
	if (c->labels.len)
		(void)json_object_set_new(j, "Labels", image_kvs_to_json(&c->labels));
	put_str(j, "StopSignal", c->stop_signal);
	put_bool(j, "ArgsEscaped", c->args_escaped);
	if (c->has_healthcheck)
		(void)json_object_set_new(j, "Healthcheck", healthcheck_to_json(&c->healthcheck));
	put_strs(j, "OnBuild", &c->onbuild);
	put_strs(j, "Shell", &c->shell);
	return j;
}

static json_t *history_to_json(const struct image_config *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_history; i++) {
		const struct image_history *h = &c->history[i];
		json_t *j = json_object();

		put_time(j, "created", &h->created);
		put_str(j, "created_by", h->created_by);
		put_str(j, "author", h->author);
		put_str(j, "comment", h->comment);
		put_bool(j, "empty_layer", h->empty_layer);
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *rootfs_to_json(const struct image_config *c)
{
	json_t *j = json_object(), *ids = json_array();

	for (size_t i = 0; i < c->n_diff_ids; i++)
		(void)json_array_append_new(ids, json_str(str_of(digest_text(&c->diff_ids[i]).s)));
	(void)json_object_set_new(j, "type", json_string("layers"));
	(void)json_object_set_new(j, "diff_ids", ids);
	return j;
}

/* Sorted by name. */
static json_t *config_to_json(const struct image_config *c)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "architecture", json_str(str_of(c->platform.arch)));
	put_str(j, "author", c->author);
	(void)json_object_set_new(j, "config", run_config_to_json(c));
	put_time(j, "created", &c->created);
	if (c->n_history)
		(void)json_object_set_new(j, "history", history_to_json(c));
	(void)json_object_set_new(j, "os", json_str(str_of(c->platform.os)));
	put_strs(j, "os.features", &c->os_features);
	put_str(j, "os.version", str_of(c->platform.os_version));
	(void)json_object_set_new(j, "rootfs", rootfs_to_json(c));
	put_str(j, "variant", str_of(c->platform.variant));
	return j;
}

/* Append JSON with Go's escapes. These characters occur in strings only, so no
 * state is needed. U+2028 and U+2029 are E2 80 A8 and E2 80 A9. */
static void add_go_escaped(struct strbuf *out, str json)
{
	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (c == '&' || c == '<' || c == '>') {
			strbuf_printf(out, "\\u%04x", (unsigned)c);
		} else if (str_starts(str_skip(json, i), S("\xe2\x80\xa8")) ||
		           str_starts(str_skip(json, i), S("\xe2\x80\xa9"))) {
			strbuf_cstr(out, json.ptr[i + 2] == '\xa8' ? "\\u2028" : "\\u2029");
			i += 2;
		} else {
			strbuf_char(out, c);
		}
	}
}

void image_config_encode(const struct image_config *c, struct strbuf *out)
{
	cleanup_json json_t *j = config_to_json(c);
	struct strbuf plain cleanup_strbuf;

	strbuf_init(&plain, SIZE_MAX);
	json_write(j, &plain);
	add_go_escaped(out, strbuf_view(&plain));
}

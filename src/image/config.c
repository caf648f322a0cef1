#include "config.h"

void image_config_init(struct image_config *c, struct arena *a, const struct platform *platform)
{
	*c = (struct image_config){ .arena = a, .platform = *platform };
}

static struct image_strs copy_strs(struct arena *a, const struct image_strs *s)
{
	struct image_strs v = { arena_array(a, str, s->len), s->len };

	for (size_t i = 0; i < s->len; i++)
		v.ptr[i] = arena_str(a, s->ptr[i]);
	return v;
}

static struct image_kvs copy_kvs(struct arena *a, const struct image_kvs *s)
{
	struct image_kvs v = { arena_array(a, struct image_kv, s->len), s->len };

	for (size_t i = 0; i < s->len; i++)
		v.ptr[i] = (struct image_kv){ arena_str(a, s->ptr[i].key),
			                      arena_str(a, s->ptr[i].value) };
	return v;
}

static struct image_history copy_history(struct arena *a, const struct image_history *h)
{
	struct image_history v = *h;

	v.created_by = arena_str(a, h->created_by);
	v.author = arena_str(a, h->author);
	v.comment = arena_str(a, h->comment);
	return v;
}

void image_config_copy(struct arena *a, const struct image_config *src, struct image_config *ret)
{
	struct image_config c = *src;

	c.arena = a;
	c.author = arena_str(a, src->author);
	c.os_features = copy_strs(a, &src->os_features);
	c.user = arena_str(a, src->user);
	c.ports = copy_strs(a, &src->ports);
	c.env = copy_strs(a, &src->env);
	c.entrypoint = copy_strs(a, &src->entrypoint);
	c.cmd = copy_strs(a, &src->cmd);
	c.volumes = copy_strs(a, &src->volumes);
	c.workdir = arena_str(a, src->workdir);
	c.labels = copy_kvs(a, &src->labels);
	c.stop_signal = arena_str(a, src->stop_signal);
	c.healthcheck.test = copy_strs(a, &src->healthcheck.test);
	c.onbuild = copy_strs(a, &src->onbuild);
	c.shell = copy_strs(a, &src->shell);
	c.diff_ids = arena_array(a, struct digest, src->n_diff_ids);
	for (size_t i = 0; i < src->n_diff_ids; i++)
		c.diff_ids[i] = src->diff_ids[i];
	c.history = arena_array(a, struct image_history, src->n_history);
	for (size_t i = 0; i < src->n_history; i++)
		c.history[i] = copy_history(a, &src->history[i]);
	*ret = c;
}

/* Put s at index `at` of a new array; s is in the arena already. */
static void insert(struct arena *a, struct image_strs *list, size_t at, str s)
{
	str *v = arena_array(a, str, list->len + 1);

	for (size_t i = 0; i < list->len; i++)
		v[i + (i >= at)] = list->ptr[i];
	v[at] = s;
	list->ptr = v;
	list->len++;
}

/* Index of the variable `name` in env, or env.len. */
static size_t env_find(const struct image_config *c, str name)
{
	str key, value;

	for (size_t i = 0; i < c->env.len; i++) {
		(void)str_cut(c->env.ptr[i], '=', &key, &value);
		if (str_eq(key, name))
			return i;
	}
	return c->env.len;
}

void image_config_env_set(struct image_config *c, str name, str value)
{
	size_t i = env_find(c, name);
	str line = str_of(arena_printf(c->arena, "%.*s=%.*s", STR(name), STR(value)));

	if (i < c->env.len)
		c->env.ptr[i] = line;
	else
		insert(c->arena, &c->env, c->env.len, line);
}

bool image_config_env_get(const struct image_config *c, str name, str *ret_value)
{
	size_t i = env_find(c, name);
	str key;

	return i < c->env.len && str_cut(c->env.ptr[i], '=', &key, ret_value);
}

void image_config_label_set(struct image_config *c, str key, str value)
{
	image_kvs_set(c->arena, &c->labels, key, value);
}

/* Add to a sorted list without doubles. */
static void add_sorted(struct arena *a, struct image_strs *list, str s)
{
	size_t at = 0;

	while (at < list->len && str_cmp(list->ptr[at], s) < 0)
		at++;
	if (at == list->len || !str_eq(list->ptr[at], s))
		insert(a, list, at, arena_str(a, s));
}

void image_config_port_add(struct image_config *c, str port)
{
	add_sorted(c->arena, &c->ports, port);
}

void image_config_volume_add(struct image_config *c, str path)
{
	add_sorted(c->arena, &c->volumes, path);
}

void image_config_onbuild_add(struct image_config *c, str trigger)
{
	insert(c->arena, &c->onbuild, c->onbuild.len, arena_str(c->arena, trigger));
}

void image_config_onbuild_clear(struct image_config *c)
{
	c->onbuild = (struct image_strs){ 0 };
}

void image_config_strs_set(struct image_config *c, struct image_strs *member,
                           const struct image_strs *args)
{
	*member = copy_strs(c->arena, args);
}

void image_config_str_set(struct image_config *c, str *member, str value)
{
	*member = arena_str(c->arena, value);
}

void image_config_healthcheck_set(struct image_config *c, const struct image_healthcheck *h)
{
	c->has_healthcheck = true;
	c->healthcheck = *h;
	c->healthcheck.test = copy_strs(c->arena, &h->test);
}

void image_config_history_add(struct image_config *c, const struct image_history *h)
{
	struct image_history *v = arena_array(c->arena, struct image_history, c->n_history + 1);

	for (size_t i = 0; i < c->n_history; i++)
		v[i] = c->history[i];
	v[c->n_history] = copy_history(c->arena, h);
	c->history = v;
	c->n_history++;
}

void image_config_layer_add(struct image_config *c, const struct digest *diff_id)
{
	struct digest *v = arena_array(c->arena, struct digest, c->n_diff_ids + 1);

	for (size_t i = 0; i < c->n_diff_ids; i++)
		v[i] = c->diff_ids[i];
	v[c->n_diff_ids] = *diff_id;
	c->diff_ids = v;
	c->n_diff_ids++;
}

struct digest image_config_digest(const struct image_config *c)
{
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, SIZE_MAX);
	image_config_encode(c, &b);
	return digest_of(b.ptr, b.len);
}

struct digest image_config_chain_id(const struct image_config *c, size_t n)
{
	struct digest id = c->diff_ids[0];

	for (size_t i = 1; i < n; i++) {
		struct sha256 h;

		sha256_init(&h);
		sha256_add(&h, digest_text(&id).s, DIGEST_STR_LEN);
		sha256_add(&h, " ", 1);
		sha256_add(&h, digest_text(&c->diff_ids[i]).s, DIGEST_STR_LEN);
		id = sha256_end(&h);
	}
	return id;
}

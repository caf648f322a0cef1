/* docker-bake.json (https://docs.docker.com/build/bake/reference/).
 *
 * JSON is read by the parser of YAML, which knows where everything stands.  A target is an image,
 * unless it only serves others: no group and no context names it, and another inherits from it or
 * its name begins with '_'.  With a group or target "default", what is not in it is built only when
 * it is named, as in bake.
 */
#include "images_batch.h"

#define VARIABLES_DEPTH_MAX 16 /* variables in the defaults of others */

enum state {
	WRITTEN,
	RESOLVING, /* its inherits are looked at: to come back here is a circle */
	RESOLVED,
};

/* A target; one of several that a matrix makes. */
struct target {
	struct conf_pair pair; /* value: expanded; with what it inherits once it is RESOLVED */
	enum state state;
	bool inherited, named;
};

struct bake {
	struct images_batch b;
	VEC(struct target) targets;
	/* The matrix that is made out at the moment. */
	const struct conf_node *matrix;
	struct conf_node *const *values; /* one for each of its pairs */
	unsigned depth;                  /* of variables in variables */
	struct cairn_err err;            /* of a variable's default */
};

/* --- variables ------------------------------------------------------------------------ */

static bool lookup(void *ctx, str name, str *ret);

static struct vars vars_of(struct bake *k)
{
	return (struct vars){
		.style = VARS_BAKE, .arena = k->b.reader.arena, .lookup = lookup, .ctx = k
	};
}

static const struct conf_node *member(const struct conf_node *n, str key)
{
	for (size_t i = 0; n && n->kind == CONF_MAP && i < n->n; i++)
		if (str_eq(n->pairs[i].key, key))
			return n->pairs[i].value;
	return NULL;
}

/* ${tgt} and ${item.tgt} of a matrix. */
static const struct conf_node *matrix_value(const struct bake *k, str name)
{
	const struct conf_node *v = NULL;
	str head, rest;

	(void)str_cut(name, '.', &head, &rest);
	for (size_t i = 0; k->values && i < k->matrix->n; i++)
		if (str_eq(k->matrix->pairs[i].key, head))
			v = k->values[i];
	return v && rest.len ? member(v, rest) : v;
}

static bool lookup(void *ctx, str name, str *ret)
{
	struct bake *k = ctx;
	const struct conf_node *v = matrix_value(k, name);
	const struct conf_node *declared = member(conf_get(k->b.root, "variable"), name);
	struct vars vars = vars_of(k);
	bool ok;

	if (!v && declared && images_env(name, ret))
		return true;
	if (!v)
		v = declared ? conf_get(declared, "default") : member(k->b.root, name);
	if (!v && declared) { /* a variable without default is empty */
		*ret = S("");
		return true;
	}
	if (!v || v->kind != CONF_SCALAR || k->depth >= VARIABLES_DEPTH_MAX)
		return false;
	if (conf_is_null(v)) {
		*ret = S("");
		return true;
	}
	k->depth++;
	ok = v->plain || vars_expand(&vars, v->text, ret, &k->err) == 0;
	k->depth--;
	if (v->plain)
		*ret = v->text;
	return ok;
}

/* --- targets --------------------------------------------------------------------------- */

static struct target *find_target(struct bake *k, str name)
{
	vec_foreach (t, &k->targets)
		if (str_eq(t->pair.key, name))
			return t;
	return NULL;
}

static int add_target(struct bake *k, const struct conf_pair *p, str name, struct cairn_err *err)
{
	struct target t = { .pair = *p };
	struct vars vars = vars_of(k);

	if (p->value->kind != CONF_MAP)
		return conf_fail(&k->b.reader, p->value, err, "expected a mapping of keys, not %s",
		                 conf_kind_name(p->value));
	if (find_target(k, name))
		return conf_fail(&k->b.reader, p, err, "two targets have the name '%.*s'",
		                 STR(name));
	if (k->targets.len >= IMAGES_MAX)
		return conf_fail(&k->b.reader, p, err, "there are more than %u targets",
		                 IMAGES_MAX);
	t.pair.key = name;
	TRY(batch_expand(&k->b, &vars, false, p->value, &t.pair.value, err));
	vec_push(&k->targets, t);
	return 0;
}

static int check_matrix(const struct bake *k, const struct conf_pair *p,
                        const struct conf_node *matrix, struct cairn_err *err)
{
	size_t total = 1;

	if (matrix->kind != CONF_MAP)
		return conf_fail(&k->b.reader, matrix, err,
		                 "matrix: expected a mapping of lists, not %s",
		                 conf_kind_name(matrix));
	for (size_t i = 0; i < matrix->n; i++) {
		const struct conf_node *v = matrix->pairs[i].value;

		if (v->kind != CONF_LIST || !v->n)
			return conf_fail(&k->b.reader, v, err, "matrix: expected a list of values");
		total *= v->n;
		if (total > IMAGES_MAX)
			return conf_fail(&k->b.reader, v, err,
			                 "the matrix makes more than %u targets", IMAGES_MAX);
	}
	if (!conf_get(p->value, "name"))
		return conf_fail(&k->b.reader, matrix, err,
		                 "a target with a matrix needs a 'name', as in \"%.*s-${%.*s}\"",
		                 STR(p->key), STR(matrix->n ? matrix->pairs[0].key : S("x")));
	return 0;
}

static int add_combination(struct bake *k, const struct conf_pair *p, str *ret_name,
                           struct cairn_err *err)
{
	const struct conf_node *name = conf_get(p->value, "name");
	struct vars vars = vars_of(k);
	struct cairn_err why;

	if (name->kind != CONF_SCALAR || vars_expand(&vars, name->text, ret_name, &why) < 0)
		return conf_fail(&k->b.reader, name, err, "name: %s",
		                 name->kind == CONF_SCALAR ? why.msg : "expected a text");
	return add_target(k, p, *ret_name, err);
}

static int add_matrix(struct bake *k, const struct conf_pair *p, const struct conf_node *matrix,
                      struct cairn_err *err)
{
	struct arena *a = k->b.reader.arena;
	size_t *at = arena_array(a, size_t, matrix->n + 1), n = 0, total = 1;
	struct conf_node **values = arena_array(a, struct conf_node *, matrix->n + 1);
	str *names;
	int r = 0;

	for (size_t i = 0; i < matrix->n; i++)
		total *= matrix->pairs[i].value->n;
	names = arena_array(a, str, total + 1);
	k->matrix = matrix;
	k->values = values;
	for (; r == 0 && n < total; n++) {
		for (size_t i = 0; i < matrix->n; i++)
			values[i] = matrix->pairs[i].value->items[at[i]];
		r = add_combination(k, p, &names[n], err);
		for (size_t i = matrix->n; i-- > 0 && ++at[i] == matrix->pairs[i].value->n;)
			at[i] = 0;
	}
	k->values = NULL;
	if (r == 0 && !find_target(k, p->key))
		batch_add_group(&k->b, p, names, n);
	return r;
}

static int add_targets(struct bake *k, struct cairn_err *err)
{
	const struct conf_node *all = conf_get(k->b.root, "target");
	struct vars vars = vars_of(k);

	for (size_t i = 0; all && all->kind == CONF_MAP && i < all->n; i++) {
		const struct conf_pair *p = &all->pairs[i];
		const struct conf_node *written = conf_get(p->value, "matrix");
		struct conf_node *matrix = NULL;

		if (!written || conf_is_null(written)) {
			TRY(add_target(k, p, p->key, err));
			continue;
		}
		TRY(batch_expand(&k->b, &vars, false, written, &matrix, err));
		TRY(check_matrix(k, p, matrix, err));
		TRY(add_matrix(k, p, matrix, err));
	}
	return 0;
}

/* --- inherits -------------------------------------------------------------------------- */

static const char *const merged_keys[] = { "args", "contexts", "labels" };

static struct conf_node *merge(struct bake *k, const struct conf_node *under,
                               const struct conf_node *over, bool deep)
{
	struct arena *a = k->b.reader.arena;
	struct conf_node *n = arena_new_of(a, struct conf_node);

	*n = *over;
	n->pairs = arena_array(a, struct conf_pair, under->n + over->n + 1);
	n->n = 0;
	for (size_t i = 0; i < under->n; i++)
		n->pairs[n->n++] = under->pairs[i];
	for (size_t i = 0; i < over->n; i++) {
		const struct conf_pair *p = &over->pairs[i];
		struct conf_pair *there = NULL;
		bool both_maps = false;

		for (size_t j = 0; j < n->n; j++)
			if (str_eq(n->pairs[j].key, p->key))
				there = &n->pairs[j];
		for (size_t j = 0; deep && there && j < ARRAY_SIZE(merged_keys); j++)
			both_maps = both_maps ||
			            (str_is(p->key, merged_keys[j]) &&
			             there->value->kind == CONF_MAP && p->value->kind == CONF_MAP);
		if (!there)
			n->pairs[n->n++] = *p;
		else if (both_maps)
			there->value = merge(k, there->value, p->value, false);
		else if (!deep || !conf_is_null(p->value)) /* null: as if it was not there */
			*there = *p;
	}
	return n;
}

/* Keys that a target does not pass on. */
static struct conf_node *heritage(struct bake *k, const struct conf_node *from)
{
	struct conf_node *n = arena_new_of(k->b.reader.arena, struct conf_node);

	*n = *from;
	n->pairs = arena_array(k->b.reader.arena, struct conf_pair, from->n + 1);
	n->n = 0;
	for (size_t i = 0; i < from->n; i++)
		if (!str_is(from->pairs[i].key, "matrix") && !str_is(from->pairs[i].key, "name"))
			n->pairs[n->n++] = from->pairs[i];
	return n;
}

static int fail_target(struct bake *k, const struct conf_node *at, str name, struct cairn_err *err)
{
	const char **names = xcalloc(k->targets.len + 1, sizeof(*names)), *near;
	size_t n = 0;

	vec_foreach (t, &k->targets)
		names[n++] = arena_cstr(k->b.reader.arena, t->pair.key);
	near = str_suggest(name, names);
	free(names);
	return conf_fail(&k->b.reader, at, err, "there is no target '%.*s'%s%s%s", STR(name),
	                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

#define INHERITS_DEPTH_MAX 32

static int resolve(struct bake *k, struct target *t, unsigned depth, struct cairn_err *err)
{
	const struct conf_node *list = conf_get(t->pair.value, "inherits"), *own = t->pair.value;
	struct conf_node *under = NULL;

	if (t->state == RESOLVED)
		return 0;
	if (t->state == RESOLVING || depth > INHERITS_DEPTH_MAX)
		return conf_fail(&k->b.reader, list ? list : own, err,
		                 "target '%.*s' inherits from itself", STR(t->pair.key));
	t->state = RESOLVING;
	if (list && list->kind != CONF_LIST && !conf_is_null(list))
		return conf_fail(&k->b.reader, list, err, "inherits: expected a list, not %s",
		                 conf_kind_name(list));
	for (size_t i = 0; list && list->kind == CONF_LIST && i < list->n; i++) {
		struct target *from = list->items[i]->kind == CONF_SCALAR
		                              ? find_target(k, list->items[i]->text)
		                              : NULL;
		struct conf_node *passed;

		if (!from)
			return fail_target(k, list->items[i], list->items[i]->text, err);
		from->inherited = true;
		TRY(resolve(k, from, depth + 1, err));
		passed = heritage(k, from->pair.value);
		under = under ? merge(k, under, passed, true) : passed;
	}
	if (under)
		t->pair.value = merge(k, under, own, true);
	t->state = RESOLVED;
	return 0;
}

/* --- images ----------------------------------------------------------------------------- */

#define AT(field) offsetof(struct workspace_image, field)
#define IGNORED(name)               \
	{                           \
		name, CONF_F_ANY, 0 \
	}

static const struct conf_field target_fields[] = {
	{ "context", CONF_F_STRING, AT(context) },
	{ "dockerfile", CONF_F_STRING, AT(dockerfile) },
	{ "dockerfile-inline", CONF_F_STRING, AT(dockerfile_inline) },
	{ "target", CONF_F_STRING, AT(target) },
	{ "args", CONF_F_KVS, AT(args) },
	{ "contexts", CONF_F_KVS, AT(contexts) },
	{ "labels", CONF_F_KVS, AT(labels) },
	{ "tags", CONF_F_STRINGS, AT(tags) },
	{ "platforms", CONF_F_STRINGS, AT(platforms) },
	{ "secret", CONF_F_STRINGS, AT(secrets) },
	IGNORED("inherits"),
	IGNORED("matrix"),
	IGNORED("name"),
	IGNORED("description"),
	IGNORED("annotations"),
	IGNORED("attest"),
	IGNORED("call"),
	IGNORED("cache-from"),
	IGNORED("cache-to"),
	IGNORED("entitlements"),
	IGNORED("extra-hosts"),
	IGNORED("network"),
	IGNORED("no-cache"),
	IGNORED("no-cache-filter"),
	IGNORED("output"),
	IGNORED("policy"),
	IGNORED("pull"),
	IGNORED("shm-size"),
	IGNORED("ssh"),
	IGNORED("ulimits"),
	{ 0 },
};

static const struct conf_object target_object = { .fields = target_fields };

static const struct batch_ignored ignored[] = {
	{ "cache-from", "caches are those of cairn.yaml and of --cache-from" },
	{ "cache-to", "caches are those of cairn.yaml and of --cache-to" },
	{ "output", "where an image goes is said by its tags" },
	{ "annotations", "annotations are not written" },
	{ "network", "--network says it for a build" },
	{ "no-cache", "--no-cache says it for a build" },
	{ "ssh", "--ssh says it for a build" },
	{ "extra-hosts", "names of hosts are the machine's" },
	{ 0 },
};

/* {"type": "env", "id": "x", "env": "Y"} as "type=env,id=x,env=Y". */
static void flatten_secrets(struct bake *k, const struct conf_node *list)
{
	for (size_t i = 0; list && list->kind == CONF_LIST && i < list->n; i++) {
		struct conf_node *n = list->items[i];
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, SIZE_MAX);
		if (n->kind != CONF_MAP)
			continue;
		for (size_t j = 0; j < n->n; j++)
			if (n->pairs[j].value->kind == CONF_SCALAR)
				strbuf_printf(&text, "%s%.*s=%.*s", text.len ? "," : "",
				              STR(n->pairs[j].key), STR(n->pairs[j].value->text));
		n->kind = CONF_SCALAR;
		n->text = arena_str(k->b.reader.arena, strbuf_view(&text));
		n->plain = false;
	}
}

static int add_image(struct bake *k, const struct target *t, struct cairn_err *err)
{
	const struct images_place p = { .from = IMAGE_BAKE,
		                        .file = k->b.l->groups_file,
		                        .line = t->pair.line,
		                        .col = t->pair.col,
		                        .base = S(".") };
	struct workspace_image spec = { .name = t->pair.key };
	struct ws_image *i;

	batch_tell_ignored(&k->b, t->pair.value, ignored);
	flatten_secrets(k, conf_get(t->pair.value, "secret"));
	TRY(conf_read(&k->b.reader, &target_object, t->pair.value, &spec, err));
	batch_rename_contexts(&k->b, &spec.contexts, "target:");
	return images_add(k->b.l, &spec, &p, &i, err);
}

/* Which targets are named by groups and by contexts. */
static int add_groups(struct bake *k, struct cairn_err *err)
{
	const struct conf_node *groups = conf_get(k->b.root, "group");
	struct vars vars = vars_of(k);

	for (size_t i = 0; groups && groups->kind == CONF_MAP && i < groups->n; i++) {
		const struct conf_node *written = conf_get(groups->pairs[i].value, "targets");
		struct conf_node *list = NULL;
		struct image_strs names = { 0 };

		if (!written || written->kind != CONF_LIST)
			return conf_fail(&k->b.reader, &groups->pairs[i], err,
			                 "the group '%.*s' needs a list of 'targets'",
			                 STR(groups->pairs[i].key));
		TRY(batch_expand(&k->b, &vars, false, written, &list, err));
		names.ptr = arena_array(k->b.reader.arena, str, list->n + 1);
		for (; names.len < list->n; names.len++) {
			struct target *t;

			if (list->items[names.len]->kind != CONF_SCALAR)
				return conf_fail(&k->b.reader, list->items[names.len], err,
				                 "expected the name of a target");
			names.ptr[names.len] = list->items[names.len]->text;
			t = find_target(k, names.ptr[names.len]);
			if (t)
				t->named = true;
		}
		batch_add_group(&k->b, &groups->pairs[i], names.ptr, names.len);
		if (str_is(groups->pairs[i].key, "default"))
			k->b.l->default_group = true;
	}
	if (find_target(k, S("default")))
		k->b.l->default_group = true;
	return 0;
}

static void name_contexts(struct bake *k, const struct target *t)
{
	const struct conf_node *contexts = conf_get(t->pair.value, "contexts");

	for (size_t i = 0; contexts && contexts->kind == CONF_MAP && i < contexts->n; i++) {
		const struct conf_node *v = contexts->pairs[i].value;
		struct target *named = NULL;

		if (v->kind == CONF_SCALAR && str_starts(v->text, S("target:")))
			named = find_target(k, str_skip(v->text, 7));
		if (named)
			named->named = true;
	}
}

static int read(struct bake *k, struct cairn_err *err)
{
	TRY(add_targets(k, err));
	TRY(add_groups(k, err));
	vec_foreach (t, &k->targets)
		TRY(resolve(k, t, 0, err));
	vec_foreach (t, &k->targets)
		name_contexts(k, t);
	vec_foreach (t, &k->targets)
		if (t->named || (!t->inherited && !str_starts(t->pair.key, S("_"))))
			TRY(add_image(k, t, err));
	return 0;
}

int images_bake(struct images_loader *l, str text, str file, struct cairn_err *err)
{
	struct bake k = { .b = { .l = l,
		                 .reader = { .arena = l->a,
		                             .path = file.ptr,
		                             .root = "/",
		                             .empty_is_none = true } } };
	int r;

	l->groups_file = file;
	if (!str_starts(str_trim(text), S("{")))
		return cairn_fail_at(err, file.ptr, 1, 1,
		                     "this is no JSON; write it with 'docker buildx bake -f FILE "
		                     "--print > docker-bake.json' and name that");
	TRY(conf_parse(text, file.ptr, l->a, &k.b.root, err));
	r = read(&k, err);
	vec_free(&k.targets);
	return r;
}

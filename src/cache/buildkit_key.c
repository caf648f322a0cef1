#include "buildkit_key.h"

#include "buildkit_key_priv.h"
#include "image/image.h"

/* --- JSON as Go writes it ------------------------------------------------------ */

/* Bytes of the UTF-8 character at p, 0 when it is malformed; *ret_c is its code point. */
static size_t utf8_char(const unsigned char *p, size_t n, uint32_t *ret_c)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t k = 0; k < ARRAY_SIZE(forms) && k < n; k++) {
		uint32_t c = p[0] & (unsigned char)~forms[k].mask;

		if ((p[0] & forms[k].mask) != forms[k].lead)
			continue;
		for (size_t i = 1; i <= k; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[i] & 0x3f);
		}
		*ret_c = c;
		return c < forms[k].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0
		                                                                         : k + 1;
	}
	return 0;
}

static void json_char(struct strbuf *out, uint32_t c, const char *bytes, size_t n)
{
	static const struct {
		char c;
		const char *text;
	} escapes[] = { { '"', "\\\"" }, { '\\', "\\\\" }, { '\n', "\\n" }, { '\r', "\\r" },
		        { '\t', "\\t" }, { '\b', "\\b" },  { '\f', "\\f" } };

	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		if (c == (unsigned char)escapes[i].c) {
			strbuf_cstr(out, escapes[i].text);
			return;
		}
	if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029)
		strbuf_printf(out, "\\u%04x", c);
	else
		strbuf_add(out, bytes, n);
}

void buildkit_json_string(struct strbuf *out, str s)
{
	size_t i = 0;

	strbuf_char(out, '"');
	while (i < s.len) {
		uint32_t c = 0;
		size_t n = utf8_char((const unsigned char *)s.ptr + i, s.len - i, &c);

		if (n)
			json_char(out, c, s.ptr + i, n);
		else
			strbuf_cstr(out, "\\ufffd");
		i += n ? n : 1;
	}
	strbuf_char(out, '"');
}

void op_json_key(struct strbuf *out, const char *name)
{
	char last = out->len ? out->ptr[out->len - 1] : '{';

	if (last != '{' && last != '[')
		strbuf_char(out, ',');
	strbuf_printf(out, "\"%s\":", name);
}

void op_json_str(struct strbuf *out, const char *name, str value)
{
	if (!value.len)
		return;
	op_json_key(out, name);
	buildkit_json_string(out, value);
}

void op_json_num(struct strbuf *out, const char *name, int64_t value)
{
	op_json_key(out, name);
	strbuf_printf(out, "%lld", (long long)value);
}

void op_json_true(struct strbuf *out, const char *name, bool value)
{
	if (!value)
		return;
	op_json_key(out, name);
	strbuf_cstr(out, "true");
}

void op_json_strs(struct strbuf *out, const char *name, const str *list, size_t n)
{
	if (!n)
		return;
	op_json_key(out, name);
	for (size_t i = 0; i < n; i++) {
		strbuf_char(out, i ? ',' : '[');
		buildkit_json_string(out, list[i]);
	}
	strbuf_char(out, ']');
}

/* --- digests --------------------------------------------------------------------- */

struct digest buildkit_record_digest(const struct digest *op, int output)
{
	char text[DIGEST_STR_LEN + 16];
	int n = snprintf(text, sizeof(text), "%s@%d", digest_text(op).s, output);

	return digest_of(text, (size_t)n);
}

static void add_form(struct buildkit_op *op, const struct digest *record)
{
	for (size_t i = 0; i < op->n_forms; i++)
		if (digest_eq(&op->forms[i], record))
			return;
	if (op->n_forms < BUILDKIT_FORMS_MAX)
		op->forms[op->n_forms++] = *record;
}

void op_add_form(struct buildkit_op *op, str json)
{
	struct digest d = digest_of(json.ptr, json.len);

	d = buildkit_record_digest(&d, 0);
	add_form(op, &d);
}

struct buildkit_dep *op_add_dep(struct op_maker *m)
{
	struct buildkit_op *op = m->op;
	struct buildkit_dep *more = arena_array(m->a, struct buildkit_dep, op->n_deps + 1);

	if (op->n_deps)
		memcpy(more, op->deps, op->n_deps * sizeof(*more));
	op->deps = more;
	return &op->deps[op->n_deps++];
}

struct digest op_selector(const str *paths, size_t n)
{
	struct sha256 h;

	sha256_init(&h);
	for (size_t i = 0; i < n; i++) {
		if (i)
			sha256_add(&h, "", 1);
		sha256_add(&h, paths[i].ptr, paths[i].len);
	}
	return sha256_end(&h);
}

int op_context_contents(const struct op_maker *m, str context,
                        const struct buildkit_selector *selectors, size_t n,
                        struct buildkit_dep *dep, struct cairn_err *err)
{
	struct buildkit_tree *t = NULL;

	TRY(m->contexts->tree(m->contexts->ctx, context, &t, err));
	return buildkit_tree_contents(t, selectors, n, dep->contents, &dep->n_contents, err);
}

/* --- images ------------------------------------------------------------------------ */

str op_variant(const struct platform *p, unsigned form)
{
	if (form & FORM_VARIANT && !p->variant[0] && strcmp(p->arch, "arm64") == 0)
		return S("v8");
	return str_of(p->variant);
}

/* Root keys are digests of "buildkit.source.v0:" and a key of the kind of source. */
static void add_root(struct buildkit_op *op, const struct digest *key)
{
	char text[sizeof("buildkit.source.v0:") + DIGEST_STR_LEN];
	int n = snprintf(text, sizeof(text), "buildkit.source.v0:%s", digest_text(key).s);

	op_add_form(op, str_n(text, (size_t)n));
}

static void add_manifest_root(struct buildkit_op *op, const struct platform *p,
                              const struct digest *manifest, unsigned form)
{
	cleanup_strbuf struct strbuf json;
	struct digest key;

	strbuf_init(&json, OP_JSON_MAX);
	strbuf_char(&json, '{');
	op_json_str(&json, "Digest", str_of(digest_text(manifest).s));
	op_json_str(&json, "OS", str_of(p->os));
	op_json_str(&json, "Arch", str_of(p->arch));
	op_json_str(&json, "Variant", op_variant(p, form));
	strbuf_char(&json, '}');
	key = digest_of(json.ptr, json.len);
	add_root(op, &key);
}

static bool make_base(const struct op_maker *m)
{
	const struct image_config *c = m->node->base.config;
	struct digest chain;

	if (!m->node->base.ref.len)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(m->node->base.names); i++)
		for (unsigned form = 0; form <= FORM_VARIANT; form += FORM_VARIANT)
			if (!digest_none(&m->node->base.names[i]))
				add_manifest_root(m->op, &m->node->stage->platform,
				                  &m->node->base.names[i], form);
	if (c->n_diff_ids) {
		chain = image_config_chain_id(c, c->n_diff_ids);
		add_root(m->op, &chain);
	}
	return m->op->n_forms > 0;
}

/* --- steps ----------------------------------------------------------------------------- */

const struct graph_node *op_input(const struct graph_node *n)
{
	return n->kind == GRAPH_BASE && !n->base.ref.len ? NULL : n;
}

int buildkit_op_new(struct arena *a, const struct graph_node *n, const struct key_env *env,
                    const struct buildkit_contexts *contexts, struct buildkit_op **ret,
                    struct cairn_err *err)
{
	struct op_maker m = { a, n, env, contexts, arena_new_of(a, struct buildkit_op) };
	bool known = false;

	m.op->node = n;
	switch (n->kind) {
	case GRAPH_BASE:
		known = make_base(&m);
		break;
	case GRAPH_RUN:
		TRY(op_make_exec(&m, &known, err));
		break;
	case GRAPH_COPY:
		TRY(op_make_copy(&m, &known, err));
		break;
	case GRAPH_WORKDIR:
		op_make_workdir(&m);
		known = true;
		break;
	case GRAPH_N_:
		CAIRN_BUG("node of no kind");
	}
	*ret = known ? m.op : NULL;
	return 0;
}

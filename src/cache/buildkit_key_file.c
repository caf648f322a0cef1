/* COPY, ADD, WORKDIR, here-documents: BuildKit's file operations. */
#include "buildkit_key_priv.h"

#include "util/num.h"

static void base64(struct strbuf *out, str s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s.ptr;

	for (size_t i = 0; i < s.len; i += 3) {
		size_t left = s.len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0);

		strbuf_char(out, digits[v >> 18]);
		strbuf_char(out, digits[v >> 12 & 63]);
		strbuf_char(out, left > 1 ? digits[v >> 6 & 63] : '=');
		strbuf_char(out, left > 2 ? digits[v & 63] : '=');
	}
}

/* One action with its indexes: input, second input, output. */
struct action {
	str json;
	int index[3];
};

/* The usual shape is not written. (That is judged by the number of actions where it should be the
 * number of inputs, and so keys have to.) */
static bool usual_shape(const struct action *actions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const int *x = actions[i].index;

		if (x[0] != (i ? (int)(n + i - 1) : 0) || (x[1] != -1 && x[1] != 1) ||
		    x[2] != (i + 1 == n ? 0 : -1))
			return false;
	}
	return true;
}

static void add_file_op(struct buildkit_op *op, const struct action *actions, size_t n)
{
	cleanup_strbuf struct strbuf json;

	strbuf_init(&json, OP_JSON_MAX);
	strbuf_cstr(&json, "{\"Type\":\"buildkit.file.v0\",\"Actions\":[");
	for (size_t i = 0; i < n; i++) {
		strbuf_cstr(&json, i ? ",\"" : "\"");
		base64(&json, actions[i].json);
		strbuf_char(&json, '"');
	}
	strbuf_char(&json, ']');
	if (!usual_shape(actions, n)) {
		strbuf_cstr(&json, ",\"indexes\":[");
		for (size_t i = 0; i < n; i++)
			strbuf_printf(&json, "%s[%d,%d,%d]", i ? "," : "", actions[i].index[0],
			              actions[i].index[1], actions[i].index[2]);
		strbuf_char(&json, ']');
	}
	strbuf_char(&json, '}');
	if (!json.overflow)
		op_add_form(op, strbuf_view(&json));
}

/* --- owners --------------------------------------------------------------------- */

static void add_user(struct strbuf *out, const char *name, str user, unsigned form)
{
	struct cairn_err ignored;
	uint64_t id;

	if (!user.len)
		return;
	op_json_key(out, name);
	strbuf_cstr(out, "{\"User\":{");
	if (num_u64(user, INT32_MAX, &id, &ignored) < 0) {
		strbuf_cstr(out, "\"byName\":{");
		op_json_str(out, "name", user);
		if (form & FORM_ZEROS)
			op_json_num(out, "input", 0);
		strbuf_char(out, '}');
	} else if (id) {
		op_json_num(out, form & FORM_ZEROS ? "byID" : "byId", (int64_t)id);
	}
	strbuf_cstr(out, "}}");
}

static void add_owner(struct strbuf *out, str chown, unsigned form)
{
	str user, group;

	if (!chown.len)
		return;
	(void)str_cut(chown, ':', &user, &group);
	op_json_key(out, "owner");
	strbuf_char(out, '{');
	add_user(out, "user", user, form);
	add_user(out, "group", group, form);
	strbuf_char(out, '}');
}

/* --- WORKDIR and inner operations -------------------------------------------------- */

static str mkdir_json(struct arena *a, str path, uint32_t mode, bool parents, str chown,
                      unsigned form)
{
	struct strbuf out cleanup_strbuf;

	strbuf_init(&out, OP_JSON_MAX);
	strbuf_char(&out, '{');
	op_json_str(&out, "path", path);
	op_json_num(&out, "mode", mode);
	op_json_true(&out, "makeParents", parents);
	add_owner(&out, chown, form);
	op_json_num(&out, "timestamp", -1);
	strbuf_char(&out, '}');
	return arena_str(a, strbuf_view(&out));
}

void op_make_workdir(struct op_maker *m)
{
	const struct graph_node *parent = op_input(m->node->parent);

	for (unsigned form = 0; form <= FORM_ZEROS; form += FORM_ZEROS) {
		struct action mkdir = { mkdir_json(m->a, m->node->workdir.path, 0755, true,
			                           m->node->user, form),
			                { parent ? 0 : -1, -1, 0 } };

		add_file_op(m->op, &mkdir, 1);
	}
	if (parent) {
		struct buildkit_dep *dep = op_add_dep(m);

		dep->node = parent;
		dep->n_selectors = 1; /* none */
	}
}

struct buildkit_op *op_make_cache_dir(struct arena *a, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct buildkit_op *op = arena_new_of(a, struct buildkit_op);
	char *owner = arena_printf(a, "%u:%u", uid, gid);

	for (unsigned form = 0; form <= FORM_ZEROS; form += FORM_ZEROS) {
		struct action mkdir = {
			mkdir_json(a, S("/cache"), mode, false, str_of(owner), form), { -1, -1, 0 }
		};

		add_file_op(op, &mkdir, 1);
	}
	return op;
}

struct buildkit_op *op_make_file(struct arena *a, str path, uint32_t mode, str content)
{
	struct buildkit_op *op = arena_new_of(a, struct buildkit_op);
	struct strbuf out cleanup_strbuf;
	struct action mkfile = { .index = { -1, -1, 0 } };

	strbuf_init(&out, OP_JSON_MAX);
	strbuf_char(&out, '{');
	op_json_str(&out, "path", path);
	op_json_num(&out, "mode", mode);
	if (content.len) {
		op_json_key(&out, "data");
		strbuf_char(&out, '"');
		base64(&out, content);
		strbuf_char(&out, '"');
	}
	op_json_num(&out, "timestamp", -1);
	strbuf_char(&out, '}');
	mkfile.json = strbuf_view(&out);
	if (!out.overflow)
		add_file_op(op, &mkfile, 1);
	return op;
}

/* --- COPY and ADD --------------------------------------------------------------------- */

/* One file or directory that is copied. */
struct copied {
	str path;      /* absolute and clean, in its input */
	bool document; /* a here-document: its own input */
	int input;     /* number of the input */
};

struct copy_maker {
	struct op_maker *m;
	const struct graph_copy *c;
	const struct graph_node *parent; /* NULL: onto nothing, or --link */
	struct copied *copied;
	size_t n;
	int n_inputs;
};

static str base_name(str path)
{
	str name = str_skip(path, (size_t)(str_rfind(path, '/') + 1));

	return name.len ? name : S("/");
}

/* --chmod: an octal number, or words. */
static void add_mode(struct strbuf *out, str chmod, str *ret_words)
{
	struct cairn_err ignored;
	uint32_t mode = 0;

	*ret_words = S("");
	if (!chmod.len)
		op_json_num(out, "mode", -1);
	else if (num_octal(chmod, 07777, &mode, &ignored) < 0)
		*ret_words = chmod;
	else if (mode)
		op_json_num(out, "mode", mode);
}

static str copy_json(const struct copy_maker *k, const struct copied *f, unsigned form)
{
	struct strbuf out cleanup_strbuf;
	const struct graph_copy *c = k->c;
	str words, dest = c->dest;

	if (c->dot)
		dest = str_of(arena_printf(k->m->a, "%.*s%s", STR(dest),
		                           str_ends(dest, S("/")) ? "." : "/."));
	strbuf_init(&out, OP_JSON_MAX);
	strbuf_char(&out, '{');
	op_json_str(&out, "src", base_name(f->path));
	op_json_str(&out, "dest", dest);
	add_owner(&out, c->chown, form);
	add_mode(&out, c->chmod, &words);
	op_json_true(&out, "followSymlink", !f->document);
	op_json_true(&out, "dirCopyContents", !f->document);
	op_json_true(&out, "attemptUnpackDockerCompatibility", !f->document && c->add);
	op_json_true(&out, "createDestPath", true);
	op_json_true(&out, "allowWildcard", !f->document);
	op_json_true(&out, "allowEmptyWildcard", !f->document);
	op_json_num(&out, "timestamp", -1);
	op_json_strs(&out, "exclude_patterns", c->excludes, c->n_excludes);
	op_json_str(&out, "modeStr", words);
	strbuf_char(&out, '}');
	return arena_str(k->m->a, strbuf_view(&out));
}

static void add_copy_forms(const struct copy_maker *k, struct buildkit_op *op)
{
	struct action *actions = arena_array(k->m->a, struct action, k->n);

	for (unsigned form = 0; form <= FORM_ZEROS; form += FORM_ZEROS) {
		for (size_t i = 0; i < k->n; i++) {
			int input = i ? k->n_inputs + (int)i - 1 : k->parent ? 0 : -1;

			actions[i].json = copy_json(k, &k->copied[i], form);
			actions[i].index[0] = input;
			actions[i].index[1] = k->copied[i].input;
			actions[i].index[2] = i + 1 == k->n ? 0 : -1;
		}
		add_file_op(op, actions, k->n);
	}
}

static int descending(const void *a, const void *b)
{
	return str_cmp(*(const str *)b, *(const str *)a);
}

/* Which paths of the source are read; a link to the source's own record says so. */
static struct digest source_selector(const struct copy_maker *k)
{
	str *paths = arena_array(k->m->a, str, k->n);
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (!k->copied[i].document)
			paths[n++] = k->copied[i].path;
	if (n)
		qsort(paths, n, sizeof(*paths), descending);
	return op_selector(paths, n);
}

/* As BuildKit judges it: an escaped character is none. */
static bool has_wildcard(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] && strchr("*?[", s.ptr[i]))
			return true;
	}
	return false;
}

static int source_contents(const struct copy_maker *k, struct buildkit_dep *dep,
                           struct cairn_err *err)
{
	struct buildkit_selector *sel = arena_array(k->m->a, struct buildkit_selector, k->n);
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (!k->copied[i].document)
			sel[n++] = (struct buildkit_selector){ k->copied[i].path,
				                               has_wildcard(k->copied[i].path),
				                               k->c->excludes, k->c->n_excludes };
	return op_context_contents(k->m, k->c->from.context, sel, n, dep, err);
}

/* The input that the sources are taken from. */
static int add_source_dep(struct copy_maker *k, struct cairn_err *err)
{
	struct buildkit_dep *dep = op_add_dep(k->m);

	if (k->c->from.kind == GRAPH_FROM_CONTEXT)
		return source_contents(k, dep, err);
	dep->node = op_input(k->c->from.node);
	dep->selectors[0] = source_selector(k);
	dep->n_selectors = 1;
	return 0;
}

/* Number the inputs: what is copied onto, the source, one for each here-document. */
static int add_inputs(struct copy_maker *k, bool *ret_known, struct cairn_err *err)
{
	const struct graph_copy *c = k->c;
	bool same = k->parent && c->from.kind == GRAPH_FROM_NODE && c->from.node == k->parent;
	struct buildkit_dep *dep;
	int source = k->parent ? 1 : 0;

	if (k->parent) {
		dep = op_add_dep(k->m);
		dep->node = k->parent;
		dep->n_selectors = 1; /* none */
	}
	k->n_inputs = source;
	if (c->n_sources && !same) {
		/* A stage that is FROM scratch and empty is no input at all. */
		if (c->from.kind == GRAPH_FROM_NODE && !op_input(c->from.node)) {
			*ret_known = false;
			return 0;
		}
		TRY(add_source_dep(k, err));
		k->n_inputs++;
	}
	for (size_t i = 0; i < k->n; i++) {
		k->copied[i].input = same ? 0 : source;
		if (!k->copied[i].document)
			continue;
		dep = op_add_dep(k->m);
		dep->op = op_make_file(k->m->a, k->copied[i].path, 0644,
		                       c->inlines[i - c->n_sources].content);
		dep->selectors[0] = op_selector(&k->copied[i].path, 1);
		dep->n_selectors = 1;
		k->copied[i].input = k->n_inputs++;
	}
	return 0;
}

/* --link: the files are copied onto nothing; another operation puts both together. */
static void add_merge(struct op_maker *m, struct buildkit_op *files)
{
	struct buildkit_op *merge = m->op;
	struct buildkit_dep *dep;

	op_add_form(
		merge,
		S("{\"Type\":\"buildkit.merge.v0\",\"Merge\":{\"inputs\":[{},{\"input\":1}]}}"));
	op_add_form(merge,
	            S("{\"Type\":\"buildkit.merge.v0\",\"Merge\":{\"inputs\":[{\"input\":0},{"
	              "\"input\":1}]}}"));
	dep = op_add_dep(m);
	dep->node = op_input(m->node->parent);
	dep->n_selectors = 1; /* none */
	dep = op_add_dep(m);
	dep->op = files;
	dep->n_selectors = 1; /* none */
}

int op_make_copy(struct op_maker *m, bool *ret_known, struct cairn_err *err)
{
	const struct graph_copy *c = &m->node->copy;
	const struct graph_node *parent = op_input(m->node->parent);
	struct buildkit_op *outer = m->op;
	struct copy_maker k = { .m = m, .c = c, .parent = c->link ? NULL : parent };

	*ret_known = !c->parents;
	k.n = c->n_sources + c->n_inlines;
	k.copied = arena_array(m->a, struct copied, k.n);
	for (size_t i = 0; i < k.n; i++) {
		bool document = i >= c->n_sources;

		k.copied[i].document = document;
		k.copied[i].path = arena_clean_path(
			m->a, document ? c->inlines[i - c->n_sources].name : c->sources[i]);
	}
	if (c->link && parent)
		m->op = arena_new_of(m->a, struct buildkit_op);
	TRY(add_inputs(&k, ret_known, err));
	add_copy_forms(&k, m->op);
	if (m->op != outer) {
		struct buildkit_op *files = m->op;

		m->op = outer;
		add_merge(m, files);
	}
	return 0;
}

/* The AST as `cairn parse` prints it. */
#include "dockerfile.h"

static json_t *strings(const str *s, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_str(s[i]));
	return a;
}

static json_t *heredocs(const struct dockerfile_node *n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n->n_heredocs; i++) {
		const struct dockerfile_heredoc *h = &n->heredocs[i];
		json_t *o = json_object();

		json_object_set_new(o, "name", json_str(h->name));
		json_object_set_new(o, "content", json_str(h->content));
		json_object_set_new(o, "expand", json_boolean(h->expand));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *node(const struct dockerfile_node *n)
{
	json_t *o = json_object();

	json_object_set_new(o, "line", json_integer(n->line));
	json_object_set_new(o, "end_line", json_integer(n->end_line));
	json_object_set_new(o, "name", json_str(n->name));
	json_object_set_new(o, "flags", strings(n->flags_raw, n->n_flags));
	json_object_set_new(o, "args", strings(n->args, n->n_args));
	json_object_set_new(o, "json", json_boolean(n->json));
	json_object_set_new(o, "heredocs", heredocs(n));
	if (n->onbuild)
		json_object_set_new(o, "onbuild", node(n->onbuild));
	return o;
}

static json_t *directives(const struct dockerfile *df)
{
	json_t *o = json_object();

	if (df->syntax.len)
		json_object_set_new(o, "syntax", json_str(df->syntax));
	json_object_set_new(o, "escape", json_stringn(&df->escape, 1));
	if (df->check.len)
		json_object_set_new(o, "check", json_str(df->check));
	return o;
}

json_t *dockerfile_to_json(const struct dockerfile *df)
{
	json_t *all = json_object(), *nodes = json_array(), *warnings = json_array();

	for (size_t i = 0; i < df->n_nodes; i++)
		json_array_append_new(nodes, node(&df->nodes[i]));
	for (size_t i = 0; i < df->n_warnings; i++) {
		json_t *o = json_object();

		json_object_set_new(o, "line", json_integer(df->warnings[i].line));
		json_object_set_new(o, "rule", json_string(df->warnings[i].rule));
		json_object_set_new(o, "text", json_str(df->warnings[i].text));
		json_array_append_new(warnings, o);
	}
	json_object_set_new(all, "instructions", nodes);
	json_object_set_new(all, "directives", directives(df));
	json_object_set_new(all, "warnings", warnings);
	return all;
}

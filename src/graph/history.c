#include "history.h"

/* Copy what was put together, cut at the limit, into the arena. */
static str finish(struct arena *a, struct strbuf *b)
{
	str s = arena_str(a, strbuf_view(b));

	strbuf_done(b);
	return s;
}

/* A string as Go's %q writes it, for the characters that occur in commands. */
static void add_quoted(struct strbuf *b, str s)
{
	strbuf_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '"' || c == '\\')
			strbuf_printf(b, "\\%c", c);
		else if (c == '\n')
			strbuf_cstr(b, "\\n");
		else if (c == '\t')
			strbuf_cstr(b, "\\t");
		else if (c == '\r')
			strbuf_cstr(b, "\\r");
		else if (c < 0x20 || c == 0x7f)
			strbuf_printf(b, "\\x%02x", c);
		else
			strbuf_char(b, (char)c);
	}
	strbuf_char(b, '"');
}

str history_run(struct arena *a, const str *argv, size_t n, const struct graph_env *args)
{
	struct strbuf b;

	strbuf_init(&b, HISTORY_TEXT_MAX);
	strbuf_cstr(&b, "RUN ");
	if (args->n)
		strbuf_printf(&b, "|%zu ", args->n);
	for (size_t i = 0; i < args->n; i++)
		strbuf_printf(&b, "%.*s ", STR(args->vars[i]));
	for (size_t i = 0; i < n; i++)
		strbuf_printf(&b, "%.*s ", STR(argv[i]));
	strbuf_cstr(&b, "# buildkit");
	return finish(a, &b);
}

str history_copy(struct arena *a, const struct graph_copy *c, str dest)
{
	struct strbuf b;

	strbuf_init(&b, HISTORY_TEXT_MAX);
	strbuf_cstr(&b, c->add ? "ADD" : "COPY");
	if (c->parents)
		strbuf_cstr(&b, " --parents");
	if (c->chown.len)
		strbuf_printf(&b, " --chown=%.*s", STR(c->chown));
	if (c->chmod.len)
		strbuf_printf(&b, " --chmod=%.*s", STR(c->chmod));
	for (size_t i = 0; i < c->n_sources; i++)
		strbuf_printf(&b, " %.*s", STR(c->sources[i]));
	for (size_t i = 0; i < c->n_inlines; i++)
		strbuf_printf(&b, " <<%.*s", STR(c->inlines[i].name));
	strbuf_printf(&b, " %.*s # buildkit", STR(dest));
	return finish(a, &b);
}

static str history_list(struct arena *a, const char *name, const str *list, size_t n,
                        void (*add)(struct strbuf *b, str s))
{
	struct strbuf b;

	strbuf_init(&b, HISTORY_TEXT_MAX);
	strbuf_printf(&b, "%s [", name);
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_char(&b, ' ');
		add(&b, list[i]);
	}
	strbuf_char(&b, ']');
	return finish(a, &b);
}

str history_quoted_list(struct arena *a, const char *name, const str *list, size_t n)
{
	return history_list(a, name, list, n, add_quoted);
}

str history_plain_list(struct arena *a, const char *name, const str *list, size_t n)
{
	return history_list(a, name, list, n, strbuf_str);
}

str history_pairs(struct arena *a, const char *name, const struct instr_pair *pairs, size_t n)
{
	struct strbuf b;

	strbuf_init(&b, HISTORY_TEXT_MAX);
	strbuf_cstr(&b, name);
	for (size_t i = 0; i < n; i++) {
		strbuf_printf(&b, " %.*s", STR(pairs[i].key));
		if (pairs[i].value.ptr)
			strbuf_printf(&b, "=%.*s", STR(pairs[i].value));
	}
	return finish(a, &b);
}

str history_word(struct arena *a, const char *name, str word)
{
	return str_of(arena_printf(a, "%s %.*s", name, STR(word)));
}

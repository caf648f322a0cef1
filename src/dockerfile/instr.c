#include "instr.h"

#include "dockerfile.h"
#include "flags.h"
#include "heredoc.h"
#include "parser.h"
#include "util/num.h"
#include "util/strbuf.h"

/* What every typing function gets. */
struct typing {
	const struct dockerfile_node *node;
	const char *path;
	struct arena *arena;
	struct flags flags;
	struct instr *out;
};

#define FAIL(t, ...) cairn_fail_at(err, (t)->path, (t)->node->line, 0, __VA_ARGS__)

static int at_least_one(const struct typing *t, struct cairn_err *err)
{
	if (t->node->n_args)
		return 0;
	return FAIL(t, "%s needs an argument", instr_name(t->out->kind));
}

/* --- FROM ----------------------------------------------------------------- */

/* ^[a-z][a-z0-9-_.]*$ */
static bool is_stage_name(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool letter = c >= 'a' && c <= 'z';

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || strchr("-_.", c))))
			return false;
	}
	return s.len > 0 && !memchr(s.ptr, 0, s.len);
}

static int type_from(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr_from *from = &t->out->from;
	char *name;

	if (n->n_args != 1 && !(n->n_args == 3 && str_eq_nocase(n->args[1], S("AS"))))
		return FAIL(t, "FROM needs an image, or 'image AS name'");
	from->image = n->args[0];
	from->platform = t->flags.v[FLAG_PLATFORM].value;
	if (n->n_args == 1)
		return 0;
	name = arena_cstr(t->arena, n->args[2]);
	for (char *p = name; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	from->name = str_n(name, n->args[2].len);
	if (!is_stage_name(from->name))
		return FAIL(t, "stage name '%.*s' is not a letter and then letters, digits, - _ .",
		            STR(n->args[2]));
	return 0;
}

/* --- RUN, CMD, ENTRYPOINT, HEALTHCHECK ----------------------------------- */

static void set_cmdline(const struct dockerfile_node *n, size_t skip, struct instr_cmdline *ret)
{
	ret->exec = n->json;
	ret->shell = S("");
	if (n->json) {
		ret->argv = n->args + skip;
		ret->argc = n->n_args - skip;
	} else if (n->n_args > skip) {
		ret->shell = n->args[skip];
	}
}

/* The delimiter becomes a file name: it must not lead anywhere else. */
static int check_file_name(const struct typing *t, str name, struct cairn_err *err)
{
	if (str_find(name, '/') < 0 && !str_is(name, ".") && !str_is(name, ".."))
		return 0;
	return FAIL(t, "heredoc '%.*s' becomes a file and cannot be called so", STR(name));
}

/* `RUN <<EOF`: the body is the command. */
static int run_body(struct typing *t, const struct dockerfile_heredoc *h, struct cairn_err *err)
{
	struct instr_run *run = &t->out->run;

	run->cmd.shell = h->content;
	if (!str_starts(h->content, S("#!")))
		return 0;
	TRY(check_file_name(t, h->name, err));
	run->script_name = h->name;
	run->script = h->content;
	run->cmd.shell = str_of(arena_printf(t->arena, "/dev/pipes/%.*s", STR(h->name)));
	return 0;
}

/* The text, the bodies and their delimiters, as the shell reads heredocs itself. */
static str with_bodies(struct arena *arena, str text, const struct dockerfile_node *n)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, DOCKERFILE_MAX * 2);
	strbuf_str(&b, text);
	for (size_t i = 0; i < n->n_heredocs; i++) {
		strbuf_char(&b, '\n');
		strbuf_str(&b, n->heredocs[i].raw);
		strbuf_str(&b, n->heredocs[i].name);
	}
	return arena_str(arena, strbuf_view(&b));
}

static bool one_of(str s, const char *const *names)
{
	for (; *names; names++)
		if (str_is(s, *names))
			return true;
	return false;
}

static int check_run_flags(const struct typing *t, struct cairn_err *err)
{
	static const char *const networks[] = { "default", "none", "host", NULL };
	static const char *const securities[] = { "sandbox", "insecure", NULL };
	const struct instr_run *run = &t->out->run;

	if (run->network.ptr && !one_of(run->network, networks))
		return FAIL(t, "--network is default, none or host, not '%.*s'", STR(run->network));
	if (run->security.ptr && !one_of(run->security, securities))
		return FAIL(t, "--security is sandbox or insecure, not '%.*s'", STR(run->security));
	for (size_t i = 0; i < run->n_mounts; i++) {
		struct run_mount m;
		struct cairn_err why = { 0 };

		/* with variables the values are known only later */
		if (str_find(run->mounts[i], '$') < 0 &&
		    run_mount_parse(run->mounts[i], NULL, t->arena, &m, &why) < 0)
			return FAIL(t, "%s", why.msg);
	}
	return 0;
}

static int type_run(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr_run *run = &t->out->run;
	struct dockerfile_heredoc h;
	struct cairn_err ignored;
	bool is = false;

	TRY(at_least_one(t, err));
	set_cmdline(n, 0, &run->cmd);
	run->mounts = t->flags.v[FLAG_MOUNT].values;
	run->n_mounts = t->flags.v[FLAG_MOUNT].n;
	run->devices = t->flags.v[FLAG_DEVICE].values;
	run->n_devices = t->flags.v[FLAG_DEVICE].n;
	run->network = t->flags.v[FLAG_NETWORK].value;
	run->security = t->flags.v[FLAG_SECURITY].value;
	run->heredocs = n->heredocs;
	run->n_heredocs = n->n_heredocs;
	if (n->n_heredocs) {
		if (heredoc_word(n->args[0], t->arena, &h, &is, &ignored) == 0 && is)
			TRY(run_body(t, &n->heredocs[0], err));
		else
			run->cmd.shell = with_bodies(t->arena, n->args[0], n);
	}
	return check_run_flags(t, err);
}

static int type_cmdline(struct typing *t, struct cairn_err *err)
{
	(void)err;
	set_cmdline(t->node, 0, &t->out->cmd);
	return 0;
}

static int duration(const struct typing *t, enum flag_id id, const char *name, uint64_t *ret,
                    struct cairn_err *err)
{
	const struct flag_value *v = &t->flags.v[id];
	struct cairn_err why = { 0 };

	if (!v->given || !v->value.len)
		return 0;
	if (num_duration(v->value, ret, &why) < 0)
		return FAIL(t, "--%s=%.*s is no duration like 30s or 1m30s", name, STR(v->value));
	if (*ret && *ret < 1000000)
		return FAIL(t, "--%s=%.*s is less than 1ms", name, STR(v->value));
	return 0;
}

static int type_healthcheck(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr_healthcheck *h = &t->out->health;
	str retries = t->flags.v[FLAG_RETRIES].value;
	uint64_t count = 0;

	TRY(at_least_one(t, err));
	if (str_is(n->args[0], "NONE")) {
		h->none = true;
		return n->n_args == 1 ? 0 : FAIL(t, "HEALTHCHECK NONE takes no arguments");
	}
	if (!str_is(n->args[0], "CMD"))
		return FAIL(t, "HEALTHCHECK is followed by CMD or NONE, not '%.*s'",
		            STR(n->args[0]));
	if (n->n_args < 2)
		return FAIL(t, "HEALTHCHECK CMD needs a command");
	set_cmdline(n, 1, &h->cmd);
	TRY(duration(t, FLAG_INTERVAL, "interval", &h->interval, err));
	TRY(duration(t, FLAG_TIMEOUT, "timeout", &h->timeout, err));
	TRY(duration(t, FLAG_START_PERIOD, "start-period", &h->start_period, err));
	TRY(duration(t, FLAG_START_INTERVAL, "start-interval", &h->start_interval, err));
	if (retries.len) {
		struct cairn_err why = { 0 };

		if (num_u64(retries, INT32_MAX, &count, &why) < 0)
			return FAIL(t, "--retries=%.*s is no number of tries", STR(retries));
		h->retries = (unsigned)count;
	}
	return 0;
}

/* --- COPY, ADD ------------------------------------------------------------ */

static int copy_source(struct typing *t, str word, struct instr_source *ret, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct dockerfile_heredoc h;
	struct cairn_err ignored;
	bool is = false;

	*ret = (struct instr_source){ .word = word };
	if (n->json || heredoc_word(word, t->arena, &h, &is, &ignored) < 0 || !is)
		return 0;
	for (size_t i = 0; i < n->n_heredocs; i++) {
		if (!str_eq(n->heredocs[i].name, h.name))
			continue;
		TRY(check_file_name(t, h.name, err));
		*ret = (struct instr_source){ .word = h.name,
			                      .heredoc = true,
			                      .expand = h.expand,
			                      .content = n->heredocs[i].content };
		return 0;
	}
	return FAIL(t, "heredoc '%.*s' has no body", STR(h.name));
}

static int type_copy(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	const struct flag_value *f = t->flags.v;
	struct instr_copy *c = &t->out->copy;
	struct instr_source dest;

	if (n->n_args < 2)
		return FAIL(t, "%s needs at least one source and a destination",
		            instr_name(t->out->kind));
	c->n_sources = n->n_args - 1;
	c->sources = arena_array(t->arena, struct instr_source, c->n_sources);
	for (size_t i = 0; i < c->n_sources; i++)
		TRY(copy_source(t, n->args[i], &c->sources[i], err));
	TRY(copy_source(t, n->args[n->n_args - 1], &dest, err));
	if (dest.heredoc)
		return FAIL(t, "a heredoc cannot be the destination of %s",
		            instr_name(t->out->kind));
	c->dest = dest.word;
	c->from = f[FLAG_FROM].value;
	c->chown = f[FLAG_CHOWN].value;
	c->chmod = f[FLAG_CHMOD].value;
	c->link = f[FLAG_LINK].on;
	c->parents = f[FLAG_PARENTS].on;
	c->excludes = f[FLAG_EXCLUDE].values;
	c->n_excludes = f[FLAG_EXCLUDE].n;
	c->checksum = f[FLAG_CHECKSUM].value;
	c->keep_git_dir = f[FLAG_KEEP_GIT_DIR].on;
	c->unpack = f[FLAG_UNPACK].given ? f[FLAG_UNPACK].on : -1;
	return 0;
}

/* --- The small ones ------------------------------------------------------- */

static int type_pairs(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr_pairs *p = &t->out->pairs;

	TRY(at_least_one(t, err));
	p->len = n->n_args / 2;
	p->ptr = arena_array(t->arena, struct instr_pair, p->len);
	for (size_t i = 0; i < p->len; i++) {
		p->ptr[i] = (struct instr_pair){ n->args[2 * i], n->args[2 * i + 1] };
		if (!p->ptr[i].key.len)
			return FAIL(t, "%s has a value without a name", instr_name(t->out->kind));
	}
	return 0;
}

static int type_arg(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr_pairs *p = &t->out->pairs;

	TRY(at_least_one(t, err));
	p->len = n->n_args;
	p->ptr = arena_array(t->arena, struct instr_pair, p->len);
	for (size_t i = 0; i < p->len; i++) {
		str_cut(n->args[i], '=', &p->ptr[i].key, &p->ptr[i].value);
		if (!p->ptr[i].key.len)
			return FAIL(t, "ARG has a value without a name");
	}
	return 0;
}

static int type_list(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;

	TRY(at_least_one(t, err));
	t->out->list = (struct instr_list_words){ n->args, n->n_args };
	for (size_t i = 0; i < n->n_args; i++)
		if (t->out->kind == INSTR_VOLUME && !str_trim(n->args[i]).len)
			return FAIL(t, "VOLUME has an empty path");
	return 0;
}

static int type_shell(struct typing *t, struct cairn_err *err)
{
	if (!t->node->json)
		return FAIL(t, "SHELL needs the JSON form: SHELL [\"/bin/bash\", \"-c\"]");
	return type_list(t, err);
}

static int type_word(struct typing *t, struct cairn_err *err)
{
	TRY(at_least_one(t, err));
	t->out->word.word = t->node->rest;
	return 0;
}

static int type_onbuild(struct typing *t, struct cairn_err *err)
{
	const struct dockerfile_node *n = t->node;
	struct instr child = { 0 };
	str text = str_trim_left(str_skip(n->text, n->keyword.len));

	if (str_is(n->onbuild->name, "from") || str_is(n->onbuild->name, "maintainer"))
		return FAIL(t, "ONBUILD cannot hold %.*s", STR(n->onbuild->keyword));
	TRY(instr_from_node(n->onbuild, t->path, t->arena, &child, err));
	t->out->word.word = n->n_heredocs ? with_bodies(t->arena, text, n) : text;
	return 0;
}

static int (*const typers[INSTR_N_])(struct typing *t, struct cairn_err *err) = {
	[INSTR_ADD] = type_copy,
	[INSTR_ARG] = type_arg,
	[INSTR_CMD] = type_cmdline,
	[INSTR_COPY] = type_copy,
	[INSTR_ENTRYPOINT] = type_cmdline,
	[INSTR_ENV] = type_pairs,
	[INSTR_EXPOSE] = type_list,
	[INSTR_FROM] = type_from,
	[INSTR_HEALTHCHECK] = type_healthcheck,
	[INSTR_LABEL] = type_pairs,
	[INSTR_MAINTAINER] = type_word,
	[INSTR_ONBUILD] = type_onbuild,
	[INSTR_RUN] = type_run,
	[INSTR_SHELL] = type_shell,
	[INSTR_STOPSIGNAL] = type_word,
	[INSTR_USER] = type_word,
	[INSTR_VOLUME] = type_list,
	[INSTR_WORKDIR] = type_word,
};

int instr_from_node(const struct dockerfile_node *node, const char *path, struct arena *arena,
                    struct instr *ret, struct cairn_err *err)
{
	struct instr out = { .line = node->line, .end_line = node->end_line, .text = node->text };
	struct typing t = { .node = node, .path = path, .arena = arena, .out = &out };

	if (!instr_kind_of(node->name, &out.kind))
		CAIRN_BUG("the parser let '%.*s' through", STR(node->name));
	TRY(flags_parse(node, out.kind, path, arena, &t.flags, err));
	TRY(typers[out.kind](&t, err));
	*ret = out;
	return 0;
}

int instr_parse_line(str text, const char *where, struct arena *arena, struct instr *ret,
                     struct cairn_err *err)
{
	struct dockerfile_node *node = arena_new_of(arena, struct dockerfile_node);

	if (text.len > DOCKERFILE_MAX)
		return cairn_fail_at(err, where, 0, 0, "the instruction is too long");
	TRY(parser_one(arena_str(arena, text), where, arena, node, err));
	if (node->onbuild || str_is(node->name, "from") || str_is(node->name, "maintainer"))
		return cairn_fail_at(err, where, 0, 0, "%.*s cannot be an ONBUILD trigger",
		                     STR(node->keyword));
	return instr_from_node(node, where, arena, ret, err);
}

int dockerfile_instrs(const struct dockerfile *df, struct instr_list *ret, struct cairn_err *err)
{
	struct instr_list out = { arena_array(df->arena, struct instr, df->n_nodes), df->n_nodes };
	bool in_stage = false;

	for (size_t i = 0; i < df->n_nodes; i++) {
		struct instr *in = &out.ptr[i];

		TRY(instr_from_node(&df->nodes[i], df->path, df->arena, in, err));
		in_stage |= in->kind == INSTR_FROM;
		if (!in_stage && in->kind != INSTR_ARG)
			return cairn_fail_at(err, df->path, in->line, 0,
			                     "%s stands before the first FROM; only ARG can",
			                     instr_name(in->kind));
	}
	if (!in_stage)
		return cairn_fail_at(err, df->path, df->nodes[df->n_nodes - 1].line, 0,
		                     "no FROM in this file");
	*ret = out;
	return 0;
}

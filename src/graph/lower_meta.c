/* Instructions that only change the image config. */
#include "lower.h"

#include <stdio.h>

#include "history.h"

static struct image_config *config(struct stage *s)
{
	return s->out->config;
}

static void shell_of(struct stage *s, struct image_strs *ret)
{
	static str def[] = { { "/bin/sh", 7 }, { "-c", 2 } };

	*ret = config(s)->shell;
	if (!ret->len)
		*ret = (struct image_strs){ def, ARRAY_SIZE(def) };
}

/* The argument vector of a command line: shell form is wrapped in SHELL. */
static struct image_strs argv_of(struct stage *s, const struct instr_cmdline *c)
{
	struct image_strs shell;
	str *v;

	if (c->exec)
		return (struct image_strs){ c->argv, c->argc };
	shell_of(s, &shell);
	v = arena_array(s->l->a, str, shell.len + 1);
	memcpy(v, shell.ptr, shell.len * sizeof(*v));
	v[shell.len] = c->shell;
	return (struct image_strs){ v, shell.len + 1 };
}

static int expand_pairs(struct stage *s, const struct instr_pairs *in, struct instr_pair **ret,
                        struct cairn_err *err)
{
	struct words w = lower_words(s);
	struct instr_pair *out = arena_array(s->l->a, struct instr_pair, in->len);

	for (size_t i = 0; i < in->len; i++) {
		TRY(words_expand(&w, in->ptr[i].key, &out[i].key, err));
		if (in->ptr[i].value.ptr)
			TRY(words_expand(&w, in->ptr[i].value, &out[i].value, err));
	}
	*ret = out;
	return 0;
}

static int lower_env(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct instr_pair *pairs = NULL;

	TRY(expand_pairs(s, &i->pairs, &pairs, err));
	for (size_t k = 0; k < i->pairs.len; k++) {
		image_config_env_set(config(s), pairs[k].key, pairs[k].value);
		map_put(&s->args_over_env, pairs[k].key, NULL);
		lower_var_set(s, pairs[k].key);
	}
	lower_add_history(s, history_pairs(s->l->a, "ENV", pairs, i->pairs.len), NULL);
	return 0;
}

static int lower_label(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct instr_pair *pairs = NULL;

	TRY(expand_pairs(s, &i->pairs, &pairs, err));
	for (size_t k = 0; k < i->pairs.len; k++)
		image_config_label_set(config(s), pairs[k].key, pairs[k].value);
	lower_add_history(s, history_pairs(s->l->a, "LABEL", pairs, i->pairs.len), NULL);
	return 0;
}

/* The value an ARG without build argument and default has: the global ARG's or a platform's. */
static str inherited_arg(struct stage *s, str key)
{
	str v = { NULL, 0 };

	vec_foreach (g, &s->l->globals)
		if (str_eq(g->key, key))
			v = g->value;
	if (!v.ptr)
		(void)lower_platform_arg(s->l, &s->out->platform, key, &v);
	return v;
}

static int lower_arg(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct instr_pair *pairs = arena_array(s->l->a, struct instr_pair, i->pairs.len);

	for (size_t k = 0; k < i->pairs.len; k++) {
		const struct instr_pair *in = &i->pairs.ptr[k];
		struct words w = lower_words(s); /* sees the ARGs before it on the same line */
		const char *given;

		TRY(words_expand(&w, in->key, &pairs[k].key, err));
		given = map_get(s->l->opts->build_args, pairs[k].key);
		if (given)
			pairs[k].value = str_of(given);
		else if (in->value.ptr)
			TRY(words_expand(&w, in->value, &pairs[k].value, err));
		else
			pairs[k].value = inherited_arg(s, pairs[k].key);
		if (given)
			map_put(&s->l->used_args, pairs[k].key, s->l);
		vec_push(&s->args, pairs[k]);
		if (pairs[k].value.ptr) {
			map_put(&s->args_over_env, pairs[k].key, s->l);
			lower_var_set(s, pairs[k].key);
		}
	}
	lower_add_history(s, history_pairs(s->l->a, "ARG", pairs, i->pairs.len), NULL);
	return 0;
}

static int lower_cmd(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct image_strs argv = argv_of(s, &i->cmd);

	(void)err;
	image_config_strs_set(config(s), &config(s)->cmd, &argv);
	s->cmd_set = true;
	lower_add_history(s, history_quoted_list(s->l->a, "CMD", argv.ptr, argv.len), NULL);
	return 0;
}

static int lower_entrypoint(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	static const struct image_strs nothing;
	struct image_strs argv = argv_of(s, &i->cmd);

	(void)err;
	image_config_strs_set(config(s), &config(s)->entrypoint, &argv);
	if (!s->cmd_set) /* a CMD of the base was meant for the base's ENTRYPOINT */
		image_config_strs_set(config(s), &config(s)->cmd, &nothing);
	lower_add_history(s, history_quoted_list(s->l->a, "ENTRYPOINT", argv.ptr, argv.len), NULL);
	return 0;
}

static int lower_shell(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct image_strs shell = { i->list.ptr, i->list.len };

	(void)err;
	image_config_strs_set(config(s), &config(s)->shell, &shell);
	lower_add_history(s, history_plain_list(s->l->a, "SHELL", shell.ptr, shell.len), NULL);
	return 0;
}

/* What one EXPOSE names, as "80/tcp". */
struct port_list {
	VEC(str) names;
};

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static int add_ports(struct stage *s, str word, struct port_list *ports, struct cairn_err *err)
{
	struct port_range r;

	if (port_parse(word, &r, err) < 0)
		return lower_fail(s, CAIRN_E_SYNTAX, err, "EXPOSE: %s", err->msg);
	for (unsigned p = r.first; p <= r.last; p++) {
		str port = str_of(arena_printf(s->l->a, "%u/%s", p, r.proto));

		image_config_port_add(config(s), port);
		vec_push(&ports->names, port);
	}
	return 0;
}

static int expose_words(struct stage *s, const struct instr *i, struct port_list *ports,
                        struct cairn_err *err)
{
	struct words w = lower_words(s);

	for (size_t k = 0; k < i->list.len; k++) {
		str *names = NULL;
		size_t n = 0;

		TRY(words_split(&w, i->list.ptr[k], &names, &n, err));
		for (size_t j = 0; j < n; j++)
			TRY(add_ports(s, names[j], ports, err));
	}
	return 0;
}

static int lower_expose(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct port_list ports = { 0 };
	int r = expose_words(s, i, &ports, err);

	if (r == 0) {
		if (ports.names.len)
			qsort(ports.names.ptr, ports.names.len, sizeof(str), by_text);
		lower_add_history(
			s, history_plain_list(s->l->a, "EXPOSE", ports.names.ptr, ports.names.len),
			NULL);
	}
	vec_free(&ports.names);
	return r;
}

static int lower_volume(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct words w = lower_words(s);
	str *paths = arena_array(s->l->a, str, i->list.len);

	for (size_t k = 0; k < i->list.len; k++) {
		TRY(words_expand(&w, i->list.ptr[k], &paths[k], err));
		if (!paths[k].len)
			return lower_fail(s, CAIRN_E_SYNTAX, err, "VOLUME: a path is empty");
		image_config_volume_add(config(s), paths[k]);
	}
	lower_add_history(s, history_plain_list(s->l->a, "VOLUME", paths, i->list.len), NULL);
	return 0;
}

static int lower_user(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct words w = lower_words(s);
	str user = { NULL, 0 };

	TRY(words_expand(&w, i->word.word, &user, err));
	image_config_str_set(config(s), &config(s)->user, user);
	lower_add_history(s, history_word(s->l->a, "USER", user), NULL);
	return 0;
}

static int lower_stopsignal(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct words w = lower_words(s);
	str sig = { NULL, 0 };

	TRY(words_expand(&w, i->word.word, &sig, err));
	if (signal_check(sig, err) < 0)
		return lower_fail(s, CAIRN_E_SYNTAX, err, "STOPSIGNAL: %s", err->msg);
	image_config_str_set(config(s), &config(s)->stop_signal, sig);
	lower_add_history(s, history_word(s->l->a, "STOPSIGNAL", sig), NULL);
	return 0;
}

static int lower_maintainer(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	(void)err;
	image_config_str_set(config(s), &config(s)->author, i->word.word);
	lower_add_history(s, history_word(s->l->a, "MAINTAINER", i->word.word), NULL);
	return 0;
}

/* BuildKit writes no history for it: the triggers are in the config. */
static int lower_onbuild(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	(void)err;
	image_config_onbuild_add(config(s), i->word.word);
	return 0;
}

static int lower_healthcheck(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	const struct instr_healthcheck *in = &i->health;
	struct image_healthcheck h = { 0 };
	size_t n = in->none ? 0 : in->cmd.exec ? in->cmd.argc : 1;
	str *test = arena_array(s->l->a, str, n + 1);

	(void)err;
	test[0] = in->none ? S("NONE") : in->cmd.exec ? S("CMD") : S("CMD-SHELL");
	for (size_t k = 0; k < n; k++)
		test[k + 1] = in->cmd.exec ? in->cmd.argv[k] : in->cmd.shell;
	h.test = (struct image_strs){ test, n + 1 };
	h.interval = (int64_t)in->interval;
	h.timeout = (int64_t)in->timeout;
	h.start_period = (int64_t)in->start_period;
	h.start_interval = (int64_t)in->start_interval;
	h.retries = in->retries;
	image_config_healthcheck_set(config(s), &h);
	lower_add_history(s, history_quoted_list(s->l->a, "HEALTHCHECK", test, n + 1), NULL);
	return 0;
}

static int lower_nested_from(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	(void)i;
	return lower_fail(s, CAIRN_E_SYNTAX, err, "FROM cannot be a trigger");
}

int lower_instr(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	static const lower_fn table[INSTR_N_] = {
		[INSTR_ADD] = lower_copy,
		[INSTR_ARG] = lower_arg,
		[INSTR_CMD] = lower_cmd,
		[INSTR_COPY] = lower_copy,
		[INSTR_ENTRYPOINT] = lower_entrypoint,
		[INSTR_ENV] = lower_env,
		[INSTR_EXPOSE] = lower_expose,
		[INSTR_FROM] = lower_nested_from,
		[INSTR_HEALTHCHECK] = lower_healthcheck,
		[INSTR_LABEL] = lower_label,
		[INSTR_MAINTAINER] = lower_maintainer,
		[INSTR_ONBUILD] = lower_onbuild,
		[INSTR_RUN] = lower_run,
		[INSTR_SHELL] = lower_shell,
		[INSTR_STOPSIGNAL] = lower_stopsignal,
		[INSTR_USER] = lower_user,
		[INSTR_VOLUME] = lower_volume,
		[INSTR_WORKDIR] = lower_workdir,
	};

	s->cur = i;
	return table[i->kind](s, i, err);
}

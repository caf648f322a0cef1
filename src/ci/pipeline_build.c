/* Builds of images, as commands and as an action. */
#include "pipeline.h"

/* Where an option's value goes. */
enum take {
	TAKE_NOTHING, /* it has a value that nobody asks for */
	TAKE_ARG,
	TAKE_FROM,
	TAKE_TO,
	TAKE_TAG,
	TAKE_FILE,
	TAKE_LOAD, /* has no value */
	TAKE_PUSH, /* has no value */
};

static const struct option {
	const char *name;
	enum take take;
} options[] = {
	{ "--build-arg", TAKE_ARG },
	{ "--cache-from", TAKE_FROM },
	{ "--cache-to", TAKE_TO },
	{ "--tag", TAKE_TAG },
	{ "-t", TAKE_TAG },
	{ "--file", TAKE_FILE },
	{ "-f", TAKE_FILE },
	{ "--load", TAKE_LOAD },
	{ "--push", TAKE_PUSH },
	{ "--target", TAKE_NOTHING },
	{ "--platform", TAKE_NOTHING },
	{ "--label", TAKE_NOTHING },
	{ "--output", TAKE_NOTHING },
	{ "-o", TAKE_NOTHING },
	{ "--progress", TAKE_NOTHING },
	{ "--secret", TAKE_NOTHING },
	{ "--ssh", TAKE_NOTHING },
	{ "--network", TAKE_NOTHING },
	{ "--builder", TAKE_NOTHING },
	{ "--iidfile", TAKE_NOTHING },
	{ "--metadata-file", TAKE_NOTHING },
	{ "--shm-size", TAKE_NOTHING },
	{ "--ulimit", TAKE_NOTHING },
	{ "--add-host", TAKE_NOTHING },
	{ "--memory", TAKE_NOTHING },
	{ "-m", TAKE_NOTHING },
	{ "--attest", TAKE_NOTHING },
	{ "--allow", TAKE_NOTHING },
	{ "--annotation", TAKE_NOTHING },
	{ "--build-context", TAKE_NOTHING },
	{ "--sbom", TAKE_NOTHING },
	{ "--provenance", TAKE_NOTHING },
};

static void apply(struct pipeline_build *b, enum take take, str value, unsigned line)
{
	struct pipeline_value v = { value, line };

	switch (take) {
	case TAKE_ARG:
		b->inline_cache |= str_is(value, "BUILDKIT_INLINE_CACHE=1");
		vec_push(&b->args, v);
		break;
	case TAKE_FROM:
		vec_push(&b->cache_from, v);
		break;
	case TAKE_TO:
		b->inline_cache |= str_search(value, S("type=inline")) >= 0;
		vec_push(&b->cache_to, v);
		break;
	case TAKE_TAG:
		vec_push(&b->tags, v);
		break;
	case TAKE_FILE:
		b->dockerfile = value;
		break;
	case TAKE_LOAD:
		b->load = true;
		break;
	case TAKE_PUSH:
		b->push = true;
		break;
	case TAKE_NOTHING:
		break;
	}
}

static const struct option *find_option(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (str_is(name, options[i].name))
			return &options[i];
	return NULL;
}

/* Words after "build". */
static void read_options(const struct shell_command *c, size_t i, struct pipeline_build *b)
{
	for (; i < c->n_words; i++) {
		str word = shell_arg(c, i), name, value = { 0 };
		bool joined = str_cut(word, '=', &name, &value);
		const struct option *o = find_option(str_starts(word, S("-")) ? name : S(""));

		if (!o) {
			if (!str_starts(word, S("-")))
				b->context = word;
			continue;
		}
		if (!joined && o->take != TAKE_LOAD && o->take != TAKE_PUSH)
			value = shell_arg(c, ++i);
		apply(b, o->take, value, c->line);
	}
}

/* Index of the first word behind "docker buildx build" and the like; 0 when it is something else.
 */
static size_t build_words(const struct shell_command *c)
{
	size_t i = shell_program(c);
	str program = shell_arg(c, i++);

	if (!str_is(program, "docker") && !str_is(program, "podman") && !str_is(program, "buildah"))
		return 0;
	if (str_is(shell_arg(c, i), "buildx") || str_is(shell_arg(c, i), "image") ||
	    str_is(shell_arg(c, i), "builder"))
		i++;
	if (str_is(shell_arg(c, i), "build") || str_is(shell_arg(c, i), "bud"))
		return i + 1;
	return 0;
}

bool pipeline_is_build(const struct shell_command *c)
{
	return build_words(c) != 0;
}

void pipeline_add_command(struct pipeline *p, const struct pipeline_place *at,
                          const struct shell_command *c)
{
	struct pipeline_build b = { .at = *at };
	size_t i = build_words(c);

	if (!i)
		return;
	b.at.line = c->line;
	read_options(c, i, &b);
	vec_push(&p->builds, b);
}

/* --- docker/build-push-action ---------------------------------------------------- */

static const struct option inputs[] = {
	{ "build-args", TAKE_ARG }, { "cache-from", TAKE_FROM }, { "cache-to", TAKE_TO },
	{ "tags", TAKE_TAG },       { "file", TAKE_FILE },
};

/* An input has a value a line. */
static void read_lines(struct pipeline_build *b, enum take take, const struct conf_node *n)
{
	bool block = str_find(n->text, '\n') >= 0;
	unsigned line = n->line + (block ? 1 : 0);
	str rest = n->text, one;

	while (str_next(&rest, '\n', &one)) {
		if (str_trim(one).len)
			apply(b, take, str_trim(one), line);
		line++;
	}
}

void pipeline_add_action(struct pipeline *p, const struct pipeline_place *at,
                         const struct conf_node *with)
{
	struct pipeline_build b = { .at = *at };

	for (size_t i = 0; with && with->kind == CONF_MAP && i < with->n; i++) {
		const struct conf_pair *pair = &with->pairs[i];
		const struct conf_node *n = pair->value;

		if (n->kind != CONF_SCALAR)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(inputs); k++)
			if (str_is(pair->key, inputs[k].name))
				read_lines(&b, inputs[k].take, n);
		if (str_is(pair->key, "context"))
			b.context = n->text;
		b.load |= str_is(pair->key, "load") && str_is(n->text, "true");
		b.push |= str_is(pair->key, "push") && !str_is(n->text, "false");
	}
	vec_push(&p->builds, b);
}

/* Rules about options of builds, and about what becomes of what they make. */
#include "check.h"

/* Arguments that are there without ARG, as the Dockerfile reference lists them. */
static bool is_predefined(str name)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
		                             "NO_PROXY",   "ALL_PROXY",   "SOURCE_DATE_EPOCH" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq_nocase(name, str_of(names[i])))
			return true;
	return str_starts(name, S("BUILDKIT_"));
}

static bool is_name(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
		      (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || s.ptr[i] == '_' ||
		      (i && s.ptr[i] >= '0' && s.ptr[i] <= '9')))
			return false;
	return s.len > 0;
}

static bool declares(const struct pipeline_dockerfile *d, str name)
{
	for (size_t i = 0; i < d->list.len; i++) {
		const struct instr *in = &d->list.ptr[i];

		for (size_t k = 0; in->kind == INSTR_ARG && k < in->pairs.len; k++)
			if (str_eq(in->pairs.ptr[k].key, name))
				return true;
	}
	return false;
}

void check_unused_arg(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (b, &p->builds) {
		const struct pipeline_dockerfile *d = pipeline_dockerfile(p, b);

		vec_foreach (arg, &b->args) {
			str name, value;
			bool declared = false;

			(void)str_cut(arg->text, '=', &name, &value);
			if (!is_name(name) || is_predefined(name))
				continue;
			if (d)
				declared = declares(d, name);
			vec_foreach (any, &p->dockerfiles)
				declared |= !d && declares(any, name);
			if (!declared && (d || p->dockerfiles.len))
				check_add(
					r, rule, &b->at, arg->line,
					d ? check_say(p,
				                      "build argument %.*s is not declared in %.*s",
				                      STR(name), STR(d->file))
					  : check_say(
						    p,
						    "build argument %.*s is declared in no Dockerfile",
						    STR(name)));
		}
	}
}

/* Does the build have stages that its image does not consist of? Not known: no. */
static bool has_stages(const struct pipeline *p, const struct pipeline_build *b)
{
	const struct pipeline_dockerfile *d = pipeline_dockerfile(p, b);

	if (d)
		return d->n_stages > 1;
	vec_foreach (any, &p->dockerfiles)
		if (any->n_stages > 1)
			return true;
	return false;
}

void check_inline_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (b, &p->builds)
		if (b->inline_cache && has_stages(p, b))
			check_add(r, rule, &b->at, b->at.line,
			          S("the cache of a build with several stages is inline"));
}

static bool has(str list, const char *option)
{
	return str_search(list, str_of(option)) >= 0;
}

void check_min_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (b, &p->builds)
		vec_foreach (to, &b->cache_to)
			if (has(to->text, "type=") && !has(to->text, "type=inline") &&
			    !has(to->text, "mode=max") && str_find(to->text, '$') < 0 &&
			    has_stages(p, b))
				check_add(r, rule, &b->at, to->line,
				          check_say(p, "'%.*s' has no mode=max", STR(to->text)));
}

void check_ecr_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (b, &p->builds)
		vec_foreach (to, &b->cache_to)
			if (has(to->text, "type=registry") &&
			    (has(to->text, ".dkr.ecr.") || has(to->text, "ECR")) &&
			    !(has(to->text, "image-manifest=true") &&
			      has(to->text, "oci-mediatypes=true")))
				check_add(
					r, rule, &b->at, to->line,
					check_say(
						p,
						"'%.*s' is written to ECR in the form of an index",
						STR(to->text)));
}

/* "docker VERB ..." : index of the first word behind the verb, or 0. */
static size_t docker_verb(const struct shell_command *c, const char *verb)
{
	size_t i = shell_program(c);

	if (!str_is(shell_arg(c, i), "docker") && !str_is(shell_arg(c, i), "podman"))
		return 0;
	i++;
	if (str_is(shell_arg(c, i), "image"))
		i++;
	return str_is(shell_arg(c, i), verb) ? i + 1 : 0;
}

/* The first word that is no option. */
static str operand(const struct shell_command *c, size_t i)
{
	while (str_starts(shell_arg(c, i), S("-")))
		i++;
	return shell_arg(c, i);
}

/* A later command of the job that pushes one of the build's tags. */
static const struct shell_command *pushed_by(const struct pipeline *p,
                                             const struct pipeline_build *b)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands) {
			size_t i = docker_verb(c, "push");

			if (!i || s->at.job != b->at.job || c->line <= b->at.line)
				continue;
			vec_foreach (tag, &b->tags)
				if (str_eq(operand(c, i), tag->text))
					return c;
		}
	return NULL;
}

void check_load_push(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (b, &p->builds) {
		const struct shell_command *push = b->load && !b->push ? pushed_by(p, b) : NULL;

		if (push)
			check_add(r, rule, &b->at, b->at.line,
			          check_say(p, "the image is loaded here and pushed in line %u",
			                    push->line));
	}
}

/* Does a command do something with the image? Building it under that name, and pushing it, reads
 * nothing. */
static bool uses(const struct shell_command *c, str image)
{
	if (docker_verb(c, "pull") || docker_verb(c, "push") || pipeline_is_build(c))
		return false;
	for (size_t i = 0; i < c->n_words; i++)
		if (str_search(c->words[i].text, image) >= 0)
			return true;
	return false;
}

/* Could the name, which may have variables, be that of the image? */
static bool may_mean(str name, str image)
{
	ptrdiff_t variable = str_find(name, '$');

	return variable < 0 ? str_eq(name, image)
	                    : str_starts(image, str_n(name.ptr, (size_t)variable));
}

static bool is_read(const struct pipeline *p, str image)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands)
			if (uses(c, image))
				return true;
	vec_foreach (b, &p->builds)
		vec_foreach (from, &b->cache_from)
			if (str_search(from->text, image) >= 0)
				return true;
	vec_foreach (d, &p->dockerfiles)
		for (size_t i = 0; i < d->list.len; i++) {
			const struct instr *in = &d->list.ptr[i];

			if (in->kind == INSTR_FROM && may_mean(in->from.image, image))
				return true;
			if (in->kind == INSTR_COPY && str_eq(in->copy.from, image))
				return true;
		}
	return false;
}

void check_unread_pull(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands) {
			size_t i = docker_verb(c, "pull");
			str image = i ? operand(c, i) : S("");

			if (s->kind != PIPELINE_DOCKERFILE && image.len && !is_read(p, image))
				check_add(r, rule, &s->at, c->line,
				          check_say(p, "'%.*s' is pulled, and no build reads it",
				                    STR(image)));
		}
}

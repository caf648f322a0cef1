/* ci/check.h - what costs a pipeline time, or does nothing.
 *
 * Each rule looks at what the files of a repository do (pipeline.h) and tells a place, what is
 * there, what it costs and how to mend it.  A rule that cannot be sure says nothing: a name with a
 * variable in it is not guessed at.
 */
#ifndef CAIRN_CI_CHECK_H
#define CAIRN_CI_CHECK_H

#include "pipeline.h"

struct check_rule;

struct check_finding {
	const struct check_rule *rule;
	str file;
	unsigned line;
	str text; /* what is there: one phrase with names */
};

struct check_result {
	VEC(struct check_finding) findings; /* by file, line and rule; texts live in the pipeline */
};

struct check_rule {
	const char *name; /* "unused-build-arg" */
	const char *cost; /* one phrase: what it costs */
	const char *mend; /* one phrase: what to do */
	void (*look)(struct pipeline *p, const struct check_rule *rule, struct check_result *ret);
};

/* All rules, in the order of their names; ends with a row without a name. */
extern const struct check_rule check_rules[];

/* Apply all rules. */
void check_pipeline(struct pipeline *p, struct check_result *ret);

void check_result_done(struct check_result *r);

/* --- private to check*.c ---------------------------------------------------------- */

/* A phrase of a finding. */
#define check_say(p, ...) str_of(arena_printf((p)->arena, __VA_ARGS__))

/* Add a finding at a line of at->file. */
void check_add(struct check_result *r, const struct check_rule *rule,
               const struct pipeline_place *at, unsigned line, str text);

/* A rule's look(). */
typedef void check_look(struct pipeline *p, const struct check_rule *rule, struct check_result *r);

/* Options of builds and what is done with their results: check_build.c. */
check_look check_unused_arg, check_inline_cache, check_min_cache, check_ecr_cache, check_load_push,
	check_unread_pull;

/* What scripts do: check_script.c. */
check_look check_cache_path, check_prune, check_diff_base, check_substring, check_unpinned,
	check_redirect;

#endif

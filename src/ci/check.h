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

void check_add(struct check_result *r, const struct check_rule *rule,
               const struct pipeline_place *at, unsigned line, str text);

/* Options of builds and what is done with their results: check_build.c. */
void check_unused_arg(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_inline_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_min_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_ecr_cache(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_load_push(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_unread_pull(struct pipeline *p, const struct check_rule *rule, struct check_result *r);

/* What scripts do: check_script.c. */
void check_cache_path(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_prune(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_diff_base(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_substring(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_unpinned(struct pipeline *p, const struct check_rule *rule, struct check_result *r);
void check_redirect(struct pipeline *p, const struct check_rule *rule, struct check_result *r);

#endif

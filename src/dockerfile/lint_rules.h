/* lint_rules.h - what the files with lint rules share. */
#ifndef CAIRN_DOCKERFILE_LINT_RULES_H
#define CAIRN_DOCKERFILE_LINT_RULES_H

#include "dockerfile.h"
#include "util/vec.h"

#define LINT_STAGES_MAX   1000 /* what comes behind is not looked at */
#define LINT_WARNINGS_MAX 1000 /* further ones are dropped */

/* A FROM and what follows it. */
struct lint_stage {
	size_t first, end; /* nodes [first, end); first is the FROM */
	str name;          /* as written; "" when it has none */
	ptrdiff_t base;    /* number of the earlier stage that it continues, else -1 */
	bool shell;        /* SHELL stands in it or in a stage that it continues */
	bool workdir;      /* so does WORKDIR */
};

struct lint {
	struct dockerfile *df;
	struct arena *arena;
	const struct lint_rule *rule; /* the one that is running */
	struct lint_stage *stages;
	size_t n_stages;
	size_t n_global; /* nodes before the first FROM */
	VEC(struct dockerfile_warning) found;
	VEC(str) skip, experimental; /* of `# check=` */
	bool skip_all, experimental_all, error;
};

struct lint_rule {
	const char *name; /* as Docker calls it */
	bool experimental;
	/* one of them is set: called for each instruction, for each stage, once */
	void (*node)(struct lint *l, const struct dockerfile_node *n);
	void (*stage)(struct lint *l, const struct lint_stage *s);
	void (*file)(struct lint *l);
};

/* Report what the running rule found at a node, unless a comment above it says
 * check=skip=RULE. */
void lint_warn(struct lint *l, const struct dockerfile_node *node, const char *fmt, ...)
	PRINTF(3, 4);

/* The rules about FROM, its words and its names. */
void lint_stage_name_casing(struct lint *l, const struct lint_stage *s);
void lint_from_as_casing(struct lint *l, const struct lint_stage *s);
void lint_duplicate_stage_name(struct lint *l, const struct lint_stage *s);
void lint_reserved_stage_name(struct lint *l, const struct lint_stage *s);
void lint_undefined_arg_in_from(struct lint *l);
void lint_invalid_default_arg_in_from(struct lint *l);
void lint_redundant_target_platform(struct lint *l, const struct lint_stage *s);
void lint_platform_const(struct lint *l, const struct lint_stage *s);

#endif

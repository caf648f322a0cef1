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

/* A run of all rules over one file. */
struct lint {
	struct dockerfile *df;        /* what is looked at; borrowed */
	const struct ignore *ignore;  /* of the context, for rules that need it; NULL: not known */
	struct arena *arena;          /* of df: owns the texts of warnings */
	const struct lint_rule *rule; /* the one that is running */
	struct lint_stage *stages;    /* in the order of the file */
	size_t n_stages;
	size_t n_global; /* nodes before the first FROM */
	VEC(struct dockerfile_warning) found;
	VEC(str) skip, experimental; /* names of rules in `# check=skip=` and `experimental=` */
	bool skip_all;               /* `# check=skip=all` */
	bool experimental_all;       /* `# check=experimental=all` */
	bool error;                  /* `# check=error=true`: a warning ends the build */
};

/* A row of the table of rules. */
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

/* --- lint_from.c: the rules about FROM, its words and its names. Each is named after the rule of
 * https://docs.docker.com/reference/build-checks/ that it implements. --- */

/* StageNameCasing: names of stages are lower-case. */
void lint_stage_name_casing(struct lint *l, const struct lint_stage *s);
/* FromAsCasing: AS is written as FROM is. */
void lint_from_as_casing(struct lint *l, const struct lint_stage *s);
/* DuplicateStageName: an earlier stage has the name already. */
void lint_duplicate_stage_name(struct lint *l, const struct lint_stage *s);
/* ReservedStageName: "scratch" and "context" mean something else. */
void lint_reserved_stage_name(struct lint *l, const struct lint_stage *s);
/* UndefinedArgInFrom: FROM uses an ARG that was not declared before the first FROM. */
void lint_undefined_arg_in_from(struct lint *l);
/* InvalidDefaultArgInFrom: with the defaults of its ARGs, FROM names no valid image. */
void lint_invalid_default_arg_in_from(struct lint *l);
/* RedundantTargetPlatform: --platform=$TARGETPLATFORM is the default. */
void lint_redundant_target_platform(struct lint *l, const struct lint_stage *s);
/* FromPlatformFlagConstDisallowed: --platform is a constant. */
void lint_platform_const(struct lint *l, const struct lint_stage *s);

/* --- lint_copy.c --- */

/* CopyIgnoredFile: COPY or ADD names a file that .dockerignore keeps out. */
void lint_copy_ignored(struct lint *l, const struct dockerfile_node *n);

#endif

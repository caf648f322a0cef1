/* graph/lower.h - the state that lowering carries, private to graph/.
 *
 * Stages are lowered when something refers to them, so those that the target
 * does not reach cost nothing and their base images are never looked up.
 */
#ifndef CAIRN_GRAPH_LOWER_H
#define CAIRN_GRAPH_LOWER_H

#include "graph.h"
#include "util/map.h"

enum raw_state {
	RAW_UNTOUCHED,
	RAW_IN_PROGRESS, /* on the path to the stage being lowered: meeting it again is a cycle */
	RAW_DONE,
};

/* A stage as written. */
struct raw_stage {
	unsigned index;
	const struct instr *from;
	str name;          /* lower case, or "" */
	size_t first, end; /* its instructions, without the FROM */
	enum raw_state state;
	struct stage *lowered; /* once DONE */
};

struct lower {
	const struct dockerfile *df;
	const char *path;
	const struct graph_opts *opts;
	struct graph *g;
	struct arena *a;
	struct instr_list instrs;
	struct raw_stage *raws;
	size_t n_raws;
	VEC(struct instr_pair) globals; /* ARGs before the first FROM, with their values */
	VEC(struct graph_node *) nodes;
	VEC(struct graph_stage *) stages;
	struct map images;    /* text of a reference -> graph_node, for --from=IMAGE */
	struct map used_args; /* build arguments that an ARG took up */
};

/* A stage while, and after, it is lowered. */
struct stage {
	struct lower *l;
	const struct raw_stage *raw;
	struct graph_stage *out;
	VEC(struct instr_pair) args; /* declared here or in the stages below; value NULL = unset */
	struct map args_over_env;    /* names whose last ARG with a value is later than their ENV;
	                              * NULL where it is not */
	struct map set_at;           /* names of variables -> when an ENV or ARG set them last */
	uintptr_t n_set;             /* variables set so far */
	bool cmd_set;                /* CMD was given in this stage */
	struct graph_node *tip;      /* the step that the next one starts from */
	unsigned step, n_steps;      /* for "[build 3/7]" */
	VEC(struct graph_history) history;
	const struct instr *cur; /* being lowered */
	const char *where;       /* its file for messages */
};

/* The stage called `name` (any case), or with that number; NULL when there is none.
 * Without `upto`, all stages; else only those before that one may be named by number. */
struct raw_stage *lower_find_stage(struct lower *l, str name, const struct raw_stage *upto);

/* Lower `raw` if that has not been done. Fails with CAIRN_E_SYNTAX for a cycle. */
int lower_stage(struct lower *l, struct raw_stage *raw, struct stage **ret, struct cairn_err *err);

/* A node that stands for an image (a reference as written). */
int lower_image(struct lower *l, str ref, const struct platform *p, unsigned line,
                struct graph_node **ret, struct cairn_err *err);

/* What --from=NAME or from=NAME means: named context, stage, or image. */
int lower_source(struct stage *s, str name, struct graph_source *ret, struct cairn_err *err);

/* Append a node for the current instruction on top of the stage's tip. */
struct graph_node *lower_add_step(struct stage *s, enum graph_kind kind);

/* Append a history line; node NULL = metadata only. */
void lower_add_history(struct stage *s, str created_by, struct graph_node *node);

/* Note that `n` reads `input` (NULL is ignored). */
void lower_add_input(struct stage *s, struct graph_node *n, struct graph_node *input);

/* Note what a rule found in the instruction of that line, once. rule: a literal; text: copied */
void lower_find(struct lower *l, unsigned line, const char *rule, str text);

/* How words of the current instruction are expanded. What they name and nothing sets is found
 * by UndefinedVar. */
struct words lower_words(struct stage *s);

/* Fail at the current instruction's place. */
int lower_fail(const struct stage *s, enum cairn_code code, struct cairn_err *err, const char *fmt,
               ...) PRINTF(4, 5);

/* p joined to dir when relative, cleaned ("." and ".." resolved), absolute. */
str lower_abs_path(struct arena *a, str dir, str p);

/* The value of a predefined platform ARG for a build for `p`; false when `name` is none. */
bool lower_platform_arg(const struct lower *l, const struct platform *p, str name, str *ret);

/* An ENV, or an ARG with a value, has set a variable. */
void lower_var_set(struct stage *s, str name);

/* One instruction of each kind. */
typedef int (*lower_fn)(struct stage *s, const struct instr *i, struct cairn_err *err);
int lower_instr(struct stage *s, const struct instr *i, struct cairn_err *err);
int lower_run(struct stage *s, const struct instr *i, struct cairn_err *err);
int lower_copy(struct stage *s, const struct instr *i, struct cairn_err *err);
int lower_workdir(struct stage *s, const struct instr *i, struct cairn_err *err);

#endif

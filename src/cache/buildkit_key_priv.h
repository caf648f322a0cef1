/* buildkit_key_priv.h - what the parts of buildkit_key.h share. */
#ifndef CAIRN_CACHE_BUILDKIT_KEY_PRIV_H
#define CAIRN_CACHE_BUILDKIT_KEY_PRIV_H

#include "buildkit_key.h"

#define OP_JSON_MAX (4u << 20) /* bytes of the text of one operation */

/* Details in which versions of BuildKit differ; none of them is the newest known. */
enum op_form {
	FORM_NO_STUBS = 1u << 0,  /* before 0.11: no removeMountStubsRecursive */
	FORM_ZEROS = 1u << 1,     /* before 0.17: "input":0 and "output":0 are written; byID */
	FORM_RAW_CACHE = 1u << 2, /* before 0.13: ids of cache mounts count */
	FORM_VARIANT = 1u << 3,   /* arm64 with its variant */
	FORM_NETWORK = 1u << 4, /* built with --network=host and here without it, or the reverse */
	FORM_ALL = (1u << 5) - 1,
};

/* Everything that making an operation needs. */
struct op_maker {
	struct arena *a;
	const struct graph_node *node;
	const struct key_env *env;
	const struct buildkit_contexts *contexts;
	struct buildkit_op *op; /* being made */
};

/* Members of an object in a JSON text as Go writes it, in the order they are added. */
void op_json_key(struct strbuf *out, const char *name);
void op_json_str(struct strbuf *out, const char *name, str value); /* left out when empty */
void op_json_num(struct strbuf *out, const char *name, int64_t value);
void op_json_true(struct strbuf *out, const char *name, bool value); /* left out when false */
void op_json_strs(struct strbuf *out, const char *name, const str *list, size_t n);

/* Add the record digest of a text to an operation's forms, unless it is there. */
void op_add_form(struct buildkit_op *op, str json);

/* Add a dependency; room is made in the arena. */
struct buildkit_dep *op_add_dep(struct op_maker *m);

/* A selector over paths: of their joined text. */
struct digest op_selector(const str *paths, size_t n);

/* What the selectors read of a context: fills dep->contents. */
int op_context_contents(const struct op_maker *m, str context,
                        const struct buildkit_selector *selectors, size_t n,
                        struct buildkit_dep *dep, struct cairn_err *err);

/* The step that a file system comes from, past steps that BuildKit does not know as such: NULL
 * for scratch. */
const struct graph_node *op_input(const struct graph_node *n);

/* Variant of a platform in that form. */
str op_variant(const struct platform *p, unsigned form);

/* RUN; COPY and ADD; WORKDIR. *ret_known = false: BuildKit's way is not known. */
int op_make_exec(struct op_maker *m, bool *ret_known, struct cairn_err *err);
int op_make_copy(struct op_maker *m, bool *ret_known, struct cairn_err *err);
void op_make_workdir(struct op_maker *m);

/* An operation without inputs that makes the directory which a cache mount begins with. */
struct buildkit_op *op_make_cache_dir(struct arena *a, uint32_t mode, uint32_t uid, uint32_t gid);

/* An operation without inputs that writes one file. */
struct buildkit_op *op_make_file(struct arena *a, str path, uint32_t mode, str content);

#endif

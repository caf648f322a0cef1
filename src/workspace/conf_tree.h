/* workspace/conf_tree.h - a YAML text as a tree with positions.
 *
 * Made with libyaml's event interface, which tells the place of every value and never expands an
 * alias by itself.  Scalars stay text: the reader of the tree knows what it wants of them.
 */
#ifndef CAIRN_WORKSPACE_CONF_TREE_H
#define CAIRN_WORKSPACE_CONF_TREE_H

#include <stdbool.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

#define CONF_TEXT_MAX  (1u << 20) /* bytes of a file */
#define CONF_NODES_MAX 200000u    /* values of a tree, aliases counted each time */
#define CONF_DEPTH_MAX 16         /* lists and mappings in each other */

enum conf_kind {
	CONF_SCALAR,
	CONF_LIST,
	CONF_MAP,
};

struct conf_pair;

struct conf_node {
	enum conf_kind kind;
	unsigned line, col;       /* 1-based; columns count characters */
	str text;                 /* SCALAR: without quotes and escapes */
	bool plain;               /* SCALAR: written without quotes: null and true mean something */
	struct conf_node **items; /* LIST: n of them */
	struct conf_pair *pairs;  /* MAP: n of them, in order; keys are unique */
	size_t n;
	/* Nodes in it and levels of them, itself counted; what an alias names counts each time. */
	size_t size;
	unsigned height;
};

struct conf_pair {
	str key;
	unsigned line, col; /* of the key */
	struct conf_node *value;
};

/* Parse. The tree lives in `a`; *ret is NULL when the text has no document (comments only).
 *
 * Fails with CAIRN_E_SYNTAX (path, line, column): no YAML, anchors, aliases, tags, a second
 * document, keys that are no text or stand twice, nesting above CONF_DEPTH_MAX, larger than
 * CONF_TEXT_MAX. */
int conf_parse(str text, const char *path, struct arena *a, struct conf_node **ret,
               struct cairn_err *err);

/* The same for files that other tools define: anchors and aliases are taken, and "<<" merges
 * mappings as YAML 1.1 has it (own keys go before merged ones). An alias is the node of its anchor
 * itself, not a copy. Fails for more than CONF_NODES_MAX values, too. */
int conf_parse_aliases(str text, const char *path, struct arena *a, struct conf_node **ret,
                       struct cairn_err *err);

/* The value of a key of a mapping; NULL: there is none, or `n` is NULL or no mapping. */
struct conf_node *conf_get(const struct conf_node *n, const char *key);

/* Is it an empty value: nothing, ~ or null? */
bool conf_is_null(const struct conf_node *n);

/* "a list", "a mapping", "text": for messages. Static. */
const char *conf_kind_name(const struct conf_node *n);

#endif

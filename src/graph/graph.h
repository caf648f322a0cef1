/* graph/graph.h - the step graph: what a build has to do, as data.
 *
 * A Dockerfile's instructions are lowered into steps.  RUN, COPY, ADD and
 * WORKDIR are steps; everything else only changes the image config.  Stages
 * that the target does not reach are not lowered at all.  The graph runs
 * nothing and reads no file system: base images come through a resolver, and
 * what a COPY selects from its source is found out later, by cache/ (keys) and
 * engine/ (copying).
 *
 * One arena owns everything; graph_free() releases it.  Texts may be borrowed
 * from the Dockerfile the graph was made from, which must outlive it.
 */
#ifndef CAIRN_GRAPH_GRAPH_H
#define CAIRN_GRAPH_GRAPH_H

#include "dockerfile/dockerfile.h"
#include "image/image.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/vec.h"

enum graph_kind {
	GRAPH_BASE, /* where a stage starts: an image, or nothing (scratch) */
	GRAPH_RUN,
	GRAPH_COPY, /* COPY and ADD */
	GRAPH_WORKDIR,
	GRAPH_N_,
};

struct graph_node;

/* Where files come from. */
enum graph_source_kind {
	GRAPH_FROM_CONTEXT, /* a local directory: the build context or a named one */
	GRAPH_FROM_NODE,    /* the file system that another step ends with */
	GRAPH_FROM_INLINE,  /* a here-document */
	GRAPH_FROM_NONE,    /* mounts without a source: empty */
};

struct graph_source {
	enum graph_source_kind kind;
	str context; /* FROM_CONTEXT: name given with --build-context; "" = the build context */
	struct graph_node *node; /* FROM_NODE */
};

/* A here-document that COPY or ADD writes. */
struct graph_inline {
	str name;    /* file name, when the destination is a directory */
	str content; /* expanded where the Dockerfile says so */
};

struct graph_copy {
	bool add; /* ADD: local archives are unpacked */
	struct graph_source from;
	str *sources; /* expanded, as written; wildcards inside */
	size_t n_sources;
	struct graph_inline *inlines;
	size_t n_inlines;
	str dest;      /* absolute and clean; ends with '/' when it must be a directory */
	bool dot;      /* it was written with "/." at its end: a difference for BuildKit alone */
	str chown;     /* "user[:group]" by name or number, or "" = 0:0 */
	str chmod;     /* octal or symbolic, or "" */
	bool link;     /* --link: independent of the parent's tree */
	bool parents;  /* --parents */
	str *excludes; /* --exclude patterns */
	size_t n_excludes;
};

struct graph_mount {
	enum run_mount_type type;
	struct graph_source from; /* bind, cache */
	str source;               /* path inside `from`, absolute and clean */
	str target;               /* absolute and clean */
	bool relative; /* it was written relative to WORKDIR; BuildKit tells that apart */
	str id;        /* cache, secret, ssh */
	enum run_mount_sharing sharing;
	uint32_t mode; /* cache, secret, ssh: permission bits */
	uint32_t uid, gid;
	bool writable; /* bind: rw; cache: not ro */
	bool required; /* secret, ssh */
	uint64_t size; /* tmpfs: bytes, 0 = unlimited */
	str env;       /* secret: also as this variable, or "" */
};

enum graph_network {
	GRAPH_NET_DEFAULT,
	GRAPH_NET_NONE,
	GRAPH_NET_HOST,
};

struct graph_run {
	str *argv; /* shell form: SHELL and the command line */
	size_t n_argv;
	str script;                 /* here-document to be executed as a file, or ptr NULL */
	str script_name;            /* its file name below /dev/pipes */
	struct graph_mount *mounts; /* sorted by target */
	size_t n_mounts;
	enum graph_network network;
};

/* "NAME=value" */
struct graph_env {
	str *vars;
	size_t n;
};

struct graph_node {
	enum graph_kind kind;
	unsigned id; /* index in graph->nodes; parents and inputs have smaller ones */
	struct graph_stage *stage;
	struct graph_node
		*parent; /* the step whose tree this one starts from; NULL for GRAPH_BASE */
	struct graph_node **inputs; /* further steps it reads: COPY --from, mounts; no duplicates */
	size_t n_inputs;
	unsigned line, end_line; /* in the Dockerfile; of the FROM for a step from ONBUILD */
	str text;                /* "RUN apt-get update": for people, one line */
	str name;                /* "[build 3/7] RUN apt-get update" */
	bool no_cache;           /* --no-cache or --no-cache-filter names its stage */

	/* What the command may see; RUN only, but WORKDIR and COPY need user and cwd. */
	struct graph_env env;       /* base image, ENV and ARG, in order; in the key */
	struct graph_env set_env;   /* RUN: the same in the order in which they were set last, as
	                             * BuildKit's keys have them */
	struct graph_env proxy_env; /* HTTP_PROXY and the like: given to RUN, never in a key */
	str user;                   /* USER in force, or "" */
	str cwd;                    /* WORKDIR in force: absolute */

	union {
		struct {
			str ref;                           /* normalised reference; "" = scratch */
			const struct image_config *config; /* empty for scratch */
			struct digest config_digest;       /* none for scratch */
			struct digest names[2];            /* see struct graph_base */
		} base;
		struct graph_run run;
		struct graph_copy copy;
		struct {
			str path; /* absolute and clean */
		} workdir;
	};
};

/* One line of an image's history, in the order of the Dockerfile. */
struct graph_history {
	str created_by;
	struct graph_node *node; /* the step whose layer it describes; NULL = metadata only */
};

struct graph_stage {
	str name;       /* lower case; "" when it has none */
	unsigned index; /* position in the Dockerfile, from 0 */
	struct graph_node *base;
	struct graph_node *last; /* the step it ends with; may be `base` */
	struct platform platform;
	struct image_config
		*config; /* of the image it would make: no created, no diff IDs, no history */
	struct graph_history *history; /* of this stage alone, without the base's */
	size_t n_history;
	/* The stage it is FROM, when its base is a stage: its history and config precede this
	 * one's. */
	struct graph_stage *from;
};

struct graph {
	struct arena *arena;
	str path;                  /* of the Dockerfile, for messages */
	struct graph_node **nodes; /* parents and inputs before those who need them */
	size_t n_nodes;
	struct graph_stage **stages; /* the reachable ones, in order */
	size_t n_stages;
	struct graph_stage *target;
	VEC(str) warnings; /* for the user, one line each */
	/* What rules found that need the base images: UndefinedVar, InvalidBaseImagePlatform.
	 * By instruction, as they were lowered; for dockerfile_warn(). */
	VEC(struct dockerfile_warning) findings;
};

/* What a FROM or --from=IMAGE refers to. */
struct graph_base {
	str ref;                     /* as it should be shown */
	struct image_config *config; /* allocated in the arena that was passed */
	struct digest config_digest;
	/* Digests that it has at its registry (of an index, of its manifest), as far as they are
	 * known; none otherwise. Nothing of cairn's depends on them. */
	struct digest names[2];
};

struct graph_opts {
	str target;                   /* stage name or number; "" = the last */
	const struct map *build_args; /* name -> char * value */
	str *labels;                  /* "key=value" */
	size_t n_labels;
	struct platform platform;
	bool no_cache;
	str *no_cache_stages; /* --no-cache-filter */
	size_t n_no_cache_stages;
	const struct map *contexts; /* --build-context: name -> char * value as given */

	/* Find an image's config. ref is normalised. Fails as registry/store do. */
	int (*resolve_base)(void *ctx, struct arena *arena, str ref,
	                    const struct platform *platform, struct graph_base *ret,
	                    struct cairn_err *err);
	void *ctx;
};

/* Lower what `opts->target` needs into a graph.
 *
 * df        the parsed Dockerfile; must outlive the graph
 * path      its name for messages
 * ret       owned by the caller, graph_free()
 *
 * Fails with CAIRN_E_SYNTAX (path and line set) for a Dockerfile that makes no
 * sense (unknown stage, variable that must be set, a stage that refers to
 * itself or a later one), CAIRN_E_UNSUPPORTED (path and line set) for what this
 * version cannot do, and with what resolve_base fails with.
 */
int graph_lower(const struct dockerfile *df, const char *path, const struct graph_opts *opts,
                struct graph **ret, struct cairn_err *err);

void graph_free(struct graph *g); /* NULL is fine */
DEFINE_CLEANUP(struct graph *, graph_free);
#define cleanup_graph __attribute__((cleanup(graph_free_p_)))

#endif

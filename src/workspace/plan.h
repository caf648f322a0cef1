/* workspace/plan.h - which images need building, and why.
 *
 * The decision is by content.  An image's input key is made of everything its build reads: the
 * meaning of its Dockerfile, the files its steps can reach, arguments, base images, the input keys
 * of the images that it is made of: those that a stage or a COPY of its target names, as FROM, by
 * tag or as a named context.  Nothing of an image that only `depends:` names enters a build, so
 * that its changes are none of the image's: that orders, and no more.  The key is compared with the
 * keys of images that were built before (plan_state): the same key is the same image, whichever
 * commit it was built from.
 *
 * git is asked afterwards, to say which commits and files made an image dirty; its answer changes
 * no decision.
 */
#ifndef CAIRN_WORKSPACE_PLAN_H
#define CAIRN_WORKSPACE_PLAN_H

#include "cache/cache.h"
#include "images.h"
#include "store/store.h"
#include "util/pool.h"

/* What is to be done about an image. */
enum plan_verdict {
	PLAN_SKIP,  /* it was built from the same input, and its tags are right */
	PLAN_RETAG, /* it was built from the same input; tags are missing or point elsewhere */
	PLAN_BUILD,
	PLAN_VERDICTS_,
};

/* What is known of an input key. */
struct plan_known {
	struct digest config;   /* identity of the image that was built */
	struct digest manifest; /* as it was pushed; none: it never was */
	str repository;         /* where to; "" = nowhere */
	str where;              /* who knew: "the store", or a remote's name */
	int64_t time;           /* ns since 1970, of the build */
	str commit;             /* git commit it was built from; "" = not known */
	str gone; /* it was built, but the image cannot be had: why. Then nothing else is set */
};

/* A step as it would go. */
struct plan_step {
	str name;                      /* "[build 3/7] RUN make" */
	unsigned line;                 /* in the Dockerfile */
	enum report_result result;     /* HIT or WOULD */
	str from;                      /* HIT: "" = the store, else a remote's name */
	str kind;                      /* report.h */
	struct digest key;             /* definition key */
	uint64_t cost_ns;              /* when it ran last; 0 = not known */
	uint64_t bytes;                /* of its layer's tar; 0 = not known */
	struct report_reason *reasons; /* WOULD */
	size_t n_reasons;
};

struct plan_commit {
	str id;      /* full */
	str subject; /* first line of its message */
};

/* What git says about a change; see plan_git.h. */
struct plan_change {
	str *files; /* of the image's input that differ from the base revision; sorted */
	size_t n_files;
	struct plan_commit *commits; /* that touched them, newest first */
	size_t n_commits;
};

struct plan_image {
	struct ws_image *image;
	struct category category;
	struct digest key; /* input key */
	enum plan_verdict verdict;
	struct plan_known known; /* SKIP, RETAG */
	struct image_strs retag; /* RETAG: the tags to set */
	str why; /* one phrase: "src/a.c changed", "never built", "image 'base' is built" */
	struct plan_change change;
	struct plan_step *steps; /* BUILD; in the order of the graph */
	size_t n_steps;
	size_t n_hits, n_runs; /* of them, bases left out */
	bool error;            /* it cannot be planned; why says so, and verdict is BUILD */
};

struct plan {
	struct arena *arena; /* owns everything but images */
	const struct ws_images *images;
	struct plan_image *ptr; /* in the order of building */
	size_t len;
	str base;      /* revision that changes are told from; "" = none */
	str base_note; /* why there is none, or why another was taken; "" = nothing to say */
};

/* What making a plan needs; all is borrowed until plan_make() returns, but images. */
struct plan_opts {
	const struct ws_images *images;   /* outlive the plan */
	struct ws_image *const *selected; /* in the order of building, with those they stand on */
	size_t n_selected;
	const char *root;              /* folder that paths of images are relative to */
	struct store *store;           /* NULL: there is none yet */
	struct pool *pool;             /* for files; never NULL */
	struct pool *net;              /* for requests; NULL: pool */
	struct key_env env;            /* as builds have it */
	char *const *envp;             /* of arguments without a value; ends with NULL */
	struct remote *const *remotes; /* caches that are asked what was built, in order */
	size_t n_remotes;
	bool steps;       /* predict the steps of images that are built */
	bool git;         /* ask git what made images dirty */
	const char *base; /* git: revision to compare with; NULL: see plan_git.h */
	bool pushed;      /* an image that was never pushed has to be */

	/* Find a base image; main thread; fits graph_opts.resolve_base. */
	int (*resolve_base)(void *ctx, struct arena *arena, str ref,
	                    const struct platform *platform, struct graph_base *ret,
	                    struct cairn_err *err);
	/* All that will probably be asked for, before: fits engine's base_prefetch(). NULL: nobody
	 * wants to know. */
	void (*prefetch_bases)(void *ctx, const str *refs, const struct platform *platforms,
	                       size_t n);
	void *ctx;
	/* The digest of the manifest that a tag of a registry points to; any thread. NULL: tags of
	 * registries are not looked at. */
	int (*tag)(void *ctx, const struct reference *ref, bool *ret_found, struct digest *ret,
	           struct cairn_err *err);
	void *tag_ctx;
	void (*warn)(void *ctx, str text); /* one line for the user; main thread; never NULL */
	void *warn_ctx;
};

/* Decide what is to be done about each selected image. An image that cannot be planned is
 * PLAN_BUILD with `error`, and so is what stands on it.
 *
 * Fails as the store does, with CAIRN_E_NOT_FOUND when the root is not there, and
 * with CAIRN_E_CANCELLED. */
int plan_make(const struct plan_opts *o, struct plan **ret, struct cairn_err *err);

/* The image of that name in the plan, or NULL. */
struct plan_image *plan_get(const struct plan *p, str name);

/* "skip", "retag", "build"; static. */
const char *plan_verdict_name(enum plan_verdict v);

void plan_free(struct plan *p); /* NULL is fine */
DEFINE_CLEANUP(struct plan *, plan_free);
#define cleanup_plan __attribute__((cleanup(plan_free_p_)))

#endif

/* cli/build_cache.h - remote caches of a build: --cache-from, --cache-to, `cache:` of cairn.yaml.
 *
 *	build_cache_parse("cache-to", "type=registry,ref=..", a, &spec, err)   for each
 *	build_caches_open(&opts, &caches, err)
 *
 * Options are spelled as buildx spells them; a bare REF is type=registry,ref=REF.  What an option
 * does not say about scopes follows from where the build runs (build_scope.h).  Places that are
 * named twice, to be read and to be written, are opened once.
 */
#ifndef CAIRN_CLI_BUILD_CACHE_H
#define CAIRN_CLI_BUILD_CACHE_H

#include "build_scope.h"
#include "engine/engine.h"
#include "registry/registry.h"
#include "workspace/workspace.h"

enum build_cache_type {
	BUILD_CACHE_REGISTRY,
	BUILD_CACHE_S3,
	BUILD_CACHE_LOCAL,
	BUILD_CACHE_INLINE, /* in the image itself */
	BUILD_CACHE_N_,
};

enum build_cache_format {
	BUILD_CACHE_CAIRN,
	BUILD_CACHE_BUILDKIT, /* type=registry: what BuildKit reads */
};

/* One cache. Strings are NULL when they were not given. */
struct build_cache_spec {
	enum build_cache_type type;
	bool to;         /* it is written; else it is only read */
	const char *ref; /* REGISTRY */
	bool no_image;   /* REGISTRY: it is a cache, not an image that may have one inside */
	const char *dir; /* LOCAL: src, dest */
	const char *tag; /* LOCAL */
	/* S3: */
	const char *bucket, *prefix, *name, *region, *endpoint_url;
	const char *access_key_id, *secret_access_key, *session_token;
	bool use_path_style;
	/* Of caches that are written: */
	bool max; /* all steps (mode=max); else those of the image itself */
	bool ignore_error;
	bool force_compression;
	bool has_compression; /* else as the image is pushed */
	enum layer_compression compression;
	int level; /* 0: its default */
	enum build_cache_format format;
	bool image_manifest, oci_mediatypes; /* BUILDKIT */

	const char *scope;      /* in full; NULL: from where the build runs */
	const char **fallbacks; /* in full */
	size_t n_fallbacks;
	bool has_fallbacks; /* else from where the build runs */
};

/* Read the value of --cache-from or --cache-to (`opt`). Strings live in a.
 * Fails with CAIRN_E_USAGE naming the option that is unknown or wrong, CAIRN_E_UNSUPPORTED for
 * types of buildx that cairn does not have. */
int build_cache_parse(const char *opt, const char *value, struct arena *a,
                      struct build_cache_spec *ret, struct cairn_err *err);

/* The same from a type and its options, as workspace_config has them; `what` names them in
 * messages: "cairn.yaml:3: cache". Options that only matter to a cache that is written may be
 * there in any case. */
int build_cache_from_attrs(const char *what, str type, const struct image_kvs *attrs, bool to,
                           struct arena *a, struct build_cache_spec *ret, struct cairn_err *err);

/* Append what `cache:` of cairn.yaml names: each is read, and written unless it says otherwise.
 * The array is made anew in a. Fails as build_cache_from_attrs(). */
int build_caches_configured(const struct workspace_config *config, struct arena *a,
                            struct build_cache_spec **specs, size_t *n, struct cairn_err *err);

struct build_caches_opts {
	const struct build_cache_spec *specs; /* borrowed until the caches are closed */
	size_t n;
	struct registry_session *net;       /* never NULL; outlives the caches */
	char *const *envp;                  /* environment: where the build runs */
	const struct platform *platform;    /* of the image; never NULL */
	const struct layer_blob_form *form; /* of the image that is pushed; NULL: none is */
};

/* Opened caches. */
struct build_caches {
	struct arena *arena;
	struct remote **remotes; /* those that are read, in the order of the specs */
	size_t n;
	struct publish_target *targets; /* those that are written */
	size_t n_targets;
	bool inline_cache;      /* type=inline: entries go into the image */
	struct remote **images; /* those of `remotes` that are images with a cache inside */
	size_t n_images;
	struct remote **opened; /* all of them, each once; owned */
	size_t n_opened;
	struct remote **of_spec; /* by number of the spec; NULL: type=inline */
	/* Private: */
	struct build_s3 *s3; /* what the remotes of S3 stand on */
	size_t n_s3;
};

/* Nothing is asked of a network yet. Fails as remote_open_*(), with CAIRN_E_USAGE for references
 * that make no sense. */
int build_caches_open(const struct build_caches_opts *opts, struct build_caches **ret,
                      struct cairn_err *err);
void build_caches_free(struct build_caches *c); /* NULL is fine */

#endif

/* workspace/config.h - cairn.yaml, the file at the root of a repository.
 *
 * It is optional: without one everything has its default.  docs/configuration.md explains the
 * keys, docs/cairn.schema.json is their JSON Schema; reader and schema are made from the same
 * tables (config.c), to which a new key is one row.
 *
 * YAML 1.2 without aliases, anchors, tags and several documents; at most CONF_TEXT_MAX bytes.
 * An unknown key is an error, as is a value of the wrong kind; each says file:line:column.
 */
#ifndef CAIRN_WORKSPACE_CONFIG_H
#define CAIRN_WORKSPACE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/strbuf.h"

#define WORKSPACE_CONFIG_NAME "cairn.yaml"
#define WORKSPACE_LOCK_NAME   "cairn.lock"

/* A cache that machines share, from `cache:`. Options that were not given are not in attrs. */
struct workspace_cache {
	str url;  /* as written */
	str type; /* "registry", "s3", "local" */
	/* Options in the spelling of buildx's --cache-to: registry: ref; s3: bucket, prefix,
	 * region, endpoint_url, use_path_style; local: dest (absolute); all: mode, compression,
	 * compression-level, force-compression, ignore-error, ... */
	struct image_kvs attrs;
	str scope;                   /* scope that is written; "" = the default one */
	struct image_strs fallbacks; /* scopes that are read after it, in order */
	bool read_only;              /* nothing is written */
	unsigned line, col;          /* where it stands */
};

struct workspace_caches {
	struct workspace_cache *ptr; /* in the order of the file */
	size_t len;
};

/* `cache_mounts:`, what becomes of RUN --mount=type=cache when the machine goes. */
struct workspace_cache_mounts {
	bool enabled;      /* default true: saved to the caches, where there are any */
	uint64_t max_size; /* bytes of one mount that are saved; default 2 GiB */
	uint64_t ttl;      /* ns after which what was saved is not restored; default 30 days */
};

/* One line of `mirrors:`. */
struct workspace_mirror {
	str domain;                  /* as in a reference: "docker.io" */
	struct image_strs locations; /* "host[:port][/prefix]", asked in this order */
};

struct workspace_mirrors {
	struct workspace_mirror *ptr;
	size_t len;
};

/* One line of `registries:`: how a registry is spoken to. */
struct workspace_registry {
	str host; /* "registry.example:5000" */
	bool http;
	str ca;   /* PEM file of authorities, absolute; "" = the system's */
	str cert; /* PEM file of a client certificate, absolute; "" = none */
	str key;  /* PEM file of its key, absolute; "" = it is in cert */
	bool insecure_skip_verify;
};

struct workspace_registries {
	struct workspace_registry *ptr;
	size_t len;
};

struct workspace_base {
	str registry; /* "host/prefix" where `cairn base sync` copies to, which builds ask first; ""
	               */
	str lock;     /* absolute path of the lock file */
	struct image_strs ignore; /* images, or repositories, that no registry has */
};

enum workspace_network {
	WORKSPACE_NETWORK_HOST,
	WORKSPACE_NETWORK_NONE,
};

/* How much of a machine an image wants; ascending. */
enum image_category {
	IMAGE_UNKNOWN, /* not told, and nothing was looked at yet */
	IMAGE_LIGHT,
	IMAGE_HEAVY,
	IMAGE_GPU,
	IMAGE_CATEGORIES_,
};

/* A line of `matrix:`: the image is made once for each value. */
struct workspace_axis {
	str name;
	struct image_strs values;
};

struct workspace_axes {
	struct workspace_axis *ptr;
	size_t len;
};

/* One of `images:`, and `defaults:` for all of them, as written: ${...} stands there still, paths
 * are not cleaned.  Batch files are read into the same struct.  "" and none: not given. */
struct workspace_image {
	str name;
	unsigned line, col; /* where the name stands */
	str context, dockerfile, dockerfile_inline, target, runner;
	/* A value whose ptr is NULL: the name stands there without one. */
	struct image_kvs args, contexts, labels;
	struct image_strs tags, platforms, secrets, depends;
	enum image_category category; /* UNKNOWN: from evidence */
	uint64_t deadline;            /* ns; 0 = none */
	struct workspace_axes matrix;
};

struct workspace_images {
	struct workspace_image *ptr;
	size_t len;
};

/* A line of `groups:`. */
struct workspace_group {
	str name;
	unsigned line, col;
	struct image_strs members; /* names of images and of groups */
};

struct workspace_groups {
	struct workspace_group *ptr;
	size_t len;
};

/* How a runner is started. */
enum runner_driver {
	RUNNER_UNKNOWN, /* not told */
	RUNNER_LOCAL,   /* this machine */
	RUNNER_GITHUB,
	RUNNER_CODEBUILD,
	RUNNER_CODEBUILD_RUNNER, /* CodeBuild behind a label of GitHub's */
	RUNNER_DRIVERS_,
};

enum runner_rounding {
	RUNNER_MINUTE,
	RUNNER_SECOND,
};

enum runner_arch {
	RUNNER_ANY_ARCH, /* not told */
	RUNNER_AMD64,
	RUNNER_ARM64,
	RUNNER_ARCHS_,
};

/* One of `runners:`, a kind of machine that builds can be sent to. 0, "", none: not given (what
 * route/runners.h then takes is said there). */
struct workspace_runner {
	str name;
	unsigned line, col; /* where the name stands */
	enum runner_driver driver;
	str compute, environment; /* of CodeBuild */
	str project, region;      /* of CodeBuild; where `cairn ci run` starts builds */
	struct image_strs labels; /* of GitHub's runs-on */
	str repository, workflow; /* of GitHub: "owner/name"; name of the workflow's file */
	str image;
	uint64_t vcpu;
	uint64_t memory, disk; /* bytes */
	str price_text;        /* as written */
	bool has_price;        /* `price` was given */
	uint64_t price;        /* 1e-6 USD per minute */
	enum runner_rounding rounding;
	uint64_t latency; /* ns */
	uint64_t concurrency;
	enum runner_arch arch;
	bool gpu, spot, privileged;
	uint64_t interruptions;        /* in 100 hours */
	str source, date;              /* of its figures */
	struct image_strs unconfirmed; /* keys whose figures nobody has confirmed */
};

struct workspace_runners {
	struct workspace_runner *ptr;
	size_t len;
};

const char *runner_driver_name(enum runner_driver d); /* "codebuild", ...; static */
const char *runner_arch_name(enum runner_arch a);     /* "amd64", ...; static */

struct workspace_config {
	struct arena *arena; /* owns everything */
	const char *file;    /* as shown in messages; NULL: there is no cairn.yaml */
	const char *root;    /* absolute: the folder of cairn.yaml, else the root of the git
	                        repository, else where the search began */
	struct workspace_caches caches;
	struct workspace_cache_mounts cache_mounts;
	struct workspace_mirrors mirrors;
	struct workspace_registries registries;
	struct workspace_base base;
	enum workspace_network sandbox_network; /* of RUN steps that --network says nothing about */
	struct workspace_images images;         /* see images.h, which makes something of them */
	struct workspace_image defaults;        /* of all images; it has no name */
	struct workspace_groups groups;
	struct workspace_runners runners; /* as written; see route/runners.h */
};

/* Read the configuration.
 *
 * file  the file to read (--config, CAIRN_CONFIG), relative to the working directory; it must be
 *       there.  NULL: cairn.yaml in `dir` or the nearest folder above it, up to the root of the git
 *       repository or of the file system; folders above `dir` that everybody may write to are
 *       passed over.  None: the defaults.
 * dir   where the search begins; "." or a build context
 *
 * Fails with CAIRN_E_NOT_FOUND when `file` or `dir` is not there and with CAIRN_E_SYNTAX (path,
 * line and column set) for a mistake in the file. */
int workspace_config_load(const char *file, const char *dir, struct workspace_config **ret,
                          struct cairn_err *err);

/* The same from a text. path: for messages; root: absolute, what relative paths are relative to. */
int workspace_config_parse(str text, const char *path, const char *root,
                           struct workspace_config **ret, struct cairn_err *err);

/* As people write it: an absolute path without the working directory in front. Borrowed. */
const char *workspace_shown(const char *path);

void workspace_config_free(struct workspace_config *c); /* NULL is fine */
DEFINE_CLEANUP(struct workspace_config *, workspace_config_free);
#define cleanup_workspace_config __attribute__((cleanup(workspace_config_free_p_)))

/* Append the JSON Schema (draft 2020-12) of cairn.yaml, made from the tables of the reader. */
void workspace_config_schema(struct strbuf *out);

#endif

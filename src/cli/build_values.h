/* cli/build_values.h - the values of `cairn build` options that have fields.
 *
 * Pure functions over one option's value.  Results point into the arena or into
 * the value.  All fail with CAIRN_E_USAGE and a text that names the option.
 */
#ifndef CAIRN_CLI_BUILD_VALUES_H
#define CAIRN_CLI_BUILD_VALUES_H

#include <stdint.h>

#include "image/image.h"
#include "util/arena.h"
#include "util/err.h"

/* KEY=VALUE; `value` is NULL without a "=". */
struct build_pair {
	const char *key; /* never empty where a function here returns it */
	const char *value;
};

#define BUILD_FIELDS_MAX 32 /* KEY=VALUE fields of one option */

/* One value split at its commas; a field may be "quoted, as in CSV". */
struct build_fields {
	struct build_pair at[BUILD_FIELDS_MAX];
	size_t n;
};

int build_fields_split(const char *opt, const char *text, struct arena *a, struct build_fields *ret,
                       struct cairn_err *err);

enum build_output_type {
	BUILD_OUTPUT_STORE,    /* the local store */
	BUILD_OUTPUT_OCI,      /* OCI layout, as a tar */
	BUILD_OUTPUT_DOCKER,   /* what `docker load` reads */
	BUILD_OUTPUT_TAR,      /* the root file system as one tar */
	BUILD_OUTPUT_LOCAL,    /* the root file system as a folder */
	BUILD_OUTPUT_REGISTRY, /* pushed to where its names say */
	BUILD_OUTPUT_N_,
};

enum build_compression {
	BUILD_COMPRESSION_DEFAULT, /* as the output's type likes it */
	BUILD_COMPRESSION_NONE,
	BUILD_COMPRESSION_GZIP,
	BUILD_COMPRESSION_ZSTD,
};

/* --output. "-o DIR" is type=local,dest=DIR and "-o -" is type=tar,dest=-; type=image is the store,
 * with push=true it is type=registry. */
struct build_output {
	enum build_output_type type;
	/* file or folder; "-": standard output; NULL only for STORE and REGISTRY */
	const char *dest;
	const char *name; /* reference written into the image, or NULL: the -t names */
	enum build_compression compression;
	int level; /* of the compression; -1: its default */
	bool tar;  /* OCI: one tar (default) or, with tar=false, a folder */
	/* REGISTRY: */
	bool force_compression;       /* also of layers of base images */
	bool by_digest;               /* push-by-digest: set no tag */
	bool docker;                  /* oci-mediatypes=false */
	bool insecure;                /* registry.insecure: plain HTTP */
	struct image_kvs annotations; /* annotation.KEY=VALUE */
};

int build_output_parse(const char *value, struct arena *a, struct build_output *ret,
                       struct cairn_err *err);

/* --secret id=ID[,src=PATH][,env=NAME][,type=file|env]: what RUN --mount=type=secret reads. */
struct build_secret {
	const char *id;  /* never empty */
	const char *src; /* file, or NULL */
	const char *env; /* environment variable, or NULL; exactly one of both is set */
};

int build_secret_parse(const char *value, struct arena *a, struct build_secret *ret,
                       struct cairn_err *err);

/* KEY=VALUE of --build-arg, --label, --build-context. */
int build_pair_parse(const char *opt, const char *text, struct arena *a, struct build_pair *ret,
                     struct cairn_err *err);

/* --add-host HOST:IP, HOST=IP; the IP may be in [brackets]. */
struct build_host {
	const char *name;
	const char *ip; /* checked: IPv4 or IPv6 text, or "host-gateway" */
};

int build_host_parse(const char *text, struct arena *a, struct build_host *ret,
                     struct cairn_err *err);

/* --ulimit NAME=SOFT[:HARD]; -1 is unlimited (UINT64_MAX). */
struct build_ulimit {
	const char *name; /* "nofile" */
	int resource;     /* RLIMIT_NOFILE */
	uint64_t soft, hard;
};

int build_ulimit_parse(const char *text, struct build_ulimit *ret, struct cairn_err *err);

#endif

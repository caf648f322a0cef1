/* registry/registry.h - images at a registry.
 *
 * The OCI distribution specification
 * (https://github.com/opencontainers/distribution-spec/blob/main/spec.md), pull side, as
 * Docker Hub, ECR, GHCR, Quay and docker-registry speak it.
 *
 * One `struct registry` serves all registries of a command and all threads: it keeps what
 * was learned about each host (scheme, credentials, tokens).  Nothing is cached on disk.
 *
 * Nothing that arrives is believed: manifests, configs and blobs are checked against the
 * digest that named them, before (manifest, config) or while (blob) the caller sees them.
 *
 * Errors: CAIRN_E_NOT_FOUND no such repository, tag, digest or platform (says which);
 * CAIRN_E_AUTH credentials are missing or refused (says how to log in);
 * CAIRN_E_TRANSIENT unreachable or overloaded, after retries;
 * CAIRN_E_DIGEST the registry sent other bytes than it promised;
 * CAIRN_E_SYNTAX an answer that is not what the specification says;
 * CAIRN_E_UNSUPPORTED Docker schema 1; CAIRN_E_CANCELLED.
 */
#ifndef CAIRN_REGISTRY_REGISTRY_H
#define CAIRN_REGISTRY_REGISTRY_H

#include "auth_header.h"
#include "image/image.h"
#include "net/net.h"

struct registry;

/* How to talk to one registry, where it is not by HTTPS with the system's authorities. */
struct registry_host_settings {
	const char *host;      /* as in references: "registry.example:5000", "docker.io" */
	bool plain_http;       /* by HTTP */
	bool skip_verify;      /* by HTTPS, but any certificate will do */
	const char *ca_file;   /* PEM file of authorities, in place of all others; or NULL */
	const char *cert_file; /* PEM file of a client certificate, or NULL */
	const char *key_file;  /* of its key; NULL = it is in cert_file */
};

/* Where the images of a registry are to be had too. registry_resolve(), registry_manifest_find()
 * and the reading of blobs ask the mirrors in their order and then the registry itself, unless that
 * stands among them; everything else means the registry that it names.  A mirror that is down,
 * denies or has not what was asked for is passed over, and one that sent a damaged blob is not
 * asked when that is wanted again.  Names stay those of the registry. */
struct registry_mirror {
	/* Whose images these are: "docker.io". NULL: copies of images of any registry, with its
	 * domain as a part of the path; then one that is missing is nothing to tell about. */
	const char *domain;
	const char *location; /* "host[:port][/prefix]", before "/library/debian" or, without a
	                         domain, before "/docker.io/library/debian" */
};

struct registry_opts {
	struct http_client *http;  /* borrowed; outlives the registry */
	const char *docker_config; /* directory of config.json, see credentials_dir(); NULL =
	                              anonymous */
	/* Borrowed, with what they point to. A host that is not among them is spoken to by HTTPS;
	 * localhost, 127.x and [::1] by plain HTTP. */
	const struct registry_host_settings *hosts;
	size_t n_hosts;
	/* Blobs up to so many bytes are sent in one request, larger ones in pieces of that size; 0
	 * = 64 MiB. */
	uint64_t piece;
	/* For tokens of ECR's registries when config.json has no login there; borrowed. NULL =
	 * never. */
	struct aws *aws;
	/* In the order of asking; borrowed, with what they point to. */
	const struct registry_mirror *mirrors;
	size_t n_mirrors;
	void (*warn)(void *ctx, str text); /* one line for the user; any thread; NULL is fine */
	void *warn_ctx;
};

/* What an image is called at a mirror. Fails with CAIRN_E_SYNTAX when the name gets too long. */
int registry_mirror_name(const struct registry_mirror *m, const struct reference *ref,
                         struct reference *ret, struct cairn_err *err);

struct registry *registry_new(const struct registry_opts *opts);
void registry_free(struct registry *r); /* no call may be running; NULL is fine */
DEFINE_CLEANUP(struct registry *, registry_free);
#define cleanup_registry __attribute__((cleanup(registry_free_p_)))

/* What it talks with; borrowed from the options. */
struct http_client *registry_http(const struct registry *r);

/* Is the registry at `domain` there, and does it accept our credentials? For doctor. */
int registry_ping(struct registry *r, const char *domain, struct cairn_err *err);

/* The same with this login instead of the one in config.json, from now on; c is copied. A registry
 * that lets everybody in says nothing about the login. */
int registry_check_login(struct registry *r, const char *domain, const struct credentials *c,
                         struct cairn_err *err);

/* An image of one platform, resolved: everything but its layers. */
struct registry_image {
	struct arena *arena;      /* owns what is below */
	struct reference ref;     /* as asked for */
	struct digest top_digest; /* what the tag points to: an index, or the manifest itself */
	struct digest manifest_digest; /* of the platform's manifest; pin with this */
	str manifest_type;             /* its media type */
	str manifest_bytes;            /* as served; the digest is over them */
	struct manifest manifest;      /* .kind is MANIFEST_IMAGE */
	str config_bytes;              /* as served; manifest.config.digest is over them */
	struct image_config config;    /* n_diff_ids equals manifest.n_layers */
};

void registry_image_free(struct registry_image *i); /* NULL is fine */
DEFINE_CLEANUP(struct registry_image *, registry_image_free);
#define cleanup_registry_image __attribute__((cleanup(registry_image_free_p_)))

/* Resolve `ref` for `platform`: manifest (through at most 2 nested indexes) and config.
 * Two requests for a single image, three through an index; by digest when ref has one
 * (its tag is then not looked at).
 *
 * Fails with CAIRN_E_NOT_FOUND, listing the platforms there are, when none fits. */
int registry_resolve(struct registry *r, const struct reference *ref,
                     const struct platform *platform, struct registry_image **ret,
                     struct cairn_err *err);

/* What somebody who resolves an image knows, and is told besides. */
struct registry_resolving {
	/* Append the bytes of the config with this digest, where they are known: then one request
	 * less is made, if they are what the digest says. NULL: nobody knows any. */
	bool (*config)(void *ctx, const struct digest *digest, struct strbuf *out);
	void *ctx;
	/* Set, also when it fails: the name itself is not there - not only no image for the
	 * platform, or no config - so that nobody has to ask for it again. */
	bool absent;
};

/* The same, with that. */
int registry_resolve_with(struct registry *r, const struct reference *ref,
                          const struct platform *platform, struct registry_resolving *with,
                          struct registry_image **ret, struct cairn_err *err);

/* The digest a tag points to now, by HEAD: no bytes, and no pull is counted at Docker Hub.
 * It is the registry's word, not verified; *ret_type is its media type (static). */
int registry_head(struct registry *r, const struct reference *ref, struct digest *ret_digest,
                  const struct media_type **ret_type, struct cairn_err *err);

/* A manifest or index as served, verified. Appended to `out` (initialised; its maximum
 * should be MANIFEST_MAX). ret_type: the Content-Type, owned. */
int registry_manifest_get(struct registry *r, const struct reference *ref, struct strbuf *out,
                          char **ret_type, struct cairn_err *err);

/* The same from the mirrors of the registry, then from itself. ret_from: who had it. */
int registry_manifest_find(struct registry *r, const struct reference *ref, struct strbuf *out,
                           char **ret_type, struct reference *ret_from, struct cairn_err *err);

/* Receives a blob. Called in the thread that called registry_blob_get(). */
struct registry_sink {
	/* The next bytes, in order, each byte once, also when the transfer was resumed. The
	 * digest is known to be right only when registry_blob_get() has returned 0: what was
	 * made of the bytes must be thrown away otherwise. */
	int (*write)(void *ctx, const void *p, size_t n, struct cairn_err *err);
	/* After each write: bytes so far and in all. NULL is fine. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	/* Is what was written, all of it, the blob? Else CAIRN_E_DIGEST. For a sink that hashes
	 * anyway: its word then stands for a second digest over the same bytes. NULL is fine. */
	int (*verify)(void *ctx, struct cairn_err *err);
};

/* Stream a blob of the repository of `repo` (its tag and digest are not looked at) to the
 * sink. A broken connection is resumed with Range, where the registry cannot do that by
 * skipping what is there already.
 *
 * Fails with CAIRN_E_DIGEST when size or digest are not blob's. */
int registry_blob_get(struct registry *r, const struct reference *repo,
                      const struct descriptor *blob, const struct registry_sink *sink,
                      struct cairn_err *err);

/* A small blob into memory; blob->size must be <= out's maximum, else CAIRN_E_SYNTAX. */
int registry_blob_read(struct registry *r, const struct reference *repo,
                       const struct descriptor *blob, struct strbuf *out, struct cairn_err *err);

#include "push.h"
#include "session.h"

#endif

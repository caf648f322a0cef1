/* engine/output.h - images as archives, folders and root file systems.
 *
 *	outputs_new(&opts, &out, err)     looks at the destinations before anything is built
 *	outputs_begin(out)                what can be asked before anything is known
 *	outputs_chain(out, chain)         while the build runs: its finished layers are compressed
 *	                                  in the background (engine_opts.chain_done)
 *	outputs_finish(out, &image, err)  gives the image its times, writes all outputs
 *	outputs_free(out)                 before the engine_build and the pool
 *
 * REGISTRY: pushed while the build runs (output_push.h).
 *
 * Forms.  OCI: an image layout (OCI image spec, image-layout.md) as a tar, or as a folder; several
 * names are several entries of its index.  DOCKER: the same tar with a manifest.json, as `docker
 * save` writes it; every `docker load` reads it.  TAR and LOCAL: the files that a container of the
 * image would see, without device nodes where this user may not make them; a folder's files belong
 * to the caller, as docker's.  The same image gives the same bytes.
 *
 * A file appears under its name when it is complete; before that it has none, or a temporary
 * name beside it.  A folder that exists is merged into: no symbolic link in it is followed.
 *
 * Compressed layers become blobs of the store: nobody compresses them again (DECISIONS.md 14).
 * A layer made elsewhere goes out as it came in; when its bytes are gone they are made again
 * and must have the same digest (DECISIONS.md 27).
 *
 * Times.  With an epoch (SOURCE_DATE_EPOCH) the image's time and those of its new history
 * lines are the epoch, times of base images and of files in new layers are the epoch where
 * they were later.  A layer that changes by that is a layer of its own in the store, without
 * a directory; records say what it was made from, so that it is clamped once and can be
 * unpacked.  Layers of the base image stay as they are.
 */
#ifndef CAIRN_ENGINE_OUTPUT_H
#define CAIRN_ENGINE_OUTPUT_H

#include "build.h"
#include "image/image.h"

enum output_type {
	OUTPUT_OCI,
	OUTPUT_DOCKER,
	OUTPUT_TAR,
	OUTPUT_LOCAL,
	OUTPUT_REGISTRY, /* pushed */
	OUTPUT_N_,
};

struct output {
	enum output_type type;
	const char *dest; /* file or folder; "-": standard output; REGISTRY: NULL */
	bool folder;      /* OCI: a folder instead of a tar */
	/* OCI, DOCKER: references written into it, normalised. REGISTRY: where it goes. */
	const char *const *names;
	size_t n_names;
	enum layer_compression compression; /* OCI, DOCKER, REGISTRY: of layers */
	int level;                          /* of it; 0: its default */
	/* REGISTRY: */
	bool force_compression;       /* also of layers made elsewhere */
	bool by_digest;               /* no tag is set */
	bool docker;                  /* Docker's media types in place of OCI's */
	struct image_kvs annotations; /* of the manifest */
};

struct outputs_opts {
	struct store *store;       /* never NULL */
	struct pool *pool;         /* never NULL */
	struct layer_press *press; /* layer_blob.h; never NULL; outlives the outputs */
	/* For REGISTRY; the first two may be NULL. All outlive the outputs. */
	struct supply *supply;       /* layers that are not here */
	struct publisher *published; /* layers that caches get as well */
	struct registry *(*registry)(void *ctx);
	void *registry_ctx;
	const struct engine_observer *observer; /* never NULL */
	const struct output *outputs;           /* borrowed, with what they point to */
	size_t n;                               /* 0: only the image's times are set */
	bool has_epoch;
	int64_t epoch; /* ns since 1970, whole seconds */
	int cancel_fd; /* readable when the user wants to stop; -1 = never */
	void (*tick)(void *ctx, int64_t now_ns); /* called about ten times a second; may be NULL */
	void *tick_ctx;
};

struct outputs;

/* Fails with CAIRN_E_USAGE for a terminal as destination, and for standard output twice;
 * CAIRN_E_NOT_FOUND for a destination in a folder that does not exist, CAIRN_E_EXISTS for one
 * that is of another kind. */
int outputs_new(const struct outputs_opts *opts, struct outputs **ret, struct cairn_err *err);

/* The build begins: registries are asked what the tags that are pushed mean now, while base images
 * and caches are looked up. Not to call it costs time. Main thread. */
void outputs_begin(struct outputs *o);

/* The image will have these layers at its bottom: those that must be compressed are, in the
 * pool, one after the other. ctx is the struct outputs. Main thread. */
void outputs_chain(void *ctx, const struct chain *chain);

/* What the outputs made. */
struct outputs_result {
	bool has_manifest;          /* an image output was among them */
	struct descriptor manifest; /* of the first one; strings live as long as the outputs */
};

/* Write everything. With an epoch *image becomes the image with these times, registered in
 * the store; what it points to then lives as long as the outputs. Emits a step for each
 * output, numbered after the image's. Nothing half-written stays behind.
 *
 * Fails with CAIRN_E_NOT_FOUND when bytes of a layer are gone, CAIRN_E_DIGEST when they are
 * damaged, CAIRN_E_CANCELLED, CAIRN_E_SYSTEM (sys ENOSPC: the disk is full). */
int outputs_finish(struct outputs *o, struct engine_image *image, struct outputs_result *ret,
                   struct cairn_err *err);

/* Did it fail because a layer that a cache promised is gone? Another build makes it. */
bool outputs_demoted(const struct outputs *o);

/* Ends what still runs in the background. NULL is fine. */
void outputs_free(struct outputs *o);
DEFINE_CLEANUP(struct outputs *, outputs_free);
#define cleanup_outputs __attribute__((cleanup(outputs_free_p_)))

#endif

/* engine/output_priv.h - private to output*.c.
 *
 * Everything is touched by the main thread, except a struct out_layer that is
 * OUT_QUEUED and a struct out_job: these belong to one pool task at a time.
 */
#ifndef CAIRN_ENGINE_OUTPUT_PRIV_H
#define CAIRN_ENGINE_OUTPUT_PRIV_H

#include <stdatomic.h>

#include "layer_blob.h"
#include "output.h"
#include "util/vec.h"

struct push; /* output_push.h */

enum out_state {
	OUT_IDLE,
	OUT_QUEUED, /* in the queue, or in the pool */
	OUT_READY,
};

/* A layer of the image on its way out. */
struct out_layer {
	struct outputs *o;
	struct layer_blob_source src; /* its tar is known when the layer is ready */
	bool base;                    /* not made by a step: its times stay */
	enum out_state state;
	struct layer_blob *blobs; /* by number of the form; set when it is ready */
};

struct outputs {
	const struct outputs_opts *opts;
	struct arena *arena;  /* of the main thread */
	struct push **pushes; /* by output: of type REGISTRY */
	struct push *pushing; /* the one that is waited for */
	int64_t started;      /* clock_now() */
	atomic_bool demoted;
	struct layer_blob_form *forms; /* in which some output wants the layers */
	size_t n_forms;
	size_t *form_of;   /* by output: number of its form */
	struct map layers; /* diff ID -> struct out_layer * */
	VEC(struct out_layer *) queue;
	size_t next; /* in the queue */
	bool busy;   /* a task of ours is in the pool */
	bool finishing;
	int result; /* of what failed while finishing; err says why */
	struct cairn_err err;
	atomic_bool stop;         /* tasks end as soon as they notice */
	atomic_uint_least64_t at; /* bytes that the running task has done */
	uint64_t total;           /* it will have done then; 0: not known */
	char what[128];           /* that it does, for people */
};

/* --- output_layer.c --- */

/* Bring a layer into all forms. In a pool thread. */
int out_layer_prepare(struct out_layer *l, struct cairn_err *err);

/* Write the layer's tar as it goes out; its digest is checked. */
int out_layer_tar(const struct out_layer *l, const struct layer_sink *sink, struct cairn_err *err);

/* A sink that counts in o->at and notices o->stop. */
struct out_meter {
	struct outputs *o;
	const struct layer_sink *to; /* NULL: nowhere */
};
/* Fits layer_sink.write; meter is a struct out_meter. Fails with CAIRN_E_CANCELLED, and as `to`
 * does. */
int out_meter_write(void *meter, const void *p, size_t n, struct cairn_err *err);

/* --- output_file.c --- */

/* A file on its way to its name. */
struct out_file {
	const char *dest; /* as given; "standard output" in messages for "-" */
	int fd;
	char *path; /* where it will be, links resolved; NULL: written in place */
	char *tmp;  /* what it is called meanwhile; NULL: it has no name */
};

/* Can dest be written, as far as one can see now? Fails as outputs_new() says. */
int out_file_check(const char *dest, struct cairn_err *err);
/* The same for a folder, which is made when it is missing. */
int out_folder_check(const char *dest, struct cairn_err *err);

/* Begin to write dest. *ret is the caller's to out_file_done(). Fails with CAIRN_E_SYSTEM. */
int out_file_open(const char *dest, struct out_file *ret, struct cairn_err *err);
/* Takes the bytes of the file; valid as long as f. */
struct layer_sink out_file_sink(struct out_file *f);
/* Give it its name. */
int out_file_commit(struct out_file *f, struct cairn_err *err);
void out_file_done(struct out_file *f); /* without a commit nothing is left of it */

/* --- output_archive.c --- */

/* Files by path, in a tar or in a folder. */
struct out_archive {
	const char *dest;
	bool folder;
	struct out_file file; /* the tar */
	int dirfd;            /* the folder */
	bool made;            /* the folder was not there */
	/* The file that is being written: */
	struct layer_sink sink;
	int fd;    /* folder: its temporary file */
	char *tmp; /* folder: its name */
	uint64_t left;
	uint64_t size;
};

/* Begin an archive at dest; *ret is the caller's to out_archive_done(). Fails with CAIRN_E_SYSTEM.
 */
int out_archive_open(const char *dest, bool folder, struct out_archive *ret, struct cairn_err *err);
/* Without a commit: what was made is removed. */
void out_archive_done(struct out_archive *ar);
/* Everything is in it: write the tar's end, give the tar its name. */
int out_archive_commit(struct out_archive *ar, struct cairn_err *err);
/* Add a directory; in a folder an existing one is fine. */
int out_archive_dir(struct out_archive *ar, const char *path, struct cairn_err *err);
/* Add a small file. */
int out_archive_put(struct out_archive *ar, const char *path, str bytes, struct cairn_err *err);
/* A folder may have a blob already. */
bool out_archive_has(const struct out_archive *ar, const char *path, uint64_t size);
/* Begin a file of exactly that size, whose bytes *ret_sink takes; then end it. */
int out_archive_begin(struct out_archive *ar, const char *path, uint64_t size,
                      const struct layer_sink **ret_sink, struct cairn_err *err);
int out_archive_end(struct out_archive *ar, const char *path, struct cairn_err *err);

/* --- what an output is written from --- */

/* One output being written. Everything is borrowed. */
struct out_job {
	struct outputs *o;
	const struct output *output;
	size_t number; /* of the output */
	size_t form;   /* OCI, DOCKER */
	const struct engine_image *image;
	struct out_layer **layers; /* of the image, bottom first */
	struct arena *arena;       /* of the job: the main thread's while no task has it */
	struct descriptor manifest;
	char *warning; /* to be shown; in arena, or NULL */
};

/* output_image.c: manifest first (main thread or pool), then the archive (pool). */
/* Make the manifest: its bytes, which live in j->arena, and j->manifest. */
int out_image_manifest(struct out_job *j, str *ret_bytes, struct cairn_err *err);
/* Write the archive or folder of an OCI or DOCKER output. */
int out_image_write(struct out_job *j, struct cairn_err *err);

/* output_root.c: TAR and LOCAL (pool). */
int out_root_write(struct out_job *j, struct cairn_err *err);

#endif

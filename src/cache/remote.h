/* cache/remote.h - a cache that machines share: one contract, several backends.
 *
 * A remote keeps
 *
 *	entries   one immutable, small document for each key (keys.h): a record and where the
 *	          blobs of its layers are.  Visible only when its own blobs are there.
 *	blobs     compressed layers, compressed layer indexes, packs of cache mounts; by digest.
 *	pointers  small documents that change: what a cache mount last held.
 *
 * There is no shared index that two writers could lose: a key is an object of its own
 * (DECISIONS.md 20).  Nothing that arrives is believed: blobs are verified while they arrive,
 * entries are parsed within bounds, and the caller checks what they promise.
 *
 * Scopes.  Entries and pointers are written into one scope (a branch), and read from it and
 * then from the fallbacks (the default branch), so that a pull request never writes what main
 * reads (DECISIONS.md 25).  Blobs are shared: their digest proves them.
 *
 * Every function may be called from any thread and blocks it.  Doubt is a miss: callers treat
 * each failure of a read as "not found", after telling the user once.
 *
 * Errors: CAIRN_E_TRANSIENT unreachable or overloaded, after retries; CAIRN_E_AUTH refused
 * (says what to do); CAIRN_E_DIGEST other bytes than promised; CAIRN_E_NOT_FOUND a blob that
 * is not there; CAIRN_E_SYNTAX an answer that makes no sense; CAIRN_E_CANCELLED;
 * CAIRN_E_SYSTEM.
 */
#ifndef CAIRN_CACHE_REMOTE_H
#define CAIRN_CACHE_REMOTE_H

#include "image/image.h"
#include "util/err.h"
#include "util/strbuf.h"

#define REMOTE_ENTRY_MAX   (2u << 20) /* bytes of an entry */
#define REMOTE_POINTER_MAX (1u << 20) /* bytes of a pointer's document */
#define REMOTE_INDEX_BYTES 1024       /* largest index that an entry holds itself */
#define REMOTE_SCOPE_MAX   56         /* bytes of a scope's name in tags and keys, hashed beyond */
#define REMOTE_SCOPES_MAX  8          /* fallbacks */

/* Media type of a compressed layer index: registries see a layer like any other (some refuse
 * what they do not know); the annotation tells them apart. */
#define REMOTE_INDEX_ANNOTATION "io.cairn.index"

/* --- entries ----------------------------------------------------------------- */

/* Where the bytes of one layer of a record's chain are. */
struct remote_layer {
	struct digest diff_id;
	/* The compressed tar: media type, digest, size. A layer that only its origin has is
	 * described all the same; digest none: nobody knows a compressed form. */
	struct descriptor blob;
	/* layer_index_encode()d with its frames, compressed with zstd; digest none: not known. */
	struct descriptor index;
	/* Its bytes, when they are few: then the remote need not have it as a blob. Else empty. */
	str index_bytes;
	/* "registry.example/repository" where the blob lies; empty: in this remote itself. */
	str from;
};

/* What is kept for a key. */
struct remote_entry {
	str record;                  /* stored form, record.h */
	struct remote_layer *layers; /* those of the record's chain, in its order */
	size_t n_layers;
};

/* Append the stored form, one JSON object:
 *	{"version":1,"record":{...},"layers":[{"diff_id","blob":{...},"index":{...},"from"}]}
 * A small index stands in its descriptor, as "data" in base64 (OCI image spec, descriptor.md). */
void remote_entry_encode(const struct remote_entry *e, struct strbuf *out);

/* Parse; what it points to is allocated in `a`. Fails with CAIRN_E_DIGEST when it is damaged, too
 * large or of another version. */
int remote_entry_decode(str text, struct arena *a, struct remote_entry *ret, struct cairn_err *err);

/* --- one remote ---------------------------------------------------------------- */

struct remote;

/* Are their blobs at the same place? */
bool remote_same_place(const struct remote *a, const struct remote *b);
/* And do they read and write the same scopes? */
bool remote_same(const struct remote *a, const struct remote *b);

/* Receives a blob, in the calling thread. The digest is known to be right only when the
 * get function has returned 0. */
struct remote_sink {
	int (*write)(void *ctx, const void *p, size_t n, struct cairn_err *err);
	void *ctx;
	/* Is what was written, all of it, the blob? Else CAIRN_E_DIGEST. For a sink that hashes
	 * anyway: the remote may ask it instead of hashing, too. NULL is fine. */
	int (*verify)(void *ctx, struct cairn_err *err);
};

/* Bytes to be sent; they may be read more than once (a transfer that broke). */
struct remote_source {
	int fd;    /* read with pread() from offset 0; -1: bytes. Borrowed */
	str bytes; /* when fd is -1 */
};

/* "registry.example/repo", "s3://bucket/prefix", "/path": for people. Lives as long as r. */
const char *remote_name(const struct remote *r);

/* Append the entry of a key to out (initialised, maximum REMOTE_ENTRY_MAX), from the first scope
 * that has one. One request where the first scope has it. */
int remote_entry_get(struct remote *r, const struct digest *key, struct strbuf *out,
                     bool *ret_found, struct cairn_err *err);

/* An entry that is to be kept. */
struct remote_put {
	str entry;
	/* What it brings into this remote (the step's own layer and index), all put before; they
	 * are safe from clean-ups only when it is visible. */
	const struct descriptor *blobs;
	size_t n_blobs; /* may be 0 */
	bool replace;   /* it takes the place of what is there (a forced build, DECISIONS.md 9) */
	/* Blobs that other entries have brought and that it stands on. A registry keeps what
	 * manifests name: so it has them as long as this entry, should another writer take the
	 * place of those. Others ignore them; one that is lost does not matter. */
	const struct descriptor *below;
	size_t n_below;
};

/* An entry for the key will be put when its blobs are there: ask meanwhile what
 * remote_entry_put() asks first, where it has to; for a few seconds it need not ask again. Any
 * thread. Fails when the remote does not answer; to pass over that is no mistake. */
int remote_entry_expect(struct remote *r, const struct digest *key, struct cairn_err *err);

/* Keep an entry. One that is there stays (it is immutable), unless it is damaged or `replace` says
 * so: then *ret_lost is true, and its text is appended to `there` (initialised, maximum
 * REMOTE_ENTRY_MAX; nothing is when it cannot be read). The very same text is no loss. Of two
 * writers that meet on a registry, which knows no conditions, the second takes the place of the
 * first and neither learns of it; where tags are immutable `replace` loses, too.
 *
 * Fails with CAIRN_E_NOT_FOUND when the remote has lost one of the blobs. */
int remote_entry_put(struct remote *r, const struct digest *key, const struct remote_put *put,
                     struct strbuf *there, bool *ret_lost, struct cairn_err *err);

/* Is the blob there? */
int remote_blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err);

/* Whatever lies there under this digest proved to be of no use: it counts as not there until it is
 * put again. */
void remote_blob_doubt(struct remote *r, const struct descriptor *blob);

/* Stream a blob, verified; a broken transfer is resumed. */
int remote_blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err);

/* Stream len bytes at offset of a blob, which cannot be verified here: the caller checks what is in
 * them. */
int remote_blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err);

/* A small blob, verified, appended to out. */
int remote_blob_read(struct remote *r, const struct descriptor *blob, struct strbuf *out,
                     struct cairn_err *err);

/* Send a blob unless it is there; the bytes must be what the descriptor says. A few bytes may be
 * sent although they are there. */
int remote_blob_put(struct remote *r, const struct descriptor *blob,
                    const struct remote_source *src, struct cairn_err *err);

/* What a pointer holds, from the first scope that has it; `ret_version` (owned; NULL when not found
 * or when it came from a fallback) is for remote_pointer_put(). */
int remote_pointer_get(struct remote *r, const struct digest *name, struct strbuf *out,
                       char **ret_version, bool *ret_found, struct cairn_err *err);

/* When a registry, which has no conditional writes, looks whether another writer was at a pointer;
 * a directory and S3 know for certain at any rate. */
enum remote_look {
	REMOTE_LOOK_BEFORE, /* it was read a while ago */
	REMOTE_LOOK_AFTER,  /* it was read just now: what another writes right then is noticed, too
	                     */
	REMOTE_LOOK_NEVER,  /* whose value it is does not matter */
};

/* A new value of a pointer. */
struct remote_pointer {
	str document;
	const struct descriptor *blobs; /* what the document needs; all put before */
	size_t n_blobs;
	const char *version; /* what it was read as; NULL = it must not be there yet */
	enum remote_look look;
};

/* Set a pointer in the scope that is written. *ret_lost: another writer's value is there. A
 * directory and S3 know for certain that they changed nothing then, a registry only when the other
 * was not at it at the same moment: then the last writer wins. */
int remote_pointer_put(struct remote *r, const struct digest *name, const struct remote_pointer *p,
                       bool *ret_lost, struct cairn_err *err);

/* May it be written? In one or two small requests; all that stays there is, on S3, a blob of a few
 * bytes. Fails as a write would: CAIRN_E_AUTH, CAIRN_E_DENIED, CAIRN_E_NOT_FOUND (no such bucket),
 * CAIRN_E_TRANSIENT (that may change), CAIRN_E_SYSTEM. */
int remote_check_write(struct remote *r, struct cairn_err *err);

/* The registry and repository where its blobs are ("registry.example/repo"), from which another
 * repository of that registry can mount them; NULL for other kinds. */
const char *remote_repository(const struct remote *r);

/* --- one that does not answer ---------------------------------------------------- */

/* What is known about servers. Outlives remotes, so that a second attempt of a build does not wait
 * for them once more. */
struct remote_watch;
struct remote_watch *remote_watch_new(void);
void remote_watch_free(struct remote_watch *w); /* NULL is fine */

/* From now on it is remembered that a server does not answer: its calls wait a few seconds for its
 * first sign, and after one that waited in vain all of them fail at once (CAIRN_E_TRANSIENT), for
 * half a minute and then again as long as it does not answer: health.h has the numbers. Remotes of
 * one registry stand and fall together.
 *
 * Before the first call of these remotes; the list is not kept, and w only used here.
 * warn  gets one line for each server, from any thread, as long as the remotes live */
void remote_watch(struct remote_watch *w, struct remote *const *list, size_t n,
                  void (*warn)(void *ctx, str text), void *ctx);

/* Did that line tell the user all there is to say about this failure? */
bool remote_told(const struct remote *r, const struct cairn_err *err);

/* Would a call be made now? false: it would fail at once. */
bool remote_ready(const struct remote *r);

/* Let the next call ask in any case, for a moment. */
void remote_retry(struct remote *r);

/* Call visit(ctx), which goes by another way to the server where the remote lies, as carefully as
 * the calls here. Returns its result, and fails likewise without calling it. */
int remote_visit(struct remote *r, int (*visit)(void *ctx, struct cairn_err *err), void *ctx,
                 struct cairn_err *err);

void remote_free(struct remote *r); /* no call may be running; NULL is fine */
DEFINE_CLEANUP(struct remote *, remote_free);
#define cleanup_remote __attribute__((cleanup(remote_free_p_)))

/* --- opening ---------------------------------------------------------------------- */

struct registry;
struct s3_client;

struct remote_scopes {
	const char *write;       /* NULL: the default scope, "" */
	const char *const *read; /* fallbacks, in order */
	size_t n_read;
};

/* A directory: DIR/entries/SCOPE/KEY, DIR/pointers/SCOPE/NAME, DIR/blobs/sha256/HEX. Written by
 * rename, so it may lie on a shared disk. With read_only a missing one is empty, and nothing can be
 * put (CAIRN_E_DENIED). Documents carry a checksum (remote_priv.h), so that one that was cut short
 * or moved is known. */
int remote_open_dir(const char *dir, const struct remote_scopes *scopes, bool read_only,
                    struct remote **ret, struct cairn_err *err);

/* A repository of a registry. An entry is an image manifest tagged with scope and key; its text is
 * an annotation, so that one request answers; its layers are the blobs it brings. */
int remote_open_registry(struct registry *registry, const struct reference *repo,
                         const struct remote_scopes *scopes, struct remote **ret,
                         struct cairn_err *err);

/* A prefix of an S3 bucket: PREFIXentries/SCOPE/KEY, PREFIXpointers/SCOPE/NAME,
 * PREFIXblobs/sha256:HEX. */
int remote_open_s3(struct s3_client *s3, const char *prefix, const struct remote_scopes *scopes,
                   struct remote **ret, struct cairn_err *err);

#endif

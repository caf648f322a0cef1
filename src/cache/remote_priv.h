/* cache/remote_priv.h - what the backends of remote.h have in common.
 *
 * remote.c looks after scopes, bounds and blobs that were met damaged; a backend keeps documents
 * (entries and pointers, which differ only in where they lie) and blobs.
 */
#ifndef CAIRN_CACHE_REMOTE_PRIV_H
#define CAIRN_CACHE_REMOTE_PRIV_H

#include <pthread.h>

#include "health.h"
#include "remote.h"
#include "util/map.h"

/* Where a document lies. */
struct remote_place {
	bool pointer;              /* else an entry */
	const char *scope;         /* remote_scope_text() */
	const struct digest *name; /* of a pointer, or the key of an entry */
};

/* When a document may be written. */
enum remote_when {
	REMOTE_ALWAYS,
	REMOTE_ABSENT, /* there is none */
	REMOTE_SAME,   /* it is the one with that version */
};

struct remote_doc {
	struct remote_place at;
	str text;                       /* UTF-8, bounded */
	const struct descriptor *blobs; /* what must be there */
	size_t n_blobs;
	enum remote_when when;
	const char *version;            /* for REMOTE_SAME */
	enum remote_look look;          /* of a pointer */
	const struct descriptor *below; /* of struct remote_put */
	size_t n_below;
};

struct remote_ops {
	/* Append the document to out, whose maximum is what a document may have; *ret_version is
	 * owned. Both only when it was found. */
	int (*doc_get)(struct remote *r, const struct remote_place *at, struct strbuf *out,
	               char **ret_version, bool *ret_found, struct cairn_err *err);
	/* Ask now what doc_put() of an entry that is to be REMOTE_ABSENT would ask first. NULL: it
	 * asks nothing. */
	int (*doc_expect)(struct remote *r, const struct remote_place *at, struct cairn_err *err);
	/* *ret_lost: the condition did not hold; nothing was written. CAIRN_E_NOT_FOUND: a blob is
	 * missing. */
	int (*doc_put)(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
	               struct cairn_err *err);
	int (*blob_has)(struct remote *r, const struct descriptor *blob, bool *ret,
	                struct cairn_err *err);
	/* Verified, or through remote_verify_write(). */
	int (*blob_get)(struct remote *r, const struct descriptor *blob,
	                const struct remote_sink *sink, struct cairn_err *err);
	/* len > 0; the range lies in the blob. */
	int (*blob_range)(struct remote *r, const struct descriptor *blob, uint64_t offset,
	                  uint64_t len, const struct remote_sink *sink, struct cairn_err *err);
	/* Send it, also when one of that digest is there. */
	int (*blob_put)(struct remote *r, const struct descriptor *blob,
	                const struct remote_source *src, struct cairn_err *err);
	int (*check_write)(struct remote *r, struct cairn_err *err);
	/* Blobs of at most so many bytes are sent without a question whether they are there. */
	uint64_t blind;
	bool no_pointers; /* it keeps none; nobody asks it for one */
	/* remote_repository(); NULL for kinds that have none */
	const char *(*repository)(const struct remote *r);
	void (*free)(struct remote *r); /* what the backend itself has, and r */
};

/* Errors name the blob or the document; remote.c puts the remote's name in front. */

/* First member of each backend's struct. */
struct remote {
	const struct remote_ops *ops;
	char *name;                          /* remote_name() */
	char *server;                        /* tells places of one name apart, or NULL */
	struct http_client *http;            /* what it talks with; borrowed; NULL: no network */
	struct health *health;               /* NULL: nobody watches; see remote_watch() */
	char *scopes[REMOTE_SCOPES_MAX + 1]; /* as text; the one that is written comes first */
	size_t n_scopes;
	pthread_mutex_t lock; /* of damaged, and of what a backend says; never held for long */
	/* Blobs that arrived as other bytes than promised: sent again although they are there. A
	 * value that is not NULL says that it is still so. */
	struct map damaged;
};

/* Longest text of a scope, with its NUL: see REMOTE_SCOPE_MAX. */
#define REMOTE_SCOPE_TEXT (REMOTE_SCOPE_MAX + 1)

/* A scope as a part of a file name, of an object's key and of a tag: [A-Za-z0-9.-] stand for
 * themselves, though '.' and '-' not in front; other bytes are "_" and two hex digits; the default
 * scope is "_". What becomes longer than REMOTE_SCOPE_MAX is "_h" and half its SHA-256. Different
 * scopes have different texts. Returns buf. */
const char *remote_scope_text(const char *scope, char buf[REMOTE_SCOPE_TEXT]);

/* The form in which a directory and a bucket keep a document:
 *
 *	TEXT "\n" HEX "\n"	HEX = SHA-256 over ("entry" or "pointer") " " name "\n" TEXT
 *
 * so that one that was cut short, changed, or put under another name is known. (A registry has the
 * manifest's digest and its tag for that.) */
#define REMOTE_SEAL_LEN (DIGEST_HEX_LEN + 2) /* bytes beside the text */
void remote_seal(const struct remote_place *at, str text, struct strbuf *out); /* appends */
/* *ret_text lies in `sealed`. Fails with CAIRN_E_DIGEST. */
int remote_unseal(const struct remote_place *at, str sealed, str *ret_text, struct cairn_err *err);

/* Set the members of struct remote. name is taken over, also on failure; scopes may be NULL.
 * Fails with CAIRN_E_SYNTAX when there are too many of them. */
int remote_init(struct remote *r, const struct remote_ops *ops, char *name,
                const struct remote_scopes *scopes, struct cairn_err *err);
void remote_done(struct remote *r); /* the members, not r itself */

/* A sink that hashes on the way to another. */
struct remote_verify {
	const struct descriptor *blob;
	const struct remote_sink *sink;
	struct sha256 hash;
	uint64_t done; /* bytes so far */
};

void remote_verify_begin(struct remote_verify *v, const struct descriptor *blob,
                         const struct remote_sink *sink);
/* As a sink's write; ctx is the struct. CAIRN_E_DIGEST when more comes than the blob has. */
int remote_verify_write(void *ctx, const void *p, size_t n, struct cairn_err *err);
/* Was it all, and the right bytes? Else CAIRN_E_DIGEST. */
int remote_verify_end(struct remote_verify *v, struct cairn_err *err);

/* "blob sha256:... is not there" as CAIRN_E_NOT_FOUND. */
int remote_fail_missing(const struct descriptor *blob, struct cairn_err *err);

/* --- remote_watch.c ---------------------------------------------------------------- */

/* How long a call waits without a sign once there was one, in ns. A server looks at a document's
 * blobs, and hashes what it was sent, before it answers. */
#define REMOTE_READ_PATIENCE  HEALTH_FIRST
#define REMOTE_WRITE_PATIENCE (8 * CLOCK_SEC)

/* The same for sending a blob of that many bytes. */
int64_t remote_send_patience(uint64_t size);

/* Around each call of a backend: fails at once while the server is known to be down. */
int remote_begin(struct remote *r, int64_t patience, struct health_call *call,
                 struct cairn_err *err);
/* rc is what the backend has returned, and what this returns. */
int remote_end(struct remote *r, struct health_call *call, int rc, struct cairn_err *err);

#endif

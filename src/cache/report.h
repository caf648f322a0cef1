/* cache/report.h - what a build did and why: hit or miss of every step, by name.
 *
 * A report holds for each step the parts that its key was made of.  Two reports of the same
 * Dockerfile tell which part changed; that is how a miss gets its reason, on the same machine or on
 * an empty one that got the earlier report from a remote cache.
 *
 * Values never travel: a part is a name and a digest keyed with the report's salt, which every
 * report of a Dockerfile inherits from the one before it (DECISIONS.md 25).
 *
 * Stored form: one JSON object of at most REPORT_MAX bytes,
 *
 *	{"version":1,"time":"2026-11-23T10:00:00Z","image":"sha256:..","names":["app:1"],
 *	 "dockerfile":"Dockerfile","platform":"linux/amd64","salt":"<32 hex>","wall_ns":N,
 *	 "steps":[{"name":"[build 3/7] RUN make","stage":"build","kind":"run","text":"RUN make",
 *	           "file":"Dockerfile","line":12,"key":"sha256:..","result":"ran","from":"registry...",
 *	           "cost_ns":N,"bytes":N,"below":[2],
 *	           "parts":[["env","PATH","<16 hex>",0],["file","src/a.c","<16 hex>",420]],
 *	           "reasons":[["changed","file","src/a.c"]]}]}
 */
#ifndef CAIRN_CACHE_REPORT_H
#define CAIRN_CACHE_REPORT_H

#include "util/arena.h"
#include "util/digest.h"
#include "util/strbuf.h"

#define REPORT_MAX         (1000u << 10) /* bytes of a stored report */
#define REPORT_STEPS_MAX   2000u
#define REPORT_PARTS_MAX   2000u /* of a step; of more files only their folders are kept */
#define REPORT_REASONS_MAX 50u   /* of a step; further ones are counted */
#define REPORT_SALT        16u   /* bytes */

/* What a key is made of. */
enum report_part_kind {
	REPORT_TEXT,     /* the instruction itself, expanded */
	REPORT_BASE,     /* a base image; name: its reference */
	REPORT_ENV,      /* a variable that the command sees; name: the variable's */
	REPORT_USER,     /* USER in force */
	REPORT_CWD,      /* WORKDIR in force */
	REPORT_PLATFORM, /* of the stage */
	REPORT_MOUNT,    /* a mount of RUN; name: its target */
	REPORT_OPTION,   /* a setting of the build: network, add-host, ulimit, shm-size */
	REPORT_FILE,     /* a file that is read; name: its path */
	REPORT_FOLDER,   /* all files below it, when there are too many to name */
	REPORT_KINDS_,
};

struct report_part {
	enum report_part_kind kind;
	str name;
	uint64_t digest; /* first bytes of the keyed digest of its value */
	uint32_t mode;   /* FILE: type and permission bits as in stat; 0 when they do not count */
};

enum report_result {
	REPORT_RAN,   /* executed */
	REPORT_HIT,   /* answered by a cache, by itself or by a step above it */
	REPORT_WOULD, /* would run (before a build) */
	REPORT_FAILED,
	REPORT_RESULTS_,
};

/* Why a step was no hit. */
enum report_reason_kind {
	REPORT_FORCED,  /* --no-cache */
	REPORT_FIRST,   /* no earlier build of this Dockerfile is known */
	REPORT_NEW,     /* the instruction was not in the earlier build */
	REPORT_EVICTED, /* it was built with this key; its result is gone */
	REPORT_BELOW,   /* only what it stands on changed; name: that step */
	REPORT_ADDED,   /* this part was not there */
	REPORT_REMOVED, /* this part is not there any more */
	REPORT_CHANGED, /* this part has another value */
	REPORT_MODE,    /* a file has another mode, the same content */
	REPORT_MORE,    /* further parts changed; name: how many */
	REPORT_REASONS_,
};

struct report_reason {
	enum report_reason_kind kind;
	enum report_part_kind part; /* ADDED, REMOVED, CHANGED, MODE */
	str name;
};

#define REPORT_KIND_BASE "from" /* kind of a base image's step: fetched rather than run */

struct report_step {
	str name, stage, kind, text, file; /* as people see them */
	unsigned line;                     /* in the Dockerfile; 0: none */
	struct digest key;                 /* definition key */
	enum report_result result;
	str from;         /* HIT: "" = the local store, else the remote */
	uint64_t cost_ns; /* RAN: what it took; HIT: what it took when it ran */
	uint64_t bytes;   /* of its layer's tar; 0 = not known */
	/* What it took besides, of RAN and FAILED; 0 = not known. They and `oom` are of this build
	 * only: the stored form has them not. */
	uint64_t cpu_ns, memory;
	bool oom;        /* FAILED: killed because memory ran out */
	unsigned *below; /* steps it stands on or reads from, by index; n_below */
	size_t n_below;
	struct report_part *parts; /* sorted by kind, then name */
	size_t n_parts;
	struct report_reason *reasons; /* of RAN, WOULD, FAILED */
	size_t n_reasons;
};

struct report {
	int64_t time;        /* ns since 1970 */
	struct digest image; /* config digest; none: the build failed, or was not run */
	str *names;          /* tags it got */
	size_t n_names;
	str dockerfile; /* path as given */
	str platform;
	uint8_t salt[REPORT_SALT];
	uint64_t wall_ns; /* of the build */
	struct report_step *steps;
	size_t n_steps;
};

/* The keyed digest of a part's value. */
uint64_t report_value(const struct report *r, str value);

/* Append the stored form. Parts are left out, of the steps with most of them first, when it would
 * become larger than REPORT_MAX. */
void report_encode(const struct report *r, struct strbuf *out);

/* Parse; allocated in `a`. Fails with CAIRN_E_DIGEST when it is damaged or of another version. */
int report_decode(str text, struct arena *a, struct report *ret, struct cairn_err *err);

/* Give every step of `now` that was no hit its reasons, from what an earlier build of the same
 * Dockerfile (NULL: none is known) was made of; both have the same salt. Allocated in `a`. */
void report_explain(struct report *now, const struct report *before, struct arena *a);

/* "src/a.c changed", "mode of run.sh 0644 -> 0755" is two: the kind's sentence with the name. For
 * people; appended. */
void report_reason_text(const struct report_reason *r, struct strbuf *out);

/* "ran", "hit", ... and "file", "env", ...; static. */
const char *report_result_name(enum report_result r);
const char *report_part_name(enum report_part_kind k);
const char *report_reason_name(enum report_reason_kind k);

#endif

/* dockerfile/instr.h - typed instructions.
 *
 * One struct a kind inside a tagged union.  Words are as written: what must be
 * expanded, and how, stands at each field:
 *
 *	[word]   words_expand() with the stage's environment
 *	[split]  words_split()
 *	[body]   words_expand_body() when `expand` is set
 *	[value]  taken apart first, then its values expanded: run_mount_parse()
 *	nothing  taken literally
 *
 * An instruction sees the environment from before it: ENV a=1 b=$a uses the old a.
 * Strings and arrays live in the arena given to the function that made them; an
 * absent str has ptr NULL, an empty one (`--chown=`) has not.
 */
#ifndef CAIRN_DOCKERFILE_INSTR_H
#define CAIRN_DOCKERFILE_INSTR_H

#include <stdbool.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

struct dockerfile;
struct dockerfile_heredoc;
struct dockerfile_node;
struct words;

enum instr_kind {
	INSTR_ADD,
	INSTR_ARG,
	INSTR_CMD,
	INSTR_COPY,
	INSTR_ENTRYPOINT,
	INSTR_ENV,
	INSTR_EXPOSE,
	INSTR_FROM,
	INSTR_HEALTHCHECK,
	INSTR_LABEL,
	INSTR_MAINTAINER,
	INSTR_ONBUILD,
	INSTR_RUN,
	INSTR_SHELL,
	INSTR_STOPSIGNAL,
	INSTR_USER,
	INSTR_VOLUME,
	INSTR_WORKDIR,
	INSTR_N_
};

/* "RUN"; static. */
const char *instr_name(enum instr_kind kind);

/* FROM [--platform=P] image [AS name] */
struct instr_from {
	str image;    /* [word, environment: global ARGs] */
	str platform; /* [word, environment: global ARGs]; absent when no flag */
	str name;     /* lower case; absent when no AS */
};

/* A command line in one of its two forms: RUN, CMD, ENTRYPOINT, HEALTHCHECK CMD. */
struct instr_cmdline {
	bool exec; /* JSON form: argv; else `shell` is for the stage's SHELL */
	str *argv; /* exec form; may be empty (ENTRYPOINT []) */
	size_t argc;
	str shell; /* shell form; "" when the instruction has no argument */
};

/* RUN */
struct instr_run {
	struct instr_cmdline cmd; /* heredocs are merged into cmd.shell already: `RUN <<EOF` alone
	                             gives the body, anything else the whole text with bodies
	                             and delimiters, for the shell to read */
	str script_name; /* `RUN <<EOF` whose body starts with "#!": the body is an executable
	                    file (0755) that appears as /dev/pipes/<script_name> during the
	                    step, and cmd.shell is that path; else absent */
	str script;      /* that file's content */
	str *mounts;     /* values of --mount, in order [value] */
	size_t n_mounts;
	str network;  /* "default", "none", "host"; absent when no flag */
	str security; /* "sandbox", "insecure"; absent when no flag */
	str *devices; /* values of --device, in order [word] */
	size_t n_devices;
	const struct dockerfile_heredoc *heredocs; /* as parsed, for displays */
	size_t n_heredocs;
};

/* A source of COPY or ADD: a path, or a heredoc that becomes a file. */
struct instr_source {
	str word; /* path, wildcard, URL [word]; for a heredoc the file's name, literally */
	bool heredoc;
	bool expand; /* heredoc: content is to be expanded */
	str content; /* heredoc: [body] */
};

/* COPY and ADD; fields that the other one has are absent/false */
struct instr_copy {
	struct instr_source *sources;
	size_t n_sources; /* at least 1 */
	str dest;         /* [word] */
	str from;         /* COPY: stage, number, image, named context; never expanded */
	str chown;        /* "user[:group]" [word] */
	str chmod;        /* for chmod_parse() [word] */
	bool link;
	bool parents;  /* COPY */
	str *excludes; /* --exclude, in order [word], then ignore_new() */
	size_t n_excludes;
	str checksum;      /* ADD [word] */
	bool keep_git_dir; /* ADD */
	int unpack;        /* ADD: 1 or 0 as given by --unpack, -1 = default by kind of source */
};

struct instr_pair {
	str key;   /* [word]; ARG: [word] */
	str value; /* [word]; ARG without default: absent */
};

/* ENV, LABEL, ARG */
struct instr_pairs {
	struct instr_pair *ptr;
	size_t len; /* at least 1 */
};

/* VOLUME, EXPOSE, SHELL */
struct instr_list_words {
	str *ptr; /* VOLUME [word], EXPOSE [split] then port_parse(), SHELL literally */
	size_t len;
};

/* WORKDIR, USER, STOPSIGNAL [word]; MAINTAINER and ONBUILD literally. */
struct instr_word {
	str word; /* ONBUILD: the trigger as it goes into the image config: text without
	             ONBUILD, heredoc bodies included; see instr_parse_line() */
};

/* HEALTHCHECK */
struct instr_healthcheck {
	bool none; /* HEALTHCHECK NONE: nothing else is set */
	struct instr_cmdline cmd;
	uint64_t interval, timeout, start_period, start_interval; /* ns, 0 = not given */
	unsigned retries;                                         /* 0 = not given */
};

struct instr {
	enum instr_kind kind;
	unsigned line, end_line; /* 1-based; of the ONBUILD itself for triggers */
	str text;                /* as written, continuations joined, without heredoc bodies:
	                            for history, progress and messages */
	union {
		struct instr_from from;
		struct instr_run run;
		struct instr_copy copy;       /* COPY, ADD */
		struct instr_pairs pairs;     /* ENV, LABEL, ARG */
		struct instr_cmdline cmd;     /* CMD, ENTRYPOINT */
		struct instr_list_words list; /* VOLUME, EXPOSE, SHELL */
		struct instr_word word;       /* WORKDIR, USER, STOPSIGNAL, MAINTAINER, ONBUILD */
		struct instr_healthcheck health;
	};
};

struct instr_list {
	struct instr *ptr;
	size_t len;
};

/* Type one node. The result borrows from the node and from `arena`.
 * path is for messages. Fails with CAIRN_E_SYNTAX (path, line). */
int instr_from_node(const struct dockerfile_node *node, const char *path, struct arena *arena,
                    struct instr *ret, struct cairn_err *err);

/* Parse an ONBUILD trigger out of an image config ("COPY . /app").
 *
 * text   copied into arena
 * where  for messages, as path: "ONBUILD of debian:12"
 * Fails with CAIRN_E_SYNTAX, also for FROM, MAINTAINER and ONBUILD, which are no triggers. */
int instr_parse_line(str text, const char *where, struct arena *arena, struct instr *ret,
                     struct cairn_err *err);

/* --- Values, after their expansion --------------------------------------- */

enum run_mount_type {
	RUN_MOUNT_BIND,
	RUN_MOUNT_CACHE,
	RUN_MOUNT_TMPFS,
	RUN_MOUNT_SECRET,
	RUN_MOUNT_SSH,
	RUN_MOUNT_N_
};

enum run_mount_sharing {
	RUN_SHARING_SHARED,
	RUN_SHARING_PRIVATE,
	RUN_SHARING_LOCKED,
	RUN_SHARING_N_
};

/* One --mount of a RUN. Defaults that depend on nothing else are filled in; relative
 * targets and the default ids are the caller's. */
struct run_mount {
	enum run_mount_type type;
	str from;   /* bind, cache: stage, number, image, named context; absent = context */
	str source; /* path in `from`; secret: the id if `id` is absent; absent = "/" */
	str target; /* as written, may be relative to WORKDIR; absent only for secret and
	               ssh, and for tmpfs/cache/bind it is an error */
	str id;     /* cache: default cleaned target; secret: default base name of target;
	               ssh: default "default"; absent when not given */
	str env;    /* secret: variable that gets the value; absent = none */
	enum run_mount_sharing sharing; /* cache */
	bool readonly; /* bind, secret, ssh: true unless rw; cache, tmpfs: false unless ro */
	bool required; /* secret, ssh */
	bool has_mode, has_uid, has_gid;
	uint32_t mode;     /* cache 0755, secret 0400, ssh 0600 unless given */
	uint32_t uid, gid; /* 0 unless given */
	uint64_t size;     /* tmpfs: bytes, 0 = default */
};

/* Parse a --mount value: a line of CSV with key=value fields, values expanded with `w`
 * (NULL: not at all; then w's arena is not needed either and `arena` owns the fields).
 * Fails with CAIRN_E_SYNTAX: unknown key or type (with a suggestion), key that the type
 * does not have, `from` with a variable, missing target. */
int run_mount_parse(str value, const struct words *w, struct arena *arena, struct run_mount *ret,
                    struct cairn_err *err);

/* A mode change, octal or symbolic; see chmod_apply(). */
#define CHMOD_CLAUSES_MAX 16
struct chmod_spec {
	bool octal;
	uint32_t mode; /* octal: the mode, at most 07777 */
	size_t n;      /* symbolic: clauses, applied in order */
	struct {
		uint32_t who; /* mask of the classes: 04700 u, 02070 g, 01007 o; 'a' or none = 07777
		               */
		char op;      /* '+', '-', '=' */
		uint32_t perm; /* rwx in all three places, s and t bits */
		bool x_if;     /* X: x for directories and where some x is set already */
		char copy;     /* 'u', 'g', 'o': take that class's bits; else 0 */
	} clause[CHMOD_CLAUSES_MAX];
};

/* "755", "0644", "u+rX,go-w", "a=r". Fails with CAIRN_E_SYNTAX. */
int chmod_parse(str value, struct chmod_spec *ret, struct cairn_err *err);

/* The permission bits (07777) that a file with `mode` gets. */
uint32_t chmod_apply(const struct chmod_spec *spec, uint32_t mode, bool is_dir);

/* Take "user[:group]" apart; names or numbers stay text. *ret_group is absent without ':'.
 * Fails with CAIRN_E_SYNTAX when the user or, after a ':', the group is empty. */
int user_parse(str value, str *ret_user, str *ret_group, struct cairn_err *err);

/* An EXPOSE word: "80", "80/udp", "8000-8010/tcp". */
struct port_range {
	unsigned first, last; /* 0..65535 */
	const char *proto;    /* "tcp", "udp", "sctp"; static */
};

/* Fails with CAIRN_E_SYNTAX. A host part ("127.0.0.1:80:8080") is accepted and ignored,
 * as Docker does; lint warns. */
int port_parse(str value, struct port_range *ret, struct cairn_err *err);

/* Is it a signal: "SIGTERM", "TERM", "15", "RTMIN+3"? Fails with CAIRN_E_SYNTAX. */
int signal_check(str value, struct cairn_err *err);

#endif

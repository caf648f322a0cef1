/* util/err.h - how every fallible function reports failure.
 *
 * A function that can fail returns 0 on success and a negative enum cairn_code
 * on failure, and takes `struct cairn_err *err` as its last parameter.
 * `err` is never NULL, is written only on failure, and owns no memory: it may
 * live on the stack and needs no release.  Results come back through `ret_*`
 * parameters, which are written only on success.
 */
#ifndef CAIRN_UTIL_ERR_H
#define CAIRN_UTIL_ERR_H

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Codes exist so that a caller can act differently; add one only then. */
enum cairn_code {
	CAIRN_OK = 0,
	CAIRN_E_BUG = -1,       /* broken invariant; report, do not handle */
	CAIRN_E_NOT_FOUND = -2, /* the named thing does not exist */
	CAIRN_E_SYNTAX = -3,    /* bad input; path, line and column are set when known */
	CAIRN_E_TRANSIENT = -4, /* the same call may succeed later */
	CAIRN_E_AUTH = -5,      /* credentials missing, expired or refused */
	CAIRN_E_DIGEST = -6,  /* bytes are corrupt, tampered with or of a foreign format version */
	CAIRN_E_DENIED = -7,  /* this machine or this user may not do that */
	CAIRN_E_EXISTS = -8,  /* the thing is there already */
	CAIRN_E_TIMEOUT = -9, /* gave up waiting */
	CAIRN_E_CANCELLED = -10,   /* the user or a signal asked to stop */
	CAIRN_E_SYSTEM = -11,      /* a system call failed; sys holds errno */
	CAIRN_E_USAGE = -12,       /* wrong command line */
	CAIRN_E_UNSUPPORTED = -13, /* valid, but this version of cairn cannot do it */
	CAIRN_E_STEP = -14,        /* a command of the build failed; its output says why */
};

struct cairn_err {
	enum cairn_code code;
	int sys;            /* errno, or 0 */
	char path[256];     /* user's file, or "" */
	unsigned line, col; /* 1-based; 0 when unknown */
	char msg[512];      /* one line, no full stop, outermost context first */
};

/* Fill `err` and return `code`, so that a failing path is one statement. */
int cairn_fail(struct cairn_err *err, enum cairn_code code, const char *fmt, ...) PRINTF(3, 4);

/* The same from errno: appends ": " and strerror(errno), keeps errno in err->sys. */
int cairn_fail_sys(struct cairn_err *err, const char *fmt, ...) PRINTF(2, 3);

/* A mistake in a user's file: CAIRN_E_SYNTAX at path:line:col (0 = unknown). */
int cairn_fail_at(struct cairn_err *err, const char *path, unsigned line, unsigned col,
                  const char *fmt, ...) PRINTF(5, 6);

/* Put "context: " in front of the message; returns err->code unchanged. */
int cairn_wrap(struct cairn_err *err, const char *fmt, ...) PRINTF(2, 3);

/* Abort with a message: an invariant of cairn itself is broken. */
_Noreturn void cairn_bug(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
#define CAIRN_BUG(...) cairn_bug(__FILE__, __LINE__, __VA_ARGS__)

/* Return from the enclosing function when `expr` is a failure. */
#define TRY(expr)                                  \
	do {                                       \
		int try_ = (expr);                 \
		if (__builtin_expect(try_ < 0, 0)) \
			return try_;               \
	} while (0)

#endif

/* image/reference.h - names of images.
 *
 *	[domain[:port]/]path[:tag][@sha256:hex]
 *
 * read as Docker reads them (https://github.com/distribution/reference): a name
 * without a domain is on docker.io, a docker.io name without a slash is in
 * library/, and a name with neither tag nor digest has the tag "latest".
 * The first part is a domain when it contains '.' or ':', is "localhost", or
 * contains a capital.  "index.docker.io" is docker.io.
 *
 * A reference is a plain value: copy it, nothing needs release.
 */
#ifndef CAIRN_IMAGE_REFERENCE_H
#define CAIRN_IMAGE_REFERENCE_H

#include "util/digest.h"
#include "util/err.h"
#include "util/str.h"
#include "util/strbuf.h"

#define REFERENCE_NAME_MAX 255 /* domain + '/' + path */
#define REFERENCE_TAG_MAX  128

/* Longest text of a reference, with its NUL. */
#define REFERENCE_TEXT_MAX (REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX + 1 + DIGEST_STR_LEN + 1)

#define REFERENCE_DOCKER_IO   "docker.io"
#define REFERENCE_DEFAULT_TAG "latest"

struct reference {
	char domain[REFERENCE_NAME_MAX + 1]; /* "docker.io", "localhost:5000", "[::1]:5000" */
	char path[REFERENCE_NAME_MAX + 1];   /* "library/debian"; the repository at the domain */
	char tag[REFERENCE_TAG_MAX + 1]; /* "" only when there is a digest and no tag was given */
	struct digest digest;            /* digest_none() when none was given */
};

/* Parse and normalise. Fails with CAIRN_E_SYNTAX; the message says what is wrong
 * and, for capitals, how to write it. */
int reference_parse(str text, struct reference *ret, struct cairn_err *err);

/* "docker.io/library/debian:12@sha256:..."; reference_parse() gives the same value again.
 * All three return buf. */
const char *reference_text(const struct reference *r, char buf[REFERENCE_TEXT_MAX]);

/* As people write it: "debian:12", "localhost:5000/app:1", "debian@sha256:...". */
const char *reference_familiar(const struct reference *r, char buf[REFERENCE_TEXT_MAX]);

/* Only the repository: "docker.io/library/debian". */
const char *reference_name(const struct reference *r, char buf[REFERENCE_TEXT_MAX]);

bool reference_eq(const struct reference *a, const struct reference *b);

#endif

/* util/digest.h - SHA-256 and digests as the OCI specification writes them.
 *
 * https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 * Only sha256 is accepted: no registry in use serves anything else.
 * SHA-256 comes from libcrypto's low-level functions, which use the CPU's
 * instructions and need no provider set-up (5 ms at start-up).
 */
#ifndef CAIRN_UTIL_DIGEST_H
#define CAIRN_UTIL_DIGEST_H

#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

#define DIGEST_LEN     32
#define DIGEST_HEX_LEN 64
#define DIGEST_STR_LEN (7 + DIGEST_HEX_LEN) /* "sha256:" and 64 hex digits */

struct digest {
	uint8_t b[DIGEST_LEN]; /* all zero = no digest */
};

/* A digest as text; dies with the struct, which is usually a temporary. */
struct digest_text {
	char s[DIGEST_STR_LEN + 1];
};

struct sha256 {
	SHA256_CTX ctx;
};

void sha256_init(struct sha256 *h);                         /* begin; h needs no release */
void sha256_add(struct sha256 *h, const void *p, size_t n); /* n may be 0 */
struct digest sha256_end(struct sha256 *h);                 /* h must be initialised again */
struct digest digest_of(const void *p, size_t n);           /* of these bytes alone */

/* The same bytes to two hashes.  Where sha256_both_pays() and both have the same number of bytes
 * before them, modulo 64, that costs little more than one; otherwise it is as dear as adding twice.
 * Only where it pays may it be called. */
void sha256_add_both(struct sha256 *a, struct sha256 *b, const void *p, size_t n);
bool sha256_both_pays(void); /* asks the CPU, which is slow: to be kept */

bool digest_eq(const struct digest *a, const struct digest *b); /* the same bytes? */
int digest_cmp(const struct digest *a, const struct digest *b); /* as memcmp */
bool digest_none(const struct digest *d);                       /* all zero? */

struct digest_text digest_text(const struct digest *d); /* "sha256:<hex>" */
struct digest_text digest_hex(const struct digest *d);  /* "<hex>" */

/* Parse "sha256:<64 lower-case hex digits>". Fails with CAIRN_E_SYNTAX. */
int digest_parse(str s, struct digest *ret, struct cairn_err *err);

/* A digest over fields, each framed by a type letter and its length, so that
 * no two different sequences of fields give the same bytes.
 *
 *	struct digest_fields f;
 *	digest_fields_begin(&f, "cairn.key.run", 1);
 *	digest_field_str(&f, "cmd", cmd);
 *	key = digest_fields_end(&f);
 */
struct digest_fields {
	struct sha256 h;
};

/* domain and version go in first: a change of meaning must change the version. */
void digest_fields_begin(struct digest_fields *f, const char *domain, uint32_t version);
/* Add one field; a list is its length as a u64, then each member. */
void digest_field_str(struct digest_fields *f, const char *name, str value);
void digest_field_u64(struct digest_fields *f, const char *name, uint64_t value);
void digest_field_digest(struct digest_fields *f, const char *name, const struct digest *value);
struct digest digest_fields_end(struct digest_fields *f); /* f must begin again afterwards */

#endif

/* cli/base_images.h - what the commands of `cairn base` share.
 *
 * The base images of the repository, what they are pinned to, and what registries say about them.
 */
#ifndef CAIRN_CLI_BASE_IMAGES_H
#define CAIRN_CLI_BASE_IMAGES_H

#include "settings.h"
#include "transfer.h"
#include "util/json.h"

struct base_images {
	struct cairn_ctx *ctx;
	struct base_scan *scan;
	struct base_lock *lock;
	const char *lock_path; /* absolute; in ctx->config */
};

/* Read cairn.yaml (config: value of --config), the Dockerfiles of the repository and cairn.lock.
 * Images that `base.ignore` names and those that the repository builds itself are left out. Warns
 * of names that say nothing.
 * Release with base_images_done(), also after a failure. */
int base_images_open(struct cairn_ctx *ctx, const char *config, struct base_images *ret,
                     struct cairn_err *err);
void base_images_done(struct base_images *b);
#define cleanup_base_images __attribute__((cleanup(base_images_done)))

/* Warn, in one line. */
void base_warn(const struct base_images *b, const char *fmt, ...) PRINTF(2, 3);

/* An image that registries are asked about. */
struct base_asked {
	struct reference ref; /* what is asked for */
	str name;             /* reference_text() of the image, borrowed */
	/* The answer: */
	bool ok;
	struct cairn_err err; /* when not ok */
	struct digest digest; /* of what ref means: an index or a manifest */
	struct reference
		from; /* the mirror, or the registry itself, that had it; with the digest */
	/* The registry itself did not say what the tag means (err): it is a mirror's word. */
	bool mirrored;
};

/* Ask for n images at once, some at a time. What a tag means the registry itself is asked, which
 * at Docker Hub counts as no pull: a mirror may be days behind; the bytes then come from the
 * mirrors first. Where the registry does not answer, a mirror's word is taken, with a warning.
 * Fails only when the user stopped it: what could not be found is told in each. */
int base_ask(const struct base_images *b, struct transfer *t, struct base_asked *asked, size_t n,
             struct cairn_err *err);

/* What an image is like, for this machine's platform. */
struct base_facts {
	bool known;
	int64_t created; /* ns since 1970; 0: not told */
	uint64_t size;   /* bytes of its compressed layers */
};
void base_facts(struct registry *r, const struct reference *ref, const struct digest *digest,
                struct base_facts *ret);

/* "debian:12". Returns buf. */
const char *base_shown(str name, char buf[REFERENCE_TEXT_MAX]);

/* The first 12 digits; "-" for none. Returns buf. */
const char *base_short(const struct digest *d, char buf[16]);

/* Does a word of the command line mean this image? Without a tag in the word: any tag. */
bool base_wanted(const char *word, const struct reference *ref);

/* Print a list as one line of JSON. */
void base_print_json(const struct base_images *b, const json_t *list);

#endif

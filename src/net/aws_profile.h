/* net/aws_profile.h - the shared files: ~/.aws/credentials and ~/.aws/config.
 *
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 *
 *	[default]                 in both files
 *	[profile NAME]            in config
 *	[NAME]                    in credentials
 *	key = value               # a comment after a blank
 *	  nested = ...            deeper than the line before: part of its value, ignored
 */
#ifndef CAIRN_NET_AWS_PROFILE_H
#define CAIRN_NET_AWS_PROFILE_H

#include "util/arena.h"
#include "util/err.h"
#include "util/vec.h"

#define AWS_PROFILE_FILE_MAX (1u << 20) /* bytes of a file */

struct aws_setting {
	str profile, key, value; /* in the arena; key in lower case */
};

struct aws_profiles {
	struct arena *arena;              /* owned */
	VEC(struct aws_setting) settings; /* those of credentials after those of config */
	VEC(str) names;                   /* profiles that are there, also without settings */
};

void aws_profiles_done(struct aws_profiles *p);
#define cleanup_aws_profiles __attribute__((cleanup(aws_profiles_done)))

/* Add the settings of a file. A line that makes no sense is skipped, as the SDKs do.
 * config  sections are called "profile NAME" */
void aws_profiles_add(struct aws_profiles *p, str text, bool config);

/* Value of a key, the last that was added; NULL when absent or empty. Borrowed. */
const char *aws_profiles_get(const struct aws_profiles *p, const char *profile, const char *key);

bool aws_profiles_has(const struct aws_profiles *p, const char *profile);

struct aws;

/* Read both files; p is empty before. *ret_name is the profile in use, borrowed from the
 * environment. Fails as aws_profile_value(). */
int aws_profiles_load(struct aws *a, struct aws_profiles *p, const char **ret_name,
                      struct cairn_err *err);

#endif

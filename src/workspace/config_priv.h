/* workspace/config_priv.h - private to config*.c. */
#ifndef CAIRN_WORKSPACE_CONFIG_PRIV_H
#define CAIRN_WORKSPACE_CONFIG_PRIV_H

#include "conf_bind.h"
#include "config.h"

/* An element of `cache:`; config_cache.c. */
extern const struct conf_object config_cache_object;

/* An image of `images:`, what `defaults:` holds, a line of `groups:`; config_images.c. */
extern const struct conf_object config_image_object;
extern const struct conf_object config_defaults_object;
extern const struct conf_object config_group_object;

/* One of `runners:`; config_runners.c. */
extern const struct conf_object config_runner_object;

/* "host[:port]/prefix" or, unless need_path is set, a mere host: as it stands in a reference.
 * *text loses slashes at its end. Fails at the place of `n`. */
int config_check_location(const struct conf_reader *r, const struct conf_node *n, str *text,
                          bool need_path, struct cairn_err *err);

#endif

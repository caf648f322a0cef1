/* cli/up_args.h - the command line of `cairn build` that builds an image of the workspace. */
#ifndef CAIRN_CLI_UP_ARGS_H
#define CAIRN_CLI_UP_ARGS_H

#include "up_run.h"

/* The words, ending with NULL; they live in the plan's arena. Makes sure that names of images it
 * stands on mean these images: those that are not built now get their tags in the store, or are
 * named by digest. */
int up_args(const struct up *u, const struct up_image *i, char ***ret, struct cairn_err *err);

/* The reference under which an image is found in the store: its first tag, else its name. */
str up_name(const struct ws_image *i);

/* Do all its tags name a registry, so that it can be pushed? */
bool up_pushable(const struct ws_image *i);

#endif

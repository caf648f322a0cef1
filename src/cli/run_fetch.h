/* cli/run_fetch.h - files of an image that never had to come here. */
#ifndef CAIRN_CLI_RUN_FETCH_H
#define CAIRN_CLI_RUN_FETCH_H

#include "cmd.h"
#include "store/store.h"

/* Bring the layers of an image whose files are not in the store: a build for which nothing had to
 * run, or one that only pushed, leaves them where they are. They come from the registry that the
 * store remembers for them. name: for messages. Nothing is asked when all are there.
 *
 * Fails with CAIRN_E_NOT_FOUND, saying what to do, when nobody is known to have one of them; else
 * as supply_fetch(). */
int run_fetch(struct cairn_ctx *ctx, const struct store_image *im, const char *name,
              struct cairn_err *err);

#endif

/* cli/copy_docker.h - an archive as `docker save` writes it, as an end of a copy.
 *
 * A tar with manifest.json, [{"Config":PATH,"RepoTags":["NAME:TAG"],"Layers":[PATH]}], and what it
 * names; newer ones are OCI layouts as well.  It goes through a folder with a layout
 * (copy_archive.h).  Such an archive has no manifest: one is made.  Layers that come compressed
 * stay as they are; others are compressed as for a push, and checked against the config.
 */
#ifndef CAIRN_CLI_COPY_DOCKER_H
#define CAIRN_CLI_COPY_DOCKER_H

#include "copy_archive.h"
#include "image/image.h"

/* Make a layout with that image alone, below $TMPDIR, else /var/tmp. want: NULL: the only image
 * there is.
 * Fails as copy_archive_unpack(), and with CAIRN_E_NOT_FOUND telling the names there are. */
int copy_docker_unpack(const char *file, const struct reference *want, struct copy_archive *ret,
                       struct cairn_err *err);

/* Give the layout in the folder, of one image, what `docker load` reads; copy_archive_pack() takes
 * it along. name: NULL: the image has none. Fails with CAIRN_E_USAGE for an index. */
int copy_docker_list(const struct copy_archive *c, const struct reference *name,
                     struct cairn_err *err);

#endif

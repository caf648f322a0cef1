/* image/image.h - what an image is, as data: names, platforms, manifests, configs.
 *
 * Everything here is pure: bytes in, structs out and back.  Nothing opens a file
 * or a connection.  Formats: the OCI image specification v1.1
 * (https://github.com/opencontainers/image-spec) and Docker's image manifest
 * version 2, schema 2 (https://distribution.github.io/distribution/spec/manifest-v2-2/).
 *
 *	reference.h   "debian:12" <-> docker.io/library/debian:12
 *	platform.h    "linux/arm64/v8", the platform of this machine, which one fits
 *	descriptor.h  media type + digest + size, the table of media types
 *	manifest.h    image manifests and indexes, of OCI and of Docker
 *	config.h      the image config: environment, command, history, layers
 */
#ifndef CAIRN_IMAGE_IMAGE_H
#define CAIRN_IMAGE_IMAGE_H

#include "config.h"
#include "descriptor.h"
#include "manifest.h"
#include "platform.h"
#include "reference.h"

#endif

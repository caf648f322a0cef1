/* engine/engine.h - build a step graph.
 *
 *	event.h     what the engine tells while it works
 *	build.h     plan and run a build
 *	base.h      base images from the store or a registry
 *	mount_cache.h  cache mounts that outlive the machine
 *	output.h    images as archives, directories
 *	image_push.h images of the store to a registry
 *	layer_blob.h layers in compressed form
 *	supply.h    what a build gets from other machines
 *	publish.h   finished steps go to remote caches
 *	export.h    results as a cache that BuildKit reads
 *	unpacked.h  layers as directories and indexes
 *	sandbox.h   one command in namespaces of its own
 *	rootfs.h    root file systems for steps
 *	probe.h     what this machine allows
 *	userns.h    cairn without root
 *	userdb.h    users and groups of an image
 */
#ifndef CAIRN_ENGINE_ENGINE_H
#define CAIRN_ENGINE_ENGINE_H

#include "base.h"
#include "build.h"
#include "clamp.h"
#include "event.h"
#include "export.h"
#include "image_push.h"
#include "layer_blob.h"
#include "mount_cache.h"
#include "output.h"
#include "probe.h"
#include "publish.h"
#include "rootfs.h"
#include "sandbox.h"
#include "supply.h"
#include "unpacked.h"
#include "userdb.h"
#include "userns.h"

#endif

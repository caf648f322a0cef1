/* layer/layer.h - layers of an image: what is in them, and how they are made,
 * read, compressed and compared.  No mounts, no store, no network.
 *
 *	stream.h    bytes pulled or pushed
 *	entry.h     one path
 *	index.h     all paths of a layer, and the form they are stored in
 *	tree.h      what a chain of layers looks like
 *	plan.h      what a layer shall hold
 *	write.h     plan -> layer; index -> tar
 *	tar.h       headers of a tar
 *	scan.h      a step's changes -> plan
 *	snapshot.h  a directory as a list of files and packs of their bytes
 *	unpack.h    foreign tar -> layer
 *	compress.h  blobs
 *	frames.h    blobs of independent frames, while they arrive
 *
 * Nothing here has global state; an object may be used by one thread at a time
 * unless its header says more.
 */
#ifndef CAIRN_LAYER_LAYER_H
#define CAIRN_LAYER_LAYER_H

#include "compress.h"
#include "entry.h"
#include "frames.h"
#include "index.h"
#include "plan.h"
#include "scan.h"
#include "snapshot.h"
#include "stream.h"
#include "tar.h"
#include "tar_read.h"
#include "tree.h"
#include "unpack.h"
#include "write.h"

#endif

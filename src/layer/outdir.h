/* layer/outdir.h - private: put the entries of a layer into a directory.
 *
 * Every parent is opened by fs_open_beneath(), which follows no symbolic link,
 * so that nothing outside can be reached whatever the entries say.  The last
 * parent stays open: entries come sorted.  One outdir is used by one thread;
 * several may share a directory.
 */
#ifndef CAIRN_LAYER_OUTDIR_H
#define CAIRN_LAYER_OUTDIR_H

#include "entry.h"
#include "write.h"

struct outdir {
	int root;                        /* borrowed */
	int fd;                          /* of the directory `parent`, or -1 */
	enum layer_xattr_ns ns;          /* of overlayfs's marks */
	size_t parent_len;               /* of the path of fd */
	char parent[LAYER_PATH_MAX + 1]; /* when fd >= 0 */
	char name[LAYER_NAME_MAX + 1];   /* last component of the path asked for last */
};

void outdir_init(struct outdir *o, int root, enum layer_xattr_ns ns);
void outdir_done(struct outdir *o);

/* Forget the parent: something on the way to it was removed. */
void outdir_forget(struct outdir *o);

/* Open the directory of `path` and set o->name; *ret_fd is borrowed from o. */
int outdir_parent(struct outdir *o, str path, int *ret_fd, struct cairn_err *err);

/* Make a directory with mode 0700 and no other metadata: outdir_set_dir() gives them when
 * everything is in it.  An existing directory is fine. */
int outdir_mkdir(struct outdir *o, str path, struct cairn_err *err);
int outdir_set_dir(struct outdir *o, const struct layer_entry *e, struct cairn_err *err);

/* Create the file e->path, with e's permissions as far as the umask lets; then, its content
 * written, give it e's metadata. */
int outdir_create(struct outdir *o, const struct layer_entry *e, int *ret_fd,
                  struct cairn_err *err);
int outdir_set_file(int fd, const struct layer_entry *e, struct cairn_err *err);

/* Make a symbolic link, device or fifo. *ret_absent: this machine does not let us make
 * devices; nothing was made. */
int outdir_make(struct outdir *o, const struct layer_entry *e, bool *ret_absent,
                struct cairn_err *err);

/* Make `path` another name of the file `target`. */
int outdir_link(struct outdir *o, str target, str path, struct cairn_err *err);

/* Make what overlayfs reads as "removed": a char device 0:0. */
int outdir_whiteout(struct outdir *o, str path, struct cairn_err *err);

/* Remove a path with all that is below it; a missing one is fine. */
int outdir_remove(struct outdir *o, str path, struct cairn_err *err);

#endif

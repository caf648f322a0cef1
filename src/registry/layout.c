#include "layout.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"

#define BLOBS      "blobs/sha256/"
#define INDEX      "index.json"
#define MARK       "oci-layout"
#define MARK_BYTES "{\"imageLayoutVersion\":\"1.0.0\"}"
#define REF_NAME   "org.opencontainers.image.ref.name"
#define COPY_BYTES (256u << 10)
#define TAGS_MAX   400 /* bytes of tags in a message */

struct layout {
	char *path;
	int dirfd;
	bool begun; /* here: there was none */
	char *made; /* path of the folder, when it was made here; owned */
};

struct blob_path {
	char s[sizeof(BLOBS) + DIGEST_HEX_LEN];
};

static struct blob_path blob_path(const struct digest *d)
{
	struct blob_path p;

	(void)snprintf(p.s, sizeof(p.s), BLOBS "%s", digest_hex(d).s);
	return p;
}

/* --- the folder ---------------------------------------------------------------------- */

static bool has(const struct layout *l, const char *name)
{
	struct stat st;

	return fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool is_empty(const struct layout *l)
{
	int fd = openat(l->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool empty = true;

	while (d && empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (d)
		(void)closedir(d);
	return empty;
}

static int begin(struct layout *l, struct cairn_err *err)
{
	if (!has(l, MARK) && !is_empty(l))
		return cairn_fail(err, CAIRN_E_EXISTS,
		                  "'%s' holds other things and is no OCI layout; give a new folder",
		                  l->path);
	l->begun = !has(l, MARK);
	TRY(fs_mkdir_p(l->dirfd, "blobs/sha256", 0777, err));
	return l->begun ? fs_write_file(l->dirfd, MARK, S(MARK_BYTES), 0666, err) : 0;
}

/* One that was begun here and came to nothing leaves nothing. With blobs in it the next copy goes
 * on from there. */
static void undo(const struct layout *l)
{
	if (!l->begun || has(l, INDEX) ||
	    (unlinkat(l->dirfd, "blobs/sha256", AT_REMOVEDIR) < 0 && errno != ENOENT))
		return;
	(void)unlinkat(l->dirfd, "blobs", AT_REMOVEDIR);
	(void)unlinkat(l->dirfd, MARK, 0);
	if (l->made)
		(void)rmdir(l->made);
}

int layout_open(const char *path, bool make, struct layout **ret, struct cairn_err *err)
{
	cleanup_layout struct layout *l = xcalloc(1, sizeof(*l));

	l->dirfd = -1;
	l->path = xstrdup(path);
	if (make && access(path, F_OK) < 0)
		l->made = xstrdup(path);
	if (make)
		TRY(fs_mkdir_p(AT_FDCWD, path, 0777, err));
	TRY(fs_open_dir(AT_FDCWD, path, &l->dirfd, err));
	if (make)
		TRY(begin(l, err));
	else if (!has(l, MARK) || !has(l, INDEX))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%s' is no OCI layout: it has no file " MARK " or " INDEX, path);
	*ret = steal_ptr(&l);
	return 0;
}

void layout_call(struct layout *l, const char *name)
{
	free(l->path);
	l->path = xstrdup(name);
}

void layout_free(struct layout *l)
{
	if (!l)
		return;
	undo(l);
	fs_close_p_(&l->dirfd);
	free(l->made);
	free(l->path);
	free(l);
}

/* --- index.json ------------------------------------------------------------------------ */

static int read_index(const struct layout *l, struct arena *a, struct manifest *ret,
                      struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;

	strbuf_init(&bytes, MANIFEST_MAX);
	TRY(fs_read_file(l->dirfd, INDEX, &bytes, err));
	*ret = (struct manifest){ 0 };
	if (manifest_parse(a, strbuf_view(&bytes), S(""), ret, err) < 0)
		return cairn_wrap(err, "'%s/" INDEX "'", l->path);
	if (ret->kind != MANIFEST_INDEX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s/" INDEX "' is no index", l->path);
	return 0;
}

static str tag_of(const struct descriptor *d)
{
	const str *tag = image_kvs_get(&d->annotations, S(REF_NAME));

	return tag ? *tag : S("");
}

static int fail_tag(const struct layout *l, const struct manifest *index, const char *tag,
                    struct cairn_err *err)
{
	struct strbuf tags cleanup_strbuf;

	strbuf_init(&tags, TAGS_MAX);
	for (size_t i = 0; i < index->n_manifests; i++)
		strbuf_printf(&tags, "%s%.*s", i ? ", " : "",
		              STR(tag_of(&index->manifests[i]).len ? tag_of(&index->manifests[i])
		                                                   : S("one without a tag")));
	if (tag[0])
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%s' has no image '%s'; there is: %s",
		                  l->path, tag, tags.len ? tags.ptr : "nothing");
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%s' has %zu images; add :TAG to it, of: %s",
	                  l->path, index->n_manifests, tags.len ? tags.ptr : "none");
}

int layout_find(const struct layout *l, const char *tag, struct arena *a, struct descriptor *ret,
                struct cairn_err *err)
{
	struct manifest index;

	TRY(read_index(l, a, &index, err));
	if (!tag[0] && index.n_manifests == 1) {
		*ret = index.manifests[0];
		return 0;
	}
	for (size_t i = 0; tag[0] && i < index.n_manifests; i++)
		if (str_is(tag_of(&index.manifests[i]), tag)) {
			*ret = index.manifests[i];
			return 0;
		}
	return fail_tag(l, &index, tag, err);
}

/* Is an entry the one that is set now? */
static bool replaces(const struct descriptor *old, const char *tag, const struct digest *digest)
{
	str name = tag_of(old);

	return tag[0] ? str_is(name, tag) : !name.len && digest_eq(&old->digest, digest);
}

int layout_tag(const struct layout *l, const char *tag, const struct descriptor *manifest,
               struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct manifest old = { 0 }, index = { .kind = MANIFEST_INDEX };
	struct strbuf bytes cleanup_strbuf;
	struct descriptor *mine;

	strbuf_init(&bytes, MANIFEST_MAX);
	if (has(l, INDEX))
		TRY(read_index(l, a, &old, err));
	index.annotations = old.annotations;
	index.manifests = arena_array(a, struct descriptor, old.n_manifests + 1);
	for (size_t i = 0; i < old.n_manifests; i++)
		if (!replaces(&old.manifests[i], tag, &manifest->digest))
			index.manifests[index.n_manifests++] = old.manifests[i];
	mine = &index.manifests[index.n_manifests++];
	*mine = (struct descriptor){ .media_type = manifest->media_type,
		                     .digest = manifest->digest,
		                     .size = manifest->size };
	if (tag[0])
		image_kvs_set(a, &mine->annotations, S(REF_NAME), str_of(tag));
	manifest_encode(&index, &bytes);
	TRY(strbuf_check(&bytes, INDEX, err));
	return fs_write_file(l->dirfd, INDEX, strbuf_view(&bytes), 0666, err);
}

/* --- blobs, read ------------------------------------------------------------------------- */

bool layout_has(const struct layout *l, const struct descriptor *blob)
{
	struct stat st;

	return fstatat(l->dirfd, blob_path(&blob->digest).s, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == blob->size;
}

int layout_blob_open(const struct layout *l, const struct digest *digest, int *ret_fd,
                     struct cairn_err *err)
{
	struct blob_path path = blob_path(digest);
	int fd = fs_open_beneath(l->dirfd, path.s, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%s' has no '%s'", l->path, path.s);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%s/%s'", l->path, path.s);
	*ret_fd = fd;
	return 0;
}

static int fail_bytes(const struct layout *l, const struct digest *digest, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "'%s/%s' holds other bytes than its name says",
	                  l->path, blob_path(digest).s);
}

int layout_blob_get(const struct layout *l, const struct descriptor *blob,
                    const struct registry_sink *sink, struct cairn_err *err)
{
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_fd int fd = -1;
	struct digest got;
	struct sha256 h;
	uint64_t done = 0;
	size_t n = 0;

	TRY(layout_blob_open(l, &blob->digest, &fd, err));
	sha256_init(&h);
	do {
		TRY(fs_read_full(fd, buf, COPY_BYTES, &n, l->path, err));
		if (n > blob->size - done)
			return fail_bytes(l, &blob->digest, err);
		sha256_add(&h, buf, n);
		done += n;
		if (n)
			TRY(sink->write(sink->ctx, buf, n, err));
	} while (n == COPY_BYTES);
	got = sha256_end(&h);
	return digest_eq(&got, &blob->digest) ? 0 : fail_bytes(l, &blob->digest, err);
}

int layout_read(const struct layout *l, const struct digest *digest, struct strbuf *out,
                struct cairn_err *err)
{
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_fd int fd = -1;
	struct digest got;
	size_t n = 0;

	TRY(layout_blob_open(l, digest, &fd, err));
	do {
		TRY(fs_read_full(fd, buf, COPY_BYTES, &n, l->path, err));
		strbuf_add(out, buf, n);
	} while (n == COPY_BYTES && !out->overflow);
	TRY(strbuf_check(out, blob_path(digest).s, err));
	got = digest_of(out->ptr, out->len);
	return digest_eq(&got, digest) ? 0 : fail_bytes(l, digest, err);
}

/* --- blobs, written ---------------------------------------------------------------------- */

int layout_blob_begin(const struct layout *l, const struct digest *digest, struct layout_blob *ret,
                      struct cairn_err *err)
{
	*ret = (struct layout_blob){ .l = l, .digest = *digest, .fd = -1 };
	ret->tmp = fs_random_name(".cairn-");
	ret->fd = openat(l->dirfd, ret->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (ret->fd >= 0)
		return 0;
	free(steal_ptr(&ret->tmp));
	return cairn_fail_sys(err, "create a blob in '%s'", l->path);
}

int layout_blob_write(struct layout_blob *b, const void *p, size_t n, struct cairn_err *err)
{
	return fs_write_all(b->fd, p, n, b->l->path, err);
}

int layout_blob_commit(struct layout_blob *b, struct cairn_err *err)
{
	struct blob_path path = blob_path(&b->digest);

	if (close(steal_fd(&b->fd)) < 0)
		return cairn_fail_sys(err, "write '%s/%s'", b->l->path, path.s);
	if (renameat(b->l->dirfd, b->tmp, b->l->dirfd, path.s) < 0)
		return cairn_fail_sys(err, "rename to '%s/%s'", b->l->path, path.s);
	free(steal_ptr(&b->tmp));
	return 0;
}

void layout_blob_done(struct layout_blob *b)
{
	fs_close_p_(&b->fd);
	if (b->tmp)
		(void)unlinkat(b->l->dirfd, b->tmp, 0);
	free(steal_ptr(&b->tmp));
}

int layout_put(const struct layout *l, const struct digest *digest, str bytes,
               struct cairn_err *err)
{
	return fs_write_file(l->dirfd, blob_path(digest).s, bytes, 0666, err);
}

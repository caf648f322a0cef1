#include <sys/stat.h>

#include "mount_priv.h"
#include "util/clock.h"
#include "util/fs.h"

#define FOLDER    "mount-state"
#define MAGIC     "cairnmnt"
#define MAGIC_LEN 8u
#define VERSION   1u
#define HEAD_MAX  (MAGIC_LEN + 8 + MOUNT_NAMES_MAX * DIGEST_LEN)
#define STAT_LEN  16u
#define STATE_MAX ((size_t)SNAPSHOT_MAX + STAT_LEN * LAYER_ENTRIES_MAX + HEAD_MAX + 64)

void mount_local_done(struct mount_local *l)
{
	snapshot_free(l->snapshot);
	free(l->stats);
	*l = (struct mount_local){ 0 };
}

static char *path_of(const struct digest *key)
{
	return xasprintf(FOLDER "/%s", digest_hex(key).s);
}

static uint64_t get_le(const char *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

/* Magic, version and names; *rest gets what follows. */
static bool parse_head(str text, struct mount_local *l, str *rest)
{
	size_t n;

	if (text.len < MAGIC_LEN + 8 || memcmp(text.ptr, MAGIC, MAGIC_LEN) != 0 ||
	    get_le(text.ptr + MAGIC_LEN, 4) != VERSION)
		return false;
	n = get_le(text.ptr + MAGIC_LEN + 4, 4);
	*rest = str_skip(text, MAGIC_LEN + 8);
	if (n > MOUNT_NAMES_MAX || rest->len < n * DIGEST_LEN)
		return false;
	for (size_t i = 0; i < n; i++)
		memcpy(l->names[i].b, rest->ptr + i * DIGEST_LEN, DIGEST_LEN);
	l->n_names = n;
	*rest = str_skip(*rest, n * DIGEST_LEN);
	return true;
}

static int open_state(struct store *s, const struct digest *key, struct mount_local *l)
{
	cleanup_free char *path = path_of(key);
	cleanup_fd int fd = openat(store_dirfd(s), path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	l->used = st.st_mtim.tv_sec * CLOCK_SEC + st.st_mtim.tv_nsec;
	return steal_fd(&fd);
}

void mount_local_peek(struct store *s, const struct digest *key, struct mount_local *ret,
                      bool *ret_found)
{
	struct mount_local l = { 0 };
	cleanup_fd int fd = open_state(s, key, &l);
	char head[HEAD_MAX];
	struct cairn_err ignored;
	size_t n = 0;
	str rest;

	*ret_found = fd >= 0 && fs_read_full(fd, head, sizeof(head), &n, FOLDER, &ignored) == 0 &&
	             parse_head(str_n(head, n), &l, &rest);
	if (*ret_found)
		*ret = l;
}

static bool parse_body(str rest, struct mount_local *l)
{
	struct cairn_err ignored;
	uint64_t n;

	if (rest.len < 8)
		return false;
	n = get_le(rest.ptr, 8);
	rest = str_skip(rest, 8);
	if (n == 0)
		return rest.len == 0;
	if (n > rest.len || snapshot_decode(str_n(rest.ptr, n), &l->snapshot, &ignored) < 0)
		return false;
	rest = str_skip(rest, n);
	n = l->snapshot->index->n_entries;
	if (rest.len != n * STAT_LEN)
		return false;
	l->stats = xcalloc(n, sizeof(*l->stats));
	for (size_t i = 0; i < n; i++)
		l->stats[i] =
			(struct snapshot_stat){ get_le(rest.ptr + i * STAT_LEN, 8),
			                        (int64_t)get_le(rest.ptr + i * STAT_LEN + 8, 8) };
	return true;
}

static bool parse_all(str text, struct mount_local *l)
{
	struct digest sum;
	str rest;

	if (text.len < DIGEST_LEN)
		return false;
	sum = digest_of(text.ptr, text.len - DIGEST_LEN);
	if (memcmp(sum.b, text.ptr + text.len - DIGEST_LEN, DIGEST_LEN) != 0)
		return false;
	return parse_head(str_n(text.ptr, text.len - DIGEST_LEN), l, &rest) && parse_body(rest, l);
}

void mount_local_read(struct store *s, const struct digest *key, struct mount_local *ret,
                      bool *ret_found)
{
	cleanup_mount_local struct mount_local l = { 0 };
	cleanup_free char *path = path_of(key);
	cleanup_fd int fd = open_state(s, key, &l);
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;

	strbuf_init(&text, STATE_MAX);
	*ret_found = fd >= 0 && fs_read_file(store_dirfd(s), path, &text, &ignored) == 0 &&
	             parse_all(strbuf_view(&text), &l);
	if (!*ret_found)
		return;
	*ret = l;
	l = (struct mount_local){ 0 };
}

int mount_local_write(struct store *s, const struct digest *key, const struct mount_local *l,
                      struct cairn_err *err)
{
	cleanup_free char *path = path_of(key);
	cleanup_strbuf struct strbuf text, doc;
	struct digest sum;

	strbuf_init(&text, STATE_MAX);
	strbuf_init(&doc, SNAPSHOT_MAX);
	strbuf_add(&text, MAGIC, MAGIC_LEN);
	strbuf_u32le(&text, VERSION);
	strbuf_u32le(&text, (uint32_t)l->n_names);
	for (size_t i = 0; i < l->n_names; i++)
		strbuf_add(&text, l->names[i].b, DIGEST_LEN);
	if (l->snapshot)
		snapshot_encode(l->snapshot, &doc);
	strbuf_u64le(&text, doc.len);
	strbuf_str(&text, strbuf_view(&doc));
	for (size_t i = 0; l->snapshot && i < l->snapshot->index->n_entries; i++) {
		strbuf_u64le(&text, l->stats[i].ino);
		strbuf_u64le(&text, (uint64_t)l->stats[i].changed);
	}
	sum = digest_of(text.ptr, text.len);
	strbuf_add(&text, sum.b, DIGEST_LEN);
	TRY(strbuf_check(&doc, "the list of files of a cache mount", err));
	TRY(strbuf_check(&text, "the state of a cache mount", err));
	TRY(fs_mkdir_p(store_dirfd(s), FOLDER, 0700, err));
	return fs_write_file(store_dirfd(s), path, strbuf_view(&text), 0600, err);
}

void mount_local_touch(struct store *s, const struct digest *key)
{
	cleanup_free char *path = path_of(key);
	struct cairn_err ignored;

	if (utimensat(store_dirfd(s), path, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		(void)mount_local_write(s, key, &(struct mount_local){ 0 }, &ignored);
}

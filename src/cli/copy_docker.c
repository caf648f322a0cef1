#include "copy_docker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "import_source.h"
#include "layer/layer.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/map.h"

#define LIST       "manifest.json"
#define BLOBS      "blobs/sha256/"
#define REF_FULL   "io.containerd.image.name"
#define REF_NAME   "org.opencontainers.image.ref.name"
#define FILES_MAX  100000u
#define NAMES_MAX  300 /* bytes of names in a message */
#define COPY_BYTES (256u << 10)

/* A file of the archive, by now a blob of the folder. */
struct file {
	struct digest digest;
	uint64_t size;
};

struct docker {
	struct arena *a;
	const char *archive; /* as the user calls it */
	int dirfd;
	struct map files; /* clean path in the archive -> struct file */
	struct map links; /* clean path -> char *, clean path of another */
};

static const char *blob_path(struct arena *a, const struct digest *d)
{
	return arena_printf(a, BLOBS "%s", digest_hex(d).s);
}

/* --- the files of the archive ----------------------------------------------------------- */

static int create(const struct docker *d, const char *name, int *ret_fd, struct cairn_err *err)
{
	*ret_fd =
		openat(d->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? cairn_fail_sys(err, "create '%s'", name) : 0;
}

static int rename_blob(const struct docker *d, const char *tmp, const struct digest *digest,
                       struct cairn_err *err)
{
	const char *path = blob_path(d->a, digest);

	return renameat(d->dirfd, tmp, d->dirfd, path) < 0
	               ? cairn_fail_sys(err, "rename to '%s'", path)
	               : 0;
}

static int take_file(struct docker *d, struct tar_reader *t, str path, struct cairn_err *err)
{
	struct file *f = arena_new_of(d->a, struct file);
	cleanup_fd int fd = -1;
	struct sha256 h;
	str piece;

	TRY(create(d, ".file", &fd, err));
	sha256_init(&h);
	do {
		TRY(tar_content(t, &piece, err));
		sha256_add(&h, piece.ptr, piece.len);
		f->size += piece.len;
		if (piece.len)
			TRY(fs_write_all(fd, piece.ptr, piece.len, "a file of the archive", err));
	} while (piece.len);
	f->digest = sha256_end(&h);
	map_put(&d->files, path, f);
	return rename_blob(d, ".file", &f->digest, err);
}

/* Old archives have a layer that two images share once, and links to it. */
static void take_link(struct docker *d, const struct tar_member *m, str path)
{
	ptrdiff_t slash = str_rfind(path, '/');
	str dir = str_n(path.ptr, slash < 0 ? 0 : (size_t)slash);
	str to = m->type == LAYER_SYMLINK
	                 ? str_of(arena_printf(d->a, "/%.*s/%.*s", STR(dir), STR(m->target)))
	                 : str_of(arena_printf(d->a, "/%.*s", STR(m->target)));

	map_put(&d->links, path, arena_cstr(d->a, arena_clean_path(d->a, to)));
}

static str clean(struct docker *d, str path)
{
	return arena_clean_path(d->a, str_of(arena_printf(d->a, "/%.*s", STR(path))));
}

static int take_all(struct docker *d, struct tar_reader *t, struct cairn_err *err)
{
	const struct tar_member *m = NULL;

	for (unsigned n = 0; n < FILES_MAX; n++) {
		TRY(tar_next(t, &m, err));
		if (!m)
			return 0;
		if (m->type == LAYER_FILE)
			TRY(take_file(d, t, clean(d, m->name), err));
		else if (m->type == LAYER_SYMLINK || m->type == LAYER_HARDLINK)
			take_link(d, m, clean(d, m->name));
	}
	return cairn_fail(err, CAIRN_E_UNSUPPORTED, "it holds more than %u files", FILES_MAX);
}

static int take_archive(struct docker *d, struct cairn_err *err)
{
	cleanup_import_source struct import_source *source = NULL;
	cleanup_tar_reader struct tar_reader *t = NULL;
	struct layer_reader in;

	TRY(import_source_open(d->archive, &source, err));
	in = import_source_reader(source);
	t = tar_reader_new(&in);
	TRY(fs_mkdir_p(d->dirfd, "blobs/sha256", 0700, err));
	if (take_all(d, t, err) < 0)
		return cairn_wrap(err, "'%s'", d->archive);
	return import_source_end(source, err);
}

static int find_file(struct docker *d, str name, const struct file **ret, struct cairn_err *err)
{
	str path = clean(d, name);
	const char *link = map_get(&d->links, path);

	*ret = map_get(&d->files, link ? str_of(link) : path);
	return *ret ? 0
	            : cairn_fail(err, CAIRN_E_SYNTAX, "'%s': %s names '%.*s', which is not there",
	                         d->archive, LIST, STR(name));
}

static int read_file(struct docker *d, str name, struct strbuf *out, struct cairn_err *err)
{
	const struct file *f = NULL;

	TRY(find_file(d, name, &f, err));
	return fs_read_file(d->dirfd, blob_path(d->a, &f->digest), out, err);
}

/* --- which image --------------------------------------------------------------------------- */

static bool is_called(const json_t *image, const struct reference *want, struct strbuf *names)
{
	char a[REFERENCE_TEXT_MAX], b[REFERENCE_TEXT_MAX];
	struct cairn_err ignored;
	struct reference ref;
	const json_t *tag;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(image, "RepoTags"), i, tag)
	{
		str text = str_of(json_string_value(tag));

		strbuf_printf(names, "%s%.*s", names->len ? ", " : "", STR(text));
		if (want && reference_parse(text, &ref, &ignored) == 0)
			found |= strcmp(reference_text(&ref, a), reference_text(want, b)) == 0;
	}
	return found;
}

static int choose(struct docker *d, const json_t *list, const struct reference *want,
                  const json_t **ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf names;
	char text[REFERENCE_TEXT_MAX];
	const json_t *image;
	size_t i;

	strbuf_init(&names, MANIFEST_MAX);
	*ret = NULL;
	json_array_foreach(list, i, image) if (is_called(image, want, &names) && !*ret) *ret =
		image;
	if (!want && json_array_size(list) == 1)
		*ret = json_array_get(list, 0);
	if (*ret)
		return 0;
	if (want)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%s' has no image '%s'; there is: %.*s",
		                  d->archive, reference_familiar(want, text),
		                  (int)(names.len < NAMES_MAX ? names.len : NAMES_MAX),
		                  names.len ? names.ptr : "");
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "'%s' has %zu images: give docker-archive:FILE:NAME; there is: %.*s",
	                  d->archive, json_array_size(list),
	                  (int)(names.len < NAMES_MAX ? names.len : NAMES_MAX),
	                  names.len ? names.ptr : "");
}

/* --- its manifest --------------------------------------------------------------------------- */

static enum layer_compression compression_of(int fd)
{
	unsigned char b[4] = { 0 };

	if (pread(fd, b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return LAYER_COMPRESS_NONE;
	if (b[0] == 0x1f && b[1] == 0x8b)
		return LAYER_COMPRESS_GZIP;
	return memcmp(b, "\x28\xb5\x2f\xfd", 4) == 0 ? LAYER_COMPRESS_ZSTD : LAYER_COMPRESS_NONE;
}

static int press(struct docker *d, int in, struct descriptor *ret, struct cairn_err *err)
{
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_compressor struct compressor *c = NULL;
	struct compress_result result;
	struct layer_fd out = { .fd = -1, .name = "a layer" };
	struct layer_sink to_file, sink;
	cleanup_fd int fd = -1;
	size_t n = 0;

	TRY(create(d, ".layer", &fd, err));
	out.fd = fd;
	to_file = layer_fd_sink(&out);
	c = compress_new(COMPRESS_ZSTD, 0, NULL, &to_file);
	sink = compress_sink(c);
	do {
		TRY(fs_read_full(in, buf, COPY_BYTES, &n, d->archive, err));
		if (n)
			TRY(sink.write(sink.ctx, buf, n, err));
	} while (n == COPY_BYTES);
	TRY(compress_finish(c, &result, err));
	ret->digest = result.digest;
	ret->size = result.size;
	ret->media_type = str_of(media_type_layer(LAYER_COMPRESS_ZSTD, false));
	return rename_blob(d, ".layer", &result.digest, err);
}

static int make_layer(struct docker *d, str name, const struct digest *diff_id,
                      struct descriptor *ret, struct cairn_err *err)
{
	const struct file *f = NULL;
	enum layer_compression how;
	cleanup_fd int fd = -1;

	TRY(find_file(d, name, &f, err));
	fd = openat(d->dirfd, blob_path(d->a, &f->digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%.*s'", STR(name));
	how = compression_of(fd);
	*ret = (struct descriptor){ .digest = f->digest, .size = f->size };
	ret->media_type = str_of(media_type_layer(how, false));
	if (how != LAYER_COMPRESS_NONE)
		return 0;
	if (!digest_eq(&f->digest, diff_id))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "'%s': layer '%.*s' is not what the image's config says",
		                  d->archive, STR(name));
	return press(d, fd, ret, err);
}

static int make_layers(struct docker *d, const json_t *layers, const struct image_config *config,
                       struct manifest *m, struct cairn_err *err)
{
	m->n_layers = json_array_size(layers);
	if (m->n_layers != config->n_diff_ids)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%s': %zu layers, but the image's config has %zu", d->archive,
		                  m->n_layers, (size_t)config->n_diff_ids);
	m->layers = arena_array(d->a, struct descriptor, m->n_layers);
	for (size_t i = 0; i < m->n_layers; i++)
		TRY(make_layer(d, str_of(json_string_value(json_array_get(layers, i))),
		               &config->diff_ids[i], &m->layers[i], err));
	return 0;
}

/* The manifest becomes a blob, and the only entry of the layout. */
static int put_manifest(struct docker *d, const struct manifest *m, struct cairn_err *err)
{
	struct descriptor entry = { .media_type = S(MEDIA_OCI_MANIFEST) };
	struct manifest index = { .kind = MANIFEST_INDEX, .manifests = &entry, .n_manifests = 1 };
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, MANIFEST_MAX);
	manifest_encode(m, &bytes);
	TRY(strbuf_check(&bytes, LIST, err));
	entry.digest = digest_of(bytes.ptr, bytes.len);
	entry.size = bytes.len;
	TRY(fs_write_file(d->dirfd, blob_path(d->a, &entry.digest), strbuf_view(&bytes), 0600,
	                  err));
	strbuf_clear(&bytes);
	manifest_encode(&index, &bytes);
	TRY(fs_write_file(d->dirfd, "index.json", strbuf_view(&bytes), 0600, err));
	return fs_write_file(d->dirfd, "oci-layout", S("{\"imageLayoutVersion\":\"1.0.0\"}"), 0600,
	                     err);
}

static int make_image(struct docker *d, const json_t *image, struct cairn_err *err)
{
	str name = str_of(json_string_value(json_object_get(image, "Config")));
	struct manifest m = { .kind = MANIFEST_IMAGE };
	cleanup_strbuf struct strbuf text;
	struct image_config config;
	const struct file *f = NULL;

	strbuf_init(&text, IMAGE_CONFIG_MAX);
	TRY(find_file(d, name, &f, err));
	TRY(read_file(d, name, &text, err));
	TRY(image_config_parse(d->a, strbuf_view(&text), &config, err));
	m.config = (struct descriptor){ .media_type = S(MEDIA_OCI_CONFIG),
		                        .digest = f->digest,
		                        .size = f->size };
	TRY(make_layers(d, json_object_get(image, "Layers"), &config, &m, err));
	return put_manifest(d, &m, err);
}

static int convert(struct docker *d, const struct reference *want, struct cairn_err *err)
{
	cleanup_json json_t *list = NULL;
	cleanup_strbuf struct strbuf text;
	const json_t *image = NULL;

	strbuf_init(&text, MANIFEST_MAX);
	TRY(take_archive(d, err));
	if (!map_has(&d->files, S("/" LIST)))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%s' is no archive of 'docker save': it has no " LIST,
		                  d->archive);
	TRY(read_file(d, S(LIST), &text, err));
	TRY(json_parse(strbuf_view(&text), LIST, &list, err));
	TRY(choose(d, list, want, &image, err));
	return make_image(d, image, err);
}

int copy_docker_unpack(const char *file, const struct reference *want, struct copy_archive *ret,
                       struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct docker d = { .a = a, .archive = file, .dirfd = -1 };
	int r;

	TRY(copy_archive_folder(ret, err));
	r = fs_open_dir(AT_FDCWD, ret->dir, &d.dirfd, err);
	if (r == 0)
		r = convert(&d, want, err);
	fs_close_p_(&d.dirfd);
	map_done(&d.files);
	map_done(&d.links);
	return r;
}

/* --- into an archive -------------------------------------------------------------------------- */

static int read_manifest(int dirfd, const char *path, str type, struct arena *a,
                         struct manifest *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, MANIFEST_MAX);
	TRY(fs_read_file(dirfd, path, &text, err));
	return manifest_parse(a, strbuf_view(&text), type, ret, err);
}

static json_t *list_of(struct arena *a, const struct manifest *m, const struct reference *name)
{
	json_t *list = json_array(), *image = json_object(), *tags = json_array();
	json_t *layers = json_array();
	char text[REFERENCE_TEXT_MAX];

	if (name)
		(void)json_array_append_new(tags, json_string(reference_familiar(name, text)));
	for (size_t i = 0; i < m->n_layers; i++)
		(void)json_array_append_new(layers,
		                            json_string(blob_path(a, &m->layers[i].digest)));
	(void)json_object_set_new(image, "Config", json_string(blob_path(a, &m->config.digest)));
	(void)json_object_set_new(image, "RepoTags", tags);
	(void)json_object_set_new(image, "Layers", layers);
	(void)json_array_append_new(list, image);
	return list;
}

/* Docker looks for names in the layout, too, where there is one. */
static int put_name(int dirfd, struct arena *a, struct manifest *index,
                    const struct reference *name, struct cairn_err *err)
{
	struct image_kvs *kvs = &index->manifests[0].annotations;
	cleanup_strbuf struct strbuf text;
	char full[REFERENCE_TEXT_MAX];

	strbuf_init(&text, MANIFEST_MAX);
	image_kvs_set(a, kvs, S(REF_FULL), arena_str(a, str_of(reference_text(name, full))));
	image_kvs_set(a, kvs, S(REF_NAME), arena_str(a, str_of(name->tag)));
	manifest_encode(index, &text);
	TRY(strbuf_check(&text, "index.json", err));
	return fs_write_file(dirfd, "index.json", strbuf_view(&text), 0600, err);
}

int copy_docker_list(const struct copy_archive *c, const struct reference *name,
                     struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_json json_t *list = NULL;
	cleanup_strbuf struct strbuf text;
	struct manifest index, m;
	cleanup_fd int dirfd = -1;

	strbuf_init(&text, MANIFEST_MAX);
	TRY(fs_open_dir(AT_FDCWD, c->dir, &dirfd, err));
	TRY(read_manifest(dirfd, "index.json", S(MEDIA_OCI_INDEX), a, &index, err));
	if (index.n_manifests != 1)
		return cairn_fail(err, CAIRN_E_USAGE, "an archive for docker is made of one image");
	TRY(read_manifest(dirfd, blob_path(a, &index.manifests[0].digest),
	                  index.manifests[0].media_type, a, &m, err));
	if (m.kind != MANIFEST_IMAGE)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "an archive for docker holds one platform of an image: give one "
		                  "--platform");
	if (name)
		TRY(put_name(dirfd, a, &index, name, err));
	list = list_of(a, &m, name);
	json_write(list, &text);
	TRY(strbuf_check(&text, LIST, err));
	return fs_write_file(dirfd, LIST, strbuf_view(&text), 0600, err);
}

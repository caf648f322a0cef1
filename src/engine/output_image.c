/* OCI and DOCKER: manifest, index, archive. */
#include "output_priv.h"
#include "util/clock.h"
#include "util/fs.h"

#define COPY_BYTES   (256u * 1024)
#define INDEX_MAX    (1u << 20) /* bytes of an index.json or manifest.json */
#define BLOB_PATH    13         /* "blobs/sha256/" */
#define REF_NAME     "org.opencontainers.image.ref.name"
#define REF_CREATED  "org.opencontainers.image.created"
#define REF_FULL     "io.containerd.image.name"
#define LAYOUT_BYTES "{\"imageLayoutVersion\":\"1.0.0\"}"

struct blob_path {
	char s[BLOB_PATH + DIGEST_HEX_LEN + 1];
};

static struct blob_path blob_path(const struct digest *d)
{
	struct blob_path p;

	memcpy(p.s, "blobs/sha256/", BLOB_PATH);
	memcpy(p.s + BLOB_PATH, digest_hex(d).s, DIGEST_HEX_LEN + 1);
	return p;
}

static const struct layer_blob *blob_of(const struct out_job *j, size_t i)
{
	return &j->layers[i]->blobs[j->form];
}

/* --- documents ---------------------------------------------------------------- */

int out_image_manifest(struct out_job *j, str *ret_bytes, struct cairn_err *err)
{
	const struct engine_image *im = j->image;
	struct manifest m = { .kind = MANIFEST_IMAGE,
		              .n_layers = im->chain->n,
		              .config = { .media_type = S(MEDIA_OCI_CONFIG),
		                          .digest = im->config_digest,
		                          .size = im->config.len } };
	cleanup_strbuf struct strbuf bytes;

	m.layers = arena_array(j->arena, struct descriptor, m.n_layers);
	for (size_t i = 0; i < m.n_layers; i++) {
		const struct layer_blob *b = blob_of(j, i);

		m.layers[i] = (struct descriptor){ .media_type = str_of(b->media_type),
			                           .digest = b->digest,
			                           .size = b->size };
	}
	strbuf_init(&bytes, MANIFEST_MAX);
	manifest_encode(&m, &bytes);
	TRY(strbuf_check(&bytes, "image manifest", err));
	*ret_bytes = arena_str(j->arena, strbuf_view(&bytes));
	j->manifest = (struct descriptor){ .media_type = S(MEDIA_OCI_MANIFEST),
		                           .digest = digest_of(ret_bytes->ptr, ret_bytes->len),
		                           .size = ret_bytes->len };
	return 0;
}

/* The manifest under one name; name NULL: under none. */
static struct descriptor index_entry(struct out_job *j, const char *name)
{
	struct descriptor d = j->manifest;
	char created[CLOCK_TEXT_MAX];
	struct cairn_err ignored;
	struct reference ref;

	d.has_platform = true;
	d.platform = j->image->platform;
	image_kvs_set(j->arena, &d.annotations, S(REF_CREATED),
	              str_of(clock_text(j->image->created, created)));
	if (!name || reference_parse(str_of(name), &ref, &ignored) < 0)
		return d;
	image_kvs_set(j->arena, &d.annotations, S(REF_FULL), str_of(name));
	if (ref.tag[0])
		image_kvs_set(j->arena, &d.annotations, S(REF_NAME), str_of(ref.tag));
	return d;
}

static bool same_name(const struct descriptor *a, const struct descriptor *b)
{
	const str *x = image_kvs_get(&a->annotations, S(REF_FULL));
	const str *y = image_kvs_get(&b->annotations, S(REF_FULL));

	return x && y ? str_eq(*x, *y) : x == y;
}

/* Entries of a folder's index stay unless they have one of our names. */
static int keep_others(struct out_job *j, const struct out_archive *ar, struct manifest *index,
                       struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;
	struct manifest old = { 0 };
	size_t mine = index->n_manifests;
	struct descriptor *all;
	int r;

	strbuf_init(&bytes, INDEX_MAX);
	r = fs_read_file(ar->dirfd, "index.json", &bytes, err);
	if (r == CAIRN_E_NOT_FOUND)
		return 0;
	TRY(r);
	if (manifest_parse(j->arena, strbuf_view(&bytes), S(""), &old, err) < 0)
		return cairn_wrap(err, "'%s/index.json' of another program", ar->dest);
	all = arena_array(j->arena, struct descriptor, old.n_manifests + mine);
	memcpy(all, index->manifests, mine * sizeof(*all));
	for (size_t i = 0; i < old.n_manifests; i++) {
		bool ours = false;

		for (size_t k = 0; k < mine; k++)
			ours |= same_name(&old.manifests[i], &all[k]);
		if (!ours)
			all[index->n_manifests++] = old.manifests[i];
	}
	index->manifests = all;
	return 0;
}

static int make_index(struct out_job *j, const struct out_archive *ar, str *ret,
                      struct cairn_err *err)
{
	const struct output *o = j->output;
	struct manifest index = { .kind = MANIFEST_INDEX };
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, INDEX_MAX);
	index.n_manifests = o->n_names ? o->n_names : 1;
	index.manifests = arena_array(j->arena, struct descriptor, index.n_manifests);
	for (size_t i = 0; i < index.n_manifests; i++)
		index.manifests[i] = index_entry(j, o->n_names ? o->names[i] : NULL);
	if (ar->folder)
		TRY(keep_others(j, ar, &index, err));
	manifest_encode(&index, &bytes);
	TRY(strbuf_check(&bytes, "index.json", err));
	*ret = arena_str(j->arena, strbuf_view(&bytes));
	return 0;
}

/* What every `docker load` reads: [{"Config":..,"RepoTags":[..],"Layers":[..]}]. */
static int make_docker_list(struct out_job *j, str *ret, struct cairn_err *err)
{
	const struct engine_image *im = j->image;
	cleanup_json json_t *list = json_array();
	cleanup_strbuf struct strbuf bytes;
	json_t *image = json_object(), *tags = json_array(), *layers = json_array();

	strbuf_init(&bytes, INDEX_MAX);
	for (size_t i = 0; i < j->output->n_names; i++) {
		char text[REFERENCE_TEXT_MAX];
		struct reference ref;

		TRY(reference_parse(str_of(j->output->names[i]), &ref, err));
		(void)json_array_append_new(tags, json_str(str_of(reference_familiar(&ref, text))));
	}
	for (size_t i = 0; i < im->chain->n; i++)
		(void)json_array_append_new(layers,
		                            json_str(str_of(blob_path(&blob_of(j, i)->digest).s)));
	(void)json_object_set_new(image, "Config",
	                          json_str(str_of(blob_path(&im->config_digest).s)));
	(void)json_object_set_new(image, "RepoTags", tags);
	(void)json_object_set_new(image, "Layers", layers);
	(void)json_array_append_new(list, image);
	json_write(list, &bytes);
	TRY(strbuf_check(&bytes, "manifest.json", err));
	*ret = arena_str(j->arena, strbuf_view(&bytes));
	return 0;
}

/* --- blobs ---------------------------------------------------------------------- */

/* A stored blob, verified on the way. */
static int copy_blob(struct out_job *j, const struct layer_blob *b, const struct layer_sink *sink,
                     struct cairn_err *err)
{
	struct out_meter meter = { j->o, sink };
	struct store *s = j->o->opts->store;
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_fd int fd = -1;
	struct sha256 h;
	struct digest got;
	uint64_t size = 0;
	size_t n = 0;

	TRY(store_blob_open(s, &b->digest, &fd, &size, err));
	sha256_init(&h);
	do {
		TRY(fs_read_full(fd, buf, COPY_BYTES, &n, "a blob of the store", err));
		sha256_add(&h, buf, n);
		TRY(out_meter_write(&meter, buf, n, err));
	} while (n == COPY_BYTES);
	got = sha256_end(&h);
	if (digest_eq(&got, &b->digest))
		return 0;
	TRY(store_blob_forget(s, &b->digest, err));
	return cairn_fail(err, CAIRN_E_DIGEST,
	                  "blob %s of the store was damaged and has been removed; build again",
	                  digest_text(&b->digest).s);
}

static int write_layer(struct out_job *j, struct out_archive *ar, size_t i, struct cairn_err *err)
{
	const struct layer_blob *b = blob_of(j, i);
	struct blob_path path = blob_path(&b->digest);
	const struct layer_sink *sink = NULL;

	for (size_t k = 0; k < i; k++)
		if (digest_eq(&blob_of(j, k)->digest, &b->digest))
			return 0;
	if (out_archive_has(ar, path.s, b->size))
		return 0;
	TRY(out_archive_begin(ar, path.s, b->size, &sink, err));
	if (b->stored)
		TRY(copy_blob(j, b, sink, err));
	else
		TRY(out_layer_tar(j->layers[i], sink, err));
	return out_archive_end(ar, path.s, err);
}

static int write_blobs(struct out_job *j, struct out_archive *ar, str manifest,
                       struct cairn_err *err)
{
	const struct engine_image *im = j->image;

	TRY(out_archive_dir(ar, "blobs", err));
	TRY(out_archive_dir(ar, "blobs/sha256", err));
	TRY(out_archive_put(ar, blob_path(&j->manifest.digest).s, manifest, err));
	TRY(out_archive_put(ar, blob_path(&im->config_digest).s, im->config, err));
	for (size_t i = 0; i < im->chain->n; i++)
		TRY(write_layer(j, ar, i, err));
	return 0;
}

/* In a tar the small files come first, for readers that do not seek; in a folder index.json is
 * what makes the image be there, so it comes last. */
static int write_all(struct out_job *j, struct out_archive *ar, str manifest, struct cairn_err *err)
{
	str index = { 0 }, list = { 0 };

	TRY(make_index(j, ar, &index, err));
	if (j->output->type == OUTPUT_DOCKER)
		TRY(make_docker_list(j, &list, err));
	if (ar->folder)
		TRY(write_blobs(j, ar, manifest, err));
	TRY(out_archive_put(ar, "oci-layout", S(LAYOUT_BYTES), err));
	TRY(out_archive_put(ar, "index.json", index, err));
	if (list.len)
		TRY(out_archive_put(ar, "manifest.json", list, err));
	if (!ar->folder)
		TRY(write_blobs(j, ar, manifest, err));
	return out_archive_commit(ar, err);
}

int out_image_write(struct out_job *j, struct cairn_err *err)
{
	struct out_archive ar;
	str manifest = { 0 };
	int r;

	TRY(out_image_manifest(j, &manifest, err));
	TRY(out_archive_open(j->output->dest, j->output->folder, &ar, err));
	r = write_all(j, &ar, manifest, err);
	out_archive_done(&ar);
	return r;
}

/* The registry client against Debian's docker-registry, filled by skopeo.
 *
 * Each test starts a registry on a free loopback port with its own storage. Layers are
 * random bytes through gzip, so that nothing on the way can compress them again.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "harness.h"

#include "fault_proxy.h"
#include "registry/registry.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/pool.h"
#include "util/proc.h"

#define MB          1000000u
#define LAYER_SIZE  (4 * MB)
#define N_LAYERS    3
#define START_TRIES 3000 /* 20 ms each; only what hangs takes as long */

extern char **environ;

/* Run a shell script in harness_dir(); its output is shown when it fails. */
static void shell(const char *script)
{
	cleanup_free char *all = xasprintf("set -e; cd %s; %s", harness_dir(), script);
	const char *argv[] = { "sh", "-c", all, NULL };
	struct proc_opts o = { .argv = argv, .timeout_ns = 60 * (uint64_t)CLOCK_SEC };
	struct proc_result r cleanup_proc_result;
	struct cairn_err err;

	proc_result_init(&r, 1u << 20);
	assert_ok(proc_run(&o, &r, &err));
	if (r.exit_code != 0)
		fail_msg("%s\n%s%s", script, r.output.ptr, r.errors.ptr);
}

static bool installed(const char *program)
{
	cleanup_free char *script = xasprintf("command -v %s", program);
	const char *argv[] = { "sh", "-c", script, NULL };
	struct proc_opts o = { .argv = argv, .timeout_ns = 60 * (uint64_t)CLOCK_SEC };
	struct proc_result r cleanup_proc_result;
	struct cairn_err err;

	proc_result_init(&r, 4096);
	return proc_run(&o, &r, &err) == 0 && r.exit_code == 0;
}

/* True when the test cannot run here; says why. */
static bool missing_programs(void)
{
	static const char *const programs[] = { "docker-registry", "skopeo", "htpasswd",
		                                "openssl" };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!installed(programs[i])) {
			(void)printf("%s is not installed\n", programs[i]);
			return true;
		}
	return false;
}

/* A port for a server that binds it with SO_REUSEADDR, as the registry does: nobody else gets it as
 * long as *ret_fd is open, and nobody answers there. */
static int keep_port(int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_fd = fd;
	return ntohs(a.sin_port);
}

/* A registry that runs, and a client of ours. */
struct world {
	int port, port_fd; /* see keep_port(); the descriptor is there when the port is */
	pid_t pid;
	struct http_client *http;
	struct registry *registry;
	struct reference ref;
	struct platform platform;
};

static void world_done(struct world *w)
{
	registry_free(w->registry);
	http_client_free(w->http);
	if (w->pid > 0) {
		(void)kill(w->pid, SIGKILL);
		(void)waitpid(w->pid, NULL, 0);
	}
	if (w->port)
		fs_close_p_(&w->port_fd);
}
#define cleanup_world __attribute__((cleanup(world_done)))

/* A client that looks into config.json in harness_dir(). */
static void connect_client(struct world *w, int port, const char *name)
{
	struct http_opts ho = HTTP_OPTS_INIT;
	struct registry_opts ro = { .docker_config = harness_dir() };
	cleanup_free char *text = xasprintf("127.0.0.1:%d/%s", port, name);
	struct cairn_err err;

	registry_free(w->registry);
	http_client_free(w->http);
	ho.backoff_ns = CLOCK_SEC / 100;
	w->http = http_client_new(&ho);
	ro.http = w->http;
	w->registry = registry_new(&ro);
	assert_ok(reference_parse(str_of(text), &w->ref, &err));
}

/* Start one whose configuration has `http` and `more` in addition. */
static void spawn_registry(struct world *w, const char *http, const char *more)
{
	cleanup_free char *config = NULL, *path = xasprintf("%s/registry.yml", harness_dir());
	const char *argv[] = { "docker-registry", "serve", path, NULL };
	posix_spawn_file_actions_t fa;

	memset(w, 0, sizeof(*w));
	w->port = keep_port(&w->port_fd);
	config = xasprintf(
		"version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
		"%s/data}}\nhttp: {addr: '127.0.0.1:%d'%s}\n%s",
		harness_dir(), w->port, http, more);
	harness_write("registry.yml", str_of(config));
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	(void)posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	assert_int_equal(
		posix_spawnp(&w->pid, argv[0], &fa, NULL, (char *const *)(uintptr_t)argv, environ),
		0);
	(void)posix_spawn_file_actions_destroy(&fa);
}

static void start_registry(struct world *w, const char *auth)
{
	cleanup_free char *domain = NULL;
	struct cairn_err err;
	int tries;

	spawn_registry(w, "", auth);
	connect_client(w, w->port, "app:1");
	domain = xasprintf("127.0.0.1:%d", w->port);
	for (tries = 0; tries < START_TRIES; tries++) {
		int rc = registry_ping(w->registry, domain, &err);

		if (rc == 0 || rc == CAIRN_E_AUTH)
			break;
		(void)poll(NULL, 0, 20);
	}
	assert_true(tries < START_TRIES);
	assert_ok(platform_parse(S("linux/amd64"), &w->platform, &err));
}

/* Write `bytes` as a blob of the layout; returns its digest. */
static struct digest put_blob(str bytes)
{
	struct digest d = digest_of(bytes.ptr, bytes.len);
	cleanup_free char *path = xasprintf("layout/blobs/sha256/%s", digest_hex(&d).s);

	harness_write(path, bytes);
	return d;
}

static struct descriptor blob_of(const char *type, str bytes)
{
	return (struct descriptor){ .media_type = str_of(type),
		                    .digest = put_blob(bytes),
		                    .size = bytes.len };
}

/* An image for `arch` with N_LAYERS random layers. */
static struct descriptor put_image(struct arena *a, const char *arch)
{
	struct image_config c;
	struct descriptor layers[N_LAYERS], d;
	struct manifest m = { .kind = MANIFEST_IMAGE, .layers = layers, .n_layers = N_LAYERS };
	struct strbuf b cleanup_strbuf;
	struct platform p;
	struct cairn_err err;

	assert_ok(platform_make(S("linux"), str_of(arch), S(""), &p, &err));
	image_config_init(&c, a, &p);
	strbuf_init(&b, 100 * MB);
	for (size_t i = 0; i < N_LAYERS; i++) {
		cleanup_free char *script =
			xasprintf("head -c %u /dev/urandom | tee plain | gzip -1n >"
		                  " packed",
		                  LAYER_SIZE);
		struct digest diff;

		shell(script);
		assert_ok(fs_read_file(harness_dirfd(), "plain", &b, &err));
		diff = digest_of(b.ptr, b.len);
		image_config_layer_add(&c, &diff);
		strbuf_clear(&b);
		assert_ok(fs_read_file(harness_dirfd(), "packed", &b, &err));
		layers[i] = blob_of(MEDIA_OCI_LAYER "+gzip", strbuf_view(&b));
		strbuf_clear(&b);
	}
	image_config_encode(&c, &b);
	m.config = blob_of(MEDIA_OCI_CONFIG, strbuf_view(&b));
	strbuf_clear(&b);
	manifest_encode(&m, &b);
	d = blob_of(MEDIA_OCI_MANIFEST, strbuf_view(&b));
	d.has_platform = true;
	d.platform = p;
	return d;
}

/* A layout whose tag "two" is an index of two platforms and "one" a single image. */
static void make_layout(struct arena *a, struct digest *ret_amd64, struct digest *ret_index)
{
	struct descriptor images[2] = { put_image(a, "amd64"), put_image(a, "arm64") };
	struct manifest index = { .kind = MANIFEST_INDEX, .manifests = images, .n_manifests = 2 };
	struct descriptor top[2];
	struct manifest layout = { .kind = MANIFEST_INDEX, .manifests = top, .n_manifests = 2 };
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, MANIFEST_MAX);
	manifest_encode(&index, &b);
	top[0] = blob_of(MEDIA_OCI_INDEX, strbuf_view(&b));
	top[1] = images[0];
	image_kvs_set(a, &top[0].annotations, S("org.opencontainers.image.ref.name"), S("two"));
	image_kvs_set(a, &top[1].annotations, S("org.opencontainers.image.ref.name"), S("one"));
	strbuf_clear(&b);
	manifest_encode(&layout, &b);
	harness_write("layout/index.json", strbuf_view(&b));
	harness_write("layout/oci-layout", S("{\"imageLayoutVersion\":\"1.0.0\"}"));
	*ret_amd64 = images[0].digest;
	*ret_index = top[0].digest;
}

/* Push layout:TAG as app:1. */
static void push(const struct world *w, const char *tag, const char *options)
{
	cleanup_free char *script = xasprintf(
		"skopeo --insecure-policy copy -q --all --dest-tls-verify=false %s oci:layout:%s "
		"docker://127.0.0.1:%d/app:1",
		options, tag, w->port);

	shell(script);
}

/* Streams a blob into a digest. */
struct check {
	struct world *w;
	const struct descriptor *blob;
	struct sha256 hash;
	uint64_t bytes;
};

static int check_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct check *c = ctx;

	(void)err;
	sha256_add(&c->hash, p, n);
	c->bytes += n;
	return 0;
}

static int fetch(void *ctx, struct cairn_err *err)
{
	struct check *c = ctx;
	struct registry_sink sink = { .write = check_write, .ctx = c };
	struct digest got;

	sha256_init(&c->hash);
	c->bytes = 0;
	TRY(registry_blob_get(c->w->registry, &c->w->ref, c->blob, &sink, err));
	got = sha256_end(&c->hash);
	return digest_eq(&got, &c->blob->digest) && c->bytes == c->blob->size
	               ? 0
	               : cairn_fail(err, CAIRN_E_BUG, "the sink got something else");
}

static void expect_done(void *ctx, int result, const struct cairn_err *err)
{
	(void)ctx;
	if (result < 0)
		fail_msg("%s", err->msg);
}

/* All layers at once, as the engine does it. */
static void pull_layers(struct world *w, const struct registry_image *i)
{
	struct pool *pool = pool_new(N_LAYERS);
	struct check checks[N_LAYERS];

	assert_int_equal(i->manifest.n_layers, N_LAYERS);
	for (size_t k = 0; k < N_LAYERS; k++) {
		checks[k] = (struct check){ .w = w, .blob = &i->manifest.layers[k] };
		pool_add(pool, (struct pool_task){ fetch, expect_done, &checks[k] });
	}
	pool_wait(pool);
	pool_free(pool);
}

void test_registry_real__tag_digest_and_platform(void **state)
{
	cleanup_registry_image struct registry_image *i = NULL, *single = NULL, *pinned = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct world w cleanup_world = { 0 };
	struct digest amd64, index, head;
	const struct media_type *type;
	struct platform arm, none;
	struct cairn_err err;

	(void)state;
	if (missing_programs())
		skip();
	start_registry(&w, "");
	make_layout(a, &amd64, &index);
	push(&w, "two", "");
	assert_ok(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err));
	assert_true(digest_eq(&i->top_digest, &index));
	assert_true(digest_eq(&i->manifest_digest, &amd64));
	pull_layers(&w, i);
	assert_ok(registry_head(w.registry, &w.ref, &head, &type, &err));
	assert_true(digest_eq(&head, &index));
	assert_int_equal(type->kind, MEDIA_INDEX);

	w.ref.digest = amd64; /* pinned to one platform: the tag is not looked at */
	assert_ok(platform_parse(S("linux/arm64"), &arm, &err));
	assert_ok(registry_resolve(w.registry, &w.ref, &arm, &pinned, &err));
	assert_string_equal(pinned->config.platform.arch, "amd64");

	connect_client(&w, w.port, "app:2");
	assert_fails(registry_resolve(w.registry, &w.ref, &arm, &single, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "app:2: not found"));
	connect_client(&w, w.port, "app:1");
	assert_ok(platform_parse(S("linux/s390x"), &none, &err));
	assert_fails(registry_resolve(w.registry, &w.ref, &none, &single, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "linux/amd64, linux/arm64"));
}

void test_registry_real__docker_schema2(void **state)
{
	cleanup_registry_image struct registry_image *i = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct world w cleanup_world = { 0 };
	struct digest amd64, index;
	struct cairn_err err;

	(void)state;
	if (missing_programs())
		skip();
	start_registry(&w, "");
	make_layout(a, &amd64, &index);
	push(&w, "one", "--format v2s2");
	assert_ok(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err));
	assert_str(i->manifest_type, MEDIA_DOCKER_MANIFEST);
	pull_layers(&w, i);
}

void test_registry_real__basic_login(void **state)
{
	cleanup_free char *auth =
		xasprintf("auth: {htpasswd: {realm: r, path: %s/htpasswd}}\n", harness_dir());
	cleanup_registry_image struct registry_image *i = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct world w cleanup_world = { 0 };
	cleanup_free char *config = NULL;
	struct digest amd64, index;
	struct cairn_err err;

	(void)state;
	if (missing_programs())
		skip();
	shell("htpasswd -Bbn user pass > htpasswd");
	start_registry(&w, auth);
	make_layout(a, &amd64, &index);
	push(&w, "one", "--dest-creds user:pass");
	assert_fails(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err), CAIRN_E_AUTH);
	assert_non_null(strstr(err.msg, "cairn login"));
	config =
		xasprintf("{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"dXNlcjp3cm9uZw==\"}}}", w.port);
	harness_write("config.json", str_of(config)); /* user:wrong */
	connect_client(&w, w.port, "app:1");
	assert_fails(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err), CAIRN_E_AUTH);
	assert_null(strstr(err.msg, "wrong"));
	free(config);
	config = xasprintf("{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"dXNlcjpwYXNz\"}}}", w.port);
	harness_write("config.json", str_of(config)); /* user:pass */
	connect_client(&w, w.port, "app:1");
	assert_ok(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err));
	pull_layers(&w, i);
}

/* One blob through a proxy that spoils connections. */
void test_registry_real__faults(void **state)
{
	static const struct {
		struct fault faults[3];
		size_t connections; /* that are needed */
		int code;
	} cases[] = {
		{ { { FAULT_NONE, 0 } }, 1, 0 },
		{ { { FAULT_RESET, 1 * MB } }, 2, 0 },
		{ { { FAULT_CLOSE, 3 * MB }, { FAULT_RESET, 100 }, { FAULT_RESET, 100000 } },
		  4,
		  0 },
		{ { { FAULT_RESET, 0 }, { FAULT_CLOSE, 0 } }, 3, 0 },
		{ { { FAULT_FLIP, 2 * MB } }, 1, CAIRN_E_DIGEST },
	};
	cleanup_registry_image struct registry_image *i = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct world w cleanup_world = { 0 };
	struct digest amd64, index;
	struct cairn_err err;

	(void)state;
	if (missing_programs())
		skip();
	start_registry(&w, "");
	make_layout(a, &amd64, &index);
	push(&w, "one", "");
	assert_ok(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err));
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct fault_proxy *p =
			fault_proxy_new(w.port, cases[k].faults, ARRAY_SIZE(cases[k].faults));
		struct check c = { .w = &w, .blob = &i->manifest.layers[0] };
		size_t connections;
		int rc;

		connect_client(&w, fault_proxy_port(p), "app:1");
		rc = fetch(&c, &err);
		connections = fault_proxy_connections(p);
		fault_proxy_free(p);
		if (rc != cases[k].code || connections != cases[k].connections)
			fail_msg("case %zu: %d over %zu connections: %s", k, rc, connections,
			         rc < 0 ? err.msg : "");
	}
}

static int get_over_tls(int port, const char *ca_file, struct cairn_err *err)
{
	cleanup_free char *url = xasprintf("https://127.0.0.1:%d/v2/", port);
	struct http_request req = { .method = "GET", .url = url, .max_body = 1000 };
	struct http_response r cleanup_http_response;
	cleanup_http_client struct http_client *c = NULL;
	struct http_opts o = HTTP_OPTS_INIT;

	o.attempts = 1;
	o.ca_file = ca_file;
	c = http_client_new(&o);
	http_response_init(&r);
	TRY(http_send(c, &req, &r, err));
	return r.status == 200 ? 0 : cairn_fail(err, CAIRN_E_BUG, "status %d", r.status);
}

/* A certificate that nobody signed is refused, unless the user trusts it. */
void test_registry_real__certificates(void **state)
{
	cleanup_free char *tls = xasprintf(", tls: {certificate: %s/cert.pem, key: %s/key.pem}",
	                                   harness_dir(), harness_dir());
	cleanup_free char *ca_file = xasprintf("%s/cert.pem", harness_dir());
	struct world w cleanup_world = { 0 };
	struct cairn_err err;
	int rc = CAIRN_E_TRANSIENT;

	(void)state;
	if (missing_programs())
		skip();
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=r "
	      "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem");
	spawn_registry(&w, tls, "");
	for (int tries = 0; rc == CAIRN_E_TRANSIENT && tries < START_TRIES; tries++) {
		(void)poll(NULL, 0, 20);
		rc = get_over_tls(w.port, ca_file, &err);
	}
	assert_ok(rc);
	assert_fails(get_over_tls(w.port, NULL, &err), CAIRN_E_DENIED);
	assert_non_null(strstr(err.msg, "certificate"));
}

/* The registry dies: a clear, transient error. */
void test_registry_real__gone(void **state)
{
	cleanup_registry_image struct registry_image *i = NULL;
	struct world w cleanup_world = { 0 };
	struct cairn_err err;

	(void)state;
	if (missing_programs())
		skip();
	start_registry(&w, "");
	(void)kill(w.pid, SIGKILL);
	(void)waitpid(w.pid, NULL, 0);
	w.pid = 0;
	assert_fails(registry_resolve(w.registry, &w.ref, &w.platform, &i, &err),
	             CAIRN_E_TRANSIENT);
	assert_non_null(strstr(err.msg, "127.0.0.1"));
}

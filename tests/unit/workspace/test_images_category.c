/* What images want of a machine, and what says so. */
#include "harness.h"

#include "util/fs.h"
#include "workspace/workspace.h"

struct judged {
	const char *what;
	const char *dockerfile;
	const char *requirements; /* requirements.txt beside it; NULL: none */
	struct category_facts facts;
	enum image_category want;
	const char *evidence; /* a part of some line of it; "" = there is none at all */
};

static void categorize(const char *root, const char *name, const struct category_facts *facts,
                       struct arena *a, struct category *ret)
{
	cleanup_workspace_config struct workspace_config *c = NULL;
	struct ws_images *w cleanup_images = NULL;
	struct cairn_err err = { 0 };

	assert_ok(workspace_config_parse(S(""), NULL, root, &c, &err));
	assert_ok(images_load(&(struct images_opts){ c, NULL }, &w, &err));
	assert_non_null(images_get(w, str_of(name)));
	images_categorize(w, images_get(w, str_of(name)), facts, a, ret);
}

static bool says(const struct category *c, const char *part)
{
	for (size_t i = 0; i < c->n_evidence; i++)
		if (strstr(c->evidence[i].text.ptr, part))
			return true;
	return !*part && !c->n_evidence;
}

#define GB 1000000000ull

static const struct judged cases[] = {
	{ "a web service in Python",
	  "FROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt ./\n"
	  "RUN pip install --no-cache-dir -r requirements.txt\nCOPY . .\nCMD [\"gunicorn\", \"app\"]\n",
	  "flask==3.0\ngunicorn>=21\n# torch\n",
	  { 0 },
	  IMAGE_LIGHT,
	  "" },
	{ "wheels that need a compiler",
	  "FROM python:3.12\nRUN apt-get update && apt-get install -y build-essential libpq-dev make cmake \\\n"
	  " && pip install psycopg2 && rm -rf /var/lib/apt/lists/*\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "RUN installs build-essential (x/Dockerfile:2)" },
	{ "a service in Go",
	  "FROM golang:1.22 AS build\nCOPY . .\nRUN --mount=type=cache,target=/go CGO_ENABLED=0 go build "
	  "-o /app ./cmd\nFROM scratch\nCOPY --from=build /app /app\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "RUN go build (x/Dockerfile:3)" },
	{ "a front end",
	  "FROM node:20 AS build\nCOPY package.json ./\nRUN npm ci && npm run build\nFROM nginx\n"
	  "COPY --from=build /dist /usr/share/nginx/html\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "" },
	{ "C++ with CMake",
	  "FROM debian:12 AS b\nRUN apt-get install -y g++ cmake\nCOPY . /src\n"
	  "RUN cmake -S /src -B /b && cmake --build /b -j\nFROM debian:12\nCOPY --from=b /b/x /x\n",
	  NULL,
	  { 0 },
	  IMAGE_HEAVY,
	  "RUN cmake (x/Dockerfile:4)" },
	{ "the same where the stage is not built",
	  "FROM debian:12 AS b\nRUN cmake -S /src -B /b\nFROM debian:12\nRUN true\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "" },
	{ "Rust",
	  "FROM rust:1.79\nCOPY . .\nRUN cargo build --release\n",
	  NULL,
	  { 0 },
	  IMAGE_HEAVY,
	  "RUN cargo build" },
	{ "autotools",
	  "FROM debian\nRUN ./configure --prefix=/opt && make -j4 && make install\n",
	  NULL,
	  { 0 },
	  IMAGE_HEAVY,
	  "RUN make" },
	{ "CUDA",
	  "ARG V=12.4.1\nFROM nvidia/cuda:${V}-devel-ubuntu22.04\nRUN true\n",
	  NULL,
	  { 0 },
	  IMAGE_GPU,
	  "FROM nvidia/cuda:12.4.1-devel-ubuntu22.04 (x/Dockerfile:2)" },
	{ "NVIDIA's own",
	  "FROM nvcr.io/nvidia/pytorch:24.05-py3\n",
	  NULL,
	  { 0 },
	  IMAGE_GPU,
	  "FROM nvcr.io/nvidia/pytorch" },
	{ "ROCm", "FROM rocm/pytorch:latest\n", NULL, { 0 }, IMAGE_GPU, "FROM rocm/pytorch" },
	{ "torch in the requirements",
	  "FROM python:3.11\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n",
	  "numpy\ntorch==2.3.0\n",
	  { 0 },
	  IMAGE_GPU,
	  "torch (x/requirements.txt:2)" },
	{ "torch for the CPU",
	  "FROM python:3.11\nRUN pip install torch --index-url https://download.pytorch.org/whl/cpu\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "" },
	{ "python -m pip",
	  "FROM python:3.11\nRUN python3 -m pip install 'torch>=2' numpy\n",
	  NULL,
	  { 0 },
	  IMAGE_GPU,
	  "RUN installs torch>=2 (x/Dockerfile:2)" },
	{ "the runtime of NVIDIA",
	  "FROM debian\nENV NVIDIA_VISIBLE_DEVICES=all\n",
	  NULL,
	  { 0 },
	  IMAGE_GPU,
	  "ENV NVIDIA_VISIBLE_DEVICES" },
	{ "ROS",
	  "FROM osrf/ros:humble-desktop\nRUN . /opt/ros/setup.sh && colcon build\n",
	  NULL,
	  { 0 },
	  IMAGE_HEAVY,
	  "FROM osrf/ros:humble-desktop" },
	{ "words of a text are no programs",
	  "FROM debian\nRUN echo cmake make nvcc > /cmake && cp make /x\n",
	  NULL,
	  { 0 },
	  IMAGE_LIGHT,
	  "" },
	{ "a shell in a shell",
	  "FROM debian\nRUN [\"bash\", \"-c\", \"cd /x && cmake .\"]\n",
	  NULL,
	  { 0 },
	  IMAGE_HEAVY,
	  "RUN cmake" },
	{ "a here-document",
	  "FROM debian\nRUN <<EOF\nset -e\nnvcc -o x x.cu\nEOF\n",
	  NULL,
	  { 0 },
	  IMAGE_GPU,
	  "RUN nvcc" },
	{ "measured small",
	  "FROM debian\nRUN cmake .\n",
	  NULL,
	  { .size = GB / 10, .wall_ns = 20 * GB, .memory = GB / 5 },
	  IMAGE_LIGHT,
	  "recorded: size 100 MB" },
	{ "measured big",
	  "FROM debian\nRUN true\n",
	  NULL,
	  { .memory = 9 * GB },
	  IMAGE_HEAVY,
	  "memory 9.00 GB" },
	{ "no Dockerfile at all", "nonsense\n", NULL, { 0 }, IMAGE_LIGHT, "" },
};

void test_images_category__rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct category c = { 0 };
		struct cairn_err err;

		assert_ok(fs_remove_tree(harness_dirfd(), "x", &err));
		harness_write("x/Dockerfile", str_of(cases[i].dockerfile));
		if (cases[i].requirements)
			harness_write("x/requirements.txt", str_of(cases[i].requirements));
		categorize(harness_dir(), "x", &cases[i].facts, a, &c);
		assert_false(c.declared);
		if (c.category != cases[i].want || !says(&c, cases[i].evidence))
			fail_msg("%s: %s, %zu signs: %.*s", cases[i].what,
			         image_category_name(c.category), c.n_evidence,
			         STR(c.n_evidence ? c.evidence[0].text : S("")));
	}
}

/* The images that the project's own measurements use. */
void test_images_category__examples(void **state)
{
	static const struct {
		const char *name;
		enum image_category want;
	} images[] = {
		{ "compressor", IMAGE_LIGHT },
		{ "sfm", IMAGE_HEAVY },
		{ "splat", IMAGE_GPU },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct category c = { 0 };

		categorize(TEST_ASSETS "/../../examples/aerial", images[i].name, NULL, a, &c);
		if (c.category != images[i].want)
			fail_msg("%s is %s", images[i].name, image_category_name(c.category));
	}
}

/* What is written down counts; what stands on a GPU image is one. */
void test_images_category__declared_and_inherited(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_workspace_config struct workspace_config *config = NULL;
	struct ws_images *w cleanup_images = NULL;
	struct category c = { 0 };
	struct cairn_err err = { 0 };

	(void)state;
	harness_write("cairn.yaml", S("images:\n  base: {context: base, tags: \"r.io/base:1\"}\n"
	                              "  app: {context: app}\n"
	                              "  small: {context: base, category: light}\n"));
	harness_write("base/Dockerfile", S("FROM nvidia/cuda:12.4.1-base-ubuntu22.04\n"));
	harness_write("app/Dockerfile", S("FROM r.io/base:1\n"));
	assert_ok(workspace_config_load(NULL, harness_dir(), &config, &err));
	assert_ok(images_load(&(struct images_opts){ config, NULL }, &w, &err));
	images_categorize(w, images_get(w, S("app")), NULL, a, &c);
	assert_int_equal(c.category, IMAGE_GPU);
	assert_true(says(&c, "FROM r.io/base:1, which is gpu (app/Dockerfile:1)"));
	images_categorize(w, images_get(w, S("small")), NULL, a, &c);
	assert_int_equal(c.category, IMAGE_LIGHT);
	assert_true(c.declared && says(&c, "FROM nvidia/cuda"));
}

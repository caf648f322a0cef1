/* How much of a machine an image wants, from what its Dockerfile says and what was recorded.
 *
 * Every sign has a weight; the signs that count are tables.  One sign of a GPU is enough; signs of
 * heaviness have to come to HEAVY_WEIGHT together, so that a compiler that is only there for wheels
 * of Python makes nothing heavy.  What was measured goes before what was guessed.
 */
#include "image_refs.h"
#include "images_priv.h"
#include "util/fs.h"
#include "util/num.h"

#define HEAVY_WEIGHT 3

/* A sign: a word, or with '*' at its end what begins with it, with '*' before it what holds it. */
struct sign {
	const char *word;
	enum image_category category;
	unsigned weight;
};

static const struct sign base_signs[] = {
	{ "*nvidia/cuda", IMAGE_GPU, 1 },
	{ "nvcr.io/*", IMAGE_GPU, 1 },
	{ "*/rocm/", IMAGE_GPU, 1 },
	{ "*pytorch/pytorch", IMAGE_GPU, 1 },
	{ "*-gpu", IMAGE_GPU, 1 },
	{ "*-cuda", IMAGE_GPU, 1 },
	{ "*:cuda", IMAGE_GPU, 1 },
	{ "*tensorflow/tensorflow", IMAGE_HEAVY, 3 },
	{ "*intel/oneapi", IMAGE_HEAVY, 3 },
	{ "*mathworks/matlab", IMAGE_HEAVY, 3 },
	{ "*osrf/ros", IMAGE_HEAVY, 2 },
	{ "*library/ros:", IMAGE_HEAVY, 2 },
	{ "*anaconda3", IMAGE_HEAVY, 2 },
	{ "*jupyter/", IMAGE_HEAVY, 2 },
	{ "*emscripten/emsdk", IMAGE_HEAVY, 2 },
	{ "*opencv", IMAGE_HEAVY, 2 },
	{ "*colmap", IMAGE_GPU, 1 },
	{ 0 },
};

static const struct sign env_signs[] = {
	{ "NVIDIA_VISIBLE_DEVICES", IMAGE_GPU, 1 },
	{ "NVIDIA_DRIVER_CAPABILITIES", IMAGE_GPU, 1 },
	{ "NVIDIA_REQUIRE_CUDA", IMAGE_GPU, 1 },
	{ "CUDA_HOME", IMAGE_GPU, 1 },
	{ "CUDA_PATH", IMAGE_GPU, 1 },
	{ "CUDA_VERSION", IMAGE_GPU, 1 },
	{ "CUDA_ARCHITECTURES", IMAGE_GPU, 1 },
	{ "TCNN_CUDA_ARCHITECTURES", IMAGE_GPU, 1 },
	{ "TORCH_CUDA_ARCH_LIST", IMAGE_GPU, 1 },
	{ "FORCE_CUDA", IMAGE_GPU, 1 },
	{ "ROCM_PATH", IMAGE_GPU, 1 },
	{ "HIP_PATH", IMAGE_GPU, 1 },
	{ 0 },
};

/* Programs that a RUN calls; "cargo build" is the program and its first argument. */
static const struct sign command_signs[] = {
	{ "nvcc", IMAGE_GPU, 1 },
	{ "hipcc", IMAGE_GPU, 1 },
	{ "cmake", IMAGE_HEAVY, 3 },
	{ "bazel", IMAGE_HEAVY, 3 },
	{ "bazelisk", IMAGE_HEAVY, 3 },
	{ "cargo build", IMAGE_HEAVY, 3 },
	{ "cargo install", IMAGE_HEAVY, 3 },
	{ "colcon build", IMAGE_HEAVY, 3 },
	{ "catkin_make", IMAGE_HEAVY, 3 },
	{ "stack build", IMAGE_HEAVY, 3 },
	{ "cabal build", IMAGE_HEAVY, 3 },
	{ "make", IMAGE_HEAVY, 2 },
	{ "ninja", IMAGE_HEAVY, 2 },
	{ "meson", IMAGE_HEAVY, 2 },
	{ "scons", IMAGE_HEAVY, 2 },
	{ "mvn", IMAGE_HEAVY, 2 },
	{ "gradle", IMAGE_HEAVY, 2 },
	{ "./gradlew", IMAGE_HEAVY, 2 },
	{ "./mvnw", IMAGE_HEAVY, 2 },
	{ "./configure", IMAGE_HEAVY, 1 },
	{ "go build", IMAGE_HEAVY, 1 },
	{ "gcc", IMAGE_HEAVY, 1 },
	{ "g++", IMAGE_HEAVY, 1 },
	{ "clang*", IMAGE_HEAVY, 1 },
	{ "rustc", IMAGE_HEAVY, 1 },
	{ 0 },
};

/* Packages of the system. */
static const struct sign package_signs[] = {
	{ "cuda-*", IMAGE_GPU, 1 },
	{ "cuda", IMAGE_GPU, 1 },
	{ "libcudnn*", IMAGE_GPU, 1 },
	{ "nvidia-cuda-*", IMAGE_GPU, 1 },
	{ "libnccl*", IMAGE_GPU, 1 },
	{ "tensorrt*", IMAGE_GPU, 1 },
	{ "rocm-*", IMAGE_GPU, 1 },
	{ "build-essential", IMAGE_HEAVY, 1 },
	{ "build-base", IMAGE_HEAVY, 1 },
	{ "g++*", IMAGE_HEAVY, 1 },
	{ "clang*", IMAGE_HEAVY, 1 },
	{ "libopencv-dev", IMAGE_HEAVY, 2 },
	{ "texlive-full", IMAGE_HEAVY, 3 },
	{ "ros-*", IMAGE_HEAVY, 2 },
	{ "libboost-all-dev", IMAGE_HEAVY, 1 },
	{ 0 },
};

/* Packages of Python, without versions. torch from PyPI brings CUDA. */
static const struct sign python_signs[] = {
	{ "torch", IMAGE_GPU, 1 },
	{ "torchvision", IMAGE_GPU, 1 },
	{ "pytorch-cuda", IMAGE_GPU, 1 },
	{ "cudatoolkit", IMAGE_GPU, 1 },
	{ "cupy-cuda*", IMAGE_GPU, 1 },
	{ "nvidia-*", IMAGE_GPU, 1 },
	{ "tensorflow-gpu", IMAGE_GPU, 1 },
	{ "tensorflow[and-cuda]*", IMAGE_GPU, 1 },
	{ "jax[cuda*", IMAGE_GPU, 1 },
	{ "onnxruntime-gpu", IMAGE_GPU, 1 },
	{ "flash-attn", IMAGE_GPU, 1 },
	{ "xformers", IMAGE_GPU, 1 },
	{ "bitsandbytes", IMAGE_GPU, 1 },
	{ "vllm", IMAGE_GPU, 1 },
	{ "gsplat", IMAGE_GPU, 1 },
	{ "tensorflow", IMAGE_HEAVY, 3 },
	{ "tensorflow-cpu", IMAGE_HEAVY, 2 },
	{ "jax", IMAGE_HEAVY, 2 },
	{ "pyspark", IMAGE_HEAVY, 2 },
	{ 0 },
};

static const char *const system_installers[] = { "apt-get", "apt",      "apk",    "yum",
	                                         "dnf",     "microdnf", "zypper", NULL };
static const char *const python_installers[] = { "pip",   "pip3",   "uv",         "conda",
	                                         "mamba", "poetry", "micromamba", NULL };
/* Words before the program that is meant. */
static const char *const prefixes[] = { "sudo", "time", "nice", "env", "exec",  "if",
	                                "then", "else", "do",   "!",   "while", NULL };

#define MANY_PACKAGES    30
#define BIG_BYTES        (4000ull * 1000 * 1000)
#define BIG_NS           (600ull * 1000000000ull)
#define BIG_MEMORY       (6ull << 30)
#define SMALL_BYTES      (1000ull * 1000 * 1000)
#define SMALL_NS         (120ull * 1000000000ull)
#define SMALL_MEMORY     (2ull << 30)
#define REQUIREMENTS_MAX (1u << 20)
#define EVIDENCE_MAX     64
#define PARENTS_DEPTH    64

struct judging {
	const struct ws_images *w;
	const struct ws_image *i;
	struct arena *a;
	int root_fd;
	unsigned weight; /* of heaviness */
	bool gpu;
	bool cpu_only; /* wheels for the CPU alone are asked for */
	const struct sign *seen[EVIDENCE_MAX];
	size_t n_seen;
	size_t packages;
	VEC(struct category_evidence) evidence;
};

static void add_evidence(struct judging *j, enum image_category category, const char *text)
{
	struct category_evidence e = { category, str_of(text) };

	if (j->evidence.len < EVIDENCE_MAX)
		vec_push(&j->evidence, e);
}

/* The Dockerfile, for messages; one that is part of a batch file has that file's name. */
static const char *file_of(const struct judging *j)
{
	return j->i->dockerfile.len ? j->i->dockerfile.ptr : j->i->file.ptr;
}

static bool sign_is(const struct sign *s, str word)
{
	str pattern = str_of(s->word);

	if (str_starts(pattern, S("*")))
		return str_search(word, str_skip(pattern, 1)) >= 0;
	if (str_ends(pattern, S("*")))
		return str_starts(word, str_n(pattern.ptr, pattern.len - 1));
	return str_eq(word, pattern);
}

/* Each sign counts once. */
static void look(struct judging *j, const struct sign *signs, str word, const char *text)
{
	for (const struct sign *s = signs; s->word; s++) {
		if (!sign_is(s, word))
			continue;
		for (size_t k = 0; k < j->n_seen; k++)
			if (j->seen[k] == s)
				return;
		if (j->n_seen < EVIDENCE_MAX)
			j->seen[j->n_seen++] = s;
		j->gpu = j->gpu || s->category == IMAGE_GPU;
		j->weight += s->category == IMAGE_HEAVY ? s->weight : 0;
		add_evidence(j, s->category, text);
		return;
	}
}

static bool is_one_of(str word, const char *const *list)
{
	for (; *list; list++)
		if (str_is(word, *list))
			return true;
	return false;
}

/* --- commands ------------------------------------------------------------------------- */

/* Where a RUN's words are read. */
struct shell {
	struct judging *j;
	unsigned line;
	bool at_command;
	const struct sign *packages; /* words are packages: the table; NULL: they are not */
	bool installs;               /* "install" has been read */
	str program;                 /* of the command; "" before it */
	bool second;                 /* the next word is its first argument */
};

/* "torch==2.1" is torch; extras stay. */
static str without_version(str word)
{
	for (size_t i = 0; i < word.len; i++)
		if (strchr("=<>!~;@ \t,", word.ptr[i]))
			return str_n(word.ptr, i);
	return word;
}

static void look_python(struct judging *j, str word, const char *text)
{
	static const char *const wheels[] = { "torch", "torchvision", NULL };
	str name = without_version(word);

	if (j->cpu_only && is_one_of(name, wheels))
		return;
	look(j, python_signs, name, text);
}

static void read_argument(struct shell *s, str word)
{
	struct judging *j = s->j;
	const char *where = file_of(j);
	const char *text =
		arena_printf(j->a, "RUN installs %.*s (%s:%u)", STR(word), where, s->line);

	if (str_is(word, "install") || str_is(word, "add") || str_is(word, "sync")) {
		s->installs = true;
	} else if (s->packages == python_signs) {
		if (str_search(word, S("/whl/cu")) >= 0 || str_search(word, S("+cu1")) >= 0)
			look(j, python_signs, S("pytorch-cuda"), text);
		if (s->installs && !str_starts(word, S("-")))
			look_python(j, word, text);
	} else if (s->packages && s->installs && !str_starts(word, S("-"))) {
		j->packages++;
		look(j, package_signs, without_version(word), text);
	}
}

static void begin_command(struct shell *s, str word)
{
	struct judging *j = s->j;

	if (is_one_of(word, prefixes) || (str_find(word, '=') > 0 && word.ptr[0] != '-'))
		return;
	s->at_command = false;
	s->installs = false;
	s->second = true;
	s->program = word;
	s->packages = is_one_of(word, system_installers)   ? package_signs
	              : is_one_of(word, python_installers) ? python_signs
	                                                   : NULL;
	look(j, command_signs, word,
	     arena_printf(j->a, "RUN %.*s (%s:%u)", STR(word), file_of(j), s->line));
}

static void read_word(struct shell *s, str word)
{
	if (s->at_command) {
		begin_command(s, word);
		return;
	}
	if (s->second) {
		const char *both = arena_printf(s->j->a, "%.*s %.*s", STR(s->program), STR(word));

		s->second = false;
		look(s->j, command_signs, str_of(both),
		     arena_printf(s->j->a, "RUN %s (%s:%u)", both, file_of(s->j), s->line));
	}
	if (str_is(word, "pip") || str_is(word, "-c") || str_is(word, "-m")) {
		s->at_command = !str_is(word, "pip"); /* python -m pip, sh -c "..." */
		s->packages = str_is(word, "pip") ? python_signs : s->packages;
		return;
	}
	read_argument(s, word);
}

/* Words without their quotes; what separates commands begins a new one. */
static void read_shell(struct judging *j, str text, unsigned line)
{
	struct shell s = { .j = j, .line = line, .at_command = true };
	cleanup_strbuf struct strbuf word;

	strbuf_init(&word, SIZE_MAX);
	if (str_search(text, S("/whl/cpu")) >= 0)
		j->cpu_only = true;
	for (size_t i = 0; i <= text.len; i++) {
		char c = i < text.len ? text.ptr[i] : '\n';

		if (c == '"' || c == '\'' || c == '\\')
			continue;
		if (!strchr(" \t\n;&|(){}", c)) {
			strbuf_char(&word, c);
			continue;
		}
		if (word.len)
			read_word(&s, arena_str(j->a, strbuf_view(&word)));
		strbuf_clear(&word);
		if (!strchr(" \t{}", c))
			s.at_command = true;
	}
}

static void read_run(struct judging *j, const struct instr *i)
{
	for (size_t k = 0; i->run.cmd.exec && k < i->run.cmd.argc; k++)
		read_shell(j, i->run.cmd.argv[k], i->line);
	if (!i->run.cmd.exec)
		read_shell(j, i->run.cmd.shell, i->line);
	if (i->run.script.len)
		read_shell(j, i->run.script, i->line);
}

/* --- lists of packages ------------------------------------------------------------------- */

static bool is_requirements(str path)
{
	str name = str_skip(path, (size_t)(str_rfind(path, '/') + 1));

	return (str_search(name, S("requirements")) >= 0 &&
	        (str_ends(name, S(".txt")) || str_ends(name, S(".in")))) ||
	       str_is(name, "environment.yml") || str_is(name, "environment.yaml") ||
	       str_is(name, "pyproject.toml");
}

static void read_requirements(struct judging *j, str path)
{
	bool root = str_is(j->i->context, ".");
	const char *full = arena_printf(j->a, "%.*s%s%.*s", STR(root ? S("") : j->i->context),
	                                root ? "" : "/", STR(path));
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;
	unsigned line = 0;
	str rest, one;

	strbuf_init(&text, REQUIREMENTS_MAX);
	if (fs_read_file(j->root_fd, full, &text, &ignored) < 0)
		return;
	if (str_search(strbuf_view(&text), S("/whl/cpu")) >= 0)
		j->cpu_only = true;
	rest = strbuf_view(&text);
	while (str_next(&rest, '\n', &one)) {
		line++;
		one = str_trim(one);
		while (one.len && strchr("-\"' ", one.ptr[0])) /* YAML and TOML lists */
			one = str_skip(one, 1);
		if (one.len && one.ptr[0] != '#')
			look_python(j, arena_str(j->a, one),
			            arena_printf(j->a, "%.*s (%s:%u)", STR(without_version(one)),
			                         full, line));
	}
}

/* --- Dockerfile, records -------------------------------------------------------------------- */

static bool judge(struct judging *j, unsigned depth);

/* FROM an image of the workspace: what that is. */
static void judge_parent(struct judging *j, const struct image_ref *ref, unsigned depth)
{
	for (size_t k = 0; k < j->i->n_parents; k++) {
		const struct ws_image *p = j->i->parents[k];
		struct judging under = { .w = j->w, .i = p, .a = j->a, .root_fd = j->root_fd };
		bool same = str_eq(p->name, ref->text);

		for (size_t t = 0; t < p->tags.len; t++)
			same = same || str_eq(p->tags.ptr[t], ref->text);
		if (!same || depth >= PARENTS_DEPTH || !judge(&under, depth + 1))
			continue;
		if (under.gpu || p->category == IMAGE_GPU) {
			j->gpu = true;
			add_evidence(j, IMAGE_GPU,
			             arena_printf(j->a, "FROM %.*s, which is gpu (%s:%u)",
			                          STR(ref->text), file_of(j), ref->line));
		}
		vec_free(&under.evidence);
	}
}

static void judge_base(struct judging *j, const struct image_ref *ref, unsigned depth)
{
	const char *where = file_of(j);
	char name[REFERENCE_TEXT_MAX];
	struct reference parsed;
	struct cairn_err ignored;

	if (!ref->from)
		return;
	if (reference_parse(ref->text, &parsed, &ignored) == 0)
		look(j, base_signs, str_of(reference_text(&parsed, name)),
		     arena_printf(j->a, "FROM %.*s (%s:%u)", STR(ref->text), where, ref->line));
	judge_parent(j, ref, depth);
}

static void judge_env(struct judging *j, const struct instr *i)
{
	for (size_t k = 0; k < i->pairs.len; k++)
		look(j, env_signs, i->pairs.ptr[k].key,
		     arena_printf(j->a, "ENV %.*s (%s:%u)", STR(i->pairs.ptr[k].key), file_of(j),
		                  i->line));
}

/* False: the Dockerfile cannot be read. */
static bool judge(struct judging *j, unsigned depth)
{
	const struct image_refs *refs = j->i->read ? &j->i->read->refs : NULL;

	if (!refs || j->i->read->result < 0)
		return false;
	vec_foreach (ref, &refs->refs)
		judge_base(j, ref, depth);
	for (size_t k = 0; k < refs->instrs.len; k++) {
		if (!refs->reached.ptr[k])
			continue;
		if (refs->instrs.ptr[k].kind == INSTR_RUN)
			read_run(j, &refs->instrs.ptr[k]);
		else if (refs->instrs.ptr[k].kind == INSTR_ENV)
			judge_env(j, &refs->instrs.ptr[k]);
	}
	vec_foreach (s, &refs->sources)
		if (!images_is_url(j->i->context) && is_requirements(s->path))
			read_requirements(j, s->path);
	if (j->packages >= MANY_PACKAGES) {
		j->weight += 2;
		add_evidence(j, IMAGE_HEAVY,
		             arena_printf(j->a, "%zu packages are installed", j->packages));
	}
	return true;
}

/* What was measured: HEAVY, LIGHT, or UNKNOWN. */
static enum image_category judge_facts(struct judging *j, const struct category_facts *f)
{
	char a[32], b[32], c[32];
	bool big, small;

	if (!f || (!f->size && !f->wall_ns && !f->memory))
		return IMAGE_UNKNOWN;
	big = f->size > BIG_BYTES || f->wall_ns > BIG_NS || f->memory > BIG_MEMORY;
	small = f->wall_ns && f->wall_ns < SMALL_NS && f->size < SMALL_BYTES &&
	        f->memory < SMALL_MEMORY;
	if (!big && !small)
		return IMAGE_UNKNOWN;
	add_evidence(
		j, big ? IMAGE_HEAVY : IMAGE_LIGHT,
		arena_printf(j->a, "recorded: size %s, time %s, memory %s",
	                     f->size ? num_human_bytes(f->size, a, sizeof(a)) : "unknown",
	                     f->wall_ns ? num_human_ns(f->wall_ns, b, sizeof(b)) : "unknown",
	                     f->memory ? num_human_bytes(f->memory, c, sizeof(c)) : "unknown"));
	return big ? IMAGE_HEAVY : IMAGE_LIGHT;
}

void images_categorize(const struct ws_images *w, const struct ws_image *i,
                       const struct category_facts *facts, struct arena *a, struct category *ret)
{
	struct judging j = { .w = w, .i = i, .a = a };
	cleanup_fd int fd = open(w->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	enum image_category measured;

	j.root_fd = fd;
	(void)judge(&j, 0);
	measured = judge_facts(&j, facts);
	*ret = (struct category){ .declared = i->category != IMAGE_UNKNOWN };
	ret->category = ret->declared              ? i->category
	                : j.gpu                    ? IMAGE_GPU
	                : measured                 ? measured
	                : j.weight >= HEAVY_WEIGHT ? IMAGE_HEAVY
	                                           : IMAGE_LIGHT;
	ret->n_evidence = j.evidence.len;
	ret->evidence = arena_array(a, struct category_evidence, j.evidence.len + 1);
	if (j.evidence.len)
		memcpy(ret->evidence, j.evidence.ptr, j.evidence.len * sizeof(*j.evidence.ptr));
	vec_free(&j.evidence);
}

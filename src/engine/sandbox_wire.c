#include "sandbox_wire.h"

/* One list of fields serves both directions, so that reader and writer cannot differ. */
struct wire {
	struct strbuf *out; /* writing when not NULL */
	const uint8_t *in;  /* reading: what is left */
	size_t left;
	struct arena *arena; /* reading: owns the strings */
	bool bad;            /* reading: the bytes ended early or were out of bounds */
};

static void wire_u64(struct wire *w, uint64_t *v)
{
	if (w->out) {
		strbuf_u64le(w->out, *v);
		return;
	}
	if (w->left < 8) {
		w->bad = true;
		*v = 0;
		return;
	}
	*v = 0;
	for (int i = 7; i >= 0; i--)
		*v = *v << 8 | w->in[i];
	w->in += 8;
	w->left -= 8;
}

/* Any integer field, kept in its own type; out of range for the type is bad. */
#define wire_int(w, field)                       \
	do {                                     \
		uint64_t v_ = (uint64_t)(field); \
		wire_u64((w), &v_);              \
		(field) = (__typeof__(field))v_; \
		if ((uint64_t)(field) != v_)     \
			(w)->bad = true;         \
	} while (0)

static void wire_str(struct wire *w, str *s)
{
	uint64_t n = s->len;

	wire_u64(w, &n);
	if (w->out) {
		strbuf_add(w->out, s->ptr, s->len);
		return;
	}
	if (n > w->left) {
		w->bad = true;
		n = 0;
	}
	*s = arena_str(w->arena, str_n((const char *)w->in, n));
	w->in += n;
	w->left -= n;
}

/* NULL and "" stay apart. */
static void wire_cstr(struct wire *w, const char **s)
{
	bool set = *s != NULL;
	str v = str_of(*s);

	wire_int(w, set);
	if (!set) {
		*s = NULL;
		return;
	}
	wire_str(w, &v);
	if (!w->out) {
		*s = v.ptr;
		w->bad |= memchr(v.ptr, 0, v.len) != NULL;
	}
}

/* A number of elements; each takes at least 8 bytes, which bounds it when reading. */
static size_t wire_count(struct wire *w, size_t n)
{
	wire_int(w, n);
	if (!w->out && n > w->left / 8) {
		w->bad = true;
		n = 0;
	}
	return n;
}

static void wire_strings(struct wire *w, const char *const **list, size_t *n)
{
	*n = wire_count(w, *n);
	if (w->out) {
		for (size_t i = 0; i < *n; i++) {
			const char *s = (*list)[i];

			wire_cstr(w, &s);
		}
		return;
	}
	const char **copy = arena_array(w->arena, const char *, *n + 1);

	for (size_t i = 0; i < *n; i++) {
		wire_cstr(w, &copy[i]);
		w->bad |= !copy[i];
	}
	*list = copy;
}

static void wire_op(struct wire *w, struct sandbox_op *op)
{
	wire_int(w, op->kind);
	wire_int(w, op->flags);
	wire_str(w, &op->dest);
	wire_str(w, &op->src);
	wire_str(w, &op->sub);
	wire_int(w, op->tree);
	wire_strings(w, &op->overlay.lowers, &op->overlay.n_lowers);
	wire_cstr(w, &op->overlay.upper);
	wire_cstr(w, &op->overlay.work);
	wire_cstr(w, &op->overlay.stubs);
	wire_str(w, &op->bytes);
	wire_int(w, op->mode);
	wire_int(w, op->uid);
	wire_int(w, op->gid);
	wire_int(w, op->size);
	if (!w->out && op->overlay.n_lowers == 0)
		op->overlay.lowers = NULL;
}

static void wire_groups_limits(struct wire *w, struct sandbox_spec *s)
{
	gid_t *groups = NULL;
	struct sandbox_limit *limits = NULL;

	s->n_groups = wire_count(w, s->n_groups);
	if (!w->out)
		s->groups = groups = arena_array(w->arena, gid_t, s->n_groups + 1);
	for (size_t i = 0; i < s->n_groups; i++) {
		gid_t g = groups ? 0 : s->groups[i];

		wire_int(w, g);
		if (groups)
			groups[i] = g;
	}
	s->n_limits = wire_count(w, s->n_limits);
	if (!w->out)
		s->limits = limits = arena_array(w->arena, struct sandbox_limit, s->n_limits + 1);
	for (size_t i = 0; i < s->n_limits; i++) {
		struct sandbox_limit l = limits ? (struct sandbox_limit){ 0 } : s->limits[i];
		uint32_t resource = (uint32_t)l.resource;

		wire_int(w, resource);
		wire_int(w, l.soft);
		wire_int(w, l.hard);
		l.resource = (int)(resource & INT32_MAX);
		if (limits)
			limits[i] = l;
	}
}

static void wire_spec(struct wire *w, struct sandbox_spec *s)
{
	size_t n = wire_count(w, s->ops.len);

	for (size_t i = 0; i < n && !w->bad; i++) {
		if (!w->out)
			vec_push(&s->ops, (struct sandbox_op){ 0 });
		wire_op(w, &s->ops.ptr[i]);
	}
	wire_int(w, s->n_trees);
	wire_strings(w, &s->argv, &s->n_argv);
	wire_strings(w, &s->env, &s->n_env);
	wire_cstr(w, &s->cwd);
	wire_cstr(w, &s->hostname);
	wire_int(w, s->uid);
	wire_int(w, s->gid);
	wire_groups_limits(w, s);
	wire_int(w, s->caps);
	wire_int(w, s->seccomp);
	wire_int(w, s->network);
	wire_int(w, s->stdio);
	wire_int(w, s->memory_max);
}

static void wire_job(struct wire *w, struct sandbox_job *job)
{
	wire_cstr(w, &job->scratch);
	wire_str(w, &job->filter);
	wire_int(w, job->cgroup);
	wire_cstr(w, &job->cgroup_memory);
	wire_cstr(w, &job->cgroup_cpu);
	wire_cstr(w, &job->cgroup_name);
	wire_spec(w, &job->spec);
}

void sandbox_job_write(const struct sandbox_job *job, struct strbuf *out)
{
	struct sandbox_job copy = *job; /* the writer changes nothing; the type cannot say so */
	struct wire w = { .out = out };

	strbuf_u32le(out, SANDBOX_WIRE_MAGIC);
	strbuf_u32le(out, SANDBOX_WIRE_VERSION);
	wire_job(&w, &copy);
}

int sandbox_job_read(str bytes, struct arena *a, struct sandbox_job *ret, struct cairn_err *err)
{
	struct wire w = { .in = (const uint8_t *)bytes.ptr, .left = bytes.len, .arena = a };
	struct sandbox_job job = { 0 };
	uint64_t head;

	wire_u64(&w, &head);
	if (w.bad || head != ((uint64_t)SANDBOX_WIRE_VERSION << 32 | SANDBOX_WIRE_MAGIC))
		return cairn_fail(err, CAIRN_E_DIGEST, "not a sandbox job of version %u",
		                  SANDBOX_WIRE_VERSION);
	wire_job(&w, &job);
	if (w.bad || w.left > 0 || !job.scratch || !job.cgroup_memory || !job.cgroup_cpu ||
	    !job.cgroup_name || job.filter.len % 8 != 0 || job.filter.len / 8 > UINT16_MAX) {
		vec_free(&job.spec.ops);
		return cairn_fail(err, CAIRN_E_DIGEST, "sandbox job is cut off or damaged");
	}
	int r = sandbox_spec_check(&job.spec, err);

	if (r < 0) {
		vec_free(&job.spec.ops);
		return r;
	}
	*ret = job;
	return 0;
}

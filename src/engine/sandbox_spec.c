#include "sandbox.h"

#include "util/fs.h"

/* Which fields an operation may have: a field that its kind does not know must be zero,
 * so that nothing is ever silently ignored. */
enum {
	F_DEST = 1u << 0,
	F_SRC = 1u << 1,
	F_SUB = 1u << 2,
	F_TREE = 1u << 3,
	F_OVERLAY = 1u << 4,
	F_BYTES = 1u << 5,
	F_OWNER = 1u << 6, /* mode, uid, gid */
	F_SIZE = 1u << 7,
};

static const struct {
	const char *name;
	unsigned fields;
	unsigned required;
	unsigned flags; /* SANDBOX_ flags that make sense */
} kinds[SANDBOX_OP_N_] = {
	[SANDBOX_ROOT_OVERLAY] = { "root", F_OVERLAY, F_OVERLAY,
	                           SANDBOX_VOLATILE | SANDBOX_USERXATTR },
	[SANDBOX_ROOT_DIR] = { "root", F_SRC, F_SRC, 0 },
	[SANDBOX_TREE] = { "tree", F_OVERLAY, F_OVERLAY, SANDBOX_VOLATILE | SANDBOX_USERXATTR },
	[SANDBOX_BIND] = { "bind", F_DEST | F_SRC | F_SUB | F_TREE, F_DEST,
	                   SANDBOX_READ_ONLY | SANDBOX_RECURSIVE | SANDBOX_OPTIONAL },
	[SANDBOX_TMPFS] = { "tmpfs", F_DEST | F_OWNER | F_SIZE, F_DEST, 0 },
	[SANDBOX_PROC] = { "proc", F_DEST, F_DEST, 0 },
	[SANDBOX_SYS] = { "sysfs", F_DEST, F_DEST, 0 },
	[SANDBOX_DEV] = { "dev", F_DEST | F_SIZE, F_DEST, 0 },
	[SANDBOX_FILE] = { "file", F_DEST | F_BYTES | F_OWNER, F_DEST, SANDBOX_READ_ONLY },
	[SANDBOX_MASK] = { "mask", F_DEST, F_DEST, 0 },
	[SANDBOX_RDONLY] = { "read-only path", F_DEST, F_DEST, 0 },
};

void sandbox_spec_init(struct sandbox_spec *s)
{
	*s = (struct sandbox_spec){
		.arena = arena_new(),
		.caps = SANDBOX_CAPS_DEFAULT,
		.seccomp = true,
	};
}

void sandbox_spec_done(struct sandbox_spec *s)
{
	arena_free(s->arena);
	vec_free(&s->ops);
	*s = (struct sandbox_spec){ 0 };
}

static bool has_lower(const struct sandbox_overlay *o, const char *dir)
{
	for (size_t i = 0; i < o->n_lowers; i++)
		if (strcmp(o->lowers[i], dir) == 0)
			return true;
	return false;
}

/* overlayfs refuses one directory twice (ELOOP), and a chain has it when two steps made the
 * same layer, two empty ones for example. Everything in the lower one is hidden by the upper
 * one, so it can go. */
void sandbox_add(struct sandbox_spec *s, const struct sandbox_op *op)
{
	struct sandbox_op copy = *op;

	copy.dest = arena_str(s->arena, op->dest);
	copy.src = arena_str(s->arena, op->src);
	copy.sub = arena_str(s->arena, op->sub);
	copy.bytes = arena_str(s->arena, op->bytes);
	if (op->overlay.n_lowers > 0) {
		const char **lowers = arena_array(s->arena, const char *, op->overlay.n_lowers);

		copy.overlay.lowers = lowers;
		copy.overlay.n_lowers = 0;
		for (size_t i = 0; i < op->overlay.n_lowers; i++)
			if (!has_lower(&copy.overlay, op->overlay.lowers[i]))
				lowers[copy.overlay.n_lowers++] =
					arena_cstr(s->arena, str_of(op->overlay.lowers[i]));
	}
	if (op->overlay.upper)
		copy.overlay.upper = arena_cstr(s->arena, str_of(op->overlay.upper));
	if (op->overlay.work)
		copy.overlay.work = arena_cstr(s->arena, str_of(op->overlay.work));
	if (op->overlay.stubs)
		copy.overlay.stubs = arena_cstr(s->arena, str_of(op->overlay.stubs));
	if (op->kind == SANDBOX_TREE)
		s->n_trees++;
	vec_push(&s->ops, copy);
}

void sandbox_add_bind(struct sandbox_spec *s, const char *src, const char *sub, const char *dest,
                      unsigned flags)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_BIND,
	                                     .src = str_of(src),
	                                     .sub = str_of(sub),
	                                     .dest = str_of(dest),
	                                     .flags = flags });
}

void sandbox_add_tree_bind(struct sandbox_spec *s, unsigned tree, const char *sub, const char *dest,
                           unsigned flags)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_BIND,
	                                     .tree = tree,
	                                     .sub = str_of(sub),
	                                     .dest = str_of(dest),
	                                     .flags = flags });
}

void sandbox_add_tmpfs(struct sandbox_spec *s, const char *dest, mode_t mode, uint64_t size)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_TMPFS,
	                                     .dest = str_of(dest),
	                                     .mode = mode,
	                                     .size = size });
}

void sandbox_add_file(struct sandbox_spec *s, const char *dest, str bytes, mode_t mode, uid_t uid,
                      gid_t gid)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_FILE,
	                                     .dest = str_of(dest),
	                                     .bytes = bytes,
	                                     .mode = mode,
	                                     .uid = uid,
	                                     .gid = gid });
}

unsigned sandbox_add_tree(struct sandbox_spec *s, const struct sandbox_overlay *o, unsigned flags)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_TREE, .overlay = *o, .flags = flags });
	return s->n_trees;
}

/* Docker's lists (moby/moby oci/defaults.go): what leaks the host or changes it. */
static const struct {
	enum sandbox_op_kind kind;
	const char *dest;
} defaults[] = {
	{ SANDBOX_PROC, "/proc" },
	{ SANDBOX_SYS, "/sys" },
	{ SANDBOX_RDONLY, "/proc/bus" },
	{ SANDBOX_RDONLY, "/proc/fs" },
	{ SANDBOX_RDONLY, "/proc/irq" },
	{ SANDBOX_RDONLY, "/proc/sys" },
	{ SANDBOX_RDONLY, "/proc/sysrq-trigger" },
	{ SANDBOX_MASK, "/proc/acpi" },
	{ SANDBOX_MASK, "/proc/asound" },
	{ SANDBOX_MASK, "/proc/interrupts" },
	{ SANDBOX_MASK, "/proc/kcore" },
	{ SANDBOX_MASK, "/proc/keys" },
	{ SANDBOX_MASK, "/proc/latency_stats" },
	{ SANDBOX_MASK, "/proc/sched_debug" },
	{ SANDBOX_MASK, "/proc/scsi" },
	{ SANDBOX_MASK, "/proc/timer_list" },
	{ SANDBOX_MASK, "/proc/timer_stats" },
	{ SANDBOX_MASK, "/sys/devices/virtual/powercap" },
	{ SANDBOX_MASK, "/sys/firmware" },
};

void sandbox_add_defaults(struct sandbox_spec *s, uint64_t shm_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		sandbox_add(s, &(struct sandbox_op){ .kind = defaults[i].kind,
		                                     .dest = str_of(defaults[i].dest) });
	sandbox_add(s, &(struct sandbox_op){
			       .kind = SANDBOX_DEV, .dest = S("/dev"), .size = shm_size });
}

/* An absolute path that fits a system call and is what it looks like to C. */
static bool good_path(str p)
{
	return p.len > 0 && p.len < 4096 && p.ptr[0] == '/' && !memchr(p.ptr, 0, p.len);
}

static int check_overlay(const struct sandbox_overlay *o, bool root, struct cairn_err *err)
{
	if (o->n_lowers > SANDBOX_LOWERS_MAX - 1)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%zu layers: the kernel's overlayfs takes at most %d; join RUN "
		                  "instructions or squash the base",
		                  o->n_lowers, SANDBOX_LOWERS_MAX - 1);
	for (size_t i = 0; i < o->n_lowers; i++)
		if (!o->lowers[i] || !good_path(str_of(o->lowers[i])))
			return cairn_fail(err, CAIRN_E_BUG, "layer %zu has no absolute path", i);
	if (!o->upper != !o->work)
		return cairn_fail(err, CAIRN_E_BUG, "an overlay needs both or none of upper, work");
	if ((o->upper && !good_path(str_of(o->upper))) ||
	    (o->work && !good_path(str_of(o->work))) || (o->stubs && !good_path(str_of(o->stubs))))
		return cairn_fail(err, CAIRN_E_BUG, "an overlay's directories must be absolute");
	if (!root && o->n_lowers == 0)
		return cairn_fail(err, CAIRN_E_BUG, "a tree without layers");
	return 0;
}

static unsigned fields_of(const struct sandbox_op *op)
{
	const struct sandbox_overlay *o = &op->overlay;

	return (op->dest.len ? F_DEST : 0) | (op->src.len ? F_SRC : 0) | (op->sub.len ? F_SUB : 0) |
	       (op->tree ? F_TREE : 0) |
	       (o->lowers || o->n_lowers || o->upper || o->work || o->stubs ? F_OVERLAY : 0) |
	       (op->bytes.len ? F_BYTES : 0) | (op->mode || op->uid || op->gid ? F_OWNER : 0) |
	       (op->size ? F_SIZE : 0);
}

static int check_op(const struct sandbox_op *op, unsigned trees, struct cairn_err *err)
{
	if ((unsigned)op->kind >= SANDBOX_OP_N_)
		return cairn_fail(err, CAIRN_E_BUG, "no operation %d", (int)op->kind);

	const char *name = kinds[op->kind].name;
	unsigned fields = fields_of(op), overlay = kinds[op->kind].fields & F_OVERLAY;

	if (fields & ~kinds[op->kind].fields || op->flags & ~kinds[op->kind].flags ||
	    kinds[op->kind].required & ~fields)
		return cairn_fail(err, CAIRN_E_BUG, "%s '%.*s': fields %#x, flags %#x do not fit",
		                  name, STR(op->dest), fields, op->flags);
	if (fields & F_DEST && (!good_path(op->dest) || str_is(op->dest, "/")))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s '%.*s': the mount point must be an absolute path below /",
		                  name, STR(op->dest));
	if (fields & F_SRC && !good_path(op->src))
		return cairn_fail(err, CAIRN_E_BUG, "%s of '%.*s': not an absolute path", name,
		                  STR(op->src));
	if (op->sub.len > 4095 || (op->sub.len && memchr(op->sub.ptr, 0, op->sub.len)))
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s at '%.*s': source is not a path", name,
		                  STR(op->dest));
	if (op->kind == SANDBOX_BIND && (op->src.len > 0) == (op->tree > 0))
		return cairn_fail(err, CAIRN_E_BUG, "bind at '%.*s' has no or two sources",
		                  STR(op->dest));
	if (op->tree > trees)
		return cairn_fail(err, CAIRN_E_BUG, "bind of tree %u of %u", op->tree, trees);
	return overlay ? check_overlay(&op->overlay, op->kind == SANDBOX_ROOT_OVERLAY, err) : 0;
}

/* "NAME=value" or an argument: any bytes but NUL, which C strings exclude. */
static int check_settings(const struct sandbox_spec *s, struct cairn_err *err)
{
	size_t total = 0;

	if (s->n_argv == 0 || !s->argv[0] || !s->argv[0][0])
		return cairn_fail(err, CAIRN_E_SYNTAX, "there is no command to run");
	for (size_t i = 0; i < s->n_argv; i++)
		total += strlen(s->argv[i]) + 1;
	for (size_t i = 0; i < s->n_env; i++) {
		if (!strchr(s->env[i], '=') || s->env[i][0] == '=')
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%.60s' is no NAME=value",
			                  s->env[i]);
		total += strlen(s->env[i]) + 1;
	}
	if (total > SANDBOX_SPEC_MAX / 2)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "command and environment are larger than %u MiB",
		                  SANDBOX_SPEC_MAX / 2 >> 20);
	if (s->cwd && !good_path(str_of(s->cwd)))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "working directory '%.200s' is not an absolute path", s->cwd);
	if (s->hostname && (!s->hostname[0] || strlen(s->hostname) > 64))
		return cairn_fail(err, CAIRN_E_SYNTAX, "host name '%.80s': 1 to 64 characters",
		                  s->hostname);
	if (s->n_groups > 65536)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%zu supplementary groups", s->n_groups);
	if (s->uid == (uid_t)-1 || s->gid == (gid_t)-1)
		return cairn_fail(err, CAIRN_E_SYNTAX, "user id 4294967295 means 'no change'");
	for (size_t i = 0; i < s->n_limits; i++)
		if (s->limits[i].soft > s->limits[i].hard)
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "ulimit: the soft limit is above the hard one");
	return 0;
}

int sandbox_spec_check(const struct sandbox_spec *s, struct cairn_err *err)
{
	unsigned n_root = 0, trees = 0;

	if (s->ops.len > SANDBOX_OPS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%zu mounts in one step; at most %d",
		                  s->ops.len, SANDBOX_OPS_MAX);
	for (size_t i = 0; i < s->ops.len; i++)
		trees += s->ops.ptr[i].kind == SANDBOX_TREE;
	for (size_t i = 0; i < s->ops.len; i++) {
		const struct sandbox_op *op = &s->ops.ptr[i];

		TRY(check_op(op, trees, err));
		n_root += op->kind == SANDBOX_ROOT_OVERLAY || op->kind == SANDBOX_ROOT_DIR;
	}
	if (n_root != 1)
		return cairn_fail(err, CAIRN_E_BUG, "a sandbox needs one root, not %u", n_root);
	return check_settings(s, err);
}

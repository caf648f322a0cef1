#include "probe.h"

#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "cgroup.h"
#include "probe_try.h"
#include "userns.h"
#include "util/fs.h"
#include "util/num.h"

#define CAP_SYS_RESOURCE_BIT 24

static const char *const names[PROBE_N_] = {
	[PROBE_KERNEL] = "kernel",
	[PROBE_PRIVILEGE] = "privilege",
	[PROBE_USERNS] = "user namespace",
	[PROBE_SUBIDS] = "subordinate ids",
	[PROBE_OVERLAY] = "overlayfs",
	[PROBE_REFLINK] = "reflink",
	[PROBE_FUSE] = "/dev/fuse",
	[PROBE_NAMESPACES] = "namespaces",
	[PROBE_PROC] = "/proc",
	[PROBE_SECCOMP] = "seccomp",
	[PROBE_CGROUP] = "cgroup",
	[PROBE_LIMITS] = "limits",
	[PROBE_MEMORY] = "memory",
	[PROBE_DISK] = "disk",
};

/* What is being looked at. */
struct probe {
	struct machine *m;
	const char *store;
	struct probe_try tried; /* what the child process could do */
};

static void PRINTF(4, 5)
	say(struct probe *p, enum probe_kind kind, enum probe_state state, const char *fmt, ...)
{
	struct probe_row *row = &p->m->rows[kind];
	va_list ap;

	row->state = state;
	va_start(ap, fmt);
	(void)vsnprintf(row->found, sizeof(row->found), fmt, ap);
	va_end(ap);
}

static void instead(struct probe *p, enum probe_kind kind, const char *text)
{
	(void)snprintf(p->m->rows[kind].instead, sizeof(p->m->rows[kind].instead), "%s", text);
}

static void look_kernel(struct probe *p)
{
	struct utsname u;

	(void)uname(&u);
	say(p, PROBE_KERNEL, PROBE_OK, "%s %s %s", u.sysname, u.release, u.machine);
}

/* The initial user namespace maps all ids to themselves. */
static bool in_userns(void)
{
	struct userns_map *map = xcalloc(1, sizeof(*map));
	struct cairn_err err;
	bool initial = userns_read_map(map, &err) < 0 ||
	               (map->n_uid == 1 && map->uid[0].inside == 0 && map->uid[0].outside == 0 &&
	                map->uid[0].count == UINT32_MAX);

	free(map);
	return !initial;
}

static void look_privilege(struct probe *p)
{
	struct machine *m = p->m;

	m->in_userns = in_userns();
	m->root = geteuid() == 0 && !m->in_userns;
	if (!userns_inside(&m->uid, &m->gid)) {
		m->uid = getuid();
		m->gid = getgid();
	}
	if (m->in_userns)
		say(p, PROBE_PRIVILEGE, PROBE_OK, "uid %u, in a user namespace", geteuid());
	else
		say(p, PROBE_PRIVILEGE, PROBE_OK, m->root ? "root" : "user %u", m->uid);
}

/* The setting that usually is the reason. */
static const char *userns_setting(void)
{
	static const struct {
		const char *path, *bad, *text;
	} settings[] = {
		{ "/proc/sys/user/max_user_namespaces", "0",
		  "set the sysctl user.max_user_namespaces above 0" },
		{ "/proc/sys/kernel/unprivileged_userns_clone", "0",
		  "set the sysctl kernel.unprivileged_userns_clone=1" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		  "set the sysctl kernel.apparmor_restrict_unprivileged_userns=0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		cleanup_strbuf struct strbuf b;
		struct cairn_err err;

		strbuf_init(&b, 64);
		if (fs_read_file(AT_FDCWD, settings[i].path, &b, &err) == 0 &&
		    str_is(str_trim(strbuf_view(&b)), settings[i].bad))
			return settings[i].text;
	}
	return "the kernel or a container around refuses them";
}

static void look_userns(struct probe *p)
{
	struct machine *m = p->m;

	m->userns = p->tried.userns == 0;
	if (m->userns) {
		say(p, PROBE_USERNS, PROBE_OK, "can be made");
		return;
	}
	say(p, PROBE_USERNS, geteuid() == 0 ? PROBE_DEGRADED : PROBE_BROKEN, "%s: %s",
	    strerror(p->tried.userns), userns_setting());
	instead(p, PROBE_USERNS,
	        geteuid() == 0 ? "not needed by root" : "RUN needs root here: run cairn with sudo");
}

static bool in_path(const char *program)
{
	static const char *const dirs[] = { "/usr/bin", "/usr/local/bin", "/bin" };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dirs[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void look_subids(struct probe *p)
{
	struct userns_map *map = xcalloc(1, sizeof(*map));
	bool tools = in_path("newuidmap") && in_path("newgidmap");
	struct cairn_err err = { 0 };
	uint64_t n = 0;
	int r = userns_caller_map(map, &err);

	for (unsigned i = 1; r == 0 && i < map->n_uid; i++)
		n += map->uid[i].count;
	p->m->subids = r == 0 && tools && map->n_uid > 1 && map->n_gid > 1;
	if (p->m->subids || geteuid() == 0)
		say(p, PROBE_SUBIDS, PROBE_OK, "%llu ids besides the own one%s",
		    (unsigned long long)n, geteuid() == 0 ? " (root needs none)" : "");
	else if (r < 0)
		say(p, PROBE_SUBIDS, PROBE_DEGRADED, "%s", err.msg);
	else
		say(p, PROBE_SUBIDS, PROBE_DEGRADED, "%s",
		    !tools ? "newuidmap and newgidmap are not installed (package uidmap)"
		           : "no ranges for this user in /etc/subuid and /etc/subgid (usermod "
		             "--add-subuids 100000-165535 --add-subgids 100000-165535 USER)");
	if (p->m->rows[PROBE_SUBIDS].state != PROBE_OK)
		instead(p, PROBE_SUBIDS,
		        "a single id: images whose files have other owners than root fail");
	free(map);
}

static void look_overlay(struct probe *p)
{
	struct machine *m = p->m;

	m->overlay = p->tried.overlay == 0;
	m->overlay_userxattr = m->overlay && (m->in_userns || !m->root);
	if (m->overlay) {
		say(p, PROBE_OVERLAY, PROBE_OK, "works in %s%s", p->store,
		    m->overlay_userxattr ? ", in a user namespace" : "");
		return;
	}
	say(p, PROBE_OVERLAY, PROBE_DEGRADED, "in %s: %s: %s", p->store, p->tried.overlay_step,
	    strerror(p->tried.overlay));
	instead(p, PROBE_OVERLAY,
	        "plain directories: each chain of layers is copied once; slower, same images");
}

static void look_reflink(struct probe *p)
{
	cleanup_fd int a = open(p->store, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cleanup_fd int b = open(p->store, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	p->m->reflink = a >= 0 && b >= 0 && write(a, "x", 1) == 1 && ioctl(b, FICLONE, a) == 0;
	if (p->m->reflink) {
		say(p, PROBE_REFLINK, PROBE_OK, "files can be cloned");
		return;
	}
	say(p, PROBE_REFLINK, PROBE_DEGRADED, "the store's file system cannot clone files");
	instead(p, PROBE_REFLINK, "files are copied where a copy is needed");
}

static void look_fuse(struct probe *p)
{
	cleanup_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	p->m->fuse = fd >= 0;
	say(p, PROBE_FUSE, fd >= 0 ? PROBE_OK : PROBE_DEGRADED, "%s",
	    fd >= 0 ? "opens" : strerror(errno));
	if (fd < 0)
		instead(p, PROBE_FUSE, "not used by this version");
}

static void look_namespaces(struct probe *p)
{
	if (p->tried.namespaces == 0) {
		say(p, PROBE_NAMESPACES, PROBE_OK, "mount, pid, ipc, uts, net");
		return;
	}
	say(p, PROBE_NAMESPACES, PROBE_BROKEN, "%s: %s", p->tried.namespaces_step,
	    strerror(p->tried.namespaces));
	instead(p, PROBE_NAMESPACES,
	        "RUN does not work; in a container it needs CAP_SYS_ADMIN (--privileged)");
}

static void look_proc(struct probe *p)
{
	if (p->tried.proc == 0) {
		say(p, PROBE_PROC, PROBE_OK, "one for each step");
		return;
	}
	if (p->tried.proc != EPERM || p->tried.namespaces) {
		say(p, PROBE_PROC, PROBE_BROKEN, "a new one: %s", strerror(p->tried.proc));
		instead(p, PROBE_PROC, "RUN does not work");
		return;
	}
	/* As sandbox_ops.c does it. */
	say(p, PROBE_PROC, PROBE_DEGRADED, "parts of it are masked: a new one may not be mounted");
	instead(p, PROBE_PROC,
	        "steps see this one, where their processes have other numbers or none; a container "
	        "gives all of it with systempaths=unconfined (Docker), unmask=ALL (Podman), procMount: "
	        "Unmasked (Kubernetes)");
}

static void look_seccomp(struct probe *p)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	/* Kernels before 4.14 do not know the question, and have filters. */
	p->m->seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ||
	                errno == EINVAL || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
	if (p->m->seccomp) {
		say(p, PROBE_SECCOMP, PROBE_OK, "filters");
		return;
	}
	say(p, PROBE_SECCOMP, PROBE_DEGRADED, "the kernel has no filters");
	instead(p, PROBE_SECCOMP, "steps run without a filter of system calls");
}

static void look_cgroup(struct probe *p)
{
	struct machine *m = p->m;
	const char *why = cgroup_probe(m);

	if (!why[0]) {
		say(p, PROBE_CGROUP, PROBE_OK, "version %d, one group a step", (int)m->cgroup);
		return;
	}
	if (m->cgroup == CGROUP_NONE)
		say(p, PROBE_CGROUP, PROBE_DEGRADED, "%s", why);
	else
		say(p, PROBE_CGROUP, PROBE_DEGRADED, "version %d: %s", (int)m->cgroup, why);
	instead(p, PROBE_CGROUP,
	        "CPU time and memory come from wait4(2); out-of-memory kills from /proc/vmstat");
}

static bool has_cap(int bit)
{
	return prctl(PR_CAPBSET_READ, bit, 0, 0, 0) > 0;
}

static void look_limits(struct probe *p)
{
	struct rlimit rl = { 0 };

	(void)getrlimit(RLIMIT_NOFILE, &rl);
	p->m->nofile_hard = rl.rlim_max;
	p->m->cap_sys_resource =
		geteuid() == 0 && has_cap(CAP_SYS_RESOURCE_BIT) && !p->m->in_userns;
	say(p, PROBE_LIMITS, p->m->cap_sys_resource ? PROBE_OK : PROBE_DEGRADED,
	    "%llu open files%s", (unsigned long long)rl.rlim_max,
	    p->m->cap_sys_resource ? "" : ", no CAP_SYS_RESOURCE");
	if (!p->m->cap_sys_resource)
		instead(p, PROBE_LIMITS, "--ulimit is cut down to the hard limits, with a warning");
}

static void look_memory(struct probe *p)
{
	struct sysinfo si = { 0 };
	char total[32], unused[32];

	(void)sysinfo(&si);
	p->m->memory_bytes = (uint64_t)si.totalram * si.mem_unit;
	say(p, PROBE_MEMORY, PROBE_OK, "%s, %s not used at all",
	    num_human_bytes(p->m->memory_bytes, total, sizeof(total)),
	    num_human_bytes((uint64_t)si.freeram * si.mem_unit, unused, sizeof(unused)));
}

#define DISK_LOW (2ull << 30)

static void look_disk(struct probe *p)
{
	struct statvfs sv = { 0 };
	char text[32];

	(void)statvfs(p->store, &sv);
	p->m->disk_free = (uint64_t)sv.f_bavail * sv.f_frsize;
	say(p, PROBE_DISK, p->m->disk_free < DISK_LOW ? PROBE_DEGRADED : PROBE_OK, "%s free in %s",
	    num_human_bytes(p->m->disk_free, text, sizeof(text)), p->store);
	if (p->m->disk_free < DISK_LOW)
		instead(p, PROBE_DISK, "builds may run out of space: remove images with cairn rmi");
}

int probe_machine(const char *store, struct machine *ret, struct cairn_err *err)
{
	static void (*const looks[])(struct probe *) = {
		look_kernel,  look_privilege, look_userns,     look_subids, look_overlay,
		look_reflink, look_fuse,      look_namespaces, look_proc,   look_seccomp,
		look_cgroup,  look_limits,    look_memory,     look_disk,
	};
	struct probe p = { .m = ret, .store = store };

	*ret = (struct machine){ 0 };
	for (size_t i = 0; i < PROBE_N_; i++)
		ret->rows[i].name = names[i];
	TRY(probe_try(store, geteuid() != 0 || in_userns(), &p.tried, err));
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		looks[i](&p);
	return 0;
}

const char *probe_blocker(const struct machine *m)
{
	for (size_t i = 0; i < PROBE_N_; i++)
		if (m->rows[i].state == PROBE_BROKEN)
			return m->rows[i].found;
	return NULL;
}

#include "sandbox_seccomp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "util/fs.h"

/* What programs may do. Names the library does not know are skipped: one source for all
 * architectures and versions. */
static const char *const allowed[] = {
	/* files */
	"access", "chdir", "chmod", "chown", "chown32", "close", "close_range", "copy_file_range",
	"creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fadvise64_64",
	"fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat",
	"fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
	"fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "lchown",
	"lchown32", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "_llseek",
	"lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat", "mknod",
	"mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2",
	"pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
	"removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "sendfile64",
	"setxattr", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink",
	"symlinkat", "sync", "sync_file_range", "sync_file_range2", "syncfs", "tee", "truncate",
	"truncate64", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64",
	"utimes", "vmsplice", "write", "writev", "getxattrat", "setxattrat", "listxattrat",
	"removexattrat", "cachestat", "chroot",
	/* watching */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "fanotify_mark",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "poll", "ppoll",
	"ppoll_time64", "pselect6", "pselect6_time64", "select", "_newselect", "signalfd",
	"signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64",
	/* asynchronous I/O; not io_uring, whose work escapes the filter */
	"io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
	"io_setup", "io_submit", "ioctl",
	/* memory */
	"brk", "madvise", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock",
	"mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock",
	"munlockall", "munmap", "map_shadow_stack", "pkey_alloc", "pkey_free", "pkey_mprotect",
	"process_mrelease", "remap_file_pages", "get_mempolicy", "mbind", "set_mempolicy",
	"set_mempolicy_home_node",
	/* processes and threads */
	"alarm", "arch_prctl", "arm_fadvise64_64", "arm_sync_file_range", "breakpoint",
	"cacheflush", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
	"futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
	"getcpu", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
	"getgroups32", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
	"getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid",
	"gettid", "getuid", "getuid32", "get_robust_list", "get_thread_area", "ioprio_get",
	"ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "modify_ldt", "nice", "pause", "pidfd_getfd", "pidfd_open",
	"pidfd_send_signal", "prctl", "prlimit64", "process_vm_readv", "process_vm_writev",
	"ptrace", "restart_syscall", "riscv_flush_icache", "riscv_hwprobe", "rseq", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_getaffinity",
	"sched_getattr", "sched_getparam", "sched_get_priority_max", "sched_get_priority_min",
	"sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_getscheduler",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
	"seccomp", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
	"setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
	"setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
	"setrlimit", "setsid", "setuid", "setuid32", "set_robust_list", "set_thread_area",
	"set_tid_address", "set_tls", "sigaction", "sigaltstack", "signal", "sigpending",
	"sigsuspend", "sigprocmask", "sigreturn", "tgkill", "tkill", "ugetrlimit", "uretprobe",
	"vfork", "wait4", "waitid", "waitpid",
	/* time */
	"adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
	"clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
	"gettimeofday", "nanosleep", "time", "timer_create", "timer_delete", "timer_getoverrun",
	"timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "times",
	/* talking; socket() itself is below */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "ipc",
	"listen", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl",
	"msgget", "msgrcv", "msgsnd", "pipe", "pipe2", "recv", "recvfrom", "recvmmsg",
	"recvmmsg_time64", "recvmsg", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shmat",
	"shmctl", "shmdt", "shmget", "shutdown", "socketcall", "socketpair",
	/* asking */
	"getrandom", "name_to_handle_at", "sysinfo", "uname"
};

/* Known and refused with EPERM unless the process has the capability (-1: always refused).
 * Each reaches the kernel at large, not only the step's own view. */
static const struct {
	int cap;
	const char *name;
} refused[] = {
	{ CAP_SYS_ADMIN, "bpf" },
	{ CAP_SYS_ADMIN, "fanotify_init" },
	{ CAP_SYS_ADMIN, "fsconfig" },
	{ CAP_SYS_ADMIN, "fsmount" },
	{ CAP_SYS_ADMIN, "fsopen" },
	{ CAP_SYS_ADMIN, "fspick" },
	{ CAP_SYS_ADMIN, "lookup_dcookie" },
	{ CAP_SYS_ADMIN, "mount" },
	{ CAP_SYS_ADMIN, "mount_setattr" },
	{ CAP_SYS_ADMIN, "move_mount" },
	{ CAP_SYS_ADMIN, "open_tree" },
	{ CAP_SYS_ADMIN, "perf_event_open" },
	{ CAP_SYS_ADMIN, "pivot_root" },
	{ CAP_SYS_ADMIN, "quotactl" },
	{ CAP_SYS_ADMIN, "quotactl_fd" },
	{ CAP_SYS_ADMIN, "setdomainname" },
	{ CAP_SYS_ADMIN, "sethostname" },
	{ CAP_SYS_ADMIN, "setns" },
	{ CAP_SYS_ADMIN, "syslog" },
	{ CAP_SYS_ADMIN, "umount" },
	{ CAP_SYS_ADMIN, "umount2" },
	{ CAP_SYS_ADMIN, "unshare" },
	{ CAP_DAC_READ_SEARCH, "open_by_handle_at" },
	{ CAP_SYS_BOOT, "reboot" },
	{ CAP_SYS_MODULE, "delete_module" },
	{ CAP_SYS_MODULE, "finit_module" },
	{ CAP_SYS_MODULE, "init_module" },
	{ CAP_SYS_PACCT, "acct" },
	{ CAP_SYS_PTRACE, "kcmp" },
	{ CAP_SYS_PTRACE, "process_madvise" },
	{ CAP_SYS_RAWIO, "ioperm" },
	{ CAP_SYS_RAWIO, "iopl" },
	{ CAP_SYS_TIME, "clock_settime" },
	{ CAP_SYS_TIME, "clock_settime64" },
	{ CAP_SYS_TIME, "settimeofday" },
	{ CAP_SYS_TIME, "stime" },
	{ CAP_SYS_TTY_CONFIG, "vhangup" },
	{ -1, "add_key" },
	{ -1, "create_module" },
	{ -1, "get_kernel_syms" },
	{ -1, "io_uring_enter" },
	{ -1, "io_uring_register" },
	{ -1, "io_uring_setup" },
	{ -1, "kexec_file_load" },
	{ -1, "kexec_load" },
	{ -1, "keyctl" },
	{ -1, "migrate_pages" },
	{ -1, "move_pages" },
	{ -1, "nfsservctl" },
	{ -1, "query_module" },
	{ -1, "request_key" },
	{ -1, "swapoff" },
	{ -1, "swapon" },
	{ -1, "_sysctl" },
	{ -1, "sysfs" },
	{ -1, "uselib" },
	{ -1, "userfaultfd" },
	{ -1, "ustat" },
	{ -1, "vm86" },
	{ -1, "vm86old" },
	{ -1, "vserver" },
};

#define CLONE_NAMESPACES                                                               \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* libseccomp gives -errno; a call that does not exist on one of the architectures is fine. */
static bool failed(int r)
{
	return r < 0 && r != -EDOM && r != -EEXIST;
}

static int add(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, action, nr, 0);
}

static bool has_cap(uint64_t caps, int cap)
{
	return cap >= 0 && (caps >> cap & 1);
}

/* Rules that look at an argument. A call that matches none of its rules fails with ENOSYS. */
struct arg_rule {
	const char *name;
	uint32_t action;
	enum scmp_compare op;
	uint64_t a, b; /* for SCMP_CMP_MASKED_EQ: mask and value */
};

static int add_arg_rules(scmp_filter_ctx ctx, const struct arg_rule *rules, size_t n)
{
	int r = 0;

	for (size_t i = 0; !failed(r) && i < n; i++) {
		int nr = seccomp_syscall_resolve_name(rules[i].name);

		r = seccomp_rule_add(ctx, rules[i].action, nr, 1,
		                     SCMP_CMP(0, rules[i].op, rules[i].a, rules[i].b));
	}
	return r;
}

#define REFUSE SCMP_ACT_ERRNO(EPERM)

static const struct arg_rule arg_rules[] = {
	/* native, query, 32-bit, each with and without UNAME26; not ADDR_NO_RANDOMIZE */
	{ "personality", SCMP_ACT_ALLOW, SCMP_CMP_EQ, 0 },
	{ "personality", SCMP_ACT_ALLOW, SCMP_CMP_EQ, 0x8 },
	{ "personality", SCMP_ACT_ALLOW, SCMP_CMP_EQ, 0x20000 },
	{ "personality", SCMP_ACT_ALLOW, SCMP_CMP_EQ, 0x20008 },
	{ "personality", SCMP_ACT_ALLOW, SCMP_CMP_EQ, 0xffffffff },
	/* not the kernel's crypto nor the hypervisor's sockets */
	{ "socket", SCMP_ACT_ALLOW, SCMP_CMP_LT, AF_ALG },
	{ "socket", REFUSE, SCMP_CMP_EQ, AF_ALG },
	{ "socket", SCMP_ACT_ALLOW, SCMP_CMP_EQ, AF_ALG + 1 },
	{ "socket", REFUSE, SCMP_CMP_EQ, AF_VSOCK },
	{ "socket", SCMP_ACT_ALLOW, SCMP_CMP_GT, AF_VSOCK },
};

/* No new namespaces: user namespaces would give back what the filter takes. */
static const struct arg_rule clone_rules[] = {
	{ "clone", SCMP_ACT_ALLOW, SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0 },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWNS, CLONE_NEWNS },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWCGROUP, CLONE_NEWCGROUP },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWUTS, CLONE_NEWUTS },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWIPC, CLONE_NEWIPC },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWPID, CLONE_NEWPID },
	{ "clone", REFUSE, SCMP_CMP_MASKED_EQ, CLONE_NEWNET, CLONE_NEWNET },
};

static int add_special(scmp_filter_ctx ctx, uint64_t caps)
{
	int r = add_arg_rules(ctx, arg_rules, ARRAY_SIZE(arg_rules));

	if (failed(r))
		return r;
	if (has_cap(caps, CAP_SYS_ADMIN)) {
		r = add(ctx, SCMP_ACT_ALLOW, "clone");
		return failed(r) ? r : add(ctx, SCMP_ACT_ALLOW, "clone3");
	}
	/* The flags of clone3 lie in memory, out of the filter's sight: it stays at ENOSYS,
	 * with which libraries fall back to clone. */
	return add_arg_rules(ctx, clone_rules, ARRAY_SIZE(clone_rules));
}

static int add_architectures(scmp_filter_ctx ctx)
{
	int r = 0;

#if defined(__x86_64__)
	r = seccomp_arch_add(ctx, SCMP_ARCH_X86);
	if (!failed(r))
		r = seccomp_arch_add(ctx, SCMP_ARCH_X32);
#elif defined(__aarch64__)
	r = seccomp_arch_add(ctx, SCMP_ARCH_ARM);
#else
	(void)ctx;
#endif
	return r;
}

static int fill(scmp_filter_ctx ctx, uint64_t caps)
{
	int r = add_architectures(ctx);

	for (size_t i = 0; !failed(r) && i < ARRAY_SIZE(allowed); i++)
		r = add(ctx, SCMP_ACT_ALLOW, allowed[i]);
	for (size_t i = 0; !failed(r) && i < ARRAY_SIZE(refused); i++)
		r = add(ctx, has_cap(caps, refused[i].cap) ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
		        refused[i].name);
	if (!failed(r))
		r = add_special(ctx, caps);
	return failed(r) ? r : 0;
}

static void release_p_(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int seccomp_compile(uint64_t caps, struct strbuf *out, struct cairn_err *err)
{
	__attribute__((cleanup(release_p_))) scmp_filter_ctx ctx =
		seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	cleanup_fd int fd = memfd_create("cairn-seccomp", MFD_CLOEXEC);
	uint8_t *buf = NULL;
	struct stat st;
	size_t n = 0;
	int r;

	if (!ctx || fd < 0)
		return cairn_fail_sys(err, "seccomp: no memory for the filter");
	r = fill(ctx, caps);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r < 0) {
		errno = -r;
		return cairn_fail_sys(err, "seccomp: compiling the filter");
	}
	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return cairn_fail_sys(err, "seccomp: reading the filter");
	if (st.st_size <= 0 || st.st_size > SECCOMP_PROGRAM_MAX)
		return cairn_fail(err, CAIRN_E_BUG, "seccomp: program of %lld bytes",
		                  (long long)st.st_size);
	buf = xmalloc((size_t)st.st_size);
	r = fs_read_full(fd, buf, (size_t)st.st_size, &n, "seccomp program", err);
	if (r == 0)
		strbuf_add(out, buf, n);
	free(buf);
	return r;
}

int seccomp_apply(const void *program, size_t bytes)
{
	struct sock_filter *copy = xmalloc(bytes);
	struct sock_fprog prog = {
		.len = (unsigned short)(bytes / sizeof(struct sock_filter)),
		.filter = copy,
	};
	int r, saved;

	memcpy(copy, program, bytes);
	/* SPEC_ALLOW: without it kernels before 5.16 slow every filtered process down; what
	 * runs here is not mutually distrusting code in one process. */
	r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	                 &prog);
	if (r < 0 && (errno == EINVAL || errno == ENOSYS))
		r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
	saved = errno;
	free(copy);
	errno = saved;
	return r;
}

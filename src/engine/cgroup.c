#include "cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

#define CGROUP2_MAGIC 0x63677270
#define TEXT_MAX      65536 /* files of /proc and of cgroupfs that are read here */

/* The text of a small kernel file; false when it cannot be read. */
static bool slurp(const char *path, struct strbuf *b)
{
	struct cairn_err err;

	strbuf_clear(b);
	return fs_read_file(AT_FDCWD, path, b, &err) == 0;
}

static bool put(const char *dir, const char *file, const char *text)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, file);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The number in DIR/FILE; with a key, the one after "KEY " at the start of a line. */
static bool number(const char *dir, const char *file, const char *key, uint64_t *ret)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, file);
	cleanup_strbuf struct strbuf b;
	struct cairn_err err;
	str rest, line;

	strbuf_init(&b, TEXT_MAX);
	if (!slurp(path, &b))
		return false;
	rest = strbuf_view(&b);
	while (str_next(&rest, '\n', &line)) {
		str name = { 0 }, value = line;

		if (key && (!str_cut(line, ' ', &name, &value) || !str_is(name, key)))
			continue;
		return num_u64(str_trim(value), UINT64_MAX, ret, &err) == 0;
	}
	return false;
}

/* Is `name` among the comma-separated controllers? */
static bool has_controller(str list, const char *name)
{
	str one;

	while (str_next(&list, ',', &one))
		if (str_is(one, name))
			return true;
	return false;
}

/* This process's path in the hierarchy of a v1 controller, or of v2 (controller ""). */
static bool own_path(const char *controller, struct strbuf *b, str *ret)
{
	str rest, line;

	if (!slurp("/proc/self/cgroup", b))
		return false;
	rest = strbuf_view(b);
	while (str_next(&rest, '\n', &line)) {
		str id, list, path;

		if (!str_cut(line, ':', &id, &list) || !str_cut(list, ':', &list, &path))
			continue;
		if (controller[0] ? has_controller(list, controller) : list.len == 0) {
			*ret = path;
			return true;
		}
	}
	return false;
}

/* Where processes of ours live in a hierarchy, if groups can be made there. In a container
 * with a private view the path of /proc may not exist: then the mount's root is it. */
static bool writable_dir(const char *mount, str path, char *ret, size_t size)
{
	struct stat st;

	(void)snprintf(ret, size, "%s%.*s", mount, str_is(path, "/") ? 0 : (int)path.len, path.ptr);
	if (stat(ret, &st) < 0)
		(void)snprintf(ret, size, "%s", mount);
	if (stat(ret, &st) == 0 && S_ISDIR(st.st_mode) && access(ret, W_OK) == 0)
		return true;
	ret[0] = 0;
	return false;
}

static const char *probe_v2(struct machine *m)
{
	cleanup_strbuf struct strbuf b;
	str path = S("/");

	m->cgroup = CGROUP_V2;
	strbuf_init(&b, TEXT_MAX);
	(void)own_path("", &b, &path);
	if (!writable_dir("/sys/fs/cgroup", path, m->cgroup_memory, sizeof(m->cgroup_memory)))
		return "the own group cannot be written";
	/* Fails with EBUSY where processes live in the group itself; cpu.stat is there anyway. */
	if (!put(m->cgroup_memory, "cgroup.subtree_control", "+memory"))
		return "the memory controller cannot be enabled for groups below the own one";
	return "";
}

static const char *probe_v1(struct machine *m)
{
	cleanup_strbuf struct strbuf b;
	bool memory, cpu;
	str path;

	m->cgroup = CGROUP_V1;
	strbuf_init(&b, TEXT_MAX);
	memory = own_path("memory", &b, &path) &&
	         writable_dir("/sys/fs/cgroup/memory", path, m->cgroup_memory,
	                      sizeof(m->cgroup_memory));
	cpu = own_path("cpuacct", &b, &path) &&
	      writable_dir("/sys/fs/cgroup/cpuacct", path, m->cgroup_cpu, sizeof(m->cgroup_cpu));
	if (memory && cpu)
		return "";
	return memory ? "no cpuacct group" : "the own memory group cannot be written";
}

const char *cgroup_probe(struct machine *m)
{
	struct statfs sfs;
	struct stat st;

	m->cgroup = CGROUP_NONE;
	m->cgroup_memory[0] = m->cgroup_cpu[0] = 0;
	if (statfs("/sys/fs/cgroup", &sfs) < 0)
		return "no /sys/fs/cgroup";
	if ((uint64_t)sfs.f_type == CGROUP2_MAGIC)
		return probe_v2(m);
	if (stat("/sys/fs/cgroup/memory", &st) == 0 || stat("/sys/fs/cgroup/cpuacct", &st) == 0)
		return probe_v1(m);
	return "nothing is mounted at /sys/fs/cgroup";
}

static bool machine_kills(uint64_t *ret)
{
	return number("/proc", "vmstat", "oom_kill", ret);
}

static bool limit(const struct cgroup *c, uint64_t memory_max)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)memory_max);
	if (!c->memory[0])
		return false;
	if (c->version == CGROUP_V2) {
		(void)put(c->memory, "memory.swap.max", "0");
		return put(c->memory, "memory.max", text);
	}
	if (!put(c->memory, "memory.limit_in_bytes", text))
		return false;
	(void)put(c->memory, "memory.memsw.limit_in_bytes", text);
	return true;
}

static void name_one(const char *parent, const char *name, char *ret, size_t size)
{
	if (!parent[0] || snprintf(ret, size, "%s/%s", parent, name) >= (int)size)
		ret[0] = 0;
}

void cgroup_name(enum cgroup_version version, const char *memory, const char *cpu, const char *name,
                 struct cgroup *ret)
{
	*ret = (struct cgroup){ .version = version };
	name_one(memory, name, ret->memory, sizeof(ret->memory));
	name_one(cpu, name, ret->cpu, sizeof(ret->cpu));
}

/* Put pid into dir; without it there is no dir. */
static void join(char *dir, pid_t pid)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%d", pid);
	if (dir[0] && !put(dir, "cgroup.procs", text)) {
		(void)rmdir(dir);
		dir[0] = 0;
	}
}

bool cgroup_enter(struct cgroup *c, pid_t pid, uint64_t memory_max)
{
	bool limited = true;

	(void)machine_kills(&c->kills);
	if (c->memory[0] && mkdir(c->memory, 0755) < 0)
		c->memory[0] = 0;
	if (c->cpu[0] && mkdir(c->cpu, 0755) < 0)
		c->cpu[0] = 0;
	if (memory_max > 0)
		limited = limit(c, memory_max);
	join(c->memory, pid);
	join(c->cpu, pid);
	return limited && (memory_max == 0 || c->memory[0]);
}

void cgroup_read(const struct cgroup *c, struct cgroup_stat *ret)
{
	bool v2 = c->version == CGROUP_V2;
	uint64_t n, now;

	*ret = (struct cgroup_stat){ 0 };
	if (c->memory[0] && v2) {
		(void)number(c->memory, "memory.peak", NULL, &ret->peak_bytes);
		if (number(c->memory, "cpu.stat", "usage_usec", &n))
			ret->cpu_ns = n * 1000;
	} else if (c->memory[0]) {
		(void)number(c->memory, "memory.max_usage_in_bytes", NULL, &ret->peak_bytes);
	}
	if (c->cpu[0])
		(void)number(c->cpu, "cpuacct.usage", NULL, &ret->cpu_ns);
	/* The group's own counter says for certain. Without one a kill anywhere on the
	 * machine while the step ran is the best guess there is. */
	if (c->memory[0] &&
	    number(c->memory, v2 ? "memory.events" : "memory.oom_control", "oom_kill", &n))
		ret->oom = n > 0;
	else
		ret->oom = machine_kills(&now) && now > c->kills;
}

/* The last process's exit is seen by wait a moment before the group is empty. */
static void remove_dir(char *dir)
{
	for (int tries = 0; dir[0] && rmdir(dir) < 0 && errno == EBUSY && tries < 100; tries++)
		(void)usleep(1000);
	dir[0] = 0;
}

void cgroup_remove(struct cgroup *c)
{
	remove_dir(c->memory);
	remove_dir(c->cpu);
}

#include "machine.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "util/fs.h"
#include "util/num.h"

#define MEMINFO_MAX 65536
#define NUMBER_MAX  64

static unsigned cpus(void)
{
	cpu_set_t set;
	int n = get_nprocs();

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

uint64_t machine_meminfo(const char *text, const char *name)
{
	str rest = str_of(text), line, want = str_of(name);
	struct cairn_err ignored;
	uint64_t kib;

	while (str_next(&rest, '\n', &line)) {
		if (!str_starts(line, want))
			continue;
		line = str_trim(str_skip(line, want.len));
		if (str_ends(line, S(" kB")))
			line = str_trim(str_n(line.ptr, line.len - 3));
		return num_u64(line, UINT64_MAX >> 10, &kib, &ignored) == 0 ? kib << 10 : 0;
	}
	return 0;
}

static uint64_t number_in(const char *path)
{
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;
	uint64_t n;

	strbuf_init(&text, NUMBER_MAX);
	if (fs_read_file(AT_FDCWD, path, &text, &ignored) == 0 &&
	    num_u64(str_trim(strbuf_view(&text)), INT64_MAX, &n, &ignored) == 0)
		return n;
	return 0;
}

/* The limit of a container's cgroup; 0: there is none. */
static uint64_t container_limit(void)
{
	static const char *const files[] = { "/sys/fs/cgroup/memory.max",
		                             "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
	uint64_t limit = 0;

	for (size_t i = 0; !limit && i < ARRAY_SIZE(files); i++)
		limit = number_in(files[i]);
	return limit;
}

static void memory(struct host_machine *m)
{
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;
	struct sysinfo si = { 0 };
	uint64_t limit = container_limit();

	strbuf_init(&text, MEMINFO_MAX);
	if (fs_read_file(AT_FDCWD, "/proc/meminfo", &text, &ignored) == 0)
		m->available = machine_meminfo(text.ptr, "MemAvailable:");
	(void)sysinfo(&si);
	m->memory = (uint64_t)si.totalram * si.mem_unit;
	if (limit && limit < m->memory)
		m->memory = limit;
	/* What a container uses of its own is mostly page cache, which it can have back. */
	if (m->available > m->memory)
		m->available = m->memory;
}

void machine_measure(const char *home, struct host_machine *ret)
{
	struct statvfs fs;

	*ret = (struct host_machine){ .cpus = cpus() };
	memory(ret);
	if (home && statvfs(home, &fs) == 0)
		ret->disk = (uint64_t)fs.f_bavail * fs.f_frsize;
}

#include <sys/stat.h>

#include "engine/cgroup.h"
#include "harness.h"
#include "util/fs.h"
#include "util/mem.h"

/* A directory with the files of a control group. */
static struct cgroup fake(enum cgroup_version version)
{
	struct cgroup c;
	char *memory = xasprintf("%s/memory", harness_dir());
	char *cpu = xasprintf("%s/cpu", harness_dir());

	harness_write("memory/x/dummy", S(""));
	harness_write("cpu/x/dummy", S(""));
	cgroup_name(version, memory, version == CGROUP_V2 ? "" : cpu, "x", &c);
	free(memory);
	free(cpu);
	return c;
}

void test_cgroup__reads_version_2(void **state)
{
	struct cgroup c = fake(CGROUP_V2);
	struct cgroup_stat st;

	(void)state;
	harness_write("memory/x/memory.peak", S("123456\n"));
	harness_write("memory/x/cpu.stat", S("usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"));
	harness_write("memory/x/memory.events",
	              S("low 0\nmax 7\noom 2\noom_kill 0\noom_group_kill 5\n"));
	cgroup_read(&c, &st);
	assert_int_equal(st.peak_bytes, 123456);
	assert_int_equal(st.cpu_ns, 1500000);
	assert_false(st.oom);
	harness_write("memory/x/memory.events", S("oom 2\noom_kill 1\n"));
	cgroup_read(&c, &st);
	assert_true(st.oom);
}

void test_cgroup__reads_version_1(void **state)
{
	struct cgroup c = fake(CGROUP_V1);
	struct cgroup_stat st;

	(void)state;
	harness_write("memory/x/memory.max_usage_in_bytes", S("4096\n"));
	harness_write("memory/x/memory.oom_control",
	              S("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"));
	harness_write("cpu/x/cpuacct.usage", S("77\n"));
	cgroup_read(&c, &st);
	assert_int_equal(st.peak_bytes, 4096);
	assert_int_equal(st.cpu_ns, 77);
	assert_true(st.oom);
}

void test_cgroup__none_at_all_is_fine(void **state)
{
	struct cgroup c;
	struct cgroup_stat st;

	(void)state;
	cgroup_name(CGROUP_NONE, "", "", "x", &c);
	assert_true(cgroup_enter(&c, getpid(), 0));
	assert_false(cgroup_enter(&c, getpid(), 1 << 20));
	cgroup_read(&c, &st);
	assert_int_equal(st.peak_bytes, 0);
	cgroup_remove(&c);
}

void test_cgroup__a_parent_that_is_gone_is_none(void **state)
{
	struct cgroup c;

	(void)state;
	cgroup_name(CGROUP_V2, "/nowhere/at/all", "", "x", &c);
	assert_true(cgroup_enter(&c, getpid(), 0));
	assert_string_equal(c.memory, "");
}

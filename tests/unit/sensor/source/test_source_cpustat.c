/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of cgroups on synthetic trees, v1 and v2, with one package and two; and for real, with a child
 * that uses CPU time in its own cgroup (skipped without root or cgroup2).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "base/clock.h"
#include "machine/cputime.h"
#include "source/frame.h"
#include "source/source.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <mntent.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct source_context context;
	uint64_t now_ns;
} fixture;

static uint64_t fixture_clock(void *data)
{
	(void)data;
	return fixture.now_ns;
}

static int64_t fixture_wall_clock(void *data)
{
	(void)data;
	return 0;
}

static const struct clock_source fixture_clocks = {.monotonic_ns = fixture_clock,
						   .realtime_ms = fixture_wall_clock};

static int set_up(void **state)
{
	(void)state;
	fixture.tree = fake_new();
	fixture.now_ns = 1000000000;
	clock_replace(&fixture_clocks);
	fake_topology(&fixture.tree, 2, 2, 1);
	fixture.context = (struct source_context){.sysfs_root = fixture.tree.root,
						  .procfs_root = fixture.tree.root,
						  .cpu_root = fixture.tree.root,
						  .cpu_root_v2 = true,
						  .topology = &fixture.topology,
						  .fd_budget = 1};
	return topology_read(fixture.tree.root, fixture.tree.root, &fixture.topology);
}

static int tear_down(void **state)
{
	(void)state;
	clock_replace(NULL);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}

/* Busy ticks of packages 0 and 1 (two CPUs each). */
static void write_stat(unsigned busy0, unsigned busy1)
{
	fake_write(&fixture.tree, "stat", "cpu0 %u 0 0 500\ncpu1 0 0 0 500\ncpu2 %u 0 0 500\ncpu3 0 0 0 500",
		   busy0, busy1);
}

static void write_usage(const char *cgroup, uint64_t usec)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/cpu.stat", cgroup);
	fake_write(&fixture.tree, path, "usage_usec %" PRIu64 "\nuser_usec 1\nsystem_usec 2", usec);
}

static void test_v2(void **state)
{
	struct activity_cgroup a = {.slot = 1, .root = true, .path = "/a"},
			       b = {.slot = 2, .root = true, .path = "/b"};
	struct activity_source *source;
	struct reason why;

	(void)state;
	assert_int_equal(source_cpustat.probe(&fixture.context, NULL, 0, &why), -ENOENT);
	fake_write(&fixture.tree, "cgroup.procs", "1");
	assert_int_equal(source_cpustat.probe(&fixture.context, NULL, 0, &why), 0);
	write_stat(100, 100);
	assert_int_equal(source_cpustat.open(&fixture.context, NULL, 0, 2, &source), 0);
	assert_string_equal(source->frame.groups[0].name, REPORT_GROUP_CPUSTAT);
	assert_string_equal(source->frame.groups[0].events[0], REPORT_EVENT_CPU_TIME);
	assert_int_equal(source_cpustat.add(source, &a), -ENOENT);
	write_usage("a", 5000000);
	write_usage("b", 7000000);
	assert_int_equal(source_cpustat.add(source, &a), 0); /* takes the only descriptor */
	assert_int_equal(fixture.context.fd_budget, 0);
	assert_int_equal(source_cpustat.add(source, &b), 0); /* reopened for each read */
	assert_int_equal(source_cpustat.read(source), 0);
	assert_int_equal(frame_counts(&source->frame, 1)[0], 0);
	assert_int_equal(source->frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FIRST);
	write_usage("a", 5400000);
	write_usage("b", 7000100);
	write_stat(130, 110);
	assert_int_equal(source_cpustat.read(source), 0);
	/* Package 0 was three times as busy as package 1. */
	assert_int_equal(frame_counts(&source->frame, 1)[0], 300000000);
	assert_int_equal(frame_counts(&source->frame, 1)[1], 100000000);
	assert_int_equal(frame_counts(&source->frame, 2)[0] + frame_counts(&source->frame, 2)[1], 100000);
	assert_int_equal(source->frame.flags[1], ACTIVITY_OPEN);
	assert_int_equal(source->frame.n_active, 2);
	/* The machine's 0.4 s in ticks are less than its targets' 0.4001 s, and are raised to them. */
	assert_int_equal(frame_counts(&source->frame, 0)[0], 300075000);
	assert_int_equal(frame_counts(&source->frame, 0)[1], 100025000);
	fake_write(&fixture.tree, "b/cpu.stat", "nonsense");
	write_usage("a", 5400001);
	/* Time since the last read is reported, but still belongs to the next read. */
	assert_int_equal(source_cpustat_since_ns(source, 1), 1000);
	assert_int_equal(source_cpustat_since_ns(source, 2), 0);
	assert_int_equal(source_cpustat.read(source), 0);
	assert_int_equal(source->frame.flags[2], ACTIVITY_OPEN | ACTIVITY_FAILED);
	assert_int_equal(source->frame.read_failures, 1);
	assert_int_equal(source->frame.n_active, 1);
	assert_int_equal(frame_counts(&source->frame, 1)[0] + frame_counts(&source->frame, 1)[1], 1000);
	assert_int_equal(source_cpustat_since_ns(source, 1), 0);
	source_cpustat.remove(source, &a);
	assert_int_equal(source->frame.flags[1], 0);
	assert_int_equal(fixture.context.fd_budget, 1);
	source_cpustat.close(source);
	assert_int_equal(fixture.context.fd_budget, 1);
}

/*
 * A cgroup created while we watched did all its work since the last read; the past of an older one does not
 * count.
 */
static void test_new_cgroup(void **state)
{
	struct activity_cgroup young = {.slot = 1, .root = true, .path = "/young"};
	struct activity_cgroup old = {.slot = 2, .root = true, .path = "/old"};
	struct activity_source *source;

	(void)state;
	write_stat(100, 100);
	assert_int_equal(source_cpustat.open(&fixture.context, NULL, 0, 0, &source), 0);
	assert_int_equal(source_cpustat.read(source), 0);
	fixture.now_ns += 500000000;
	write_usage("young", 300000);
	write_usage("old", 300000000);
	assert_int_equal(source_cpustat.add(source, &young), 0);
	assert_int_equal(source_cpustat.add(source, &old), 0);
	fixture.now_ns += 500000000;
	write_usage("young", 400000);
	write_usage("old", 300100000);
	assert_int_equal(source_cpustat.read(source), 0);
	assert_int_equal(frame_counts(&source->frame, 1)[0], 400000000);
	assert_int_equal(frame_counts(&source->frame, 2)[0], 100000000);
	source_cpustat.close(source);
}

static void test_v1(void **state)
{
	struct activity_cgroup a = {.slot = 40, .root = true, .path = "/docker/a"};
	struct activity_source *source;

	(void)state;
	fixture.context.cpu_root_v2 = false;
	write_stat(100, 100);
	fake_write(&fixture.tree, "docker/a/cpuacct.usage_percpu", "1000 2000 3000 4000 ");
	assert_int_equal(source_cpustat.open(&fixture.context, NULL, 0, 2, &source), 0);
	assert_int_equal(source_cpustat.add(source, &a), 0);
	assert_int_equal(source_cpustat.read(source), 0);
	fake_write(&fixture.tree, "docker/a/cpuacct.usage_percpu", "1000 2010 3100 4001 ");
	assert_int_equal(source_cpustat.read(source), 0);
	assert_int_equal(frame_counts(&source->frame, 40)[0], 10);
	assert_int_equal(frame_counts(&source->frame, 40)[1], 101);
	source_cpustat.close(source);
}

struct percpu {
	unsigned n;
	uint64_t sum;
};

static void add_percpu(void *data, unsigned cpu, uint64_t ns)
{
	struct percpu *percpu = data;

	assert_int_equal(cpu, percpu->n++);
	percpu->sum += ns;
}

static void test_texts(void **state)
{
	struct percpu percpu = {0};
	uint64_t ns;

	(void)state;
	assert_int_equal(cputime_parse_stat("usage_usec 12\nuser_usec 3", &ns), 0);
	assert_int_equal(ns, 12000);
	assert_int_equal(cputime_parse_stat("user_usec 3\nusage_usec 1", &ns), 0);
	assert_int_equal(ns, 1000);
	assert_int_equal(cputime_parse_stat("", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_stat("usage_usec x", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_stat("usage_usec 1x", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_stat("usage_usec 18446744073709551615", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_usage("77\n", &ns), 0);
	assert_int_equal(ns, 77);
	assert_int_equal(cputime_parse_usage("-1", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_usage("99999999999999999999999", &ns), -EBADMSG);
	assert_int_equal(cputime_parse_percpu("1 2 3 \n", add_percpu, &percpu), 3);
	assert_int_equal(percpu.sum, 6);
	assert_int_equal(cputime_parse_percpu("", add_percpu, &percpu), 0);
	percpu = (struct percpu){0};
	assert_int_equal(cputime_parse_percpu("1 x", add_percpu, &percpu), -EBADMSG);
}

static bool find_cgroup2(char *ret_mount, size_t size)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	bool found = false;

	for (const struct mntent *entry; mounts && !found && (entry = getmntent(mounts));)
		if (strcmp(entry->mnt_type, "cgroup2") == 0) {
			(void)snprintf(ret_mount, size, "%s", entry->mnt_dir);
			found = true;
		}
	if (mounts)
		(void)endmntent(mounts);
	return found;
}

static uint64_t used_ns(const struct rusage *usage)
{
	return ((uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec) * 1000000000 +
	       ((uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec) * 1000;
}

/* Uses CPU time in the cgroup; returns the amount, by its own account, since it joined. */
static uint64_t burn(const char *cgroup)
{
	struct rusage usage;
	uint64_t before = 0;
	int pipes[2], status = -1;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char path[600];
		FILE *procs;

		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		procs = fopen(path, "w");
		if (!procs || fprintf(procs, "%d\n", getpid()) < 0 || fclose(procs) != 0)
			_exit(1);
		(void)getrusage(RUSAGE_SELF, &usage);
		before = used_ns(&usage);
		if (write(pipes[1], &before, sizeof(before)) != sizeof(before))
			_exit(1);
		do
			(void)getrusage(RUSAGE_SELF, &usage);
		while (used_ns(&usage) - before < 200000000);
		_exit(0);
	}
	(void)close(pipes[1]);
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(pipes[0], &before, sizeof(before)), sizeof(before));
	(void)close(pipes[0]);
	return used_ns(&usage) - before;
}

static void test_real(void **state)
{
	char mount[256], cgroup[320], name[64];
	struct activity_cgroup self = {.slot = 1, .root = true, .path = name};
	struct topology topology;
	struct source_context context = {
		.procfs_root = "/proc", .cpu_root = mount, .cpu_root_v2 = true, .topology = &topology};
	struct activity_source *source;
	uint64_t truth, counted = 0;

	(void)state;
	(void)snprintf(name, sizeof(name), "/wattribute-cpustat-%d", getpid());
	if (!find_cgroup2(mount, sizeof(mount)))
		skip();
	(void)snprintf(cgroup, sizeof(cgroup), "%s%s", mount, name);
	if (mkdir(cgroup, 0755) < 0)
		skip();
	assert_int_equal(topology_read("/sys", "/proc", &topology), 0);
	assert_int_equal(source_cpustat.open(&context, NULL, 0, 2, &source), 0);
	assert_int_equal(source_cpustat.add(source, &self), 0);
	assert_int_equal(source_cpustat.read(source), 0);
	truth = burn(cgroup);
	assert_int_equal(source_cpustat.read(source), 0);
	for (unsigned i = 0; i < source->frame.n_places; i++)
		counted += frame_counts(&source->frame, 1)[i];
	print_message("# counted %.1f ms, used %.1f ms\n", (double)counted / 1e6, (double)truth / 1e6);
	assert_true(counted > truth * 9 / 10 && counted < truth * 11 / 10 + 5000000);
	source_cpustat.close(source);
	topology_done(&topology);
	(void)rmdir(cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_v2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_new_cgroup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_v1, set_up, tear_down),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

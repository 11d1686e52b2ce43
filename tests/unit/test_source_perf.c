/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The perf sources really counting: a child in a cgroup of its own causes page faults, and what the activity
 * source and a fake `power` PMU say is compared with what the child knows of itself. Needs root and a cgroup
 * hierarchy that perf can use; skipped with the reason where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../fake/fake_tree.h"
#include "frame.h"
#include "log.h"
#include "perf_slots.h"
#include "priv_client.h"
#include "source.h"
#include "topology.h"

#include <math.h>
#include <fcntl.h>
#include <mntent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FAULTS 20000

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct source_context context;
	struct priv_config priv;
	char mount[256]; /* hierarchy that perf uses */
	char path[300];  /* the test's cgroup below it */
	char last_line[1024];
} fixture;

static void keep_line(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)level;
	(void)token;
	(void)snprintf(fixture.last_line, sizeof(fixture.last_line), "%s", line);
}

/* A v1 perf_event mount if there is one (cgroup2 cannot be used by perf beside it), else cgroup2. */
static void find_mount(void)
{
	FILE *mounts = setmntent("/proc/mounts", "r");

	for (const struct mntent *entry; mounts && (entry = getmntent(mounts));)
		if (strcmp(entry->mnt_type, "cgroup2") == 0 && !fixture.mount[0])
			(void)snprintf(fixture.mount, sizeof(fixture.mount), "%s", entry->mnt_dir);
		else if (strcmp(entry->mnt_type, "cgroup") == 0 && hasmntopt(entry, "perf_event"))
			(void)snprintf(fixture.mount, sizeof(fixture.mount), "%s", entry->mnt_dir);
	if (mounts)
		(void)endmntent(mounts);
}

static int set_up(void **state)
{
	(void)state;
	fixture.tree = fake_new();
	find_mount();
	fixture.priv = (struct priv_config){.sysfs_root = fixture.tree.root, .perf_root = fixture.mount};
	fixture.context = (struct source_context){.sysfs_root = fixture.tree.root,
						  .procfs_root = "/proc",
						  .topology = &fixture.topology,
						  .fd_budget = 200};
	log_set_sink(keep_line, NULL);
	return topology_read("/sys", "/proc", &fixture.topology) < 0 ||
	       priv_client_direct(&fixture.priv, &fixture.context.priv) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	priv_client_free(fixture.context.priv);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}

static bool make_cgroup(const char *name)
{
	char full[600];

	(void)snprintf(fixture.path, sizeof(fixture.path), "/wattribute-test-%d-%s", getpid(), name);
	(void)snprintf(full, sizeof(full), "%s%s", fixture.mount, fixture.path);
	return fixture.mount[0] && mkdir(full, 0755) == 0;
}

static void remove_cgroup(void)
{
	char full[600];

	(void)snprintf(full, sizeof(full), "%s%s", fixture.mount, fixture.path);
	for (int i = 0; i < 50 && rmdir(full) < 0 && errno == EBUSY; i++)
		(void)usleep(10000);
}

/* Touches new pages one by one. */
static void cause_faults(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	(void)madvise(memory, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		((volatile char *)memory)[i * page] = 1;
	(void)munmap(memory, n * page);
}

static uint64_t faults_of_self(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

/* A child that joins the cgroup and causes faults; returns how many it had there by its own account. */
static uint64_t run_child(size_t n)
{
	uint64_t faults = 0;
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char full[600];
		FILE *procs;

		(void)snprintf(full, sizeof(full), "%s%s/cgroup.procs", fixture.mount, fixture.path);
		procs = fopen(full, "w");
		if (!procs || fprintf(procs, "%d\n", getpid()) < 0 || fclose(procs) != 0)
			_exit(1);
		faults = faults_of_self();
		cause_faults(n);
		faults = faults_of_self() - faults;
		_exit(write(pipe_fds[1], &faults, sizeof(faults)) != sizeof(faults));
	}
	(void)close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &faults, sizeof(faults)), sizeof(faults));
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return faults;
}

static struct event_group_request container_request(char **events, unsigned n)
{
	return (struct event_group_request){
		.name = (char *)(uintptr_t) "core", .of_containers = true, .events = events, .n_events = n};
}

static char event_faults[] = "perf::PAGE-FAULTS", event_switches[] = "PERF_COUNT_SW_CONTEXT_SWITCHES",
	    event_unknown[] = "NO_SUCH_EVENT_AT_ALL";

/* False, and the test is skipped, where this user or machine cannot count cgroups. */
static bool can_count(void)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	char why[512];

	if (source_perf.probe(&fixture.context, &request, 1, why, sizeof(why)) == 0)
		return true;
	print_message("# not tried: %s\n", why);
	return false;
}

static void assert_near(uint64_t counted, uint64_t truth)
{
	print_message("# counted %llu, caused %llu\n", (unsigned long long)counted,
		      (unsigned long long)truth);
	/* The last faults of an ending process come after its own account. */
	assert_true(counted >= truth && counted <= truth + truth / 100 + 50);
}

static void test_counts_a_cgroup(void **state)
{
	char *events[] = {event_switches, event_unknown, event_faults};
	struct event_group_request request = container_request(events, 3);
	struct activity_source *source;
	struct activity_cgroup cgroup = {.slot = 20, .root = true, .path = fixture.path};
	uint64_t truth, *counts;
	unsigned before = fixture.context.fd_budget;

	(void)state;
	if (!can_count() || !make_cgroup("count"))
		skip();
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 4, &source), 0);
	assert_int_equal(source->frame.groups[0].n_events, 2);
	assert_string_equal(source->frame.groups[0].events[1], "perf::PAGE-FAULTS");
	assert_int_equal(source->frame.n_places, fixture.topology.n_packages);
	assert_int_equal(source_perf.add(source, &cgroup), 0);
	assert_int_equal(source_perf.add(source, &cgroup), -EBUSY);
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(source->frame.flags[20], ACTIVITY_OPEN | ACTIVITY_FIRST);
	truth = run_child(FAULTS);
	remove_cgroup(); /* the counts outlive the cgroup */
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(source->frame.flags[20], ACTIVITY_OPEN);
	counts = frame_counts(&source->frame, 20);
	assert_near(counts[1], truth);
	assert_true(counts[0] > 0);
	assert_true(frame_counts(&source->frame, 0)[1] >= counts[1]);
	assert_int_equal(source->frame.n_active, 1);
	assert_int_equal(source->frame.active[0], 20);
	assert_true(source->frame.enabled_ns[20] > 0);
	assert_true(source->frame.enabled_ns[20] == source->frame.running_ns[20]);
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(counts[1], 0);
	assert_int_equal(source->frame.n_active, 0);
	source_perf.remove(source, &cgroup);
	assert_int_equal(source->frame.flags[20], 0);
	source_perf.close(source);
	assert_int_equal(fixture.context.fd_budget, before);
}

static void test_budget_and_errors(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct activity_source *source;
	struct activity_cgroup missing = {.slot = 1, .root = true, .path = "/wattribute-no-such-cgroup"};
	struct activity_cgroup nested = {.slot = 1, .root = false, .path = "/whatever"};
	unsigned budget = fixture.context.fd_budget;

	(void)state;
	if (!can_count() || !make_cgroup("budget"))
		skip();
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 4, &source), 0);
	assert_int_equal(budget - fixture.context.fd_budget, fixture.topology.n_cpus);
	assert_int_equal(source_perf.add(source, &missing), -ENOENT);
	assert_int_equal(source_perf.add(source, &nested), 0);
	fixture.context.fd_budget = 0;
	missing.path = fixture.path;
	assert_int_equal(source_perf.add(source, &missing), -EMFILE);
	assert_int_equal(source_perf.read(source), 0);
	source_perf.close(source);
	fixture.context.fd_budget = budget;
	remove_cgroup();
}

/* One CPU's descriptor fails: the slot says so, the others' counts are there, the next read catches up. */
static void test_failing_read(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct perf_slots slots = {.context = &fixture.context};
	struct activity_frame frame = {0};
	struct perf_plan *plan;
	uint64_t truth, part;
	int kept;

	(void)state;
	if (!can_count() || !make_cgroup("failing"))
		skip();
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_CGROUPS, &request, 1, &plan), 0);
	slots.plan = plan;
	frame.n_groups = frame.n_events = 1;
	frame.n_places = plan->n_places;
	assert_int_equal(perf_slots_open(&slots, &frame, 0, ""), 0);
	assert_int_equal(perf_slots_open(&slots, &frame, 1, fixture.path), 0);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	truth = run_child(FAULTS);
	kept = slots.slots[1].fds[0];
	slots.slots[1].fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_equal(frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FAILED);
	assert_int_equal(frame.flags[0], ACTIVITY_OPEN);
	assert_int_equal(frame.read_failures, 1);
	part = frame_counts(&frame, 1)[0];
	(void)close(slots.slots[1].fds[0]);
	slots.slots[1].fds[0] = kept;
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_equal(frame.flags[1], ACTIVITY_OPEN);
	assert_near(part + frame_counts(&frame, 1)[0], truth);
	perf_slots_done(&slots, &frame);
	perf_plan_free(plan);
	remove_cgroup();
}

static void test_per_cpu(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct activity_source *source;

	(void)state;
	if (!can_count())
		skip();
	fixture.context.per_cpu = true;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), 0);
	fixture.context.per_cpu = false;
	assert_int_equal(source->frame.n_places, fixture.topology.n_cpus);
	assert_int_equal(source->frame.groups[0].places[0].cpu, fixture.topology.cpus[0].id);
	source_perf.close(source);
}

static void test_strict_and_nothing(void **state)
{
	char *events[] = {event_faults, event_unknown};
	struct event_group_request request = container_request(events, 2);
	struct activity_source *source;

	(void)state;
	if (!can_count())
		skip();
	fixture.context.strict = true;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), -ENOENT);
	fixture.context.strict = false;
	assert_non_null(strstr(fixture.last_line, "NO_SUCH_EVENT_AT_ALL"));
	request.events = events + 1;
	request.n_events = 1;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), -ENOENT);
}

/* A `power` PMU that is a software event in truth: a page fault is a millijoule, on every CPU of the package.
 */
static void make_power(const char *cpumask)
{
	fake_pmu(&fixture.tree, "power", 1, cpumask);
	fake_event(&fixture.tree, "power", "energy-pkg", "config=0x2", "0.001");
	fake_event(&fixture.tree, "power", "energy-ram", "config=0x2", "2.5e-4");
}

static void test_fake_rapl(void **state)
{
	char pkg[] = REPORT_EVENT_PKG, dram[] = REPORT_EVENT_DRAM, gpu[] = "RAPL_ENERGY_GPU";
	char *events[] = {pkg, dram, gpu}, online[256] = "0", why[512];
	struct event_group_request request = {.name = (char *)(uintptr_t) "rapl",
					      .one_cpu_per_socket = true,
					      .events = events,
					      .n_events = 3};
	struct system_source *source;
	uint64_t faults;
	FILE *file = fopen("/sys/devices/system/cpu/online", "r");

	(void)state;
	if (file) {
		assert_non_null(fgets(online, sizeof(online), file));
		(void)fclose(file);
	}
	assert_int_equal(source_rapl.probe(&fixture.context, &request, why, sizeof(why)), -ENOENT);
	make_power(online);
	if (!can_count())
		skip();
	assert_int_equal(source_rapl.probe(&fixture.context, &request, why, sizeof(why)), 0);
	assert_int_equal(source_rapl.open(&fixture.context, &request, &source), 0);
	assert_non_null(strstr(fixture.last_line, "RAPL_ENERGY_GPU"));
	assert_int_equal(source->group.n_events, 2);
	assert_int_equal(source->group.n_places, fixture.topology.n_packages);
	cause_faults(1000);
	assert_int_equal(source_rapl.read(source, 1), 0);
	assert_int_equal(source->values[0], 0);
	faults = faults_of_self();
	cause_faults(FAULTS);
	faults = faults_of_self() - faults;
	assert_int_equal(source_rapl.read(source, 1), 0);
	{
		double pkg_j = 0, dram_j = 0, truth_j = (double)faults * 0.001;

		for (unsigned i = 0; i < source->group.n_places; i++) {
			pkg_j += ldexp((double)source->values[2 * i], REPORT_RAPL_EXPONENT);
			dram_j += ldexp((double)source->values[2 * i + 1], REPORT_RAPL_EXPONENT);
		}
		print_message("# %.3f J measured, %.3f J caused here\n", pkg_j, truth_j);
		/* Others may fault beside us, never less. */
		assert_true(pkg_j >= truth_j * 0.999);
		assert_true(fabs(dram_j / pkg_j - 0.25) < 1e-3);
	}
	source_rapl.close(source);
}

static void test_system_group(void **state)
{
	char tsc[] = "TSC", faults[] = "page-faults";
	char *events[] = {faults, tsc};
	struct event_group_request request = {
		.name = (char *)(uintptr_t) "msr", .events = events, .n_events = 2};
	struct system_source *source;

	(void)state;
	if (!can_count())
		skip();
	assert_int_equal(source_system_perf.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source->group.n_places, fixture.topology.n_cpus); /* without -o every CPU */
	source_system_perf.close(source);
	request.one_cpu_per_socket = true;
	assert_int_equal(source_system_perf.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source->group.n_places, fixture.topology.n_packages);
	assert_int_equal(source->group.places[0].cpu, fixture.topology.packages[0].first_cpu);
	source_system_perf.close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fake_rapl),         cmocka_unit_test(test_counts_a_cgroup),
		cmocka_unit_test(test_budget_and_errors), cmocka_unit_test(test_failing_read),
		cmocka_unit_test(test_per_cpu),           cmocka_unit_test(test_strict_and_nothing),
		cmocka_unit_test(test_system_group),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system sources that count by perf, for real: a `power` PMU whose joules are page faults, and a group of
 * other events. Needs permission to count; otherwise skipped with the reason.
 */
#include "perf_fixture.h"
#include "base/reason.h"

#include <sched.h>

/*
 * A `power` PMU that is really a software event: a page fault is a millijoule, on every CPU of the package.
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
	char *events[] = {pkg, dram, gpu}, online[256] = "0";
	struct reason why;
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
	assert_int_equal(source_rapl.probe(&fixture.context, &request, &why), -ENOENT);
	make_power(online);
	if (!can_count())
		skip();
	assert_int_equal(source_rapl.probe(&fixture.context, &request, &why), 0);
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
		/* Other processes may add faults, but none can be missing. */
		assert_true(pkg_j >= truth_j * 0.999);
		assert_true(fabs(dram_j / pkg_j - 0.25) < 1e-3);
	}
	source_rapl.close(source);
}

/* A counter with a value that no socket can reach, as after sleep: the tick's energy is missing, not 0. */
static void test_absurd_rapl(void **state)
{
	char pkg[] = REPORT_EVENT_PKG;
	char *events[] = {pkg}, online[] = "0";
	struct event_group_request request = {.name = (char *)(uintptr_t) "rapl",
					      .one_cpu_per_socket = true,
					      .events = events,
					      .n_events = 1};
	struct system_source *source;
	cpu_set_t first;

	(void)state;
	if (!can_count())
		skip();
	make_power(online);
	fake_event(&fixture.tree, "power", "energy-pkg", "config=0x2",
		   "1000"); /* a page fault is a kilojoule */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	assert_int_equal(source_rapl.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_rapl.read(source, 0), 0);
	cause_faults(1000);
	assert_int_equal(source_rapl.read(source, 1000000000), 0);
	assert_true(source->values[0] == REPORT_COUNT_MISSING);
	assert_non_null(strstr(fixture.last_line, "more than a socket can consume"));
	assert_true(source->read_failures >= 1);
	source_rapl.close(source);
}

/* For a package without a platform counter, the value is missing: neither a failure nor 0 J. */
static void test_platform_of_another_package(void **state)
{
	char psys[] = REPORT_EVENT_PSYS, *events[] = {psys}, online[] = "0";
	struct event_group_request request = {.name = (char *)(uintptr_t) "platform",
					      .one_cpu_per_socket = true,
					      .events = events,
					      .n_events = 1};
	struct system_source *source;

	(void)state;
	if (!can_count())
		skip();
	make_power(online);
	fake_event(&fixture.tree, "power", "energy-psys", "config=0x7", "0.001"); /* alignment faults: none */
	assert_int_equal(source_rapl.open(&fixture.context, &request, &source), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(source_rapl.read(source, 1000000000), 0);
	assert_true(source->values[0] == REPORT_COUNT_MISSING);
	assert_int_equal(source->read_failures, 0);
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
	assert_int_equal(source->group.n_places, fixture.topology.n_cpus); /* without -o: every CPU */
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
		cmocka_unit_test(test_fake_rapl),
		cmocka_unit_test(test_absurd_rapl),
		cmocka_unit_test(test_platform_of_another_package),
		cmocka_unit_test(test_system_group),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The estimate on synthetic trees: utilization by /proc/stat converted to watts, and the lines of that file.
 */
#include "unit/sensor/source/energy_fixture.h"

#include "machine/procstat.h"
#include "machine/topology.h"
#include "source/source.h"
#include "base/reason.h"

#include <math.h>

static char event_pkg[] = REPORT_EVENT_PKG, event_dram[] = REPORT_EVENT_DRAM;
static char *all_events[] = {event_pkg, event_dram};
static char group_name[] = "rapl";

static int set_up(void **state)
{
	(void)state;
	return energy_fixture_begin(2);
}

static struct event_group_request request_of(unsigned n)
{
	return (struct event_group_request){.name = group_name, .events = all_events, .n_events = n};
}

static double joules(const struct system_source *source, unsigned place, unsigned event)
{
	return ldexp((double)source->values[place * source->group.n_events + event], REPORT_RAPL_EXPONENT);
}

#define assert_close(a, b) assert_true(fabs((a) - (b)) < 1e-6)

/* CPUs 0, 1, 4, 5 are package 0; the others package 1. Times in ticks of 10 ms. */
static void write_stat(unsigned busy0, unsigned idle0, unsigned busy1, unsigned idle1)
{
	fake_write(&fixture.tree, "stat",
		   "cpu  0 0 0 0 0 0 0 0 0 0\n"
		   "cpu0 %u 0 0 %u 0 0 0 0 0 0\ncpu1 0 %u 0 %u 0 0 0 0 0 0\n"
		   "cpu2 0 0 %u %u 0 0 0 0 0 0\ncpu3 0 0 0 %u 0 0 %u 0 0 0\nintr 1 2 3",
		   busy0, idle0, busy0, idle0, busy1, idle1, idle1, busy1);
}

static void test_estimate(void **state)
{
	struct event_group_request request = request_of(2);
	struct system_source *source;
	struct reason why;

	(void)state;
	assert_int_equal(source_estimate.probe(&fixture.context, &request, &why), -ENOENT);
	write_stat(100, 100, 100, 100);
	assert_int_equal(source_estimate.probe(&fixture.context, &request, &why), 0);
	fixture.context.tdp_w = 100;
	assert_int_equal(source_estimate.open(&fixture.context, &request, &source), 0);
	assert_non_null(strstr(fixture.log, "RAPL_ENERGY_DRAM"));
	assert_true(source->ops->estimated);
	assert_int_equal(source->group.n_places, 2);
	assert_int_equal(source_estimate.read(source, 1000000000), 0);
	assert_close(joules(source, 0, 0), 0);
	write_stat(100, 200, 150, 150); /* package 0 idle, package 1 half busy */
	assert_int_equal(source_estimate.read(source, 1000000000), 0);
	assert_close(joules(source, 0, 0), 30);
	assert_close(joules(source, 1, 0), 65);
	write_stat(300, 200, 100, 100); /* fully busy; and counters that decreased */
	assert_int_equal(source_estimate.read(source, 500000000), 0);
	assert_close(joules(source, 0, 0), 50);
	assert_close(joules(source, 1, 0), 15);
	source_estimate.close(source);
}

static void test_estimate_default(void **state)
{
	struct event_group_request request = request_of(1);
	struct system_source *source;

	(void)state;
	write_stat(1, 1, 1, 1);
	assert_int_equal(source_estimate.open(&fixture.context, &request, &source), 0);
	assert_non_null(strstr(fixture.log, "guessed TDP of 25 W"));
	source_estimate.close(source);
	request.events = all_events + 1;
	{
		struct reason why;

		assert_int_equal(source_estimate.probe(&fixture.context, &request, &why), -ENOENT);
	}
}

static void test_procstat_lines(void **state)
{
	uint64_t busy, all;
	unsigned cpu;

	(void)state;
	assert_true(procstat_parse_line("cpu12 1 2 3 4 5 6 7 8 9 10", &cpu, &busy, &all));
	assert_int_equal(cpu, 12);
	assert_int_equal(busy, 1 + 2 + 3 + 6 + 7);
	assert_int_equal(all, 36);
	assert_true(procstat_parse_line("cpu0 1 2 3 4", &cpu, &busy, &all));
	assert_int_equal(all, 10);
	assert_false(procstat_parse_line("cpu  1 2 3 4", &cpu, &busy, &all));
	assert_false(procstat_parse_line("cpu0 1 2 3", &cpu, &busy, &all));
	assert_false(procstat_parse_line("cpu0", &cpu, &busy, &all));
	assert_false(procstat_parse_line("cpu99999999999 1 2 3 4", &cpu, &busy, &all));
	assert_false(procstat_parse_line("cpu0 18446744073709551615 1 1 1", &cpu, &busy, &all));
	assert_false(procstat_parse_line("intr 5", &cpu, &busy, &all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_estimate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_estimate_default, set_up, tear_down),
		cmocka_unit_test(test_procstat_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

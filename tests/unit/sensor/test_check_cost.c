/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs shown by `wattribute check`: descriptors by source and budget, CPU time by their number and the
 * interval.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check_parts.h"

static void bpf_descriptors_do_not_grow(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 100000; n *= 10) {
		const struct check_cost cost = check_cost_estimate("bpf", 6, 1000, 1, n);

		assert_int_equal(cost.fds, 6);
		assert_int_equal(cost.by_cpustat, 0);
		assert_true(cost.cpu_ms_per_s > 0.2 && cost.cpu_ms_per_s < 5);
	}
}

static void perf_pays_per_container_and_runs_out(void **state)
{
	struct check_cost cost = check_cost_estimate("perf", 6, 19723, 1, 1000);

	(void)state;
	assert_int_equal(cost.fds, 6000);
	assert_int_equal(cost.by_cpustat, 0);
	assert_true(cost.cpu_ms_per_s > 3 && cost.cpu_ms_per_s < 3.5); /* docs/performance.md: 3.24 */
	cost = check_cost_estimate("perf", 6, 19723, 1, 10000);
	assert_int_equal(cost.fds, 19722);
	assert_int_equal(cost.by_cpustat, 10000 - 3287);
	cost = check_cost_estimate("perf", 0, 100, 1, 1000); /* no event can be counted */
	assert_int_equal(cost.fds + cost.by_cpustat, 0);
	cost = check_cost_estimate("perf", 200, 100, 1, 10); /* too few for even one */
	assert_int_equal(cost.fds, 0);
	assert_int_equal(cost.by_cpustat, 10);
}

static void cpu_time_needs_one_file_each(void **state)
{
	struct check_cost cost = check_cost_estimate("cpustat", 6, 500, 1, 100);

	(void)state;
	assert_int_equal(cost.fds, 100);
	cost = check_cost_estimate("cpustat", 6, 500, 1, 1000);
	assert_int_equal(cost.fds, 500);
	assert_int_equal(cost.by_cpustat, 0);
}

static void cost_follows_the_interval(void **state)
{
	static const char *const sources[] = {"bpf", "perf", "cpustat"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const double slow = check_cost_estimate(sources[i], 6, 20000, 1, 1000).cpu_ms_per_s;

		assert_true(check_cost_estimate(sources[i], 6, 20000, 10, 1000).cpu_ms_per_s > 9.9 * slow);
		assert_true(check_cost_estimate(sources[i], 6, 20000, 1, 10000).cpu_ms_per_s > slow);
	}
	assert_true(check_cost_estimate("sim", 6, 20000, 1, 1000).cpu_ms_per_s <= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bpf_descriptors_do_not_grow),
		cmocka_unit_test(perf_pays_per_container_and_runs_out),
		cmocka_unit_test(cpu_time_needs_one_file_each),
		cmocka_unit_test(cost_follows_the_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_gaps: alive or dead by an event's enabled time; several sources report one gap of a CPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "machine/cpu_gaps.h"

#include <string.h>

#define MS UINT64_C(1000000)

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(cpu_gaps_missing(1000 * MS, 1000 * MS), 0);
	assert_int_equal(cpu_gaps_missing(1000 * MS, 1001 * MS), 0); /* another clock */
	assert_int_equal(cpu_gaps_missing(1000 * MS, 900 * MS), 0);  /* opened a moment ago */
	assert_int_equal(cpu_gaps_missing(1000 * MS, 600 * MS), 400 * MS);
	assert_int_equal(cpu_gaps_missing(1000 * MS, 0), 1000 * MS);
	assert_int_equal(cpu_gaps_missing(100 * MS, 70 * MS), 0);
	assert_int_equal(cpu_gaps_missing(100 * MS, 50 * MS), 50 * MS);
	assert_int_equal(cpu_gaps_missing(1000, 0), 1000);
	assert_int_equal(cpu_gaps_missing(0, 0), 0);
	assert_int_equal(cpu_gaps_missing(UINT64_MAX, 0), UINT64_MAX);
}

/* The program read its clock, was delayed for 90 ms, and read its events: they are alive. */
static void test_confirm(void **state)
{
	(void)state;
	assert_int_equal(cpu_gaps_missing(500 * MS, 410 * MS), 90 * MS);
	assert_int_equal(cpu_gaps_confirm(1000 * MS, 910 * MS, 1001 * MS, 911 * MS), CPU_GAPS_ALIVE);
	assert_int_equal(cpu_gaps_confirm(1000 * MS, 910 * MS, 1000 * MS, 911 * MS), CPU_GAPS_ALIVE);
	assert_int_equal(cpu_gaps_confirm(1000 * MS, 910 * MS, 1001 * MS, 910 * MS), CPU_GAPS_DEAD);
	assert_int_equal(cpu_gaps_confirm(1000 * MS, 0, 1000 * MS + 1, 0), CPU_GAPS_DEAD);
	assert_int_equal(cpu_gaps_confirm(1000 * MS, 910 * MS, 1000 * MS, 910 * MS), CPU_GAPS_UNKNOWN);
}

static void test_one_gap_of_a_cpu(void **state)
{
	static struct cpu_gaps gaps;

	(void)state;
	cpu_gaps_note(&gaps, 3, 10);
	cpu_gaps_note(&gaps, 1, 7);
	cpu_gaps_note(&gaps, 3, 20);
	cpu_gaps_note(&gaps, 3, 5);
	assert_int_equal(gaps.n, 2);
	assert_int_equal(gaps.gaps[0].lost_ns, 20);
	assert_int_equal(gaps.gaps[1].cpu, 1);
	for (unsigned cpu = 0; cpu < CPU_GAPS_MAX + 5; cpu++)
		cpu_gaps_note(&gaps, cpu, 1);
	assert_int_equal(gaps.n, CPU_GAPS_MAX);
	assert_int_equal(gaps.n_beyond, 5);
	cpu_gaps_note(NULL, 1, 1); /* not requested */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_one_gap_of_a_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

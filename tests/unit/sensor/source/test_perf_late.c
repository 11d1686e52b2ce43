/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time before a cgroup's events were opened: which cgroups it is known of, and what is added to their
 * counts: like the rest of their tick, or like the machine if that was too short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake/fake_tree.h"
#include "machine/topology.h"
#include "source/frame.h"
#include "source/perf/perf_late.h"

#define MS     CLOCK_NS_PER_MS
#define SLOT   1
#define EVENTS 2

static struct {
	struct fake_tree tree;
	char root[256];
	struct topology topology;
	struct source_context context;
	struct activity_frame frame;
	struct perf_late late;
} fixture;

static void set_counts(unsigned slot, uint64_t first, uint64_t second, uint64_t enabled_ns)
{
	frame_counts(&fixture.frame, slot)[0] = first;
	frame_counts(&fixture.frame, slot)[1] = second;
	fixture.frame.enabled_ns[slot] = fixture.frame.running_ns[slot] = enabled_ns;
	fixture.frame.flags[slot] = ACTIVITY_OPEN | ACTIVITY_FIRST;
}

/* A second after a tick's reading, in which the machine had used 10 s of CPU time. */
static int set_up(void **state)
{
	(void)state;
	fixture.tree = fake_new();
	fixture.topology = (struct topology){.n_cpus = 2};
	(void)snprintf(fixture.root, sizeof(fixture.root), "%s", fixture.tree.root);
	fixture.context = (struct source_context){
		.topology = &fixture.topology, .cpu_root = fixture.root, .cpu_root_v2 = true};
	fixture.frame = (struct activity_frame){.n_groups = 1, .n_events = EVENTS, .n_places = 1};
	assert_int_equal(frame_reserve(&fixture.frame, 3, true), 0);
	fixture.late = (struct perf_late){.context = &fixture.context,
					  .read_ns = clock_monotonic_ns() - 1000 * MS,
					  .machine_ns = 10000 * MS};
	fake_write(&fixture.tree, "cpu.stat", "usage_usec 11000000\n"); /* 1 s in this tick */
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	perf_late_done(&fixture.late);
	frame_done(&fixture.frame);
	fake_free(&fixture.tree);
	return 0;
}

static void apply(uint64_t first, uint64_t second, uint64_t enabled_ns)
{
	perf_late_apply(&fixture.late, &fixture.frame);
	assert_int_equal(frame_counts(&fixture.frame, SLOT)[0], first);
	assert_int_equal(frame_counts(&fixture.frame, SLOT)[1], second);
	assert_int_equal(fixture.frame.enabled_ns[SLOT], enabled_ns);
	assert_int_equal(fixture.frame.running_ns[SLOT], enabled_ns);
}

static void usage_is_read(void **state)
{
	(void)state;
	fake_write(&fixture.tree, "docker/a/cpu.stat", "usage_usec 1234\nuser_usec 1\n");
	assert_int_equal(perf_late_usage(&fixture.late, "/docker/a"), 1234000);
	assert_int_equal(perf_late_usage(&fixture.late, "/docker/b"), 0);
	fake_write(&fixture.tree, "docker/a/cpuacct.usage", "5678\n");
	fixture.context.cpu_root_v2 = false;
	assert_int_equal(perf_late_usage(&fixture.late, "/docker/a"), 5678);
	fixture.context.cpu_root = NULL;
	assert_int_equal(perf_late_usage(&fixture.late, "/docker/a"), 0);
}

/* 100 ms before the opening, 200 ms after it: half as much again. */
static void what_follows_is_scaled(void **state)
{
	(void)state;
	set_counts(ACTIVITY_SLOT_MACHINE, 90000, 9000, 2000 * MS);
	set_counts(SLOT, 1000, 20, 200 * MS);
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	apply(1500, 30, 300 * MS);
	set_counts(SLOT, 1000, 20, 200 * MS);
	apply(1000, 20, 200 * MS); /* in its first tick only */
}

/* Opened just before the reading: a tenth of the machine's CPU time, so a tenth of its counts. */
static void the_machine_stands_in(void **state)
{
	(void)state;
	set_counts(ACTIVITY_SLOT_MACHINE, 90000, 9000, 2000 * MS);
	set_counts(SLOT, 0, 0, 0);
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	apply(9000, 900, 100 * MS);
	assert_int_equal(fixture.frame.n_active, 1);
	assert_int_equal(fixture.frame.active[0], SLOT);
}

/* Without the root's CPU time (before Linux 5.8), nothing is known. */
static void nothing_stands_in(void **state)
{
	(void)state;
	fake_write(&fixture.tree, "cpu.stat", "nr_periods 0\n");
	set_counts(ACTIVITY_SLOT_MACHINE, 90000, 9000, 2000 * MS);
	set_counts(SLOT, 7, 0, MS);
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	apply(7, 0, MS);
}

/* More than two CPUs can have used since the last reading: it is older than this tick. */
static void old_cgroups_are_left_alone(void **state)
{
	(void)state;
	set_counts(SLOT, 1000, 20, 200 * MS);
	perf_late_note(&fixture.late, SLOT, 5000 * MS);
	apply(1000, 20, 200 * MS);
	fixture.late.read_ns = 0;
	perf_late_note(&fixture.late, SLOT, MS);
	apply(1000, 20, 200 * MS);
}

static void missing_and_removed(void **state)
{
	(void)state;
	set_counts(SLOT, REPORT_COUNT_MISSING, 20, 200 * MS);
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	apply(REPORT_COUNT_MISSING, 30, 300 * MS);
	set_counts(SLOT, 1000, 20, 200 * MS);
	fixture.late.read_ns = clock_monotonic_ns() - 1000 * MS;
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	perf_late_note(&fixture.late, SLOT + 1, 100 * MS);
	perf_late_forget(&fixture.late, SLOT);
	assert_int_equal(fixture.late.n, 1);
	apply(1000, 20, 200 * MS);
	fixture.frame.flags[SLOT] |= ACTIVITY_FAILED;
	fixture.late.read_ns = clock_monotonic_ns() - 1000 * MS;
	perf_late_note(&fixture.late, SLOT, 100 * MS);
	apply(1000, 20, 200 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(usage_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_follows_is_scaled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_machine_stands_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_stands_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_cgroups_are_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(missing_and_removed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

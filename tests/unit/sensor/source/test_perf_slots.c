/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading perf groups without perf: pipes replace the descriptors, to simulate multiplexing, starved groups,
 * counters that decrease, energy units and failing reads. And: a read does not allocate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "source/frame.h"
#include "base/log.h"
#include "machine/cpu_online.h"
#include "source/perf/perf_slots.h"
#include "unit/random_seed.h"

#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two CPUs of one package: CPU 0 has both events in one group, CPU 1 has a group for each. */
static struct report_place place = {.package = 0, .cpu = 0};
static struct perf_unit units[] = {
	{.cpu = 0, .place = 0, .group = 0, .n_sharing = 1, .n_events = 2, .first = 0},
	{.cpu = 1, .place = 0, .group = 0, .n_sharing = 2, .n_events = 1, .first = 2},
	{.cpu = 1, .place = 0, .group = 0, .n_sharing = 2, .n_events = 1, .first = 3},
};
static struct event_attr attrs[4];
static unsigned columns[] = {0, 1, 0, 1};
static double joules_per_count[] = {0, 0};
static struct report_group group = {.name = "g", .n_events = 2, .n_places = 1, .places = &place};
static struct perf_plan plan = {
	.n_groups = 1,
	.groups = &group,
	.places = &place,
	.n_places = 1,
	.n_events = 2,
	.joules_per_count = joules_per_count,
	.n_units = 3,
	.units = units,
	.n_fds = 4,
	.attrs = attrs,
	.columns = columns,
};

static struct {
	struct source_context context;
	struct perf_slots slots;
	struct activity_frame frame;
	int writers[4];
} fixture;

/* Slot 1 as after perf_slots_open, but with pipes. */
static int set_up(void **state)
{
	struct perf_slot *slot;

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	joules_per_count[1] = 0;
	fixture.slots = (struct perf_slots){.context = &fixture.context, .plan = &plan};
	fixture.frame =
		(struct activity_frame){.n_groups = 1, .groups = &group, .n_events = 2, .n_places = 1};
	assert_int_equal(perf_slots_reserve(&fixture.slots, &fixture.frame, 2), 0);
	slot = &fixture.slots.slots[1];
	slot->fds = calloc(4, sizeof(*slot->fds));
	slot->before = calloc(10, sizeof(*slot->before));
	slot->first = true;
	fixture.frame.flags[1] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	for (unsigned i = 0; i < 4; i++) {
		int fds[2];

		assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
		slot->fds[i] = fds[0];
		fixture.writers[i] = fds[1];
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		(void)close(fixture.writers[i]);
	perf_slots_done(&fixture.slots, &fixture.frame);
	assert_int_equal(fixture.context.fd_budget, 4);
	return 0;
}

/* The kernel's answers for unit 0, and for the two units of CPU 1. */
static void say_pair(uint64_t enabled, uint64_t running, uint64_t a, uint64_t b)
{
	uint64_t reading[] = {2, enabled, running, a, b};

	assert_int_equal(write(fixture.writers[0], reading, sizeof(reading)), sizeof(reading));
}

static void say_one(unsigned fd, uint64_t enabled, uint64_t running, uint64_t count)
{
	uint64_t reading[] = {1, enabled, running, count};

	assert_int_equal(write(fixture.writers[fd], reading, sizeof(reading)), sizeof(reading));
}

static void read_and_expect(uint64_t a, uint64_t b)
{
	const uint64_t *counts = frame_counts(&fixture.frame, 1);

	assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
	assert_int_equal(counts[0], a);
	assert_int_equal(counts[1], b);
	assert_int_equal(fixture.frame.n_active, a || b);
}

static void test_sums_and_times(void **state)
{
	(void)state;
	say_pair(100, 100, 10, 20);
	say_one(2, 100, 100, 1);
	say_one(3, 100, 100, 2);
	read_and_expect(11, 22);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FIRST);
	/* Two CPUs, 100 ns each; each of the two groups of CPU 1 counts half. */
	assert_int_equal(fixture.frame.enabled_ns[1], 200);
	say_pair(200, 200, 10, 20);
	say_one(2, 200, 200, 1);
	say_one(3, 200, 200, 2);
	read_and_expect(0, 0);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN);
}

static void test_multiplexed(void **state)
{
	(void)state;
	say_pair(100, 50, 10, 20);
	say_one(2, 100, 100, 0);
	say_one(3, 100, 0, 0); /* never got a counter */
	read_and_expect(20, 40);
	assert_int_equal(fixture.frame.running_ns[1], 100);
	say_pair(200, 150, 20, 21); /* ran during this entire step */
	say_one(2, 200, 200, 7);
	say_one(3, 200, 50, 5); /* ran for a quarter of both steps */
	read_and_expect(10 + 7, 1 + 20);
	say_pair(300, 250, 19, 22); /* a counter that decreased */
	say_one(2, 300, 300, 7);
	say_one(3, 300, 150, 5);
	read_and_expect(0, 1);
}

static unsigned n_lines;
static char last_line[512];

static void keep_line(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)level;
	n_lines++;
	(void)snprintf(last_line, sizeof(last_line), "%s: %s", token, line);
}

/*
 * Another user takes the counters of one group for ten reads and returns them: each is logged once, and the
 * later counts are scaled over the whole time.
 */
static void test_taken_by_another_user(void **state)
{
	struct perf_slot *machine = &fixture.slots.slots[ACTIVITY_SLOT_MACHINE];
	uint64_t time = 0;

	(void)state;
	*machine = fixture.slots.slots[1];
	fixture.slots.slots[1] = (struct perf_slot){0};
	fixture.frame.flags[ACTIVITY_SLOT_MACHINE] = ACTIVITY_OPEN;
	for (unsigned i = 0; i < plan.n_units; i++)
		fixture.slots.pulses[i].looked_ns = fixture.slots.pulses[i].alive_ns = clock_monotonic_ns();
	n_lines = 0;
	log_set_sink(keep_line, NULL);
	for (unsigned i = 1; i <= 14; i++) {
		const bool taken = i > 2 && i <= 12;
		const uint64_t running = taken ? 200 : i <= 2 ? i * 100 : (i - 10) * 100;

		time += 100;
		say_pair(time, time, time, 0);
		say_one(2, time, running, running);
		say_one(3, time, time, 0);
		assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
		assert_int_equal(n_lines, i < 5 ? 0 : i <= 12 ? 1 : 2);
		if (i == 5)
			assert_non_null(strstr(last_line, "1 of 3 groups of events get no counter"));
		/* 100 counts in the only one of eleven steps in which it ran */
		if (i == 13)
			assert_int_equal(frame_counts(&fixture.frame, ACTIVITY_SLOT_MACHINE)[0], 100 + 1100);
	}
	assert_non_null(strstr(last_line, "counters again"));
	log_set_sink(NULL, NULL);
}

static void test_energy_units(void **state)
{
	(void)state;
	joules_per_count[1] = 0.5;
	say_pair(1, 1, 0, 3);
	say_one(2, 1, 1, 0);
	say_one(3, 1, 1, 1);
	read_and_expect(0, UINT64_C(2) << 32);
}

static void test_failing(void **state)
{
	uint64_t wrong[] = {3, 1, 1, 1, 1};
	const uint64_t *counts = frame_counts(&fixture.frame, 1);

	(void)state;
	assert_int_equal(write(fixture.writers[0], wrong, sizeof(wrong)), sizeof(wrong));
	say_one(2, 10, 10, 5);
	(void)close(fixture.writers[3]);
	fixture.writers[3] = -1; /* end of file, as for an offline CPU */
	assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FIRST | ACTIVITY_FAILED);
	assert_int_equal(fixture.frame.read_failures, 2);
	assert_int_equal(counts[0], 5);
	say_pair(20, 20, 100, 100);
	say_one(2, 20, 20, 6);
	assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
	assert_int_equal(counts[0], 101);
	assert_int_equal(counts[1], 100);
}

/* A CPU goes offline: the kernel splits its group of two, and each event has its own last count. */
static void test_taken_apart(void **state)
{
	/* The data of an event that was not opened as a group leader. */
	const uint64_t leader[] = {1, 200, 200, 13}, sibling[] = {25, 200, 200};

	(void)state;
	say_pair(100, 100, 10, 20);
	say_one(2, 100, 100, 1);
	say_one(3, 100, 100, 2);
	read_and_expect(11, 22);
	assert_int_equal(write(fixture.writers[0], leader, sizeof(leader)), sizeof(leader));
	assert_int_equal(write(fixture.writers[1], sibling, sizeof(sibling)), sizeof(sibling));
	say_one(2, 200, 200, 4);
	say_one(3, 200, 200, 6);
	read_and_expect(3 + 3, 5 + 4);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN);
	assert_int_equal(fixture.frame.read_failures, 0);
	/* An event without data is a failure; the next read catches up. */
	assert_int_equal(write(fixture.writers[0], leader, sizeof(leader)), sizeof(leader));
	say_one(2, 300, 300, 4);
	say_one(3, 300, 300, 6);
	assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FAILED);
	assert_int_equal(fixture.frame.read_failures, 1);
	/* A group that was not opened because its CPU was offline has no data. */
	(void)close(fixture.slots.slots[1].fds[0]);
	fixture.slots.slots[1].fds[0] = -1;
	say_one(2, 400, 400, 5);
	say_one(3, 400, 400, 8);
	read_and_expect(1, 2);
	assert_int_equal(fixture.frame.flags[1], ACTIVITY_OPEN);
}

/*
 * On a busy machine, any time may pass between reading the machine's events and the clock: that is not a gap.
 */
static void test_a_late_read_is_not_a_gap(void **state)
{
	const uint64_t ms = 1000000, start = clock_monotonic_ns() - 10000 * ms;
	struct perf_pulse *pulse = &fixture.slots.pulses[0];
	int fds[4] = {-1, -1, -1, -1};

	(void)state;
	fds[0] = fixture.slots.slots[1].fds[0];
	fixture.slots.slots[0].fds = fds;
	pulse->looked_ns = start;
	for (uint64_t tick = 1; tick < 10; tick++) {
		pulse->begin_ns = start + tick * 500 * ms;
		pulse->enabled_ns = tick * 500 * ms + 1;
		pulse->read_ns = pulse->begin_ns + (tick % 2 ? 400 : 0) * ms;
		perf_slots_look(&fixture.slots, 0);
		assert_true(fds[0] >= 0);
		assert_int_equal(pulse->looked_ns, pulse->read_ns);
	}
	fixture.slots.slots[0].fds = NULL;
}

/*
 * Half of the tick is missing from the enabled time. Events whose time still advances are kept; the others
 * are dead.
 */
static void test_only_dead_events_are_reopened(void **state)
{
	static struct cpu_online none = {.length = 1}; /* no CPU is online: nothing is opened */
	const uint64_t ms = 1000000, start = clock_monotonic_ns() - 10000 * ms;
	struct perf_pulse *pulse = &fixture.slots.pulses[0];
	struct perf_slot *machine = &fixture.slots.slots[ACTIVITY_SLOT_MACHINE];

	(void)state;
	*machine = fixture.slots.slots[1];
	fixture.slots.slots[1] = (struct perf_slot){0};
	fixture.context.online = &none;
	pulse->looked_ns = start;
	for (uint64_t tick = 1; tick <= 3; tick++) {
		pulse->begin_ns = pulse->read_ns = start + tick * 500 * ms;
		pulse->enabled_ns = tick * 250 * ms;
		say_pair(pulse->enabled_ns + (tick < 3), 0, 0, 0);
		perf_slots_look(&fixture.slots, 0);
		assert_true(tick < 3 ? machine->fds[0] >= 0 : machine->fds[0] < 0);
		assert_int_equal(pulse->alive_ns, start + 500 * ms * tick - (tick < 3 ? 0 : 250 * ms));
	}
}

/* Random steps without multiplexing: the deltas add up to the last count. */
static void test_adds_up(void **state)
{
	uint64_t total = 0, sum = 0, time = 0;

	(void)state;
	srandom(random_begin());
	for (unsigned i = 0; i < 200; i++) {
		total += (uint64_t)random() % 1000;
		time += 100;
		say_pair(time, time, total, 0);
		say_one(2, time, time, 0);
		say_one(3, time, time, 0);
		assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
		sum += frame_counts(&fixture.frame, 1)[0];
	}
	assert_int_equal(sum, total);
}

static void test_no_allocation(void **state)
{
#ifdef WATTRIBUTE_SANITIZED
	(void)state;
	skip();
#else
	struct mallinfo2 before;

	(void)state;
	before = mallinfo2();
	for (unsigned i = 1; i < 50; i++) {
		struct mallinfo2 after;

		say_pair(i, i, i, i);
		say_one(2, i, i, i);
		say_one(3, i, i, i);
		assert_int_equal(perf_slots_read(&fixture.slots, &fixture.frame), 0);
		after = mallinfo2();
		assert_int_equal(after.uordblks, before.uordblks);
		assert_int_equal(after.hblks, before.hblks);
	}
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums_and_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_multiplexed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_by_another_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_energy_units, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_late_read_is_not_a_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_dead_events_are_reopened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_adds_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_allocation, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

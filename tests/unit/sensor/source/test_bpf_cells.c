/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bpf source makes of its cells: counts of events that shared counters, scaled over a tick for each
 * cell and event. The rule: an event with a counter for part of the time, in slices longer than the time
 * between two switches, gets the same count as one with a permanent counter. Prints its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/bpf/source_bpf.h"

#include "source/frame.h"
#include "unit/random_seed.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS 3
#define CELLS  2
#define SLICE  4000 /* an event keeps its counter for this time, us */

struct bench {
	struct perf_plan plan;
	struct report_group groups[2];
	struct source_bpf bpf;
	struct count_cell cells[CELLS];
	_Alignas(8) char seen[CELLS]
			     [sizeof(struct source_bpf_seen) + EVENTS * sizeof(struct source_bpf_seen_event)];
	uint64_t sums[CELLS][EVENTS];
};

static struct source_bpf_seen *seen(struct bench *bench, unsigned cell)
{
	return (void *)bench->seen[cell];
}

static void set_up(struct bench *bench)
{
	struct activity_frame *frame = &bench->bpf.source.frame;

	memset(bench, 0, sizeof(*bench));
	bench->plan.n_events = EVENTS;
	bench->groups[0].n_events = 2;
	bench->groups[1].n_events = 1;
	bench->bpf.plan = &bench->plan;
	frame->n_groups = 2;
	frame->groups = bench->groups;
	frame->n_events = EVENTS;
	frame->n_places = 1;
	assert_int_equal(frame_reserve(frame, CELLS, true), 0);
}

/* Adds one stretch of a cgroup, as the program in the kernel does. */
static void stretch(struct count_cell *cell, uint64_t us, unsigned rate, const uint64_t running_us[EVENTS])
{
	cell->ns += us * 1000;
	cell->enabled += us * 1000;
	for (unsigned e = 0; e < EVENTS; e++) {
		cell->events[e].count += running_us[e] * rate;
		cell->events[e].waited += (us - running_us[e]) * 1000;
	}
}

static void tick(struct bench *bench)
{
	struct activity_frame *frame = &bench->bpf.source.frame;

	frame_clear(frame);
	for (unsigned c = 0; c < CELLS; c++) {
		(void)source_bpf_take(&bench->bpf, &bench->cells[c], seen(bench, c), c, 0);
		for (unsigned e = 0; e < EVENTS; e++)
			bench->sums[c][e] += frame_counts(frame, c)[e];
	}
}

/* Event 0 always has a counter; 1 and 2 alternate, whatever runs. */
static uint64_t overlap(uint64_t from, uint64_t us, unsigned event)
{
	uint64_t n = 0;

	for (uint64_t at = from; at < from + us; at++)
		n += event == 0 || at / SLICE % 2 == event - 1;
	return n;
}

static void shared_counters_count_all(void **state)
{
	uint64_t now = 0;
	struct bench bench;

	(void)state;
	srand(random_begin());
	set_up(&bench);
	for (unsigned ticks = 0; ticks < 40; ticks++) {
		const uint64_t end = now + 100000;

		/* Two cgroups alternate, each for much less than a slice. */
		for (unsigned c = 0; now < end; c = !c) {
			const uint64_t us = 20 + (unsigned)rand() % 400;
			uint64_t running[EVENTS];

			for (unsigned e = 0; e < EVENTS; e++)
				running[e] = overlap(now, us, e);
			stretch(&bench.cells[c], us, c ? 7 : 3, running);
			now += us;
		}
		tick(&bench);
	}
	for (unsigned c = 0; c < CELLS; c++) {
		const double truth = (double)bench.sums[c][0];

		assert_true(truth > 0);
		assert_true(bench.sums[c][0] == bench.cells[c].events[0].count);
		for (unsigned e = 1; e < EVENTS; e++) {
			print_message("# cell %u, event %u: %.3f of the truth\n", c, e,
				      (double)bench.sums[c][e] / truth);
			assert_true((double)bench.sums[c][e] > 0.98 * truth);
			assert_true((double)bench.sums[c][e] < 1.02 * truth);
		}
	}
	frame_done(&bench.bpf.source.frame);
}

/* A whole tick without a counter is counted with the next one; it is not zero. */
static void a_tick_without_counter_is_counted_later(void **state)
{
	static const uint64_t none[EVENTS] = {1000, 0, 1000}, all[EVENTS] = {1000, 1000, 1000};
	struct activity_frame *frame;
	struct bench bench;

	(void)state;
	set_up(&bench);
	frame = &bench.bpf.source.frame;
	for (int i = 0; i < 2; i++) {
		stretch(&bench.cells[0], 1000, 5, none);
		tick(&bench);
		assert_int_equal(frame_counts(frame, 0)[0], 5000);
		assert_int_equal(frame_counts(frame, 0)[1], 0);
		assert_int_equal(frame_counts(frame, 0)[2], 5000);
	}
	stretch(&bench.cells[0], 1000, 5, all);
	tick(&bench);
	assert_int_equal(frame_counts(frame, 0)[1], 15000);
	/* Nothing is counted twice. */
	stretch(&bench.cells[0], 1000, 5, all);
	tick(&bench);
	assert_int_equal(frame_counts(frame, 0)[1], 5000);
	frame_done(frame);
}

/* Each group reports how long its own first event ran. */
static void times_are_those_of_each_group(void **state)
{
	static const uint64_t running[EVENTS] = {1000, 1000, 250};
	struct activity_frame *frame;
	struct bench bench;

	(void)state;
	set_up(&bench);
	frame = &bench.bpf.source.frame;
	stretch(&bench.cells[1], 1000, 8, running);
	tick(&bench);
	assert_int_equal(frame->enabled_ns[2], 1000000);
	assert_int_equal(frame->running_ns[2], 1000000);
	assert_int_equal(frame->enabled_ns[3], 1000000);
	assert_int_equal(frame->running_ns[3], 250000);
	assert_int_equal(frame_counts(frame, 1)[2], 8000);
	frame_done(frame);
}

/* Counts of a cgroup from before its target was known are added once, scaled with the rest. */
static void earlier_counts_are_added(void **state)
{
	static const uint64_t half[EVENTS] = {1000, 500, 0};
	struct activity_frame *frame;
	struct bench bench;

	(void)state;
	set_up(&bench);
	frame = &bench.bpf.source.frame;
	stretch(&bench.cells[0], 1000, 2, half);
	tick(&bench);
	stretch(&bench.cells[1], 1000, 2, half);
	source_bpf_unsee(&bench.bpf, &bench.cells[1], seen(&bench, 0));
	stretch(&bench.cells[0], 1000, 2, half);
	tick(&bench);
	assert_int_equal(frame_counts(frame, 0)[0], 4000);
	assert_int_equal(frame_counts(frame, 0)[1], 4000);
	assert_int_equal(frame_counts(frame, 0)[2], 0);
	tick(&bench);
	assert_int_equal(frame_counts(frame, 0)[0], 0);
	/* A slot with a new owner starts from the present values of its cell. */
	source_bpf_see(&bench.bpf, &bench.cells[1], seen(&bench, 1));
	tick(&bench);
	assert_int_equal(frame_counts(frame, 1)[0], 0);
	frame_done(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_counters_count_all),
		cmocka_unit_test(a_tick_without_counter_is_counted_later),
		cmocka_unit_test(times_are_those_of_each_group),
		cmocka_unit_test(earlier_counts_are_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

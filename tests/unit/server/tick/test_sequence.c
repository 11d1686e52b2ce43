/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Missing ticks are counted by their numbers; two sensors with the same name are distinguished from jitter
 * and from restarts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tick/sequence.h"

static void missing_ticks_are_counted(void **state)
{
	struct sequence sequence = {0};
	bool overlaps;

	(void)state;
	assert_int_equal(sequence_note(&sequence, 7, 7000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 8, 8000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 12, 12000, 1, &overlaps), 3);
	/* A restarted sensor counts from 1. */
	assert_int_equal(sequence_note(&sequence, 1, 20000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 3, 22000, 1, &overlaps), 1);
	assert_false(overlaps);
}

static void jittery_times_are_not_an_overlap(void **state)
{
	struct sequence sequence = {0};
	uint32_t random = 5;
	bool overlaps;

	(void)state;
	for (uint64_t seq = 1; seq < 5000; seq++) {
		random = random * 1664525u + 1013904223u;
		assert_int_equal(
			sequence_note(&sequence, seq, (int64_t)seq * 100 + random / 67108864, 0.1, &overlaps),
			0);
		assert_false(overlaps);
	}
}

static void two_sensors_are_detected(void **state)
{
	struct sequence sequence = {0};
	uint64_t missing = 0;
	unsigned n = 0;
	bool overlaps;

	(void)state;
	for (uint64_t seq = 1; seq <= 100; seq++) {
		missing += sequence_note(&sequence, seq, (int64_t)seq * 1000, 1, &overlaps);
		n += overlaps;
		if (seq <= 20)
			continue;
		missing += sequence_note(&sequence, seq + 500, (int64_t)seq * 1000 + 300, 1, &overlaps);
		n += overlaps;
	}
	assert_in_range(n, 120, 160);
	assert_int_equal(missing, 0);
}

/* Both tick at the same times; for each time, the tick that was written first is kept. */
static void two_sensors_at_the_same_instants_are_detected(void **state)
{
	(void)state;
	for (uint32_t wins = 6; wins <= 58; wins += 4) { /* of 64: the second sensor's ticks */
		struct sequence sequence = {0};
		uint64_t missing = 0;
		unsigned n = 0;
		uint32_t random = wins;
		bool overlaps;

		for (uint64_t tick = 1; tick <= 400; tick++) {
			random = random * 1664525u + 1013904223u;
			missing += sequence_note(&sequence, random >> 26 < wins ? tick + 500 : tick,
						 (int64_t)tick * 1000, 1, &overlaps);
			n += overlaps;
		}
		assert_in_range(n, 20, 400);
		assert_in_range(missing, 0,
				64); /* replaced by the other's ticks, until the two sensors are recognised */
	}
}

/* A restarted sensor whose first ticks are missing is not a second sensor. */
static void restarts_are_not_an_overlap(void **state)
{
	struct sequence sequence = {0};
	bool overlaps;

	(void)state;
	for (uint64_t tick = 1; tick <= 500; tick++) {
		assert_int_equal(sequence_note(&sequence, 3 + tick % 100, (int64_t)tick * 1000, 1, &overlaps),
				 0);
		assert_false(overlaps);
	}
}

/* On a busy machine, one late tick replaces several. */
static void late_ticks_do_not_hide_missing_ones(void **state)
{
	struct sequence sequence = {0};
	bool overlaps;

	(void)state;
	assert_int_equal(sequence_note(&sequence, 1, 1000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 2, 6000, 5, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 10, 14000, 1, &overlaps), 7);
	assert_int_equal(sequence_note(&sequence, 15, 23000, 5, &overlaps), 4);
	assert_false(overlaps);
}

static void a_clock_set_back_is_reported(void **state)
{
	struct sequence sequence = {0};
	bool overlaps = false;

	(void)state;
	for (uint64_t seq = 1; seq <= 20; seq++)
		assert_int_equal(sequence_note(&sequence, seq, 1000000 + (int64_t)seq, 1, &overlaps), 0);
	assert_true(overlaps);
}

static struct sequence_targets targets_of(uint32_t first, uint32_t last)
{
	struct sequence_targets targets = {{0}};

	for (uint32_t key = first; key <= last; key++)
		sequence_add_target(&targets, key * 2654435761u);
	return targets;
}

/* The number of ticks, of 100, in which it is detected; their targets are first[i % n] to last[i % n]. */
static unsigned told(const uint32_t *first, const uint32_t *last, unsigned n)
{
	struct sequence_turns turns = {.n = 0};
	unsigned n_told = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct sequence_targets targets = targets_of(first[i % n], last[i % n]);

		n_told += sequence_note_targets(&turns, &targets);
	}
	return n_told;
}

/*
 * Without numbers, two sensors with one name are detected by alternating targets; a job that comes and goes
 * does not count.
 */
static void alternation_without_numbers(void **state)
{
	(void)state;
	assert_true(told((const uint32_t[]){1, 4}, (const uint32_t[]){3, 6}, 2) > 80);
	assert_true(told((const uint32_t[]){1, 500}, (const uint32_t[]){20, 580}, 2) > 80);
	assert_true(told((const uint32_t[]){1, 3}, (const uint32_t[]){3, 4}, 2) > 80); /* some in both */
	assert_int_equal(told((const uint32_t[]){1}, (const uint32_t[]){3}, 1), 0);
	assert_int_equal(told((const uint32_t[]){1, 1}, (const uint32_t[]){3, 4}, 2),
			 0); /* in every second tick */
	assert_int_equal(told((const uint32_t[]){1, 5, 9}, (const uint32_t[]){3, 6, 9}, 3), 0);
	assert_int_equal(told((const uint32_t[]){1, 9}, (const uint32_t[]){3, 8}, 2), 0); /* no targets */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alternation_without_numbers),
		cmocka_unit_test(missing_ticks_are_counted),
		cmocka_unit_test(jittery_times_are_not_an_overlap),
		cmocka_unit_test(two_sensors_are_detected),
		cmocka_unit_test(two_sensors_at_the_same_instants_are_detected),
		cmocka_unit_test(restarts_are_not_an_overlap),
		cmocka_unit_test(late_ticks_do_not_hide_missing_ones),
		cmocka_unit_test(a_clock_set_back_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks that never came are counted by their numbers; two sensors of one name are told from wavering times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sequence.h"

static void missing_ticks_are_counted(void **state)
{
	struct sequence sequence = {0};
	bool overlaps;

	(void)state;
	assert_int_equal(sequence_note(&sequence, 7, 7000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 8, 8000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 12, 12000, 1, &overlaps), 3);
	/* A restart counts from 1 on. */
	assert_int_equal(sequence_note(&sequence, 1, 20000, 1, &overlaps), 0);
	assert_int_equal(sequence_note(&sequence, 3, 22000, 1, &overlaps), 1);
	assert_false(overlaps);
}

static void wavering_times_are_no_overlap(void **state)
{
	struct sequence sequence = {0};
	uint32_t random = 5;
	bool overlaps;

	(void)state;
	for (uint64_t seq = 1; seq < 5000; seq++) {
		random = random * 1664525u + 1013904223u;
		assert_int_equal(sequence_note(&sequence, seq, (int64_t)seq * 100 + random / 67108864, 0.1, &overlaps), 0);
		assert_false(overlaps);
	}
}

static void two_sensors_are_told(void **state)
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
	assert_in_range(missing, 0, 1000); /* until they are known to be two */
}

static void a_clock_that_was_set_back_is_told(void **state)
{
	struct sequence sequence = {0};
	bool overlaps = false;

	(void)state;
	for (uint64_t seq = 1; seq <= 20; seq++)
		assert_int_equal(sequence_note(&sequence, seq, 1000000 + (int64_t)seq, 1, &overlaps), 0);
	assert_true(overlaps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_ticks_are_counted),
		cmocka_unit_test(wavering_times_are_no_overlap),
		cmocka_unit_test(two_sensors_are_told),
		cmocka_unit_test(a_clock_that_was_set_back_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream's own clock: any interval, from the first tick on, despite an odd step or a wrong stored state.
 */
#include "tick/tick_clock.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define N 60

/* Runs a stream; at the first tick, the clock is shown the times of the waiting ticks, as in machine.c. */
static void run(struct tick_clock *clock, const int64_t *times_ms, unsigned n, double *ret_lengths_s)
{
	for (unsigned i = 0; i < n; i++) {
		if (!tick_clock_knows(clock))
			tick_clock_prime(clock, times_ms + i, n - i < 3 ? n - i : 3);
		ret_lengths_s[i] = tick_clock_take(clock, times_ms[i], NAN, NAN, true);
	}
}

static void check(const double *lengths_s, unsigned from, unsigned n, double expected_s)
{
	for (unsigned i = from; i < n; i++) {
		if (fabs(lengths_s[i] - expected_s) > 0.15 * expected_s)
			fail_msg("tick %u: %g s for %g s", i, lengths_s[i], expected_s);
	}
}

static void any_interval_is_right_from_the_first_tick(void **state)
{
	static const int steps_ms[] = {10, 100, 500, 1000, 2000, 5000, 60000, 3600000};
	int64_t times_ms[N];
	double lengths_s[N];

	(void)state;
	for (size_t k = 0; k < sizeof(steps_ms) / sizeof(steps_ms[0]); k++) {
		struct tick_clock clock;

		tick_clock_init(&clock, 1);
		for (unsigned i = 0; i < N; i++)
			times_ms[i] = 1700000000000 + (int64_t)i * steps_ms[k];
		run(&clock, times_ms, N, lengths_s);
		check(lengths_s, 0, N, steps_ms[k] / 1000.0);
	}
}

static void damaged_states_recover_immediately(void **state)
{
	static const double stored_s[] = {0.002, 0.1, 30, 86400, -1, NAN, INFINITY, 1e9};
	int64_t times_ms[N];
	double lengths_s[N];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		times_ms[i] = 1700000000000 + (int64_t)i * 1000;
	for (size_t k = 0; k < sizeof(stored_s) / sizeof(stored_s[0]); k++) {
		struct tick_clock clock;

		tick_clock_init(&clock, 1);
		tick_clock_resume(&clock, times_ms[0] - 1000, stored_s[k]);
		run(&clock, times_ms, N, lengths_s);
		check(lengths_s, 0, N, 1);
		/* After the server and the sensor were stopped for a day. */
		tick_clock_init(&clock, 1);
		tick_clock_resume(&clock, times_ms[0] - 86400000, stored_s[k]);
		run(&clock, times_ms, N, lengths_s);
		check(lengths_s, 0, N, 1);
	}
}

/* One odd step at any position: that tick may be wrong, the others are right. */
static void one_odd_step_affects_no_other(void **state)
{
	static const int odd_ms[] = {1, 2, 50, 15000, 3600000};
	int64_t times_ms[N];
	double lengths_s[N];

	(void)state;
	for (size_t k = 0; k < sizeof(odd_ms) / sizeof(odd_ms[0]); k++) {
		for (unsigned at = 1; at < 20; at++) {
			struct tick_clock clock;

			tick_clock_init(&clock, 1);
			times_ms[0] = 1700000000000;
			for (unsigned i = 1; i < N; i++)
				times_ms[i] = times_ms[i - 1] + (i == at ? odd_ms[k] : 1000);
			run(&clock, times_ms, N, lengths_s);
			for (unsigned i = 0; i < N; i++) {
				if (i != at)
					check(lengths_s, i, i + 1, 1);
				assert_true(lengths_s[i] > 0.2 && lengths_s[i] < 20);
			}
		}
	}
}

/* Every report is duplicated a few milliseconds later: no tick has thousands of watts. */
static void duplicated_reports_have_the_length_of_a_tick(void **state)
{
	struct tick_clock clock;
	int64_t times_ms[N];
	double lengths_s[N];

	(void)state;
	tick_clock_init(&clock, 1);
	for (unsigned i = 0; i < N; i++)
		times_ms[i] = 1700000000000 + (int64_t)(i / 2) * 5000 + (i % 2) * 3;
	run(&clock, times_ms, N, lengths_s);
	check(lengths_s, 0, N, 5);
}

/* Containers' reports dated slightly before the machine's are ticks without energy. */
static void ticks_without_the_machine_do_not_shorten_it(void **state)
{
	struct tick_clock clock;

	(void)state;
	tick_clock_init(&clock, 1);
	for (int64_t i = 0; i < N; i++) {
		(void)tick_clock_take(&clock, 1700000000000 + i * 500 - 2, NAN, NAN, false);
		double length_s = tick_clock_take(&clock, 1700000000000 + i * 500, NAN, NAN, true);
		if (i > 1 && fabs(length_s - 0.5) > 0.01)
			fail_msg("tick %d: %g s", (int)i, length_s);
	}
}

static void jitter_is_measured_and_a_new_interval_is_taken(void **state)
{
	struct tick_clock clock;
	int64_t now_ms = 1700000000000;
	int64_t times_ms[N];
	double lengths_s[N];

	(void)state;
	srand(random_begin());
	tick_clock_init(&clock, 1);
	for (unsigned i = 0; i < N; i++)
		times_ms[i] = now_ms += 700 + rand() % 600;
	run(&clock, times_ms, N, lengths_s);
	for (unsigned i = 1; i < N; i++)
		assert_float_equal(lengths_s[i], (double)(times_ms[i] - times_ms[i - 1]) / 1000, 1e-9);
	/* From 1 s to 50 ms, and to 30 s: from the second such tick on, the length is right. */
	for (unsigned i = 0; i < N; i++)
		times_ms[i] = now_ms += 50;
	run(&clock, times_ms, N, lengths_s);
	check(lengths_s, 1, N, 0.05);
	for (unsigned i = 0; i < N; i++)
		times_ms[i] = now_ms += 30000;
	run(&clock, times_ms, N, lengths_s);
	check(lengths_s, 1, N, 30);
}

static void the_reported_length_takes_precedence(void **state)
{
	struct tick_clock clock;

	(void)state;
	tick_clock_init(&clock, 1);
	assert_float_equal(tick_clock_take(&clock, 1000, 0.25, NAN, true), 0.25, 0);
	assert_float_equal(tick_clock_take(&clock, 1001, 0.25, NAN, true), 0.25, 0);
	assert_float_equal(tick_clock_take(&clock, 1251, 0.26, NAN, true), 0.26, 0);
	/* A tick without its `all` has no reported length. */
	assert_float_equal(tick_clock_take(&clock, 1500, NAN, NAN, false), 0.249, 1e-9);
	/* Impossible values are ignored. */
	assert_float_equal(tick_clock_take(&clock, 1750, -3, NAN, true), 0.25, 1e-9);
	assert_float_equal(tick_clock_take(&clock, 2000, INFINITY, NAN, true), 0.25, 1e-9);
}

/*
 * The counters' own time is the length, whatever delays the reports; it may be the tick's or the time since
 * the start, and is ignored if it is unrelated to the steps.
 */
static void the_counters_own_time(void **state)
{
	unsigned drawn = random_begin();

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct tick_clock clock;
		int64_t time_ms = 1700000000000;
		double since_s = kind == 1 ? 5000 : 0;

		tick_clock_init(&clock, 1);
		for (unsigned i = 0; i < 200; i++) {
			double late_s = 0.3 * rand_r(&drawn) / RAND_MAX;
			double length_s = 0.9 + 0.2 * rand_r(&drawn) / RAND_MAX, got_s, step_s;

			step_s = length_s + late_s;
			time_ms += (int64_t)(step_s * 1000);
			since_s += length_s;
			got_s = tick_clock_take(&clock, time_ms, NAN,
						kind == 0   ? length_s
						: kind == 1 ? since_s
							    : 7,
						true);
			if (i > 1 && fabs(got_s - (kind < 2 ? length_s : step_s)) > 0.002)
				fail_msg("kind %u, tick %u: %g s for %g s", kind, i, got_s, length_s);
		}
	}
}

/* A pause of the sensor, much longer than a tick: if its counters went on, the tick has the pause's energy
 * and time. */
static void a_pause_that_was_counted(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		struct tick_clock clock;
		int64_t time_ms = 1700000000000;
		double since_s = 70;

		tick_clock_init(&clock, 1);
		for (unsigned i = 0; i < 40; i++) {
			const double step_s = i == 20 ? 90 : 1;
			/* Counted in this tick; since the start; and since a start after the pause. */
			const double counted_s = kind == 0   ? step_s
						 : kind == 1 ? since_s + step_s
						 : i < 20    ? i + 1
							     : i - 19;
			double got_s;

			since_s += step_s;
			time_ms += (int64_t)(step_s * 1000);
			got_s = tick_clock_take(&clock, time_ms, NAN, counted_s, true);
			if (i > 1 && fabs(got_s - (kind < 2 ? step_s : 1)) > 0.002)
				fail_msg("kind %u, tick %u: %g s", kind, i, got_s);
		}
	}
}

/* One report written three or four times, a few milliseconds apart: none of these ticks has thousands of
 * watts. */
static void reports_written_several_times(void **state)
{
	(void)state;
	for (unsigned copies = 2; copies <= 4; copies++) {
		struct tick_clock clock;

		tick_clock_init(&clock, 1);
		for (int64_t i = 0; i < N; i++) {
			for (unsigned copy = 0; copy < (i == 30 ? copies : 1); copy++) {
				double length_s = tick_clock_take(&clock, 1700000000000 + i * 1000 + copy * 2,
								  NAN, NAN, true);

				if (i > 2 && fabs(length_s - 1) > 0.01)
					fail_msg("tick %d, copy %u: %g s", (int)i, copy, length_s);
			}
		}
	}
}

/* Every report is late, by up to 0.7 of a tick: only the counters show the length. */
static void late_reports_with_the_counters_own_time(void **state)
{
	static const int late_ms[] = {0, 700, 150, 600, 0, 350, 700};

	(void)state;
	for (unsigned since_start = 0; since_start < 2; since_start++) {
		struct tick_clock clock;

		tick_clock_init(&clock, 1);
		for (int64_t i = 0; i < 200; i++) {
			double counted_s = since_start ? 5000 + (double)i : 1;
			double got_s = tick_clock_take(&clock, 1700000000000 + i * 1000 + late_ms[i % 7], NAN,
						       counted_s, true);

			if (i > 9 && fabs(got_s - 1) > 0.002)
				fail_msg("since start %u, tick %d: %g s", since_start, (int)i, got_s);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counters_own_time),
		cmocka_unit_test(late_reports_with_the_counters_own_time),
		cmocka_unit_test(a_pause_that_was_counted),
		cmocka_unit_test(reports_written_several_times),
		cmocka_unit_test(any_interval_is_right_from_the_first_tick),
		cmocka_unit_test(damaged_states_recover_immediately),
		cmocka_unit_test(one_odd_step_affects_no_other),
		cmocka_unit_test(duplicated_reports_have_the_length_of_a_tick),
		cmocka_unit_test(ticks_without_the_machine_do_not_shorten_it),
		cmocka_unit_test(jitter_is_measured_and_a_new_interval_is_taken),
		cmocka_unit_test(the_reported_length_takes_precedence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

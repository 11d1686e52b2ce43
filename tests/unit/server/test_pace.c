/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the server looks for a sensor's ticks, which become readable some time after their date, by the
 * sensor's own clock: how many looks a tick costs, and how late it is found.
 */
#include "input/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define POLL_MS 100

struct course {
	struct pace pace;
	int64_t now_ms;
	int64_t tick; /* number of the next tick */
	unsigned n_ticks, n_looks;
	int64_t late_ms; /* sum */
};

/*
 * Looks until tick `until` has been found. `when` returns when tick `n` becomes readable; it is dated n
 * seconds minus the skew.
 */
static void run(struct course *course, int64_t until, int64_t skew_ms, int64_t (*when)(int64_t n))
{
	course->n_ticks = course->n_looks = 0;
	course->late_ms = 0;
	while (course->tick < until) {
		int64_t looked_ms = course->now_ms;
		double rest_s;

		course->n_looks++;
		if (looked_ms < when(course->tick)) {
			rest_s = pace_missed(&course->pace, false);
		} else {
			course->late_ms += looked_ms - when(course->tick);
			while (when(course->tick) <= looked_ms) {
				course->tick++;
				course->n_ticks++;
			}
			rest_s = pace_found(&course->pace, looked_ms, (course->tick - 1) * 1000 - skew_ms,
					    looked_ms + 1, 1);
		}
		assert_true(rest_s > 0 && rest_s < 10);
		course->now_ms += (int64_t)(rest_s * 1000) + 1;
	}
}

static int64_t steady(int64_t n)
{
	return n * 1000 + 37;
}

/* Varies by up to 30 ms, in a sequence that takes long to repeat. */
static int64_t trembling(int64_t n)
{
	return n * 1000 + 37 + n * 7919 % 31;
}

static int64_t once_late(int64_t n)
{
	return n * 1000 + 37 + (n == 150 ? 700 : 0);
}

static int64_t later_and_sooner(int64_t n)
{
	return n * 1000 + (n < 200 ? 37 : n < 600 ? 437 : 37);
}

static struct course start(void)
{
	return (struct course){.pace = pace_init(POLL_MS / 1000.), .now_ms = 120, .tick = 1};
}

static void one_read_finds_a_tick(void **state)
{
	int64_t skews[] = {0, 86400000, -86400000};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct course course = start();

		run(&course, 50, skews[i], steady);
		run(&course, 250, skews[i], steady);
		assert_in_range(course.n_looks, 200, 240);
		assert_in_range(course.late_ms, 0, 200 * 20);
	}
}

static void jittery_ticks_cost_little_more(void **state)
{
	struct course course = start();

	(void)state;
	run(&course, 50, 0, trembling);
	run(&course, 250, 0, trembling);
	assert_in_range(course.n_looks, 200, 300);
	assert_in_range(course.late_ms, 0, 200 * 35);
}

static void one_late_tick_changes_nothing(void **state)
{
	struct course course = start();

	(void)state;
	run(&course, 151, 0, once_late);
	run(&course, 251, 0, once_late);
	assert_int_equal(course.n_ticks, 100);
	assert_in_range(course.late_ms, 0, 100 * 30);
}

static void changes_are_followed(void **state)
{
	struct course course = start();

	(void)state;
	run(&course, 400, 0, later_and_sooner);
	run(&course, 600, 0, later_and_sooner);
	assert_in_range(course.n_looks, 200, 320);
	assert_in_range(course.late_ms, 0, 200 * 30);
	run(&course, 700, 0, later_and_sooner);
	run(&course, 800, 0, later_and_sooner);
	assert_in_range(course.n_looks, 100, 130);
	assert_in_range(course.late_ms, 0, 100 * 100);
}

/* An hour forward or back: the sensor's clock, as the server sees it. */
static void a_clock_may_be_set(void **state)
{
	struct course course = start();

	(void)state;
	run(&course, 100, 0, steady);
	for (int64_t turn = 1; turn <= 4; turn++) {
		run(&course, turn * 400 - 200, turn % 2 ? 3600000 : -3600000, steady);
		run(&course, turn * 400 + 100, turn % 2 ? 3600000 : -3600000, steady);
		assert_int_equal(course.n_ticks, 300);
		assert_in_range(course.n_looks, 300, 360);
		assert_in_range(course.late_ms, 0, 300 * 30);
	}
}

static void a_silent_sensor_is_polled_less_and_less(void **state)
{
	struct pace pace = pace_init(0.1);
	double sum_s = 0;
	unsigned n = 0;

	(void)state;
	for (; sum_s < 3600; n++)
		sum_s += pace_missed(&pace, false);
	assert_in_range(n, 3600, 3660);
	/* Part of a tick has arrived: the rest follows soon. */
	assert_true(pace_missed(&pace, true) < 0.1);
	assert_true(pace_missed(&pace, false) < 0.2);
}

static void short_ticks_are_read_in_batches(void **state)
{
	struct pace pace = pace_init(0.1);

	(void)state;
	(void)pace_missed(&pace, true);
	for (int64_t now_ms = 1000; now_ms < 5000; now_ms += 100)
		assert_true(pace_found(&pace, now_ms, now_ms - 5, now_ms + 1, 0.01) >= 0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_read_finds_a_tick),
		cmocka_unit_test(jittery_ticks_cost_little_more),
		cmocka_unit_test(one_late_tick_changes_nothing),
		cmocka_unit_test(changes_are_followed),
		cmocka_unit_test(a_clock_may_be_set),
		cmocka_unit_test(a_silent_sensor_is_polled_less_and_less),
		cmocka_unit_test(short_ticks_are_read_in_batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

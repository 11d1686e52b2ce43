/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The join: any order, duplicates, late reports, ticks that never become complete.
 */
#include "tick/join.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static enum join_fed feed(struct join *join, int64_t time_ms, const char *target, int64_t n_targets,
			  int64_t now_ms)
{
	struct report_value value = {.value = 7};
	struct report_decoded report = {
		.time_ms = time_ms,
		.sensor = "s",
		.target = target,
		.values = &value,
		.n_values = 1,
		.scaled = 1,
		.said = {.interval_s = NAN, .n_targets = n_targets},
	};
	enum join_fed fed;

	assert_int_equal(join_feed(join, &report, now_ms, &fed), 0);
	return fed;
}

/* Takes a tick, which must exist; checks its time, its number of reports and its completeness. */
static void take(struct join *join, int64_t now_ms, bool flush, int64_t time_ms, unsigned n, bool complete)
{
	struct join_slot *slot = join_take(join, now_ms, false, flush);

	assert_non_null(slot);
	assert_int_equal(slot->time_ms, time_ms);
	assert_int_equal(slot->n_reports, n);
	assert_int_equal(join_is_complete(slot), complete);
	join_release(join, slot);
}

static void complete_tick_leaves_immediately(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	assert_int_equal(feed(join, 1000, "a", -1, 1000), JOIN_NEW);
	assert_null(join_take(join, 1000, false, false));
	assert_int_equal(feed(join, 1000, "all", 2, 1000), JOIN_NEW);
	assert_null(join_take(join, 1000, false, false));
	assert_int_equal(feed(join, 1000, "b", -1, 1000), JOIN_NEW);
	take(join, 1000, false, 1000, 2, true);
	assert_int_equal(join_position(join), 1000);
	assert_int_equal(feed(join, 1000, "b", -1, 1000), JOIN_LATE);
	assert_int_equal(feed(join, 2000, "all", 0, 2000), JOIN_NEW);
	take(join, 2000, false, 2000, 0, true);
	assert_null(join_take(join, 9000, false, true));
	join_free(join);
}

static void duplicates_are_reported(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	assert_int_equal(feed(join, 1000, "a", -1, 0), JOIN_NEW);
	assert_int_equal(feed(join, 1000, "a", -1, 0), JOIN_DUPLICATE);
	assert_int_equal(feed(join, 1000, "all", 1, 0), JOIN_NEW);
	assert_int_equal(feed(join, 1000, "all", 1, 0), JOIN_DUPLICATE);
	take(join, 0, false, 1000, 1, true);
	join_free(join);
}

static void incomplete_tick_waits_for_grace(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	feed(join, 1000, "a", -1, 1000);
	feed(join, 1000, "all", -1, 1000);
	assert_null(join_take(join, 5000, false, false)); /* no later tick has started */
	feed(join, 2000, "a", -1, 2000);
	assert_null(join_take(join, 2999, false, false));
	take(join, 3000, false, 1000, 1, false);
	assert_null(join_take(join, 9000, false, false));
	take(join, 10001, false, 2000, 1, false); /* no other report arrived */
	join_free(join);
}

static void grace_passes_on_the_sensors_clock_too(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	feed(join, 1000, "a", -1, 0);
	feed(join, 2999, "a", -1, 0);
	assert_null(join_take(join, 0, false, false));
	feed(join, 3000, "a", -1, 0);
	take(join, 0, false, 1000, 1, false);
	assert_null(join_take(join, 0, false, false));
	join_free(join);
}

static void later_complete_tick_keeps_its_place(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	feed(join, 2000, "all", 0, 2000);
	feed(join, 1000, "all", 1, 2000);
	assert_null(join_take(join, 2000, false, false));
	take(join, 2000, true, 1000, 0, false);
	take(join, 2000, false, 2000, 0, true);
	join_free(join);
}

static void position_makes_late(void **state)
{
	struct join *join = join_new(2000);

	(void)state;
	join_set_position(join, 5000);
	assert_int_equal(feed(join, 5000, "all", 0, 0), JOIN_LATE);
	assert_int_equal(feed(join, 5001, "all", 0, 0), JOIN_NEW);
	join_free(join);
}

/* All reports of some ticks, shuffled: each tick comes out once, complete, in order. */
static void any_order_gives_the_same_ticks(void **state)
{
	enum { TICKS = 12, TARGETS = 150, ALL = TICKS * (TARGETS + 1) };
	static int order[ALL];
	struct join *join = join_new(1000000);

	(void)state;
	srand(random_begin());
	for (int i = 0; i < ALL; i++) {
		int other = rand() % (i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (int i = 0; i < ALL; i++) {
		int tick = order[i] / (TARGETS + 1), target = order[i] % (TARGETS + 1);
		char name[16];

		(void)snprintf(name, sizeof(name), "c%d", target);
		assert_int_equal(feed(join, 1000 + tick, target == TARGETS ? "all" : name,
				      target == TARGETS ? TARGETS : -1, 0),
				 JOIN_NEW);
		assert_int_equal(feed(join, 1000 + tick, target == TARGETS ? "all" : name, TARGETS, 0),
				 JOIN_DUPLICATE);
	}
	for (int i = 0; i < TICKS; i++)
		take(join, 0, false, 1000 + i, TARGETS, true);
	join_free(join);
}

/* A stream that does not report the length of its ticks: the first tick waits until later ones show it. */
static void patient_join_waits_for_later_ticks(void **state)
{
	struct join *join = join_new(2000);
	int64_t times_ms[8];
	struct join_slot *slot;

	(void)state;
	assert_int_equal(feed(join, 60000, "all", -1, 60000), JOIN_NEW);
	assert_null(join_take(join, 600000, true, false));
	assert_int_equal(feed(join, 120000, "all", -1, 120000), JOIN_NEW);
	assert_null(join_take(join, 600000, true, false));
	assert_int_equal(feed(join, 180000, "a", -1, 180000), JOIN_NEW);
	assert_int_equal(feed(join, 180003, "all", -1, 180003), JOIN_NEW);
	slot = join_take(join, 600000, true, false);
	assert_non_null(slot);
	/* A tick without the machine's report does not count. */
	assert_int_equal(join_times(join, slot, times_ms, 8), 3);
	assert_int_equal(times_ms[0], 60000);
	assert_int_equal(times_ms[1], 120000);
	assert_int_equal(times_ms[2], 180003);
	assert_int_equal(join_times(join, slot, times_ms, 2), 2);
	join_release(join, slot);
	take(join, 600000, false, 120000, 0, false);
	take(join, 600000, true, 180000, 1, false);
	join_free(join);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete_tick_leaves_immediately),
		cmocka_unit_test(duplicates_are_reported),
		cmocka_unit_test(incomplete_tick_waits_for_grace),
		cmocka_unit_test(grace_passes_on_the_sensors_clock_too),
		cmocka_unit_test(later_complete_tick_keeps_its_place),
		cmocka_unit_test(position_makes_late),
		cmocka_unit_test(any_order_gives_the_same_ticks),
		cmocka_unit_test(patient_join_waits_for_later_ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks whose energy could not be read: the next tick's watts are the mean over the gap, no joule is lost or
 * counted twice, and a gap is not bridged unless the counter's energy is known to cover it.
 */
#include "tick/tick_bridge.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct tick make(uint64_t seq, double interval_s, double cpu_j, double dram_j)
{
	struct tick tick = {.said = {.has_seq = true, .seq = seq}, .interval_s = interval_s, .n_sockets = 1};

	tick.sockets[0] = (struct tick_socket){.package = 3, .energy_j = {cpu_j, dram_j}};
	return tick;
}

static double power_w(struct tick_bridge *bridge, struct tick tick, bool has_all)
{
	tick_bridge_take(bridge, &tick, has_all);
	return tick_power_w(&tick, 0, REPORT_SCOPE_CPU);
}

static void mean_over_the_gap(void **state)
{
	struct tick_bridge bridge = {0};
	struct tick tick;

	(void)state;
	assert_float_equal(power_w(&bridge, make(1, 1, 50, 10), true), 50, 1e-9);
	assert_true(isnan(power_w(&bridge, make(2, 1, NAN, 10), true)));
	assert_float_equal(power_w(&bridge, make(3, 2, 0, 10), true), 0, 0); /* not read there either */
	tick = make(4, 1, 200, 10);
	tick_bridge_take(&bridge, &tick, true);
	assert_float_equal(tick_power_w(&tick, 0, REPORT_SCOPE_CPU), 50, 1e-9);
	assert_float_equal(tick.sockets[0].bridged_s[REPORT_SCOPE_CPU], 3, 1e-9);
	assert_float_equal(tick.sockets[0].bridged_s[REPORT_SCOPE_DRAM], 0, 0);
	assert_float_equal(power_w(&bridge, make(5, 1, 60, 10), true), 60, 1e-9);
}

static void a_socket_that_is_missing(void **state)
{
	struct tick_bridge bridge = {0};
	struct tick gap = make(2, 1, NAN, NAN);

	(void)state;
	(void)power_w(&bridge, make(1, 1, 50, 10), true);
	gap.n_sockets = 0;
	tick_bridge_take(&bridge, &gap, true);
	assert_float_equal(power_w(&bridge, make(3, 1, 100, 10), true), 50, 1e-9);
}

static void only_energy_known_to_cover_the_gap(void **state)
{
	struct tick_bridge bridge = {0};
	struct tick tick;

	(void)state;
	/* never measured before: the start of its count is unknown */
	(void)power_w(&bridge, make(1, 1, NAN, NAN), true);
	assert_float_equal(power_w(&bridge, make(2, 1, 50, 10), true), 50, 1e-9);
	/* the report itself is missing, and its energy with it */
	(void)power_w(&bridge, make(3, 1, NAN, NAN), false);
	assert_float_equal(power_w(&bridge, make(4, 1, 50, 10), true), 50, 1e-9);
	/* ticks are missing in between */
	(void)power_w(&bridge, make(5, 1, NAN, NAN), true);
	assert_float_equal(power_w(&bridge, make(8, 1, 50, 10), true), 50, 1e-9);
	/* a counter that was reset */
	(void)power_w(&bridge, make(9, 1, NAN, NAN), true);
	tick = make(10, 1, NAN, NAN);
	tick.reset = true;
	tick_bridge_take(&bridge, &tick, true);
	assert_float_equal(power_w(&bridge, make(11, 1, 50, 10), true), 50, 1e-9);
	/* too long a gap: a counter may have wrapped unnoticed */
	for (uint64_t seq = 12; seq < 12 + TICK_BRIDGE_MOST_S + 1; seq++)
		(void)power_w(&bridge, make(seq, 1, 0, 10), true);
	assert_true(isnan(power_w(&bridge, make(12 + TICK_BRIDGE_MOST_S + 1, 1, 3000, 10), true)));
	assert_float_equal(power_w(&bridge, make(12 + TICK_BRIDGE_MOST_S + 2, 1, 50, 10), true), 50, 1e-9);
}

/* Whatever fails: power x time equals the counter's energy. */
static void no_joule_is_lost(void **state)
{
	struct tick_bridge bridge = {0};
	double counter_j = 0, read_j = 0, sum_j = 0;

	(void)state;
	srand(random_begin());
	for (uint64_t seq = 1; seq < 5000; seq++) {
		double interval_s = .5 + (rand() % 1000) / 1000., energy_j;
		bool fails = seq > 1 && rand() % 3 == 0;
		struct tick tick;

		counter_j += interval_s * (20 + rand() % 100);
		energy_j = fails ? (rand() % 2 ? NAN : 0) : counter_j - read_j;
		read_j = fails ? read_j : counter_j;
		tick = make(seq, interval_s, energy_j, NAN);
		tick_bridge_take(&bridge, &tick, true);
		if (fails)
			continue;
		sum_j += tick_power_w(&tick, 0, REPORT_SCOPE_CPU) *
			 (interval_s + tick.sockets[0].bridged_s[REPORT_SCOPE_CPU]);
		assert_in_range((int)tick_power_w(&tick, 0, REPORT_SCOPE_CPU), 19, 120);
		assert_true(fabs(sum_j - read_j) < 1e-6 * read_j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mean_over_the_gap),
		cmocka_unit_test(a_socket_that_is_missing),
		cmocka_unit_test(only_energy_known_to_cover_the_gap),
		cmocka_unit_test(no_joule_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

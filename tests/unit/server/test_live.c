/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The current targets: rows belong to a package, whatever its position in a tick; totals only grow.
 */
#include "machine/live.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct part {
	unsigned package;
	double watts;
};

/* A tick of one second in which `web` takes the given watts on each package. */
static void take(struct live *live, int64_t time_ms, const struct part *parts, unsigned n)
{
	struct tick_target web = {.name = "web", .container_id = "aa"};
	struct tick tick = {.time_ms = time_ms, .interval_s = 1, .n_sockets = n, .n_targets = 1};
	struct conserve_row rows[2 * TICK_SOCKETS_MAX];
	struct conserve_output output = {.rows = rows};

	tick.targets = &web;
	for (unsigned i = 0; i < n; i++) {
		struct conserve_row row = {
			.socket = i, .power_w = parts[i].watts, .energy_j = parts[i].watts};

		tick.sockets[i].package = parts[i].package;
		rows[output.n_rows++] = row;
		row.target = CONSERVE_GLOBAL;
		row.error_w = parts[i].package;
		rows[output.n_rows++] = row;
	}
	assert_int_equal(live_update(live, &tick, &output, 1), 0);
}

static const struct live_row *row_of(const struct live *live, unsigned package)
{
	const struct live_target *web = live_find(live, "web");

	assert_non_null(web);
	for (unsigned i = 0; i < live->n_sockets; i++) {
		if (live->packages[i] == package && i < web->n_places)
			return &web->rows[i * REPORT_SCOPES_ALL + REPORT_SCOPE_CPU];
	}
	fail_msg("no row of package %u", package);
	return NULL;
}

static void rows_belong_to_packages(void **state)
{
	struct live live = {0};

	(void)state;
	take(&live, 1000, (const struct part[]){{0, 10}, {1, 20}}, 2);
	take(&live, 2000, (const struct part[]){{1, 20}}, 1);
	assert_false(row_of(&live, 0)->present);
	assert_float_equal(row_of(&live, 0)->total_j, 10, 1e-9);
	assert_true(row_of(&live, 1)->present);
	assert_float_equal(row_of(&live, 1)->total_j, 40, 1e-9);
	take(&live, 3000, (const struct part[]){{1, 20}, {7, 5}}, 2);
	take(&live, 4000, (const struct part[]){{0, 10}, {7, 5}}, 2);
	assert_float_equal(row_of(&live, 0)->total_j, 20, 1e-9);
	assert_float_equal(row_of(&live, 1)->total_j, 60, 1e-9);
	assert_float_equal(row_of(&live, 7)->total_j, 10, 1e-9);
	assert_float_equal(live.error_w[REPORT_SCOPE_CPU][0], 0, 0);
	assert_true(isnan(live.error_w[REPORT_SCOPE_CPU][1]));
	assert_float_equal(live.error_w[REPORT_SCOPE_CPU][2], 7, 0);
	live_done(&live);
}

/*
 * A target's error over processor, memory and GPU. That of a busy GPU is unknown; the processor's is not that
 * of both.
 */
static void errors_of_scopes(void **state)
{
	struct tick_target web = {.name = "web", .container_id = "aa"};
	struct tick tick = {.time_ms = 1000, .interval_s = 1, .n_sockets = 1, .n_targets = 1, .n_aparts = 1};
	struct conserve_row rows[] = {
		{.scope = REPORT_SCOPE_CPU, .power_w = 10, .dynamic_w = 5, .sd_w = 3},
		{.scope = REPORT_SCOPE_DRAM, .power_w = 2, .dynamic_w = 1, .sd_w = 4},
		{.scope = REPORT_SCOPE_GPU, .power_w = 300, .dynamic_w = 250, .sd_w = NAN}};
	struct conserve_output output = {.rows = rows, .n_rows = 2};
	struct live live = {0};

	(void)state;
	tick.targets = &web;
	tick.aparts[0].scope = REPORT_SCOPE_GPU;
	assert_int_equal(live_update(&live, &tick, &output, 1), 0);
	assert_float_equal(live_sum_sd_w(live_find(&live, "web")), 5, 1e-12);
	output.n_rows = 3;
	tick.time_ms = 2000;
	assert_int_equal(live_update(&live, &tick, &output, 1), 0);
	assert_true(isnan(live_sum_sd_w(live_find(&live, "web"))));
	rows[2].dynamic_w = 0; /* its share of the GPU's idle power */
	tick.time_ms = 3000;
	assert_int_equal(live_update(&live, &tick, &output, 1), 0);
	assert_float_equal(live_sum_sd_w(live_find(&live, "web")), 5, 1e-12);
	output.n_rows = 1; /* the others' rows are of an earlier tick */
	tick.time_ms = 4000;
	assert_int_equal(live_update(&live, &tick, &output, 1), 0);
	assert_float_equal(live_sum_sd_w(live_find(&live, "web")), 3, 1e-12);
	live_done(&live);
}

/* Packages in any order: each total is what that package was given. */
static void any_order(void **state)
{
	unsigned drawn = random_begin();
	struct live live = {0};
	double given[TICK_SOCKETS_MAX] = {0};

	(void)state;
	for (int t = 1; t <= 500; t++) {
		struct part parts[TICK_SOCKETS_MAX];
		unsigned n = 0;

		for (unsigned k = 0; k < TICK_SOCKETS_MAX; k++) {
			if (rand_r(&drawn) % 3)
				continue;
			parts[n++] = (struct part){100 + k, k + 1};
			given[k] += k + 1;
		}
		for (unsigned i = n; i > 1; i--) {
			unsigned other = (unsigned)rand_r(&drawn) % i;
			struct part kept = parts[i - 1];

			parts[i - 1] = parts[other];
			parts[other] = kept;
		}
		take(&live, t * 1000, parts, n);
	}
	for (unsigned k = 0; k < TICK_SOCKETS_MAX; k++)
		assert_float_equal(row_of(&live, 100 + k)->total_j, given[k], 1e-6);
	live_done(&live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_belong_to_packages),
		cmocka_unit_test(errors_of_scopes),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

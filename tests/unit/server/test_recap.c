/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recap arithmetic: proportional boundaries, phases that add up to the whole, scaling, coverage.
 */
#include "recap/recap.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report_power row_at(int64_t time_ms, double power, const char *socket, enum report_scope scope)
{
	return (struct report_power){
		.time_ms = time_ms,
		.target = "x",
		.socket = socket,
		.scope = scope,
		.power = power,
		.dynamic = power / 4,
		.fixed = power * 3 / 4,
		.energy_j = power,
		.interval_s = 1,
	};
}

static void assert_near(double a, double b, double scale)
{
	if (!(fabs(a - b) <= 1e-9 * fmax(1, scale)))
		fail_msg("%.15g is not %.15g", a, b);
}

static void boundary_ticks_count_in_proportion(void **state)
{
	struct recap_window window = {{{1500, 1500, 2250, 3000}}};
	struct report_power row;
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	for (int64_t time_ms = 1000; time_ms <= 4000; time_ms += 1000) {
		row = row_at(time_ms, 10, "0", REPORT_SCOPE_CPU);
		recap_add(&recap, &row, true, 1);
		recap_add(&recap, &row, false, 1);
	}
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 15, 1);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WARMUP].total_j, 7.5, 1);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_EXECUTION].total_j, 7.5, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].dynamic_j, 3.75, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].static_j, 11.25, 1);
	assert_near(recap.sockets[0].energy_j[REPORT_SCOPE_CPU][RECAP_WARMUP], 7.5, 1);
	assert_true(isnan(recap.sockets[0].energy_j[REPORT_SCOPE_DRAM][RECAP_WARMUP]));
	assert_int_equal(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].samples, 2);
	assert_near(recap_coverage(&recap), 1, 1);
	assert_near(recap_mean_w(&recap, &recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE], RECAP_WHOLE), 10, 1);
}

static void whole_life_counts_edges_in_full(void **state)
{
	struct recap_window window = {{{1500, 1500, 2250, 3500}}};
	struct report_power row;
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	recap.whole_life = true;
	for (int64_t time_ms = 2000; time_ms <= 4000; time_ms += 1000) {
		row = row_at(time_ms, 10, "0", REPORT_SCOPE_CPU);
		recap_add(&recap, &row, true, 1);
		recap_add(&recap, &row, false, 1);
	}
	/* The target is the machine's only load: it gets the machine's joules at the edges. */
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 30, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 30, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].static_j, 22.5, 1);
	/* A boundary between phases still divides its tick. */
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WARMUP].total_j, 12.5, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_EXECUTION].total_j, 17.5, 1);
	/* 30 J in 2 s are 15 W, more than the mean of any tick. */
	assert_near(recap_max_w(&recap, &recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE], RECAP_WHOLE), 15, 1);
	recap.whole_life = false;
	assert_near(recap_max_w(&recap, &recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE], RECAP_WHOLE), 10, 1);
}

/* Ten ticks of two sockets, from the `unknown`th on without an error bar. */
static double sd_of_run(unsigned unknown, double power, double dynamic, double sd)
{
	struct recap_window window = {{{1000, 1000, 1000, 11000}}};
	struct recap recap;

	recap_init(&recap, &window);
	for (unsigned i = 0; i < 20; i++) {
		struct report_power row =
			row_at(2000 + i / 2 * 1000, power, i % 2 ? "1" : "0", REPORT_SCOPE_GPU);

		row.dynamic = dynamic;
		row.sd = i / 2 < unknown ? sd : NAN;
		recap_add(&recap, &row, false, 1);
	}
	return recap_sd_j(&recap.target[REPORT_SCOPE_GPU][RECAP_WHOLE], REPORT_SCOPE_GPU);
}

static void error_bars_of_all_joules_or_none(void **state)
{
	double all = sd_of_run(10, 10, 4, 0.5);

	(void)state;
	/* Above that of 20 independent errors, and below their sum. */
	assert_true(all >= 0.5 * sqrt(20) && all <= 0.5 * 20);
	/* One of ten ticks without. */
	assert_true(sd_of_run(9, 10, 4, 0.5) > 0.8 * all);
	/* Most without, and all. */
	assert_true(isnan(sd_of_run(5, 10, 4, 0.5)));
	assert_true(isnan(sd_of_run(1, 10, NAN, 0.5)));
	assert_true(isnan(sd_of_run(0, 10, 4, 0.5)));
	/* An idle container has only its share of static power, or nothing. */
	assert_true(sd_of_run(5, 10, 0, 0.5) > 0);
	assert_true(sd_of_run(5, 0, 0, 0.5) > 0);
	/* Very small and very large. */
	assert_true(sd_of_run(10, 1e-9, 1e-9, 1e-10) > 0);
	assert_true(isfinite(sd_of_run(10, 1e12, 1e12, 1e11)));
}

static void sockets_add_up_in_a_tick(void **state)
{
	struct recap_window window = {{{0, 0, 0, 2000}}};
	struct report_power row;
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	row = row_at(1000, 10, "0", REPORT_SCOPE_CPU);
	recap_add(&recap, &row, true, 1);
	row = row_at(1000, 20, "1", REPORT_SCOPE_CPU);
	recap_add(&recap, &row, true, 1);
	assert_int_equal(recap.n_sockets, 2);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].max_w, 30, 1);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 30, 1);
	assert_int_equal(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].samples, 1);
	assert_near(recap_coverage(&recap), 0.5, 1);
}

static void foreign_rows_take_power_and_the_usual_interval(void **state)
{
	struct recap_window window = {{{0, 0, 0, 1000}}};
	struct report_power row = row_at(1000, 12, "0", REPORT_SCOPE_DRAM);
	struct recap recap;

	(void)state;
	row.energy_j = row.interval_s = row.dynamic = row.fixed = NAN;
	recap_init(&recap, &window);
	recap_add(&recap, &row, false, 0.5);
	assert_near(recap.target[REPORT_SCOPE_DRAM][RECAP_WHOLE].total_j, 6, 1);
	assert_true(isnan(recap.target[REPORT_SCOPE_DRAM][RECAP_WHOLE].dynamic_j));
}

static void no_rows_no_coverage(void **state)
{
	struct recap_window window = {{{0, 0, 500, 1000}}};
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	assert_near(recap_coverage(&recap), 0, 1);
	assert_true(isnan(recap_mean_w(&recap, &recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE], RECAP_WHOLE)));
	window = (struct recap_window){{{5, 5, 5, 5}}};
	recap_init(&recap, &window);
	assert_near(recap_coverage(&recap), 1, 1);
}

static void no_rows_a_reason(void **state)
{
	struct recap_window window = {{{0, 0, 500, 1000}}};
	struct report_power row = row_at(1000, 12, "0", REPORT_SCOPE_CPU);
	char warning[RECAP_WARNING_SIZE];
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	assert_true(recap_warning(&recap, "n1", warning, sizeof(warning)));
	assert_non_null(strstr(warning, "no reports of n1"));
	recap_add(&recap, &row, true, 1);
	assert_true(recap_warning(&recap, "n1", warning, sizeof(warning)));
	assert_non_null(strstr(warning, "check its name"));
	row.container_id = "0123456789abcdef";
	recap_note_other(&recap, &row);
	assert_true(recap_warning(&recap, "n1", warning, sizeof(warning)));
	assert_non_null(strstr(warning, "another container, 0123456789ab;"));
	recap_add(&recap, &row, false, 1);
	assert_false(recap_warning(&recap, "n1", warning, sizeof(warning)));
	assert_string_equal(warning, "");
}

/*
 * A short-lived container is counted in full, and so is its part of the machine: of the 20 J of a tick, 5 J
 * are all in the window of 0.1 s, and of the other 15 J a tenth is. Watts over less than a tick are marked.
 */
static void a_brief_run_is_marked(void **state)
{
	struct recap_window window = {{{400, 400, 450, 500}}};
	struct report_power machine = row_at(1000, 20, "0", REPORT_SCOPE_CPU);
	struct report_power own = row_at(1000, 5, "0", REPORT_SCOPE_CPU);
	char warning[RECAP_WARNING_SIZE];
	struct recap recap;

	(void)state;
	recap_init(&recap, &window);
	assert_false(recap_is_brief(&recap, RECAP_WHOLE));
	recap.whole_life = true;
	recap_add(&recap, &machine, true, 1);
	recap_add(&recap, &own, false, 1);
	assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 5, 1);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, 6.5, 1);
	assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WARMUP].total_j, 3.25, 1);
	assert_near(recap.sockets[0].energy_j[REPORT_SCOPE_CPU][RECAP_WHOLE], 6.5, 1);
	assert_near(recap_tick_s(&recap, RECAP_WHOLE), 1, 1);
	assert_true(recap_is_brief(&recap, RECAP_WHOLE) && recap_is_brief(&recap, RECAP_EXECUTION));
	assert_false(recap_warning(&recap, "n1", warning, sizeof(warning)));
}

/*
 * Work of the engine in the container's cgroup before the noted start and after the end; and a run of zero
 * length. Only with a container ID do these joules belong to the run: other containers may have had its name
 * before.
 */
static void ticks_just_outside_count_for_a_known_container(void **state)
{
	const struct {
		struct recap_window window;
		double whole_j, warmup_j, execution_j;
	} runs[] = {
		{{{{1000, 1000, 1000, 3000}}}, 4 * 5, 0, 4 * 5},
		{{{{1000, 1000, 2000, 3000}}}, 4 * 5, 2 * 5, 2 * 5},
		{{{{1000, 1500, 2000, 3000}}}, 4 * 5, 2.5, 2 * 5},
		{{{{1500, 1500, 1500, 1500}}}, 4 * 5, 0, 4 * 5},
	};

	(void)state;
	for (unsigned i = 0; i < 2 * sizeof(runs) / sizeof(*runs); i++) {
		const bool has_id = i % 2;
		struct recap recap;

		recap_init(&recap, &runs[i / 2].window);
		recap.whole_life = true;
		recap.has_id = has_id;
		for (int64_t time_ms = 1000; time_ms <= 4000; time_ms += 1000) {
			struct report_power machine = row_at(time_ms, 20, "0", REPORT_SCOPE_CPU);

			recap_add(&recap, &machine, true, 1);
		}
		for (int64_t time_ms = 1000; time_ms <= 4000; time_ms += 1000) {
			struct report_power own = row_at(time_ms, 5, "0", REPORT_SCOPE_CPU);

			own.container_id = "0123456789ab";
			recap_add(&recap, &own, false, 1);
			own.container_id = NULL;
			if (time_ms == 1000)
				recap_add(&recap, &own, false, 1);
		}
		if (!has_id) {
			const double length_s = recap_phase_s(&runs[i / 2].window, RECAP_WHOLE);

			assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, length_s * 5, 1);
			assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, length_s * 20, 1);
			continue;
		}
		assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j, runs[i / 2].whole_j, 1);
		assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_WARMUP].total_j, runs[i / 2].warmup_j, 1);
		assert_near(recap.target[REPORT_SCOPE_CPU][RECAP_EXECUTION].total_j, runs[i / 2].execution_j,
			    1);
		assert_near(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].total_j,
			    recap_phase_s(&runs[i / 2].window, RECAP_WHOLE) > 0 ? 2 * 20 + 2 * 5 : 4 * 5, 1);
		assert_true(recap.machine[REPORT_SCOPE_CPU][RECAP_WHOLE].samples > 0);
	}
}

/* As long as a tick, longer than one, and zero: these are not brief. */
static void a_whole_tick_is_not_brief(void **state)
{
	const double ends_ms[] = {1000, 1500, 0};

	(void)state;
	for (unsigned i = 0; i < sizeof(ends_ms) / sizeof(*ends_ms); i++) {
		struct recap_window window = {{{0, 0, 0, ends_ms[i]}}};
		struct recap recap;

		recap_init(&recap, &window);
		for (int64_t time_ms = 1000; time_ms <= 2000; time_ms += 1000) {
			struct report_power row = row_at(time_ms, 20, "0", REPORT_SCOPE_CPU);

			recap_add(&recap, &row, true, 1);
		}
		assert_false(recap_is_brief(&recap, RECAP_WHOLE));
		assert_false(recap_is_brief(&recap, RECAP_WARMUP));
	}
}

static double random_part(void)
{
	return (double)rand() / RAND_MAX;
}

/*
 * One random run: if it begins with the warm-up, the two phases are the whole; doubled watts double all
 * joules.
 */
static void check_random_run(void)
{
	double end_ms = 20000 * random_part() + 1, execution_ms = end_ms * random_part();
	struct recap_window window = {{{1000, 1000, 1000 + execution_ms, 1000 + end_ms}}};
	struct recap one, two;
	double scale = 0;

	recap_init(&one, &window);
	recap_init(&two, &window);
	for (int64_t time_ms = 500; time_ms < 25000; time_ms += 1 + rand() % 3000) {
		struct report_power row = row_at(time_ms, 100 * random_part(), "0", REPORT_SCOPE_CPU);

		row.interval_s = 0.001 + random_part() * 3;
		recap_add(&one, &row, false, 1);
		scale += row.energy_j;
		row.power *= 2, row.energy_j *= 2, row.dynamic *= 2, row.fixed *= 2;
		recap_add(&two, &row, false, 1);
	}
	for (unsigned phase = 0; phase < RECAP_PHASES; phase++)
		assert_near(2 * one.target[0][phase].total_j, two.target[0][phase].total_j, scale);
	assert_near(one.target[0][RECAP_WARMUP].total_j + one.target[0][RECAP_EXECUTION].total_j,
		    one.target[0][RECAP_WHOLE].total_j, scale);
	assert_true(one.target[0][RECAP_WHOLE].total_j <= scale * (1 + 1e-12));
}

#define PARTS 4 /* a container of this run, two others, and what belongs to no container */

/* The parts of a random tick and their sum. */
static void random_parts(struct report_power parts[PARTS], struct report_power *ret_sum, int64_t time_ms,
			 const char *socket)
{
	const double interval_s = 0.02 + 2 * random_part();

	*ret_sum = row_at(time_ms, 0, socket, REPORT_SCOPE_CPU);
	ret_sum->interval_s = interval_s;
	for (unsigned i = 0; i < PARTS; i++) {
		parts[i] =
			row_at(time_ms, 100 * random_part() * (double)(rand() % 3), socket, REPORT_SCOPE_CPU);
		parts[i].interval_s = interval_s;
		parts[i].energy_j = parts[i].power * interval_s;
		ret_sum->power += parts[i].power;
		ret_sum->energy_j += parts[i].energy_j;
	}
}

/*
 * One random run among others, shorter or longer than its ticks: in each phase, the parts of the window add
 * up to the machine's joules, as do the machine's sockets; no part exceeds the whole.
 */
static void check_random_parts(void)
{
	const double begin_ms = 3000 * random_part(), length_ms = 6000 * random_part() * random_part();
	const double execution_ms = begin_ms + length_ms * random_part();
	const struct recap_window window = {{{begin_ms, begin_ms, execution_ms, begin_ms + length_ms}}};
	static const char *const sockets[] = {"0", "1"};
	struct recap recaps[PARTS];

	for (unsigned i = 0; i < PARTS; i++)
		recap_init(&recaps[i], &window);
	recaps[0].whole_life = true;
	for (int64_t time_ms = 300; time_ms < 12000; time_ms += 20 + rand() % 2000) {
		for (unsigned s = 0; s < 2; s++) {
			struct report_power parts[PARTS], sum;

			random_parts(parts, &sum, time_ms, sockets[s]);
			recap_add(&recaps[0], &sum, true, 1);
			for (unsigned i = 0; i < PARTS; i++)
				recap_add(&recaps[i], &parts[i], false, 1);
		}
	}
	for (unsigned phase = 0; phase < RECAP_PHASES; phase++) {
		const double machine_j = recaps[0].machine[0][phase].total_j;
		double sum_j = 0, sockets_j = 0;

		for (unsigned i = 0; i < PARTS; i++)
			sum_j += recaps[i].target[0][phase].total_j;
		for (unsigned s = 0; s < recaps[0].n_sockets; s++)
			sockets_j += fmax(recaps[0].sockets[s].energy_j[0][phase], 0);
		assert_near(sum_j, machine_j, 1e3);
		assert_near(sockets_j, machine_j, 1e3);
		assert_true(recaps[0].target[0][phase].total_j <= machine_j + 1e-6);
	}
}

static void parts_of_a_window_add_up(void **state)
{
	(void)state;
	srand(random_begin());
	for (unsigned i = 0; i < 2000; i++)
		check_random_parts();
}

static void phases_add_up_and_scale(void **state)
{
	(void)state;
	srand(random_begin());
	for (unsigned i = 0; i < 500; i++)
		check_random_run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boundary_ticks_count_in_proportion),
		cmocka_unit_test(whole_life_counts_edges_in_full),
		cmocka_unit_test(a_brief_run_is_marked),
		cmocka_unit_test(ticks_just_outside_count_for_a_known_container),
		cmocka_unit_test(a_whole_tick_is_not_brief),
		cmocka_unit_test(parts_of_a_window_add_up),
		cmocka_unit_test(sockets_add_up_in_a_tick),
		cmocka_unit_test(error_bars_of_all_joules_or_none),
		cmocka_unit_test(foreign_rows_take_power_and_the_usual_interval),
		cmocka_unit_test(no_rows_no_coverage),
		cmocka_unit_test(no_rows_a_reason),
		cmocka_unit_test(phases_add_up_and_scale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of error_bar.h: ticks as in recaps (base/doubt.h), scopes as independent errors.
 */
#include "history/error_bar.h"

#include <math.h>
#include <string.h>

void error_bar_init(struct error_bar *bar, int scope, float *sd_j, unsigned n_points)
{
	*bar = (struct error_bar){.sd_j = sd_j, .scope = scope};
	for (unsigned i = 0; i < n_points; i++)
		sd_j[i] = NAN;
}

static void sum_add(struct error_sum *sum, const struct report_power *row, unsigned slot, double interval_s)
{
	doubt_sum_add(&sum->scopes[slot], &(struct doubt_part){row->sd * interval_s, row->power, interval_s},
		      row->time_ms);
	sum->total_j += row->power * interval_s;
	if (doubt_is_missing(row->power, row->dynamic, row->sd))
		sum->missing_j += fabs(row->power * interval_s);
}

static double sum_sd_j(const struct error_sum *sum, int scope)
{
	struct doubt_total total = {.total = sum->total_j, .missing = sum->missing_j};

	for (unsigned i = 0; i < REPORT_SCOPES_ADDED; i++) {
		enum report_scope law = scope >= 0 ? (enum report_scope)scope : (enum report_scope)i;

		doubt_total_add(&total, 0, 0, doubt_sum_sd(&sum->scopes[i], report_scope_doubt(law)));
	}
	return doubt_total_sd(&total);
}

void error_bar_add(struct error_bar *bar, const struct report_power *row, unsigned point, double interval_s)
{
	/* A single scope needs one place, even if it is none of those that add up. */
	const unsigned slot = bar->scope >= 0 ? 0 : row->scope;

	if (point != bar->point)
		error_bar_finish(bar);
	bar->point = point;
	sum_add(&bar->step, row, slot, interval_s);
	sum_add(&bar->energy, row, slot, interval_s);
}

void error_bar_finish(struct error_bar *bar)
{
	bar->sd_j[bar->point] = (float)sum_sd_j(&bar->step, bar->scope);
	memset(&bar->step, 0, sizeof(bar->step));
}

double error_bar_energy_sd_j(const struct error_bar *bar)
{
	return sum_sd_j(&bar->energy, bar->scope);
}

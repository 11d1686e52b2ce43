/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard deviations of a curve's steps, and of its energy: power reports are added in order of time, a
 * finished step leaves one number. Pure; used by history.c.
 */
#pragma once

#include "document/report.h"

/* Errors of joules, by scope: their laws differ. */
struct error_sum {
	struct doubt_sum scopes[REPORT_SCOPES_ADDED];
	double total_j;
	double missing_j; /* of rows that lack their error */
};

struct error_bar {
	float *sd_j;             /* [n_points], of the caller; NAN: unknown */
	int scope;               /* the only one of the rows; -1: those that add up */
	unsigned point;          /* to which `step` belongs */
	struct error_sum step;   /* that is being filled */
	struct error_sum energy; /* of all steps together */
};

void error_bar_init(struct error_bar *bar, int scope, float *sd_j, unsigned n_points);
/* Adds a row of `interval_s` seconds, which belongs to this step. Steps and rows must come in order. */
void error_bar_add(struct error_bar *bar, const struct report_power *row, unsigned point, double interval_s);
/* Closes the last step. */
void error_bar_finish(struct error_bar *bar);
/* Standard deviation of the energy of all steps; NAN: unknown. */
double error_bar_energy_sd_j(const struct error_bar *bar);

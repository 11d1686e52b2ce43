/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power over time, down-sampled: power reports are added in order of time and result in mean watts for each
 * of a fixed number of equal steps. Pure; api/api_history.c does the reading.
 */
#pragma once

#include "document/report.h"
#include "history/error_bar.h"

#include <uthash.h>

#define HISTORY_POINTS_MAX 1000
#define HISTORY_SERIES_MAX                                                                                   \
	1024 /* targets with a series of their own; the energy of the rest is in `others` */

struct history_series {
	UT_hash_handle hh;
	double total_j;
	float *energy_j;      /* [n_points], in one piece with those below */
	float *dynamic_j;     /* [n_points] */
	float *covered_s;     /* [n_points]; seconds in which the target had a report */
	struct error_bar bar; /* of energy_j */
	int64_t last_ms;
	char container_id[16];
	char name[];
};

struct history {
	int64_t from_ms;
	double step_ms;
	unsigned n_points;
	int scope; /* enum report_scope; -1: those that add up */
	struct history_series *series;
	unsigned n_series;
	float *others_j;         /* [n_points], in one piece with those below */
	float *others_sd_j;      /* [n_points]; NAN: unknown */
	float *measured_j;       /* [n_points] */
	float *error_j;          /* [n_points]; the model's error as energy */
	float *covered_s;        /* [n_points]; seconds that ticks cover */
	struct error_bar others; /* of targets without a series */
	int64_t last_ms;
};

/*
 * `scope`: enum report_scope; -1: those that add up. Steps of at least `step_min_ms`: two ticks, so that a
 * step without a tick is a real gap and not an effect of phase. 0 or -ENOMEM.
 */
int history_init(struct history *history, int64_t from_ms, int64_t until_ms, int scope, unsigned n_points,
		 double step_min_ms);
void history_done(struct history *history);

/*
 * Adds one report; those outside the window are ignored. Rows of one time must come together. `interval_s` is
 * used if the report has none. 0 or -ENOMEM.
 */
int history_add(struct history *history, const struct report_power *row, double interval_s);

/*
 * After the last row: completes the error bars, sorts by energy, largest first, and adds the series after the
 * first `top` to the others. The history still owns them. `is_all`: rows of all targets were added.
 */
void history_finish(struct history *history, unsigned top, bool is_all);
/* Mean watts of step `point` over `covered_s`; NAN where nothing covers it. */
double history_watts(const float *energy_j, const float *covered_s, unsigned point);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of power reports against the truth of a simulated machine: the arithmetic of wattribute-score.
 * Pure: gets power reports of both kinds, computes the figures once. Rows are container-ticks summed
 * over sockets; `system` is in the sum that must equal RAPL but not in the errors.
 */
#pragma once

#include "document/report.h"

#include <stdint.h>
#include <stdio.h>

#define SCORE_FIRST_TICKS 30
#define SCORE_RECAP_ROWS  60

struct score;

/* Errors of a set of rows, W. NAN if there are none. */
struct score_errors {
	uint64_t rows;                /* of the truth */
	uint64_t answered;            /* of these, with a report */
	double full_mae, dynamic_mae; /* over answered rows */
	double full_mae_all;          /* over all rows; no answer counts as 0 */
	double full_bias, dynamic_bias;
	double full_mean, dynamic_mean; /* of the truth */
	/* Part of the rows with an error bar whose 90 % interval, 1.645 standard deviations, holds the truth;
	 * NAN: none has. */
	double inside_90;
	uint64_t with_sd;
	double full_relative, dynamic_relative; /* median of |error| / truth where the truth is above 1 W */
};

struct score_kind {
	char name[64]; /* target's name without its number */
	struct score_errors errors;
};

/* Quality of the predictions of the machine's power, sockets added up. */
struct score_foresight {
	/* Mean |prediction - rapl| over the first SCORE_FIRST_TICKS ticks and over the others; NAN: none.
	 * Then the number of these ticks that have a prediction. */
	double first_w, after_w;
	uint64_t first_ticks, after_ticks;
	double early_w[SCORE_FIRST_TICKS]; /* |prediction - rapl| of each; NAN: none */
	/*
	 * Largest (prediction - part explained by the load's rise) / largest power of all earlier ticks; NAN:
	 * none (no score_add_load()). A rise is the excess over all earlier ticks. `beyond`: its cycles at
	 * the cost of the most expensive container of the stream, and the true rise of static power (a
	 * package that wakes), as no model can know the cost of a program that never ran. `beyond_true`: the
	 * true rise of power.
	 */
	double beyond, beyond_true;
};

struct score_scope {
	struct score_errors errors;
	unsigned n_kinds;
	struct score_kind *kinds;             /* by name */
	double sum_error_max, sum_error_mean; /* |sum of rows - rapl| per tick and socket, W */
	uint64_t sums;                        /* ticks and sockets compared */
	struct score_foresight foreseen;
	/* Recaps (each container's SCORE_RECAP_ROWS ticks, and all of its ticks) whose 90 % interval holds
	 * the truth. */
	uint64_t recaps;
	double recaps_90; /* NAN: none has an error bar */
	uint64_t delay;   /* ticks at the end of the truth that have no answer */
	double twin_asymmetry,
		twin_asymmetry_truth; /* |difference of energy| / mean, largest pair; NAN: no twins */
	double phantom_w; /* dynamic watts too many, mean over rows that truly have less than 0.05 W; NAN:
			     none */
};

struct score_result {
	uint64_t ticks;
	struct score_scope scopes[REPORT_SCOPES];
};

struct score *score_new(void);
void score_free(struct score *score);
/* 0 or -ENOMEM. `global` is skipped; sums are checked against the reports' `rapl`. */
int score_add_truth(struct score *score, const struct report_power *power);
int score_add_report(struct score *score, const struct report_power *power);
/* Load of a target (`all`: the machine) on a socket in a tick: 1e9 cycles per second, or CPUs if only
 * time is counted. */
int score_add_load(struct score *score, int64_t time_ms, const char *target, unsigned socket, double load);
/* Measured rows of a tick and socket that already had one: the reports are from several runs. */
uint64_t score_repeated(const struct score *score);
/* 0 or -ENOMEM. `rows`, if not NULL, gets every row as CSV. Release with score_result_done(). */
int score_compute(struct score *score, FILE *rows, struct score_result *ret_result);
void score_result_done(struct score_result *result);

/* score_print.c */
void score_print_table(const struct score_result *result, const char *label, FILE *out);
void score_print_json(const struct score_result *result, const char *label, FILE *out);

/* score_main.c: wattribute-score [--json] [--label TEXT] [--rows FILE] [--stream FILE] TRUTH.bson
 * REPORTS.bson */
int score_main(int argc, char **argv);

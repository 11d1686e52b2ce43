/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard deviation of a sum over time whose parts' errors are not independent: a part of each (a cost
 * that the model has wrong) fades over minutes, the rest is new in each tick. Pure.
 */
#pragma once

#include <stdint.h>

struct doubt_sum {
	double square_sum;  /* of the parts' standard deviations */
	double lasting_sum; /* variance of the sum if errors only fade */
	double left;        /* of earlier parts' standard deviations, at time_ms */
	int64_t time_ms;
	uint64_t n;
};

/* Starts with zeroes. In the order of their time; parts of one instant err alike. `sd`: NAN is left out. */
void doubt_sum_add(struct doubt_sum *sum, double sd, int64_t time_ms);
/* NAN where there was no part. */
double doubt_sum_sd(const struct doubt_sum *sum);

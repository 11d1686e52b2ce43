/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard deviation of a sum over time whose parts' errors are not independent: a part of each (a cost
 * that the model has wrong) lasts, the rest is new in each tick. Where the watts do not vary, nothing new
 * can be learnt, and all of it lasts. Pure.
 */
#pragma once

#include <stdint.h>

/* Of a tick, of one socket. */
struct doubt_part {
	double sd_j; /* NAN: not known, left out */
	double watts;
	double length_s;
};

struct doubt_sum {
	double square_sum;                   /* of the ticks' standard deviations */
	double lasting_sum;                  /* variance of the sum if errors only fade */
	double plain_sum;                    /* the ticks' standard deviations */
	double left;                         /* of earlier ticks' standard deviations, at time_ms */
	double now, now_w;                   /* of the tick of time_ms so far: standard deviation, watts */
	double length_s, energy_j, square_w; /* sums; the last: of squared watts x length */
	int64_t time_ms;
	uint64_t n;
};

/* Starts with zeroes. In the order of their time; parts of one instant (sockets) err independently. */
void doubt_sum_add(struct doubt_sum *sum, const struct doubt_part *part, int64_t time_ms);
/* NAN where there was no part. */
double doubt_sum_sd(const struct doubt_sum *sum);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard deviation of a sum over time whose errors are not independent: a part of each error (a wrong
 * cost in the model) lasts, the rest is new in each tick. If the watts do not vary, nothing new can be
 * learnt, and the whole error lasts. How much lasts differs between scopes. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct doubt_law {
	double lasting;       /* part of an error's variance that lasts beyond its tick if watts vary */
	double lasting_small; /* the same for few watts: little shows that they are wrong */
	double small_w;       /* the part is halfway between the two at these watts */
	double steady; /* squared coefficient of variation of watts at which half of the rest also lasts */
};

extern const struct doubt_law doubt_of_cpu;
/* Also for scopes that were not simulated: it is the wider one. */
extern const struct doubt_law doubt_of_dram;

/* Values of one tick and socket. */
struct doubt_part {
	double sd_j; /* NAN: unknown, left out */
	double watts;
	double length_s;
};

struct doubt_sum {
	double square_sum;  /* of the ticks' standard deviations */
	double lasting_sum; /* variance of the sum if errors only decay */
	double plain_sum;   /* the ticks' standard deviations */
	double left;        /* decayed remainder of earlier ticks' standard deviations, at time_ms */
	double now, now_w;  /* of the tick of time_ms so far: standard deviation, watts */
	double length_s, energy_j, square_w; /* sums; the last: of squared watts x length */
	int64_t time_ms;
	uint64_t n;
};

/* Initialise the sum with zeroes. Parts must come in order of time; errors of one instant (sockets) are
 * independent. */
void doubt_sum_add(struct doubt_sum *sum, const struct doubt_part *part, int64_t time_ms);
/* NAN if there was no part. */
double doubt_sum_sd(const struct doubt_sum *sum, const struct doubt_law *law);

/* Does a figure (watts, joules) lack its error? Without a dynamic part there is none. */
bool doubt_is_missing(double figure, double dynamic, double sd);
/*
 * Is too much of a total from figures that lack their error? The error of the others would be taken for that
 * of all.
 */
bool doubt_is_unknown(double missing, double total);

/* A total of figures whose errors are independent: of scopes, sockets or targets. Initialise with zeroes. */
struct doubt_total {
	double total;
	double missing; /* part of it that lacks its error */
	double sd;
	uint64_t n; /* figures that have one */
};
void doubt_total_add(struct doubt_total *total, double figure, double dynamic, double sd);
/* NAN: unknown. */
double doubt_total_sd(const struct doubt_total *total);

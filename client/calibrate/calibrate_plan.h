/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of `wattribute calibrate`, and the evaluation of the measured watts: how far the attributed
 * shares of two simultaneous loads are from what each of them adds. Pure: no I/O.
 */
#pragma once

#include "document/report.h"

enum calibrate_kind { CALIBRATE_INTEGER, CALIBRATE_VECTOR, CALIBRATE_MEMORY, CALIBRATE_KINDS };
extern const char *const calibrate_kind_names[CALIBRATE_KINDS];

/* Idle; each kind with one, half and all threads; then A alone, B alone, both. */
enum {
	CALIBRATE_IDLE = 0,
	CALIBRATE_A = 1 + 3 * CALIBRATE_KINDS,
	CALIBRATE_B,
	CALIBRATE_BOTH,
	CALIBRATE_PHASES
};
#define CALIBRATE_KIND_A CALIBRATE_INTEGER
#define CALIBRATE_KIND_B CALIBRATE_MEMORY

struct calibrate_phase {
	char title[48];
	unsigned threads[CALIBRATE_KINDS];
};

/* Measurements of one scope in one phase: joules of whole ticks, and their duration. */
struct calibrate_seen {
	double seconds;
	double machine_j;
	double load_j[CALIBRATE_KINDS]; /* attributed to the loads */
};

/* A load's watts. */
struct calibrate_watts {
	double alone;  /* alone, minus idle */
	double beside; /* both loads together, minus the other one alone */
	/* The mean of these two (its Shapley value): the sum for A and B is what both add to idle. */
	double fair;
	double attributed; /* the model's share for it, scaled to what A and B add */
};

struct calibrate_error {
	struct calibrate_watts a, b;
	double adds;    /* both loads together, minus idle */
	double percent; /* |attributed - fair|, relative to what both add; NAN: they add nothing */
};

void calibrate_plan(unsigned n_cpus, struct calibrate_phase ret_phases[CALIBRATE_PHASES]);
/* The phase that contains the tick (from, until], without the first `settle_ms` of each phase; -1: none. */
int calibrate_find(const int64_t begin_ms[CALIBRATE_PHASES], const int64_t end_ms[CALIBRATE_PHASES],
		   int64_t settle_ms, int64_t from_ms, int64_t until_ms);
double calibrate_machine_w(const struct calibrate_seen *seen);
/* False if a phase has no measurement. */
bool calibrate_judge(const struct calibrate_seen seen[CALIBRATE_PHASES], struct calibrate_error *ret_error);
/* Does any load raise the machine's power? If not, there is nothing to learn. */
bool calibrate_any_adds(const struct calibrate_seen seen[CALIBRATE_PHASES]);

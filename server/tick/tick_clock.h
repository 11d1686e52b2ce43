/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream's own clock: the length of each tick, for sensors that do not report it. The usual length is taken
 * from several steps, so that one odd step does not affect other ticks. Pure; for tick_make.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TICK_CLOCK_STEPS 9

struct tick_clock {
	double fallback_s; /* used while nothing is known */
	double steps_s[TICK_CLOCK_STEPS];
	unsigned n_steps, next;
	unsigned n_shown; /* steps noted in advance */
	double usual_s;   /* from the steps; the fallback if there are none */
	double last_step_s;
	double last_counted_s; /* as the events' time_enabled shows it; 0: none */
	int64_t last_ms;
	bool has_last;
};

void tick_clock_init(struct tick_clock *clock, double fallback_s);
/*
 * Continues after a tick at `time_ms`. `usual_s` comes from a stored state, which may be wrong: it counts
 * until the stream itself shows its steps. 0: unknown.
 */
void tick_clock_resume(struct tick_clock *clock, int64_t time_ms, double usual_s);
/* Has the stream shown a step? If not, the first tick's length is known better after a later tick. */
bool tick_clock_knows(const struct tick_clock *clock);
/* Shows the steps between waiting ticks, in order of time. No effect if steps are already known. */
void tick_clock_prime(struct tick_clock *clock, const int64_t *times_ms, unsigned n);
/*
 * Length of the tick of `time_ms`, s. `said_s`: as reported by the sensor; NAN or absurd: not reported.
 * `counted_s`: the time for which its energy was counted, in this tick or since the sensor's start, NAN:
 * unknown; it is used if it is near the step. `whole`: the report of the whole machine is there, with the
 * energy since the last one of its kind.
 */
double tick_clock_take(struct tick_clock *clock, int64_t time_ms, double said_s, double counted_s,
		       bool whole);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to read a sensor's next tick: just late enough to find it complete at the first read.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double poll_s; /* between two looks for a tick that is due */
	bool learned;
	double delay_s;  /* estimated time from a tick's timestamp until it can be read, minus a margin */
	double creep_s;  /* next decrement of delay_s */
	unsigned misses; /* looks in a row that found no tick */
	double idle_s;
};

struct pace pace_init(double poll_s);
/*
 * A look that began at `looked_ms` found ticks, the newest from `tick_ms`; it is now `now_ms`. Returns the
 * seconds until the next look.
 */
double pace_found(struct pace *pace, int64_t looked_ms, int64_t tick_ms, int64_t now_ms, double interval_s);
/* A look found no tick, or with `begun` a part of one. Returns the seconds until the next look. */
double pace_missed(struct pace *pace, bool begun);

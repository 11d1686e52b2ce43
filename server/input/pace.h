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
	double delay_s;  /* from a tick's time until it can be read, as far as is known, and a little less */
	double creep_s;  /* what is taken off it next */
	unsigned misses; /* looks in a row that found no tick */
	double idle_s;
};

struct pace pace_init(double poll_s);
/*
 * A look that began at `looked_ms` found ticks, the newest of them of `tick_ms`, and it is `now_ms`. Seconds
 * until the next look.
 */
double pace_found(struct pace *pace, int64_t looked_ms, int64_t tick_ms, int64_t now_ms, double interval_s);
/* A look found no tick; with `begun` a part of one. Seconds until the next look. */
double pace_missed(struct pace *pace, bool begun);

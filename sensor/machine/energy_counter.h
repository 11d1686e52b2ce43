/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One cumulative energy counter from reading to reading: wraps are bridged, a counter that was reset or shows
 * nonsense is told from one that wrapped by what a socket can take at the most. Pure; used by the energy
 * sources.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * No socket, its memory or its board takes more: the largest of today peak near 1 kW. What lies above is no
 * measurement, and a counter must be read before it can have wrapped twice at this power.
 */
#define ENERGY_MOST_W 2000.0
/* Counters are updated in steps, so that short intervals seem to have more. */
#define ENERGY_SLACK_S 0.1

struct energy_counter {
	double joules_per_count;
	uint64_t range; /* the count wraps to 0 behind it; 0: never, or unknown */
	uint64_t before;
	uint64_t before_ns;
	uint64_t total; /* counts since open, wraps bridged */
	uint64_t taken; /* of these, by energy_counter_take() */
	bool started;
};

/*
 * A reading of the counter. 0: its energy can be taken (the first reading only sets the baseline); -ERANGE:
 * the counter is not the one it was, what it has counted since the last reading is unknown, and it starts
 * again from here.
 */
int energy_counter_read(struct energy_counter *counter, uint64_t now, uint64_t now_ns);
/* Energy since the last call, in 2^-32 J. */
uint64_t energy_counter_take(struct energy_counter *counter);
/* At least this often it must be read, so that no wrap is missed; UINT64_MAX: it does not wrap. */
uint64_t energy_counter_period_ns(const struct energy_counter *counter);
/* Is that many joules in so many seconds more than `n_counters` can have counted? */
bool energy_is_absurd(double joules, double seconds, unsigned n_counters);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One cumulative energy counter across readings: wraps are bridged; a counter that was reset or shows
 * nonsense is distinguished from a wrapped one by a socket's maximum power. Pure; used by the energy sources.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * No socket takes more: today's largest ones peak near 1 kW. Higher values are not measurements, and a
 * counter must be read before it can have wrapped twice at this power. Other domains: energy_most_w().
 */
#define ENERGY_MOST_W 2000.0
/* Counters are updated in steps, so short intervals may seem to have more. */
#define ENERGY_SLACK_S 0.1

struct energy_counter {
	double joules_per_count;
	double most_w;  /* maximum power of its domain; 0: ENERGY_MOST_W */
	uint64_t range; /* the count wraps to 0 after it; 0: never, or unknown */
	uint64_t before;
	uint64_t before_ns;
	uint64_t total; /* counts since open, wraps bridged */
	uint64_t taken; /* of these, already returned by energy_counter_take() */
	bool started;
};

/*
 * Adds a reading. 0: its energy is valid (the first reading only sets the baseline); -ERANGE: the counter was
 * reset or replaced; the energy since the last reading is unknown, and this reading is the new baseline.
 */
int energy_counter_read(struct energy_counter *counter, uint64_t now, uint64_t now_ns);
/* Energy since the last call, in 2^-32 J. */
uint64_t energy_counter_take(struct energy_counter *counter);
/* It must be read at least this often, so that no wrap is missed; UINT64_MAX: it does not wrap. */
uint64_t energy_counter_period_ns(const struct energy_counter *counter);
/* Are these joules in these seconds more than counters of `most_w` watts together can have counted? */
bool energy_is_absurd(double joules, double seconds, double most_w);
/*
 * Maximum power of an energy event's domain ("RAPL_ENERGY_DRAM"): a socket's, or the machine's. `package_w`:
 * the highest of design power and power limits of a package here, 0 if unknown: short peaks exceed a limit,
 * but not by much.
 */
double energy_most_w(const char *event, double package_w);

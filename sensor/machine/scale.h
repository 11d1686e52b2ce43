/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counter arithmetic: deltas, wraps, multiplexing, energy units. Pure. Results are never negative and never
 * overflow.
 */
#pragma once

#include <stdint.h>

/* now - before; 0 if the counter decreased (it was reset). */
uint64_t scale_delta(uint64_t now, uint64_t before);
/* The same for a counter that wraps at `range`; range 0: it never wraps. A value beyond range counts as 0. */
uint64_t scale_delta_wrapped(uint64_t now, uint64_t before, uint64_t range);
/* delta * enabled / running, rounded; 0 when running is 0; delta itself when the event ran all the time. */
uint64_t scale_multiplexed(uint64_t delta, uint64_t enabled_ns, uint64_t running_ns);
/*
 * Energy from one cumulative count to the next, in 2^-32 J; 0 if the counter decreased. It is the difference
 * of two rounded energies, so rounding errors never add up; only the step must fit, whatever the total.
 */
uint64_t scale_energy_step(uint64_t now, uint64_t before, double joules_per_count);
/* delta * part / whole without overflow; 0 when whole is 0. */
uint64_t scale_share(uint64_t delta, uint64_t part, uint64_t whole);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers of the simulated machine: splitmix64, one 64-bit state per stream, so that one container's
 * draws never depend on the others. Not for secrets.
 */
#pragma once

#include <math.h>
#include <stdint.h>

static inline uint64_t sim_random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A separate stream for `index` of the stream `seed`. */
static inline uint64_t sim_random_stream(uint64_t seed, uint64_t index)
{
	uint64_t state = seed ^ (index * UINT64_C(0xd1342543de82ef95));

	(void)sim_random_next(&state);
	return sim_random_next(&state);
}

/* [0, 1) */
static inline double sim_random_unit(uint64_t *state)
{
	return (double)(sim_random_next(state) >> 11) * 0x1p-53;
}

static inline double sim_random_range(uint64_t *state, double low, double high)
{
	return low + (high - low) * sim_random_unit(state);
}

static inline unsigned sim_random_below(uint64_t *state, unsigned n)
{
	return (unsigned)(((sim_random_next(state) >> 32) * n) >> 32);
}

/* Approximately a standard normal: the sum of four uniform numbers, without libm. */
static inline double sim_random_normal(uint64_t *state)
{
	double sum = 0;

	for (int i = 0; i < 4; i++)
		sum += sim_random_unit(state);
	return (sum - 2) * 1.7320508075688772;
}

static inline double sim_random_exponential(uint64_t *state, double mean)
{
	return -mean * log(1 - sim_random_unit(state));
}

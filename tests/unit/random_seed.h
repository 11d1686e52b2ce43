/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random input of property tests, with a new seed for each run, which is printed, or the seed in
 * WATTRIBUTE_SEED.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed;

/* Call once; returns the seed also for srand(). */
static inline unsigned random_begin(void)
{
	const char *given = getenv("WATTRIBUTE_SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	printf("# WATTRIBUTE_SEED=%" PRIu64 "\n", seed);
	return (unsigned)seed;
}

/* At least 0, less than 1. */
static inline double random_unit(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) * 0x1p-53;
}

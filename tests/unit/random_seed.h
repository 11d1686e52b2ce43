/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random input of property tests: of another seed each time, which is printed, or of that in WATTRIBUTE_SEED.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed;

/* To be called once; the seed also for srand(). */
static inline unsigned random_begin(void)
{
	const char *given = getenv("WATTRIBUTE_SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	printf("# WATTRIBUTE_SEED=%" PRIu64 "\n", seed);
	return (unsigned)seed;
}

/* From 0 to 1, without 1. */
static inline double random_unit(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(seed >> 11) * 0x1p-53;
}

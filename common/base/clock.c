/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the system's clocks, or replacements set by a test or the simulated machine. The replacement is the
 * only mutable global here.
 */
#include "base/clock.h"

#include <time.h>

static const struct clock_source *replacement;

uint64_t clock_system_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return replacement ? replacement->monotonic_ns(replacement->data) : clock_system_ns();
}

int64_t clock_realtime_ms(void)
{
	struct timespec now;

	if (replacement)
		return replacement->realtime_ms(replacement->data);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / (int64_t)CLOCK_NS_PER_MS;
}

double clock_cpu_s(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       1e-6 * (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

void clock_replace(const struct clock_source *source)
{
	replacement = source;
}

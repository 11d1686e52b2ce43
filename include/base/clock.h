/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks: monotonic nanoseconds for internal use, wall-clock milliseconds for documents. Both can be
 * replaced by a test or by the simulated machine.
 */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#define CLOCK_NS_PER_S  UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)

struct clock_source {
	uint64_t (*monotonic_ns)(void *data);
	int64_t (*realtime_ms)(void *data);
	void *data;
};

uint64_t clock_monotonic_ns(void);
/* The system's monotonic time, regardless of clock_replace(). */
uint64_t clock_system_ns(void);
/* Milliseconds since the epoch, UTC. */
int64_t clock_realtime_ms(void);
/* CPU time of user and system together. */
double clock_cpu_s(const struct rusage *usage);
/* Replaces both clocks of this process; NULL restores the system's. The struct must outlive its use. */
void clock_replace(const struct clock_source *source);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup's CPU time from the kernel's files. Pure: text in, nanoseconds out. Used by source_cpustat.c and
 * perf_late.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Can a cgroup have used this time since the last reading, `passed_ns` ago? Then it was created after it, and
 * all of its time is of this tick; otherwise it is older.
 */
static inline bool cputime_is_new(uint64_t used_ns, uint64_t passed_ns, unsigned n_cpus)
{
	return used_ns <= passed_ns * n_cpus;
}

/* The usage_usec line of cgroup2's cpu.stat, in ns. 0 or -EBADMSG. */
int cputime_parse_stat(const char *text, uint64_t *ret_ns);
/* v1's cpuacct.usage: one number, in ns. 0 or -EBADMSG. */
int cputime_parse_usage(const char *text, uint64_t *ret_ns);
/*
 * v1's cpuacct.usage_percpu: a number for each possible CPU from 0 on, in ns. Calls `each` for all; returns
 * how many there were, or -EBADMSG.
 */
int cputime_parse_percpu(const char *text, void (*each)(void *data, unsigned cpu, uint64_t ns), void *data);

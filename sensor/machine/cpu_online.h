/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs that are online now: one small sysfs file, read in each tick. Independent of events; callers ask
 * for the changes after a check that found one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_ONLINE_MAX 65536

struct cpu_online {
	int fd; /* -1: unknown; nothing ever changes */
	size_t length;
	char text[4096];
	uint64_t now[CPU_ONLINE_MAX / 64], before[CPU_ONLINE_MAX / 64];
};

/* Opens the file and reads it once. 0 or a negative errno, after which the other calls still work. */
int cpu_online_open(struct cpu_online *online, const char *sysfs_root);
void cpu_online_close(struct cpu_online *online);
/* One system call; true if the list has changed since the last check. */
bool cpu_online_look(struct cpu_online *online);
/* State as of the last check that found a change. */
bool cpu_online_has_come(const struct cpu_online *online, unsigned cpu);
bool cpu_online_has_gone(const struct cpu_online *online, unsigned cpu);
/* Also true if it is unknown. */
bool cpu_online_may_be(const struct cpu_online *online, unsigned cpu);

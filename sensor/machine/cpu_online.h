/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPUs are online now: one small file of sysfs, looked at in each tick. Knows nothing of events; what
 * came and went is asked for after a look that says that something has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_ONLINE_MAX 65536

struct cpu_online {
	int fd; /* -1: it cannot be known; nothing ever changes */
	size_t length;
	char text[4096];
	uint64_t now[CPU_ONLINE_MAX / 64], before[CPU_ONLINE_MAX / 64];
};

/* Opens and looks for the first time. 0 or a negative errno, after which it may be asked all the same. */
int cpu_online_open(struct cpu_online *online, const char *sysfs_root);
void cpu_online_close(struct cpu_online *online);
/* One system call; true when it is not as it was at the last look. */
bool cpu_online_look(struct cpu_online *online);
/* By the last look that saw a change. */
bool cpu_online_has_come(const struct cpu_online *online, unsigned cpu);
bool cpu_online_has_gone(const struct cpu_online *online, unsigned cpu);
/* Also true where it cannot be known. */
bool cpu_online_may_be(const struct cpu_online *online, unsigned cpu);

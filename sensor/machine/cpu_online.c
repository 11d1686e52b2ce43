/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of online CPUs, read in each tick from one descriptor; parsed only when it has changed. Called by
 * collect, once a tick. Allocates nothing.
 */
#include "machine/cpu_online.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add(void *data, unsigned cpu)
{
	struct cpu_online *online = data;

	if (cpu < CPU_ONLINE_MAX)
		online->now[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static bool is_in(const uint64_t *set, unsigned cpu)
{
	return cpu < CPU_ONLINE_MAX && (set[cpu / 64] >> (cpu % 64) & 1);
}

bool cpu_online_look(struct cpu_online *online)
{
	char text[sizeof(online->text)];
	ssize_t n = online->fd >= 0 ? pread(online->fd, text, sizeof(text) - 1, 0) : 0;

	if (n <= 0 || ((size_t)n == online->length && memcmp(text, online->text, (size_t)n) == 0))
		return false;
	text[n] = '\0';
	memcpy(online->text, text, (size_t)n);
	online->length = (size_t)n;
	text[strcspn(text, "\n")] = '\0';
	memcpy(online->before, online->now, sizeof(online->before));
	memset(online->now, 0, sizeof(online->now));
	if (text_parse_cpulist(text, add, online) < 0) { /* do not use half a list */
		memcpy(online->now, online->before, sizeof(online->now));
		return false;
	}
	return true;
}

int cpu_online_open(struct cpu_online *online, const char *sysfs_root)
{
	char path[PATH_MAX];

	memset(online, 0, sizeof(*online));
	online->fd = -1;
	if (snprintf(path, sizeof(path), "%s/devices/system/cpu/online", sysfs_root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	online->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (online->fd < 0)
		return -errno;
	(void)cpu_online_look(online);
	memcpy(online->before, online->now, sizeof(online->before));
	return 0;
}

void cpu_online_close(struct cpu_online *online)
{
	if (online->fd >= 0)
		(void)close(online->fd);
	online->fd = -1;
}

bool cpu_online_has_come(const struct cpu_online *online, unsigned cpu)
{
	return is_in(online->now, cpu) && !is_in(online->before, cpu);
}

bool cpu_online_has_gone(const struct cpu_online *online, unsigned cpu)
{
	return !is_in(online->now, cpu) && is_in(online->before, cpu);
}

bool cpu_online_may_be(const struct cpu_online *online, unsigned cpu)
{
	return online->fd < 0 || online->length == 0 || is_in(online->now, cpu);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many CPUs a cgroup may use: its quota and those of the cgroups above it, and its cpuset. Called when a
 * target's document is written, not in the tick. The parse functions are pure.
 */
#include "cgroup/cgroup.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

double cgroup_parse_cfs(const char *quota_us, const char *period_us)
{
	int64_t quota, period;
	if (text_parse_i64(quota_us, &quota) < 0 || text_parse_i64(period_us, &period) < 0)
		return 0;
	return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

double cgroup_parse_cpu_max(const char *text)
{
	char quota[24];
	size_t n = strcspn(text, " ");
	if (n == 0 || n >= sizeof(quota) || text[n] != ' ')
		return 0;
	memcpy(quota, text, n);
	quota[n] = '\0';
	return cgroup_parse_cfs(quota, text + n + 1);
}

static bool read_text(const char *mount, const char *path, const char *name, char *buffer, size_t size)
{
	return text_read_file(buffer, size, "%s%s/%s", mount, path, name) >= 0;
}

static double own_quota(const struct cgroup_layout *layout, const char *path)
{
	char quota[64], period[64];
	if (layout->cpu_quota_version == CGROUP_VERSION_2)
		return read_text(layout->cpu_quota, path, "cpu.max", quota, sizeof(quota))
			       ? cgroup_parse_cpu_max(quota)
			       : 0;
	if (!read_text(layout->cpu_quota, path, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_text(layout->cpu_quota, path, "cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	return cgroup_parse_cfs(quota, period);
}

static void count_cpu(void *data, unsigned cpu)
{
	(void)cpu;
	++*(unsigned *)data;
}

static unsigned cpuset_size(const struct cgroup_layout *layout, const char *path)
{
	char list[1024];
	unsigned n = 0;
	const char *name = layout->cpuset_version == CGROUP_VERSION_2 ? "cpuset.cpus.effective"
								      : "cpuset.effective_cpus";
	bool found = read_text(layout->cpuset, path, name, list, sizeof(list));
	if (!found && layout->cpuset_version == CGROUP_VERSION_1)
		found = read_text(layout->cpuset, path, "cpuset.cpus", list, sizeof(list));
	return found && text_parse_cpulist(list, count_cpu, &n) == 0 ? n : 0;
}

double cgroup_cpu_limit(const struct cgroup_layout *layout, const char *path)
{
	char at[CGROUP_PATH_MAX];
	double limit = 0;
	(void)snprintf(at, sizeof(at), "%s", path);
	while (layout->cpu_quota[0] && at[0] == '/' && at[1] != '\0') {
		double own = own_quota(layout, at);
		if (own > 0 && (limit <= 0 || own < limit))
			limit = own;
		*strrchr(at, '/') = '\0';
	}
	if (!layout->cpuset[0])
		return limit;
	unsigned mine = cpuset_size(layout, path), all = cpuset_size(layout, "");
	if (mine > 0 && mine < all && (limit <= 0 || mine < limit))
		limit = mine;
	return limit;
}

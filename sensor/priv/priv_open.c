/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes the privileged requests: validates them, then opens perf groups and listed files. Runs in the
 * privileged process (priv.c), or in direct mode in the client (priv_client.c). Trusts none of its input;
 * logs nothing.
 */
#include "priv/priv.h"

#include "base/cleanup.h"
#include "event/pmu.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define PRIV_CPUS_MAX 65536

/* PMUs that only count. Others take pointers, break into code or write traces: kprobe, breakpoint, intel_pt …
 */
static bool pmu_is_harmless(const char *name)
{
	static const char *const stems[] = {"power",    "msr",   "uncore",  "cpu",     "cstate",
					    "amd_",     "armv8", "arm_cmn", "arm_dsu", "hisi_",
					    "marvell_", "nest_", "hv_"};

	for (size_t i = 0; i < ARRAY_SIZE(stems); i++)
		if (strncmp(name, stems[i], strlen(stems[i])) == 0)
			return true;
	return false;
}

static bool type_is_allowed(const struct priv_config *config, uint32_t type)
{
	char name[EVENT_PMU_NAME_SIZE];

	switch (type) {
	case PERF_TYPE_HARDWARE:
	case PERF_TYPE_SOFTWARE:
	case PERF_TYPE_HW_CACHE:
	case PERF_TYPE_RAW:
		return true;
	case PERF_TYPE_TRACEPOINT:
	case PERF_TYPE_BREAKPOINT:
		return false;
	default:
		return pmu_find_type(config->sysfs_root, type, name) == 0 && pmu_is_harmless(name);
	}
}

bool priv_path_is_clean(const char *path)
{
	if (path[0] != '/' || strlen(path) >= PRIV_CGROUP_PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (const char *at = path; *at;) {
		size_t length = strcspn(at + 1, "/");

		if (!length || (length == 1 && at[1] == '.') || (length == 2 && at[1] == '.' && at[2] == '.'))
			return false;
		at += 1 + length;
	}
	return true;
}

int priv_check_group(const struct priv_config *config, const struct priv_group *group, struct reason *cause)
{
	if (!group->n_events || group->n_events > PRIV_GROUP_EVENTS_MAX || group->cpu >= PRIV_CPUS_MAX)
		return reason_set(cause, -EPERM, "a group of %u events on CPU %u is refused", group->n_events,
				  group->cpu);
	if (group->cgroup[0] && !priv_path_is_clean(group->cgroup))
		return reason_set(cause, -EPERM, "the cgroup path is refused");
	for (unsigned i = 0; i < group->n_events; i++) {
		const struct event_attr *attr = &group->events[i];

		if (attr->flags > (EVENT_EXCLUDE_HV << 1) - 1)
			return reason_set(cause, -EPERM, "event flags %#x are refused", attr->flags);
		if (!type_is_allowed(config, attr->type))
			return reason_set(cause, -EPERM, "events of type %u do more than count", attr->type);
	}
	return 0;
}

/* The cgroup's directory; -ENOENT if it is gone, -EBADF if it is not a cgroup. */
static int open_cgroup(const struct priv_config *config, const char *path, struct reason *cause)
{
	cleanup_(cleanup_close) int root = -1;
	cleanup_(cleanup_close) int fd = -1;
	struct statfs fs;

	if (!config->perf_root)
		return reason_set(cause, -EOPNOTSUPP, "no cgroup hierarchy that perf can use is mounted");
	root = open(config->perf_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = openat(root, path[1] ? path + 1 : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The kernel answers EBADF or even ENOENT for a directory of another file system, which would
	 * mislead. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != CGROUP_SUPER_MAGIC)
		return reason_set(cause, -EBADF, "%s is not a cgroup hierarchy", config->perf_root);
	return TAKE_FD(fd);
}

bool priv_perf_is_unified(const struct priv_config *config)
{
	struct statfs fs;

	return config->perf_root && statfs(config->perf_root, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int open_event(const struct event_attr *wanted, unsigned cpu, int cgroup_fd, int leader)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = wanted->type,
		.config = wanted->config,
		.config1 = wanted->config1,
		.config2 = wanted->config2,
		.exclude_user = (wanted->flags & EVENT_EXCLUDE_USER) != 0,
		.exclude_kernel = (wanted->flags & EVENT_EXCLUDE_KERNEL) != 0,
		.exclude_hv = (wanted->flags & EVENT_EXCLUDE_HV) != 0,
		/* Siblings of a running leader would stay at zero: all are enabled together below. */
		.disabled = leader < 0,
		/* The leader returns all counts; a sibling only its own. In group format, Linux 6.1 returns
		   the leader's count for a sibling after the group was split. */
		.read_format = (leader < 0 ? PERF_FORMAT_GROUP : 0) | PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	unsigned long flags = PERF_FLAG_FD_CLOEXEC | (cgroup_fd >= 0 ? PERF_FLAG_PID_CGROUP : 0UL);
	long fd = syscall(SYS_perf_event_open, &attr, cgroup_fd, (int)cpu, leader, flags);

	return fd < 0 ? -errno : (int)fd;
}

static void close_all(int *fds, unsigned n)
{
	while (n > 0)
		(void)close(fds[--n]);
}

int priv_open_group_disabled(const struct priv_config *config, const struct priv_group *group, int *ret_fds,
			     struct reason *cause)
{
	cleanup_(cleanup_close) int cgroup_fd = -1;
	int r = priv_check_group(config, group, cause);

	if (r < 0)
		return r;
	if (group->cgroup[0]) {
		cgroup_fd = open_cgroup(config, group->cgroup, cause);
		if (cgroup_fd < 0)
			return cgroup_fd;
	}
	for (unsigned i = 0; i < group->n_events; i++) {
		r = open_event(&group->events[i], group->cpu, cgroup_fd, i ? ret_fds[0] : -1);
		if (r < 0) {
			if (group->n_events > 1)
				reason_set(cause, r, "event %u of %u", i + 1, group->n_events);
			close_all(ret_fds, i);
			return r;
		}
		ret_fds[i] = r;
	}
	return 0;
}

int priv_enable_group(int leader, struct reason *cause)
{
	if (ioctl(leader, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP) < 0)
		return reason_set(cause, -errno, "enabling the group");
	return 0;
}

int priv_open_group(const struct priv_config *config, const struct priv_group *group, int *ret_fds,
		    struct reason *cause)
{
	int r = priv_open_group_disabled(config, group, ret_fds, cause);

	if (r < 0)
		return r;
	r = priv_enable_group(ret_fds[0], cause);
	if (r < 0)
		close_all(ret_fds, group->n_events);
	return r;
}

/* "intel-rapl:0", "intel-rapl:0:1" or the same with "intel-rapl-mmio". */
static bool zone_is_valid(const char *zone)
{
	static const char *const stems[] = {"intel-rapl:", "intel-rapl-mmio:"};
	const char *at = NULL;
	size_t digits;

	for (size_t i = 0; i < ARRAY_SIZE(stems); i++)
		if (strncmp(zone, stems[i], strlen(stems[i])) == 0)
			at = zone + strlen(stems[i]);
	if (!at)
		return false;
	for (unsigned level = 0; level < 2; level++) {
		digits = strspn(at, "0123456789");
		if (!digits || digits > 4)
			return false;
		at += digits;
		if (!*at)
			return true;
		if (*at++ != ':')
			return false;
	}
	return false;
}

/* "hwmon3/power1_input", "hwmon3/power1_average", "hwmon3/energy1_input" */
static bool meter_is_valid(const char *id)
{
	static const char *const ends[] = {"_input", "_average"};
	size_t digits;

	if (strncmp(id, "hwmon", 5) != 0)
		return false;
	digits = strspn(id + 5, "0123456789");
	if (!digits || digits > 5 || id[5 + digits] != '/')
		return false;
	id += 5 + digits + 1;
	if (strncmp(id, "power", 5) != 0 && strncmp(id, "energy", 6) != 0)
		return false;
	id += id[0] == 'p' ? 5 : 6;
	digits = strspn(id, "0123456789");
	for (size_t i = 0; digits && digits <= 3 && i < ARRAY_SIZE(ends); i++)
		if (strcmp(id + digits, ends[i]) == 0)
			return true;
	return false;
}

static const struct {
	bool (*is_valid)(const char *id);
	const char *folder, *leaf; /* below the root, before and after the id */
} open_files[PRIV_FILES] = {
	[PRIV_FILE_POWERCAP_ENERGY] = {zone_is_valid, "class/powercap", "/energy_uj"},
	[PRIV_FILE_HWMON] = {meter_is_valid, "class/hwmon", ""},
};

int priv_open_file(const struct priv_config *config, enum priv_file kind, const char *id,
		   struct reason *cause)
{
	char path[PATH_MAX];
	struct stat status;
	int fd;

	if (kind >= PRIV_FILES || !open_files[kind].is_valid(id))
		return reason_set(cause, -EPERM, "the file is not on the list of allowed files");
	if (snprintf(path, sizeof(path), "%s/%s/%s%s", config->sysfs_root, open_files[kind].folder, id,
		     open_files[kind].leaf) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		(void)close(fd);
		return reason_set(cause, -EPERM, "not a regular file");
	}
	return fd;
}

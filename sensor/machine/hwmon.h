/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters of the hwmon class that measure a socket, its memory or the platform, by known drivers and labels.
 * All others measure an unknown rail of some board. Used by source_hwmon.c.
 */
#pragma once

#include <stdbool.h>

#define HWMON_ID_SIZE    48
#define HWMON_NAME_SIZE  96
#define HWMON_METERS_MAX 256

struct hwmon_meter {
	char id[HWMON_ID_SIZE];     /* "hwmon3/power1_average" */
	char name[HWMON_NAME_SIZE]; /* "apm_xgene: CPU power" */
	const char *event;
	unsigned package;
	bool power; /* microwatts; else a counter of microjoules */
};

/*
 * Lists the known meters below <sysfs_root>/class/hwmon, by event and package, `max` at most; an energy
 * counter is preferred to the power of the same meter. Returns their number, or a negative errno.
 */
int hwmon_list(const char *sysfs_root, struct hwmon_meter *ret_meters, unsigned max);

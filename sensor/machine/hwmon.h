/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters of the hwmon class that measure a socket, its memory or the platform: those drivers and labels that
 * are known to. All others measure a rail of some board, which nobody can name from here. Used by
 * source_hwmon.c.
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
 * Lists what is known below <sysfs_root>/class/hwmon, by event and package; an energy counter in place of the
 * power of the same meter. Returns how many, or a negative errno. `max` of them at most.
 */
int hwmon_list(const char *sysfs_root, struct hwmon_meter *ret_meters, unsigned max);

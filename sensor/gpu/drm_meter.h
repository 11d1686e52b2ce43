/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy of GPUs whose driver is in the kernel (amdgpu, i915, xe), by the hwmon files of their PCI device.
 * The device is known by its PCI address: its card's and its meter's number may change when the driver is
 * loaded again. Used by drm.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DRM_PATH_MAX    512
#define DRM_ADDRESS_MAX 32

struct drm_meter {
	char address[DRM_ADDRESS_MAX]; /* "0000:03:00.0", as in processes' fdinfo */
	char device[DRM_PATH_MAX];     /* "/sys/class/drm/card0/device"; "" while it is not there */
	char file[DRM_PATH_MAX];       /* of the energy or power; "" while it is not there */
	bool power;                    /* microwatts; else a counter of microjoules */
	double most_w;                 /* more means nonsense, or a counter that was reset */
	bool started;
	uint64_t energy_uj;
	double power_w;
};

/* Lists GPUs with a meter of their own, in the order of their cards. Returns their number. */
unsigned drm_meter_list(const char *sysfs_root, struct drm_meter *ret_meters, unsigned max);
/* Joules since the last call; NAN: unknown. A meter that disappeared is searched for. */
double drm_meter_read(struct drm_meter *meter, const char *sysfs_root, double seconds);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities of the resctrl file system: whether the processor counts energy for monitoring groups (Intel
 * application energy telemetry, Linux 7.0), how many groups it can distinguish, and on which packages; and
 * the format of a counter. Reads small files once, at the start.
 */
#pragma once

#include "base/reason.h"

#include <stdint.h>

#define RESCTRL_EVENT        "core_energy"
#define RESCTRL_PACKAGES_MAX 32

struct resctrl_info {
	unsigned n_rmids; /* distinguishable groups, including the default one */
	unsigned n_packages;
	unsigned packages[RESCTRL_PACKAGES_MAX]; /* ascending */
};

/* -ENOENT: it is not mounted; -ENODEV: this processor or kernel counts no such energy. Fix in `why`. */
int resctrl_read_info(const char *root, struct resctrl_info *ret_info, struct reason *why);
/*
 * A counter's text, "1234.567891", in nJ. -ENODATA: the kernel has no value now ("Unavailable",
 * "Unassigned"); -EIO: "Error"; -EINVAL: nonsense, or more than fits. Pure.
 */
int resctrl_parse_joules(const char *text, uint64_t *ret_nj);
/* The number in "mon_PERF_PKG_NN"; -EINVAL for another name. Pure. */
int resctrl_parse_package(const char *name, unsigned *ret_package);

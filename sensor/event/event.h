/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates event names as users type them into perf attributes: RAPL_ENERGY_PKG and the like, TSC, APERF,
 * MPERF and "pmu/event/" from sysfs, everything else by libpfm4. Used by the perf sources. Opens no event.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_PMU_NAME_SIZE 48

enum event_flags {
	EVENT_EXCLUDE_USER = 1 << 0,
	EVENT_EXCLUDE_KERNEL = 1 << 1,
	EVENT_EXCLUDE_HV = 1 << 2,
};

/* The part of perf_event_attr that may be chosen; the privileged process sets the rest. */
struct event_attr {
	uint32_t type;
	uint32_t flags; /* enum event_flags */
	uint64_t config;
	uint64_t config1;
	uint64_t config2;
};

/* One PMU that counts the event: hybrid CPUs and uncore boxes have several, whose counts are added up. */
struct event_box {
	struct event_attr attr;
	char pmu[EVENT_PMU_NAME_SIZE]; /* name in sysfs; "" if it has none */
	unsigned *cpus;                /* where it can be opened, ascending; NULL: on every CPU */
	unsigned n_cpus;
	bool shared; /* one CPU stands for a package or die (the PMU has a cpumask): never per cgroup */
};

struct event_encoding {
	double joules_per_count; /* for an energy event; 0 for all others */
	unsigned n_boxes;
	struct event_box *boxes;
};

/*
 * Encodes `name`. 0, or a negative errno with a sentence in `why`: what is missing, and the fix. libpfm
 * reads the machine's own /sys; everything else is looked up below `sysfs_root`.
 */
int event_encode(const char *sysfs_root, const char *name, struct event_encoding *ret_encoding,
		 struct reason *why);
void event_encoding_done(struct event_encoding *encoding);
/* RAPL_ENERGY_PKG, RAPL_ENERGY_DRAM, RAPL_ENERGY_CORES, RAPL_ENERGY_GPU or RAPL_ENERGY_PSYS? */
bool event_is_energy(const char *name);
/* Its name without "rapl::"; NULL: not an energy event. */
const char *event_plain_energy(const char *name);
/* The energy event meant by a name like "energy-pkg", "rapl_energy_pkg" or "RAPL_ENERGY_PACKAGE"; NULL: none,
 * or the name is already correct. */
const char *event_energy_slip(const char *name);
/* RAPL_ENERGY_PSYS, the whole machine's? */
bool event_is_platform(const char *name);
/* RAPL_ENERGY_PKG, the sockets' own? */
bool event_is_package(const char *name);
/*
 * Explains why opening an event failed with `error` (a negative errno), with a fix. pmu, cause: NULL or ""
 * for none. Returns error.
 */
int event_explain_open(int error, const char *pmu, bool of_cgroup, const char *cause, struct reason *why);

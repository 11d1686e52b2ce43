/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PMUs in sysfs below <root>/bus/event_source/devices: type, cpumask, named events and their formats. Used by
 * event.c. Reads files, does not know the users' event names.
 */
#pragma once

#include "event/event.h"

/* The PMUs of a hybrid processor's kinds of cores, fast ones first; NULL-terminated. */
extern const char *const pmu_hybrid_kinds[];

struct pmu {
	char name[EVENT_PMU_NAME_SIZE];
	uint32_t type;
	unsigned *cpus; /* from "cpumask" or "cpus"; NULL when it has neither */
	unsigned n_cpus;
	bool shared; /* the list is a cpumask */
};

/* -ENOENT: there is no such PMU. -EBADMSG: its files are malformed. */
int pmu_read(const char *sysfs_root, const char *name, struct pmu *ret_pmu);
void pmu_done(struct pmu *pmu);
/*
 * One of the PMU's named events ("energy-pkg"), or terms as in "event=0x3c,umask=0x1", put into attr (type
 * and configs). ret_scale is the number in <event>.scale, 0 when there is none.
 */
int pmu_encode(const char *sysfs_root, const struct pmu *pmu, const char *event, struct event_attr *ret_attr,
	       double *ret_scale);
/* This PMU's named event that is nearest to `event`, for messages; false if none is near. */
bool pmu_nearest_event(const char *sysfs_root, const char *pmu, const char *event, char *ret, size_t size);
/* Name of the PMU with this type; -ENOENT. */
int pmu_find_type(const char *sysfs_root, uint32_t type, char ret_name[EVENT_PMU_NAME_SIZE]);
/* Number of kinds of cores of a hybrid processor; 0: it is not hybrid. */
unsigned pmu_count_kinds(const char *sysfs_root);
/* Is there a core PMU: "cpu", one of a hybrid processor's, one of Arm's? */
bool pmu_has_core(const char *sysfs_root);
/* Number of its named events; 0 without the PMU. */
unsigned pmu_count_events(const char *sysfs_root, const char *pmu);

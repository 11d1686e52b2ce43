/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The powercap tree: the RAPL zones, the package of each, and their range. Used by source_powercap.c and
 * collect/machine_facts.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POWERCAP_ID_SIZE   40
#define POWERCAP_ZONES_MAX 256

struct powercap_zone {
	char id[POWERCAP_ID_SIZE]; /* "intel-rapl:0:1" */
	char name[32];             /* "package-0", "package-1-die-0", "dram", "core", "uncore", "psys" */
	unsigned package;
	unsigned die;
	bool mmio;         /* the same counters by another interface */
	uint64_t range_uj; /* where the counter wraps; 0: unknown */
};

/* Why powercap_list() found none. */
enum powercap_state {
	POWERCAP_ABSENT, /* there is no tree, or it is empty */
	POWERCAP_HIDDEN, /* there are zones, but their links are broken, as inside a container */
	POWERCAP_CLOSED, /* this user may not read it */
	POWERCAP_THERE,
};
enum powercap_state powercap_look(const char *sysfs_root);
/*
 * Lists the valid zones below <sysfs_root>/class/powercap, without duplicates, `max` at most. Returns their
 * number, or a negative errno.
 */
int powercap_list(const char *sysfs_root, struct powercap_zone *ret_zones, unsigned max);
/* The event that a zone of this name counts (RAPL_ENERGY_PKG, …); NULL: unknown zone. */
const char *powercap_event_of(const char *zone_name);

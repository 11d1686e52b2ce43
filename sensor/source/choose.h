/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the sources of this machine: tried in a fixed order until one passes its probe; each step is logged
 * once. Used by collect at start and by --check-machine.
 */
#pragma once

#include "source/source.h"
#include "base/reason.h"

#include <stdbool.h>

/*
 * Opens a source for one system group. `wanted` is "auto" or a source's name. NULL with `*ret_error` set when
 * none passes. Groups with RAPL_… events go to the energy sources, all others to perf; with a simulated
 * machine, to it.
 */
struct system_source *choose_system(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, int *ret_error);
/*
 * Opens a better source than the group's present one, if one has appeared; NULL: none. Logs only a source
 * that it opens. Only for an energy group, and if `wanted` allows a choice.
 */
struct system_source *choose_better(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, const struct system_source *current);
/*
 * Number of the machine's energy counters, from its files, to notice a package that comes online late or a
 * driver that is loaded late. Do not compare numbers of different kinds.
 */
struct choose_extent {
	unsigned n[3]; /* `power` PMU (events and CPUs), powercap zones, hwmon meters */
};
void choose_energy_extent(const char *sysfs_root, struct choose_extent *ret_extent);
/*
 * Reopens the group's source if it then has more events or places than the present one; NULL: it has not, or
 * it is not an energy source.
 */
struct system_source *choose_wider(struct source_context *context, const struct event_group_request *request,
				   const struct system_source *current);
/* The same for the activity of all container groups together: bpf, perf, cpustat; or sim. */
struct activity_source *choose_activity(struct source_context *context,
					const struct event_group_request *requests, unsigned n_requests,
					unsigned n_slots, const char *wanted, int *ret_error);
/* The first source of measured energy per target that works; NULL with the reason: none. */
struct target_source *choose_target_source(struct source_context *context, struct reason *why);
/* Does the group request the energy of sockets? */
bool choose_is_socket_energy(const struct event_group_request *request);
/* Does the machine have a counter or a meter for this energy event, according to its files? */
bool choose_has_energy(const char *sysfs_root, const char *event);
/* True for a group of RAPL_… events. */
bool choose_is_energy(const struct event_group_request *request);
extern const struct system_source_ops
	*const choose_energy_sources[]; /* in order of preference; NULL-terminated */
extern const struct target_source_ops *const choose_target_sources[]; /* the same */
extern const char *const choose_energy_names[]; /* "auto", …, NULL: for the option table */
extern const char *const choose_activity_names[];

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything to be opened for one target: events encoded, tested, distributed over CPUs and split into perf
 * groups that the kernel accepts. Made once at start by the perf sources; the same plan serves every cgroup.
 */
#pragma once

#include "event/event.h"
#include "source/source.h"
#include "base/reason.h"

enum perf_plan_kind {
	PERF_PLAN_CGROUPS, /* container groups: no event of a whole package; a place is a package, or a CPU */
	PERF_PLAN_SYSTEM,  /* one system group: a place is a CPU, or with -o a package */
	PERF_PLAN_ENERGY, /* the energy events of one system group: a place is a package, its dies added up */
};

/* One perf group on one CPU: one read gives its counts. */
struct perf_unit {
	unsigned cpu;
	unsigned place;
	unsigned group;
	unsigned n_sharing; /* units of the same group on the same CPU, multiplexed */
	unsigned n_events;
	char pmu[EVENT_PMU_NAME_SIZE]; /* of an energy event, whose type may change; "" for all others */
	bool movable;                  /* any CPU of the package counts the same */
	unsigned first; /* in the plan's attrs and columns, and in a slot's descriptors: the leader */
};

struct perf_plan {
	unsigned n_groups;
	struct report_group *groups;
	struct report_place *places;
	unsigned n_places;
	unsigned n_events;        /* of all groups */
	double *joules_per_count; /* [n_events]; 0: plain counts */
	unsigned n_units;
	struct perf_unit *units;  /* by CPU */
	unsigned n_fds;           /* descriptors of one target */
	struct event_attr *attrs; /* [n_fds] */
	unsigned *columns;        /* [n_fds]: which of the n_events it counts */
};

/* Can any of the events be counted? Like source_ops.probe. */
int perf_plan_probe(struct source_context *context, enum perf_plan_kind kind,
		    const struct event_group_request *requests, unsigned n_requests, struct reason *why);
/*
 * Logs each event that cannot be counted, with the reason, and leaves it out (strict: an error). -ENOENT or
 * the last event's error if none is left.
 */
int perf_plan_new(struct source_context *context, enum perf_plan_kind kind,
		  const struct event_group_request *requests, unsigned n_requests,
		  struct perf_plan **ret_plan);
/*
 * Updates the type of the unit's PMU: a reloaded driver may have another type, and its old type may now
 * belong to another driver. False: the PMU is missing, and nothing may be opened.
 */
bool perf_plan_renew(struct perf_plan *plan, unsigned unit, const char *sysfs_root);
void perf_plan_free(struct perf_plan *plan);

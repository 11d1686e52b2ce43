/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meaning of a sensor's names: maps events to features, groups to kinds, targets to lasting numbers. Pure.
 */
#pragma once

#include "tick/feature.h"
#include "tick/join.h"

#include <uthash.h>

struct tick_key {
	uint32_t key;
	double cpu_quota;
	uint32_t image; /* hash; 0: unknown */
	uint64_t seen;  /* number of the last tick with it */
	UT_hash_handle by_name;
	UT_hash_handle by_key;
	char name[];
};

struct tick_names {
	const struct report_names *names;
	struct feature *features; /* by event index */
	unsigned n_features;
	int core_group;            /* group whose events are passed on as reported; -1: none yet */
	int fallback_event;        /* stands in for TICK_REF; -1: none */
	bool knows_event;          /* a container group had a known event */
	int *columns;              /* by event index: column in the core group; -1: none */
	const char **column_names; /* sorted */
	unsigned n_columns;
	struct tick_key *keys_by_name;
	struct tick_key *keys_by_key;
	struct tick_key *last;   /* last lookup */
	tick_describer describe; /* NULL: none */
	void *describe_data;
};

void tick_names_init(struct tick_names *names, const struct report_names *report_names);
void tick_names_done(struct tick_names *names);
/* Meaning of an event of the container groups; events are looked up once. */
static inline struct feature tick_names_feature(const struct tick_names *names, unsigned event)
{
	if (!names->knows_event && (int)event == names->fallback_event)
		return (struct feature){.kind = FEATURE_COUNT, .rank = FEATURE_RANK_FALLBACK};
	return names->features[event];
}
/* Looks up the meaning of all events; 0 or -ENOMEM. */
int tick_names_update(struct tick_names *names);
/* Columns of the core group's events in this tick; learns which group that is, and whether a stand-in is
 * needed. */
int tick_names_find_columns(struct tick_names *names, const struct join_slot *slot);
/* Stores a target's properties with its key: CPUs, 0: unknown; image, "": unknown. 0 or -ENOMEM. */
int tick_names_know(struct tick_names *names, const char *target, double cpu_quota, const char *image,
		    uint64_t now);
/* The same number for the same name across restarts, except on hash collisions. NULL if out of memory. */
struct tick_key *tick_names_key(struct tick_names *names, const char *target, uint64_t now);
/* Forgets names that have not been seen for `age` ticks once there are more than `keep`. */
void tick_names_expire(struct tick_names *names, uint64_t now, uint64_t age, unsigned keep);

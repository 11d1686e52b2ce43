/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of targets: the slot of each cgroup, the name of each slot, started and ended targets. The
 * sensor's core feeds it the cgroup watch's events and passes its callbacks on to the activity source. In a
 * tick only the arrays of target_view are read. Reads runtime files through an opener; knows no counters.
 *
 * Life of a target: started() and joined(root) -> joined(nested)* -> its own cgroup is removed: state ENDED,
 * its cgroups are on the list of departed ones -> the core reads the last counts in the next tick, removes
 * the departed ones from the source, writes the last report and target document, and releases the slot.
 */
#pragma once

#include "cgroup/cgroup.h"
#include "target/container_info.h"
#include "source/source.h"

enum target_state {
	TARGET_FREE,
	TARGET_LIVE,
	TARGET_ENDED, /* ended; its last counts are still to be read and reported */
};

struct target_options {
	container_file_opener open_file; /* NULL: names from paths only */
	void *open_data;
	const struct cgroup_layout
		*layout; /* for CPU quotas and the prefix of paths; NULL: none. Not owned */
	/* Patterns (fnmatch) on name, cgroup path, id, short id or pod; include empty: all. Not owned */
	const char *const *include;
	unsigned n_include;
	const char *const *exclude; /* wins over include */
	unsigned n_exclude;
	bool names_are_paths; /* reports carry cgroup paths, as hwpc-sensor's do since 2026 */
	bool brief; /* also cgroups that are gone before target_table_settle(): the source has counted them
		       since their creation */
	unsigned max_targets; /* 0: 65,536; targets without a slot wait for one */
};

struct target_events {
	/* A new target; its name is the best known now. Followed by joined() with its own cgroup. */
	void (*started)(void *data, unsigned slot);
	/* A cgroup to count for cgroup->slot. cgroup->path stays valid until the cgroup has departed. */
	void (*joined)(void *data, const struct activity_cgroup *cgroup);
	/* The name in reports has changed. NULL: not wanted */
	void (*renamed)(void *data, unsigned slot, const char *old_name);
	/*
	 * No runtime's file has contained its name for some seconds: it is named by its ID. Called once per
	 * target. error: -ENOENT: there is no file; else the error of the last one. NULL: not wanted
	 */
	void (*nameless)(void *data, unsigned slot, int error);
	void *data;
};

/* What the tick path needs, indexed by slot. The arrays move only when a target starts. */
struct target_view {
	unsigned n_slots;             /* slots in the arrays, used or not; slot 0 is the machine, "all" */
	const char *const *names;     /* never NULL; "" for a free slot */
	const char *const *short_ids; /* 12 hex digits; NULL if it is not a container */
	const uint8_t *states;        /* enum target_state */
	unsigned n_live;              /* slot 0 not counted */
	unsigned n_ended;
	uint64_t refused; /* targets that found no slot (max_targets or memory) since open */
};

struct target_table;

int target_table_new(const struct target_options *options, const struct target_events *events,
		     struct target_table **ret_table);
void target_table_free(struct target_table *table);

/* The watch's events. now_ms: realtime. 0; -EINVAL for a malformed path; -ENOMEM. */
int target_table_cgroup_created(struct target_table *table, const char *path, uint64_t id, int64_t now_ms);
int target_table_cgroup_removed(struct target_table *table, const char *path, uint64_t id, int64_t now_ms);
/*
 * Called after each round of events (open, process, rescan): unrecognised cgroups that contain no other
 * cgroup become targets now.
 */
void target_table_settle(struct target_table *table, int64_t now_ms);

const struct target_view *target_table_view(const struct target_table *table);

/*
 * Called after the tick's read: returns departed cgroups, nested ones before their root, for the source's
 * ops->remove(). False: none. ret->path is valid until the next call of a function of this table.
 */
bool target_table_next_departed(struct target_table *table, struct activity_cgroup *ret_cgroup);
/* Then returns each ended target once. The slot, or 0 if there is none. */
unsigned target_table_next_ended(struct target_table *table);
/*
 * The live slot with the same name as this ended one (a container restarted within the tick), or 0. Both
 * reports would have one identity: add the ended one's counts to the successor's and report once.
 */
unsigned target_table_successor(const struct target_table *table, unsigned slot);
/* A live target's own cgroup. Its path stays valid until the table is changed. False: there is none. */
bool target_table_own_cgroup(const struct target_table *table, unsigned slot,
			     struct activity_cgroup *ret_cgroup);
/* Calls joined() again for cgroups nested in a target that is now counted by another source. */
void target_table_join_nested(struct target_table *table, unsigned slot);
/* Calls joined() for every cgroup of every live target, for a new source. */
void target_table_join_all(struct target_table *table);
/* The slot is free for another target. */
void target_table_release(struct target_table *table, unsigned slot);

/*
 * Retries names that were not available (after 0.25, 0.5, 1, 2, ... 32 s, then every minute), and checks
 * every minute those that Docker or Podman may have changed. Call it every second or every tick; it costs
 * nothing if none is due. Returns the number of renamed targets.
 */
unsigned target_table_refresh_names(struct target_table *table, int64_t now_ms);

/* A slot whose target document has to be written (new, renamed, ended), each once; 0: none. */
unsigned target_table_next_dirty(struct target_table *table);
/* Fills the document. Strings belong to the table and are valid until the next call of a function of this
 * table. */
void target_table_fill(struct target_table *table, unsigned slot, struct report_target *ret_target);
/* The slot by name among the live ones, or 0 (also for "all"). */
unsigned target_table_find(const struct target_table *table, const char *name);
/* The slot that a cgroup path is counted for, as a target's own or nested cgroup; 0: none. */
unsigned target_table_find_cgroup(const struct target_table *table, const char *path);

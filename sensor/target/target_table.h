/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of the target table, shared by target*.c only: records, known cgroups, lists. See target.h.
 */
#pragma once

#include "target/target.h"

#include <uthash.h>

struct target_record;

/* A cgroup that matters: a target's own, one nested in it, or one that may be or was a target by its path. */
struct target_cgroup {
	struct target_record *record; /* NULL: none */
	uint64_t id;
	bool root;                         /* the record's own cgroup */
	bool waiting_leaf;                 /* on the list `leaves` until it is settled */
	unsigned slot;                     /* kept for the departed */
	struct target_cgroup *prev, *next; /* of the record's, of `leaves`, or of `departed` */
	UT_hash_handle hh;                 /* by path; not for the departed */
	char path[];
};

struct target_record {
	unsigned slot; /* 0: not selected, or refused */
	uint8_t state;
	uint8_t kind; /* enum identity_kind */
	bool leaf;    /* a target by its path alone: ends when it gets a child */
	bool named;   /* its name was found in the runtime's files */
	bool waiting_name, dirty;
	bool rechecked; /* on table->named */
	bool marked;    /* its name was taken when it started */
	bool refused;   /* on table->refused: selected, and without a slot so far */
	bool told;      /* by target_table_next_ended */
	unsigned tries;
	int64_t next_try_ms;
	int64_t first_seen_ms, last_seen_ms;
	double cpu_quota; /* as last read, while it lived */
	char *name;       /* in reports; unique among the live ones */
	char *base;       /* its name if it were the only one */
	char *id;         /* full container id, unit, VM, ... */
	char *pod_uid;
	char short_id[IDENTITY_SHORT_HEX + 1];
	struct container_info info;
	struct target_cgroup *root;
	struct target_cgroup *nested;
	struct target_record *name_prev, *name_next;       /* table->unnamed or table->named */
	struct target_record *refused_prev, *refused_next; /* table->refused */
	struct target_record *dirty_prev, *dirty_next;     /* table->dirty */
	struct target_record *ended_prev, *ended_next;     /* table->ended or table->told */
	UT_hash_handle hh;                                 /* live and selected ones by name */
};

struct target_table {
	struct target_options options;
	struct target_events events;
	size_t prefix_length;
	int64_t now_ms;
	struct target_cgroup *cgroups; /* by path */
	struct target_record *by_name;
	struct target_cgroup *leaves;
	struct target_cgroup *departed;
	struct target_cgroup *handed_out; /* freed by the next call */
	struct target_record *unnamed;
	struct target_record *named; /* checked again in turn: engines can rename a running container */
	struct target_record *refused;
	struct target_record *dirty;
	struct target_record *ended; /* not yet told by target_table_next_ended */
	struct target_record *told;
	bool name_freed; /* a marked target may get its plain name now */
	/* by slot */
	struct target_record **records;
	const char **names;
	const char **short_ids;
	uint8_t *states;
	unsigned *free_slots;
	unsigned n_free_slots;
	unsigned capacity;
	struct target_view view;
};

/* target.c: gives the record a slot and its name, and calls the callbacks. -ENOSPC, -ENOMEM: counted. */
int target_slot_take(struct target_table *table, struct target_record *record);

/* target_name.c */
bool target_is_selected(const struct target_table *table, const struct target_record *record);
/* Reads the runtime's files, and decides record->base. 0, or -ENOMEM. */
int target_name_look_up(struct target_table *table, struct target_record *record);
/* A unique record->name from record->base, and the entry in by_name. 0 or -ENOMEM. */
int target_name_claim(struct target_table *table, struct target_record *record);
/* Stops looking for its name, in any state. */
void target_name_forget(struct target_table *table, struct target_record *record);

/* target.c */
void target_mark_dirty(struct target_table *table, struct target_record *record);
/* Ends a record whose cgroup is gone or that is no longer a target; unselected ones are freed. */
void target_end(struct target_table *table, struct target_record *record);

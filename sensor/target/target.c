/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target table: starts and ends of cgroups become starts and ends of targets. identity.c decides what is
 * a target; this file handles what depends on other targets: a nested cgroup joins its target, and a cgroup
 * that is a target only by its path stops being one when another cgroup appears in it. Slots are flat arrays
 * for the tick path, reused after release. Reads no clock.
 */
#include "target/target.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "target/target_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SLOTS_FIRST 64
#define SLOTS_MAX   65536

void target_mark_dirty(struct target_table *table, struct target_record *record)
{
	if (record->dirty || record->slot == 0)
		return;
	record->dirty = true;
	DL_APPEND2(table->dirty, record, dirty_prev, dirty_next);
}

static void free_handed_out(struct target_table *table)
{
	free(table->handed_out);
	table->handed_out = NULL;
}

static void enter(struct target_table *table, int64_t now_ms)
{
	free_handed_out(table);
	table->now_ms = now_ms;
}

static void record_free(struct target_table *table, struct target_record *record)
{
	struct target_cgroup *cgroup, *next;
	target_name_forget(table, record);
	if (record->refused)
		DL_DELETE2(table->refused, record, refused_prev, refused_next);
	if (record->dirty)
		DL_DELETE2(table->dirty, record, dirty_prev, dirty_next);
	DL_FOREACH_SAFE(record->nested, cgroup, next)
	free(cgroup);
	free(record->root);
	free(record->name);
	free(record->base);
	free(record->id);
	free(record->pod_uid);
	container_info_done(&record->info);
	free(record);
}

static struct target_cgroup *find_cgroup(const struct target_table *table, const char *path, size_t length)
{
	struct target_cgroup *cgroup = NULL;
	HASH_FIND(hh, table->cgroups, path, (unsigned)length, cgroup);
	return cgroup;
}

static struct target_cgroup *add_cgroup(struct target_table *table, const char *path, uint64_t id)
{
	size_t length = strlen(path);
	struct target_cgroup *cgroup = calloc(1, sizeof(*cgroup) + length + 1);
	if (!cgroup)
		return NULL;
	memcpy(cgroup->path, path, length + 1);
	cgroup->id = id;
	HASH_ADD(hh, table->cgroups, path[0], (unsigned)length, cgroup);
	return cgroup;
}

/* Gives freed slots to targets that found none before. */
static void take_refused(struct target_table *table)
{
	while (table->refused && table->n_free_slots > 0)
		if (target_slot_take(table, table->refused) < 0)
			return;
}

static void give_back(struct target_table *table, unsigned slot)
{
	table->records[slot] = NULL;
	table->names[slot] = "";
	table->short_ids[slot] = NULL;
	table->states[slot] = TARGET_FREE;
	table->view.n_ended--;
	table->free_slots[table->n_free_slots++] = slot;
}

/* Adds it to the list of departed cgroups if the source knows it; otherwise nobody needs to be notified. */
static void depart(struct target_table *table, struct target_cgroup *cgroup, unsigned slot)
{
	HASH_DELETE(hh, table->cgroups, cgroup);
	cgroup->slot = slot;
	if (slot > 0)
		DL_APPEND(table->departed, cgroup);
	else if (!cgroup->root)
		free(cgroup);
}

void target_end(struct target_table *table, struct target_record *record)
{
	struct target_cgroup *cgroup, *next;
	unsigned slot = record->slot;
	DL_FOREACH_SAFE(record->nested, cgroup, next)
	{
		DL_DELETE(record->nested, cgroup);
		depart(table, cgroup, slot);
	}
	depart(table, record->root, slot);
	if (slot == 0) {
		record_free(table, record);
		return;
	}
	HASH_DELETE(hh, table->by_name, record);
	record->state = TARGET_ENDED;
	record->last_seen_ms = table->now_ms;
	table->states[slot] = TARGET_ENDED;
	table->view.n_live--;
	table->view.n_ended++;
	target_name_forget(table, record);
	DL_APPEND2(table->ended, record, ended_prev, ended_next);
	target_mark_dirty(table, record);
}

/* The cgroup contains others, so it is not (or no longer) a target; it stays known as a folder. */
static void make_folder(struct target_table *table, struct target_cgroup *cgroup)
{
	if (cgroup->waiting_leaf) {
		DL_DELETE(table->leaves, cgroup);
		cgroup->waiting_leaf = false;
	}
	if (!cgroup->record)
		return;
	cleanup_(cleanup_free) char *path = strdup(cgroup->path);
	uint64_t id = cgroup->id;
	target_end(table, cgroup->record);
	if (path)
		(void)add_cgroup(table, path,
				 id); /* if out of memory it may become a target again: harmless */
}

/* Handles the ancestors of a new cgroup: depending on its role, targets among them end. */
static void look_above(struct target_table *table, const char *path, enum identity_role role)
{
	size_t length = strlen(path);
	bool parent = true;
	while (length > 1) {
		while (length > 0 && path[length - 1] != '/')
			length--;
		if (length <= 1)
			return;
		length--;
		struct target_cgroup *above = find_cgroup(table, path, length);
		if (above && parent && (above->waiting_leaf || (above->root && above->record->leaf)))
			make_folder(table, above);
		else if (above && above->root && role == IDENTITY_ROLE_TARGET)
			make_folder(table, above);
		parent = false;
	}
}

static struct target_record *make_record(struct target_table *table, struct target_cgroup *root,
					 const struct identity *identity)
{
	struct target_record *record = calloc(1, sizeof(*record));
	if (!record)
		return NULL;
	record->kind = (uint8_t)identity->kind;
	record->leaf = identity->role == IDENTITY_ROLE_LEAF;
	record->state = TARGET_LIVE;
	record->first_seen_ms = record->last_seen_ms = table->now_ms;
	memcpy(record->short_id, identity->short_id, sizeof(record->short_id));
	record->id = strdup(identity->id);
	record->base = strdup(identity->name);
	record->pod_uid = identity->pod_uid[0] ? strdup(identity->pod_uid) : NULL;
	record->root = root;
	if (!record->id || !record->base || (identity->pod_uid[0] && !record->pod_uid) ||
	    target_name_look_up(table, record) < 0) {
		record->root = NULL;
		record_free(table, record);
		return NULL;
	}
	root->record = record;
	root->root = true;
	return record;
}

static int start_target(struct target_table *table, struct target_cgroup *root,
			const struct identity *identity)
{
	struct target_record *record = make_record(table, root, identity);
	if (!record) {
		HASH_DELETE(hh, table->cgroups, root);
		free(root);
		table->view.refused++;
		return -ENOMEM;
	}
	if (target_is_selected(table, record))
		(void)target_slot_take(
			table, record); /* a record without a slot is counted as refused and waits for one */
	return 0;
}

static void join_nested(struct target_table *table, struct target_cgroup *cgroup, size_t root_length)
{
	struct target_cgroup *root = find_cgroup(table, cgroup->path, root_length);
	if (!root || !root->root) {
		HASH_DELETE(hh, table->cgroups, cgroup);
		free(cgroup);
		return;
	}
	cgroup->record = root->record;
	DL_APPEND(root->record->nested, cgroup);
	if (root->record->slot > 0) {
		struct activity_cgroup joined = {root->record->slot, false, cgroup->path, cgroup->id};
		table->events.joined(table->events.data, &joined);
	}
}

int target_table_cgroup_created(struct target_table *table, const char *path, uint64_t id, int64_t now_ms)
{
	struct identity identity;
	enter(table, now_ms);
	int r = identity_parse(path, table->prefix_length, &identity);
	if (r < 0)
		return r;
	struct target_cgroup *cgroup = find_cgroup(table, path, strlen(path));
	if (cgroup && cgroup->id == id)
		return 0;
	if (cgroup)
		(void)target_table_cgroup_removed(table, path, cgroup->id, now_ms);
	look_above(table, path, identity.role);
	if (identity.role == IDENTITY_ROLE_NONE)
		return 0;
	cgroup = add_cgroup(table, path, id);
	if (!cgroup)
		return -ENOMEM;
	if (identity.role == IDENTITY_ROLE_TARGET)
		return start_target(table, cgroup, &identity);
	if (identity.role == IDENTITY_ROLE_NESTED) {
		join_nested(table, cgroup, identity.root_length);
		return 0;
	}
	cgroup->waiting_leaf = true;
	DL_APPEND(table->leaves, cgroup);
	return 0;
}

static int start_leaf(struct target_table *table, struct target_cgroup *cgroup)
{
	struct identity identity;
	int r;
	DL_DELETE(table->leaves, cgroup);
	cgroup->waiting_leaf = false;
	r = identity_parse(cgroup->path, table->prefix_length, &identity);
	return r < 0 ? r : start_target(table, cgroup, &identity);
}

int target_table_cgroup_removed(struct target_table *table, const char *path, uint64_t id, int64_t now_ms)
{
	enter(table, now_ms);
	struct target_cgroup *cgroup = find_cgroup(table, path, strlen(path));
	if (!cgroup || cgroup->id != id)
		return 0;
	if (cgroup->root) {
		target_end(table, cgroup->record);
	} else if (cgroup->record) {
		DL_DELETE(cgroup->record->nested, cgroup);
		depart(table, cgroup, cgroup->record->slot);
	} else {
		if (cgroup->waiting_leaf && table->options.brief) {
			/* It ended while waiting to be known as a leaf: now it is one. */
			if (start_leaf(table, cgroup) == 0 && cgroup->record)
				target_end(table, cgroup->record);
			return 0;
		}
		if (cgroup->waiting_leaf)
			DL_DELETE(table->leaves, cgroup);
		HASH_DELETE(hh, table->cgroups, cgroup);
		free(cgroup);
	}
	return 0;
}

void target_table_settle(struct target_table *table, int64_t now_ms)
{
	enter(table, now_ms);
	while (table->leaves)
		(void)start_leaf(table, table->leaves);
	take_refused(table);
}

bool target_table_next_departed(struct target_table *table, struct activity_cgroup *ret_cgroup)
{
	free_handed_out(table);
	struct target_cgroup *cgroup = table->departed;
	if (!cgroup)
		return false;
	DL_DELETE(table->departed, cgroup);
	*ret_cgroup = (struct activity_cgroup){cgroup->slot, cgroup->root, cgroup->path, cgroup->id};
	if (!cgroup->root)
		table->handed_out = cgroup; /* a root's lives as long as its record */
	return true;
}

unsigned target_table_next_ended(struct target_table *table)
{
	struct target_record *record = table->ended;
	if (!record)
		return 0;
	DL_DELETE2(table->ended, record, ended_prev, ended_next);
	DL_APPEND2(table->told, record, ended_prev, ended_next);
	record->told = true;
	return record->slot;
}

void target_table_release(struct target_table *table, unsigned slot)
{
	if (slot == 0 || slot >= table->view.n_slots || table->states[slot] != TARGET_ENDED)
		return;
	struct target_record *record = table->records[slot];
	if (record->told)
		DL_DELETE2(table->told, record, ended_prev, ended_next);
	else
		DL_DELETE2(table->ended, record, ended_prev, ended_next);
	struct target_cgroup *cgroup, *next;
	DL_FOREACH_SAFE(table->departed, cgroup, next)
	{ /* a change that the core has not fetched is dropped */
		if (cgroup->slot != slot)
			continue;
		DL_DELETE(table->departed, cgroup);
		if (!cgroup->root)
			free(cgroup);
	}
	give_back(table, slot);
	record_free(table, record);
	table->name_freed = true;
}

static int grow(struct target_table *table)
{
	unsigned capacity = table->capacity ? table->capacity * 2 : SLOTS_FIRST;
	if (!ARRAY_RESIZE(table->records, capacity) || !ARRAY_RESIZE(table->names, capacity) ||
	    !ARRAY_RESIZE(table->short_ids, capacity) || !ARRAY_RESIZE(table->states, capacity) ||
	    !ARRAY_RESIZE(table->free_slots, capacity))
		return -ENOMEM;
	for (unsigned i = table->capacity; i < capacity; i++) {
		table->records[i] = NULL;
		table->names[i] = "";
		table->short_ids[i] = NULL;
		table->states[i] = TARGET_FREE;
	}
	table->capacity = capacity;
	table->view.names = table->names;
	table->view.short_ids = table->short_ids;
	table->view.states = table->states;
	return 0;
}

static int find_slot(struct target_table *table, unsigned *ret_slot)
{
	if (table->n_free_slots > 0) {
		*ret_slot = table->free_slots[--table->n_free_slots];
		return 0;
	}
	if (table->view.n_slots > table->options.max_targets)
		return -ENOSPC;
	if (table->view.n_slots == table->capacity && grow(table) < 0)
		return -ENOMEM;
	*ret_slot = table->view.n_slots++;
	return 0;
}

/* Counted once, and retried when a slot is free. */
static int refuse(struct target_table *table, struct target_record *record, int error)
{
	if (record->refused)
		return error;
	table->view.refused++;
	record->refused = true;
	DL_APPEND2(table->refused, record, refused_prev, refused_next);
	return error;
}

static void join_record(struct target_table *table, const struct target_record *record)
{
	const struct activity_cgroup joined = {record->slot, true, record->root->path, record->root->id};

	table->events.joined(table->events.data, &joined);
	target_table_join_nested(table, record->slot);
}

int target_slot_take(struct target_table *table, struct target_record *record)
{
	unsigned slot = 0;
	int r = find_slot(table, &slot);
	if (r == 0) {
		r = target_name_claim(table, record);
		if (r < 0)
			table->free_slots[table->n_free_slots++] = slot;
	}
	if (r < 0)
		return refuse(table, record, r);
	if (record->refused)
		DL_DELETE2(table->refused, record, refused_prev, refused_next);
	record->refused = false;
	record->slot = slot;
	table->records[slot] = record;
	table->names[slot] = record->name;
	table->short_ids[slot] = record->short_id[0] ? record->short_id : NULL;
	table->states[slot] = TARGET_LIVE;
	table->view.n_live++;
	target_mark_dirty(table, record);
	table->events.started(table->events.data, slot);
	join_record(table, record);
	return 0;
}

void target_table_join_all(struct target_table *table)
{
	for (unsigned slot = 1; slot < table->view.n_slots; slot++)
		if (table->states[slot] == TARGET_LIVE && table->records[slot])
			join_record(table, table->records[slot]);
}

bool target_table_own_cgroup(const struct target_table *table, unsigned slot,
			     struct activity_cgroup *ret_cgroup)
{
	const struct target_record *record = slot < table->view.n_slots ? table->records[slot] : NULL;

	if (!record || !record->root || table->states[slot] == TARGET_ENDED)
		return false;
	*ret_cgroup = (struct activity_cgroup){slot, true, record->root->path, record->root->id};
	return true;
}

void target_table_join_nested(struct target_table *table, unsigned slot)
{
	struct target_record *record = slot < table->view.n_slots ? table->records[slot] : NULL;
	struct target_cgroup *nested;

	if (!record)
		return;
	DL_FOREACH(record->nested, nested)
	{
		const struct activity_cgroup joined = {slot, false, nested->path, nested->id};

		table->events.joined(table->events.data, &joined);
	}
}

int target_table_new(const struct target_options *options, const struct target_events *events,
		     struct target_table **ret_table)
{
	struct target_table *table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->options = *options;
	table->events = *events;
	if (table->options.max_targets == 0 || table->options.max_targets > SLOTS_MAX)
		table->options.max_targets = SLOTS_MAX;
	if (options->layout)
		table->prefix_length = strlen(options->layout->start);
	if (grow(table) < 0) {
		target_table_free(table);
		return -ENOMEM;
	}
	table->names[0] = REPORT_TARGET_ALL;
	table->states[0] = TARGET_LIVE;
	table->view.n_slots = 1;
	*ret_table = table;
	return 0;
}

void target_table_free(struct target_table *table)
{
	struct target_cgroup *cgroup, *next;
	if (!table)
		return;
	free(table->handed_out);
	HASH_CLEAR(hh, table->by_name);
	DL_FOREACH_SAFE(table->departed, cgroup, next)
	if (!cgroup->root)
		free(cgroup);
	/* Frees every cgroup without a record, then each record once, with its own and nested cgroups. */
	struct target_record *record, *more, *unselected = NULL;
	HASH_ITER(hh, table->cgroups, cgroup, next)
	{
		HASH_DELETE(hh, table->cgroups, cgroup);
		if (!cgroup->record)
			free(cgroup);
		else if (cgroup->root && cgroup->record->slot == 0)
			DL_APPEND2(unselected, cgroup->record, ended_prev, ended_next);
	}
	DL_FOREACH_SAFE2(unselected, record, more, ended_next)
	record_free(table, record);
	for (unsigned slot = 1; slot < table->view.n_slots; slot++)
		if (table->records[slot])
			record_free(table, table->records[slot]);
	free(table->records);
	free(table->names);
	free(table->short_ids);
	free(table->states);
	free(table->free_slots);
	free(table);
}

const struct target_view *target_table_view(const struct target_table *table)
{
	return &table->view;
}

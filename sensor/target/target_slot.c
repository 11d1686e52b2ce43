/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of the target table: flat arrays for the tick path, slots used again after release, and the table's
 * own making and end.
 */
#include "base/cleanup.h"
#include "target/target_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SLOTS_FIRST 64
#define SLOTS_MAX   65536

static int grow_array(void *array, size_t n, size_t size)
{
	void *more = realloc(*(void **)array, n * size);
	if (!more)
		return -ENOMEM;
	*(void **)array = more;
	return 0;
}

static int grow(struct target_table *table)
{
	unsigned capacity = table->capacity ? table->capacity * 2 : SLOTS_FIRST;
	if (grow_array(&table->records, capacity, sizeof(*table->records)) < 0 ||
	    grow_array(&table->names, capacity, sizeof(*table->names)) < 0 ||
	    grow_array(&table->short_ids, capacity, sizeof(*table->short_ids)) < 0 ||
	    grow_array(&table->states, capacity, sizeof(*table->states)) < 0 ||
	    grow_array(&table->free_slots, capacity, sizeof(*table->free_slots)) < 0)
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

/* Counted once, and tried again when a slot is free. */
static int refuse(struct target_table *table, struct target_record *record, int error)
{
	if (record->refused)
		return error;
	table->view.refused++;
	record->refused = true;
	DL_APPEND2(table->refused, record, refused_prev, refused_next);
	return error;
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
	struct activity_cgroup joined = {slot, true, record->root->path, record->root->id};
	table->events.joined(table->events.data, &joined);
	target_table_join_nested(table, slot);
	return 0;
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

void target_slot_take_refused(struct target_table *table)
{
	while (table->refused && table->n_free_slots > 0)
		if (target_slot_take(table, table->refused) < 0)
			return;
}

void target_slot_give_back(struct target_table *table, unsigned slot)
{
	table->records[slot] = NULL;
	table->names[slot] = "";
	table->short_ids[slot] = NULL;
	table->states[slot] = TARGET_FREE;
	table->view.n_ended--;
	table->free_slots[table->n_free_slots++] = slot;
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
	/* Every cgroup that is no record's, then each record with its own and nested ones, once. */
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
	target_record_free(table, record);
	for (unsigned slot = 1; slot < table->view.n_slots; slot++)
		if (table->records[slot])
			target_record_free(table, table->records[slot]);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of groups and events that a reader has met, as small numbers. Reports of one sensor repeat the
 * same names in the same order, so the name that followed last time is tried before the hash table.
 */
#include "document/report_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct name_entry {
	char *text;
	uint32_t hash;
	uint16_t length;
	uint16_t follower; /* index of the name that followed the last time */
};

struct name_table {
	struct name_entry *entries;
	uint16_t *slots; /* index + 1; 0: free */
	unsigned n_entries;
	unsigned n_slots; /* a power of two, more than twice n_entries */
	uint16_t last;
};

struct report_names {
	struct name_table tables[REPORT_NAMES_KINDS];
	struct report_layouts layouts;
};

struct report_names *report_names_new(void)
{
	return calloc(1, sizeof(struct report_names));
}

void report_names_free(struct report_names *names)
{
	if (!names)
		return;
	for (unsigned k = 0; k < REPORT_NAMES_KINDS; k++) {
		for (unsigned i = 0; i < names->tables[k].n_entries; i++)
			free(names->tables[k].entries[i].text);
		free(names->tables[k].entries);
		free(names->tables[k].slots);
	}
	report_layouts_done(&names->layouts);
	free(names);
}

struct report_layouts *report_names_layouts(struct report_names *names)
{
	return &names->layouts;
}

static uint32_t hash_name(const char *text, size_t length)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619U;
	return hash;
}

static bool is_name(const struct name_entry *entry, const char *text, size_t length)
{
	return entry->length == length && memcmp(entry->text, text, length) == 0;
}

/* The slot of a name, or the free one where it belongs. */
static uint16_t *find_slot(const struct name_table *table, uint32_t hash, const char *text, size_t length)
{
	for (unsigned at = hash;; at++) {
		uint16_t *slot = &table->slots[at & (table->n_slots - 1)];

		if (*slot == 0)
			return slot;
		if (table->entries[*slot - 1].hash == hash &&
		    is_name(&table->entries[*slot - 1], text, length))
			return slot;
	}
}

static int grow(struct name_table *table)
{
	unsigned n_slots = table->n_slots ? table->n_slots * 2 : 64;
	uint16_t *slots = calloc(n_slots, sizeof(*slots));
	struct name_entry *entries = realloc(table->entries, n_slots / 2 * sizeof(*entries));

	if (entries)
		table->entries = entries;
	if (!slots || !entries) {
		free(slots);
		return -ENOMEM;
	}
	free(table->slots);
	table->slots = slots;
	table->n_slots = n_slots;
	for (unsigned i = 0; i < table->n_entries; i++)
		*find_slot(table, entries[i].hash, entries[i].text, entries[i].length) = (uint16_t)(i + 1);
	return 0;
}

static int add_name(struct name_table *table, uint32_t hash, const char *text, size_t length)
{
	char *copy;
	int r;

	if (length > REPORT_KEY_MAX)
		return -ENAMETOOLONG;
	if (table->n_entries == REPORT_NAMES_MAX)
		return -E2BIG;
	if (table->n_entries + 1 > table->n_slots / 2) {
		r = grow(table);
		if (r < 0)
			return r;
	}
	copy = strndup(text, length);
	if (!copy)
		return -ENOMEM;
	*find_slot(table, hash, text, length) = (uint16_t)(table->n_entries + 1);
	table->entries[table->n_entries] =
		(struct name_entry){.text = copy, .hash = hash, .length = (uint16_t)length};
	return (int)table->n_entries++;
}

int report_names_intern(struct report_names *names, enum report_names_kind kind, const char *text,
			size_t length)
{
	struct name_table *table = &names->tables[kind];
	uint32_t hash;
	int index;

	if (table->n_entries > 0) {
		uint16_t guess = table->entries[table->last].follower;

		if (is_name(&table->entries[guess], text, length)) {
			table->last = guess;
			return guess;
		}
	}
	hash = hash_name(text, length);
	index = table->n_slots ? *find_slot(table, hash, text, length) - 1 : -1;
	if (index < 0)
		index = add_name(table, hash, text, length);
	if (index < 0)
		return index;
	table->entries[table->last].follower = (uint16_t)index;
	table->last = (uint16_t)index;
	return index;
}

static const char *name_of(const struct report_names *names, enum report_names_kind kind, unsigned index)
{
	return index < names->tables[kind].n_entries ? names->tables[kind].entries[index].text : NULL;
}

const char *report_names_group(const struct report_names *names, unsigned index)
{
	return name_of(names, REPORT_NAMES_GROUP, index);
}

const char *report_names_event(const struct report_names *names, unsigned index)
{
	return name_of(names, REPORT_NAMES_EVENT, index);
}

unsigned report_names_count_events(const struct report_names *names)
{
	return names->tables[REPORT_NAMES_EVENT].n_entries;
}

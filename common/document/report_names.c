/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps names of groups and events that a reader has seen to small numbers. Reports of one sensor repeat the
 * same names in the same order, so the successor of the last time is tried before the hash table.
 */
#include "document/report_names.h"
#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct name {
	UT_hash_handle hh;
	struct name *follower; /* that followed the last time */
	uint16_t index;
	uint16_t length;
	char text[];
};

struct name_table {
	struct name *by_text;
	struct name **by_index; /* room for a power of two */
	struct name *last;
};

struct report_names {
	struct name_table tables[REPORT_NAMES_KINDS];
};

struct report_names *report_names_new(void)
{
	return calloc(1, sizeof(struct report_names));
}

void report_names_free(struct report_names *names)
{
	struct name *name, *next;

	if (!names)
		return;
	for (unsigned k = 0; k < REPORT_NAMES_KINDS; k++) {
		HASH_ITER(hh, names->tables[k].by_text, name, next)
		{
			HASH_DEL(names->tables[k].by_text, name);
			free(name);
		}
		free(names->tables[k].by_index);
	}
	free(names);
}

static int add_name(struct name_table *table, const char *text, size_t length, struct name **ret_name)
{
	unsigned n = HASH_COUNT(table->by_text);
	struct name *name;

	if (length > REPORT_KEY_MAX)
		return -ENAMETOOLONG;
	if (n == REPORT_NAMES_MAX)
		return -E2BIG;
	if ((n & (n - 1)) == 0 && !ARRAY_RESIZE(table->by_index, n ? 2 * (size_t)n : 1))
		return -ENOMEM;
	name = calloc(1, sizeof(*name) + length + 1);
	if (!name)
		return -ENOMEM;
	name->index = (uint16_t)n;
	name->length = (uint16_t)length;
	memcpy(name->text, text, length);
	HASH_ADD(hh, table->by_text, text, length, name);
	table->by_index[n] = *ret_name = name;
	return 0;
}

int report_names_intern(struct report_names *names, enum report_names_kind kind, const char *text,
			size_t length)
{
	struct name_table *table = &names->tables[kind];
	struct name *name = table->last ? table->last->follower : NULL;
	int r = 0;

	if (!name || name->length != length || memcmp(name->text, text, length) != 0) {
		HASH_FIND(hh, table->by_text, text, length, name);
		if (!name)
			r = add_name(table, text, length, &name);
		if (r < 0)
			return r;
		if (table->last)
			table->last->follower = name;
	}
	table->last = name;
	return name->index;
}

static const char *name_of(const struct report_names *names, enum report_names_kind kind, unsigned index)
{
	const struct name_table *table = &names->tables[kind];

	return index < HASH_COUNT(table->by_text) ? table->by_index[index]->text : NULL;
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
	return HASH_COUNT(names->tables[REPORT_NAMES_EVENT].by_text);
}

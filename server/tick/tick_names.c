/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of tick_make.c, kept between ticks: each name is looked up once. Pure; memory is bounded by expiry,
 * however many containers a machine has seen.
 */
#include "tick/tick_names.h"
#include "base/array.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tick_names_init(struct tick_names *names, const struct report_names *report_names)
{
	memset(names, 0, sizeof(*names));
	names->names = report_names;
	names->core_group = -1;
	names->fallback_event = -1;
}

void tick_names_done(struct tick_names *names)
{
	struct tick_key *key, *next;

	HASH_CLEAR(by_key, names->keys_by_key);
	HASH_ITER(by_name, names->keys_by_name, key, next)
	{
		HASH_DELETE(by_name, names->keys_by_name, key);
		free(key);
	}
	free(names->features);
	free(names->columns);
	free(names->column_names);
	memset(names, 0, sizeof(*names));
}

int tick_names_update(struct tick_names *names)
{
	unsigned n = report_names_count_events(names->names);

	if (n <= names->n_features)
		return 0;
	if (!ARRAY_RESIZE(names->features, n) || !ARRAY_RESIZE(names->columns, n) ||
	    !ARRAY_RESIZE(names->column_names, n))
		return -ENOMEM;
	for (unsigned i = names->n_features; i < n; i++)
		names->features[i] = feature_of_event(report_names_event(names->names, i));
	names->n_features = n;
	return 0;
}

/* Learns from a container's value which group is the core group and whether a stand-in is needed. */
static void learn(struct tick_names *names, unsigned group, unsigned event)
{
	struct feature feature = names->features[event];

	if (feature.kind >= FEATURE_BOOKKEEPING)
		return;
	if ((int)group != names->core_group &&
	    (names->core_group < 0 || strcmp(report_names_group(names->names, group), "core") == 0))
		names->core_group = (int)group;
	if (feature.kind == FEATURE_COUNT || feature.kind == FEATURE_TIME)
		names->knows_event = true;
	else if (names->fallback_event < 0)
		names->fallback_event = (int)event;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int tick_names_find_columns(struct tick_names *names, const struct join_slot *slot)
{
	unsigned n = 0;

	for (unsigned i = 0; i < names->n_features; i++)
		names->columns[i] = -1;
	for (unsigned i = 0; i < slot->n_reports; i++) {
		const struct report_value *value = slot->values + slot->reports[i].first_value;

		for (uint32_t j = 0; j < slot->reports[i].n_values; j++, value++) {
			learn(names, value->group, value->event);
			if (names->features[value->event].kind < FEATURE_BOOKKEEPING &&
			    (int)value->group == names->core_group)
				names->columns[value->event] = 0;
		}
	}
	for (unsigned i = 0; i < names->n_features; i++) {
		if (names->columns[i] >= 0)
			names->column_names[n++] = report_names_event(names->names, i);
	}
	names->n_columns = n;
	if (n)
		qsort(names->column_names, n, sizeof(*names->column_names), compare);
	for (unsigned i = 0; i < names->n_features; i++) {
		const char *name = report_names_event(names->names, i);
		const char *const *found =
			names->columns[i] >= 0 ? bsearch(&name, names->column_names, n, sizeof(name), compare)
					       : NULL;

		if (found)
			names->columns[i] = (int)(found - names->column_names);
	}
	return 0;
}

static void set_known(struct tick_key *key, double cpu_quota, const char *image)
{
	if (cpu_quota > 0)
		key->cpu_quota = cpu_quota;
	if (image[0])
		key->image = hash_text32(image, 0) | 1;
}

struct tick_key *tick_names_key(struct tick_names *names, const char *target, uint64_t now)
{
	size_t length = strlen(target);
	struct tick_key *found = names->last ? names->last->by_name.next : names->keys_by_name, *taken;

	/* Ticks list their targets in the same order: the successor in the last tick is tried first. */
	if (!found || strcmp(found->name, target) != 0)
		HASH_FIND(by_name, names->keys_by_name, target, length, found);
	if (!found) {
		found = calloc(1, sizeof(*found) + length + 1);
		if (!found)
			return NULL;
		memcpy(found->name, target, length + 1);
		found->key = hash_text32(target, 0);
		do {
			HASH_FIND(by_key, names->keys_by_key, &found->key, sizeof(found->key), taken);
			found->key += taken != NULL;
		} while (taken);
		HASH_ADD_KEYPTR(by_name, names->keys_by_name, found->name, length, found);
		HASH_ADD(by_key, names->keys_by_key, key, sizeof(found->key), found);
		if (names->describe) {
			double cpu_quota = 0;
			const char *image = "";
			names->describe(names->describe_data, target, &cpu_quota, &image);
			set_known(found, cpu_quota, image);
		}
	}
	found->seen = now;
	names->last = found;
	return found;
}

int tick_names_know(struct tick_names *names, const char *target, double cpu_quota, const char *image,
		    uint64_t now)
{
	struct tick_key *key = tick_names_key(names, target, now);

	if (!key)
		return -ENOMEM;
	set_known(key, cpu_quota, image);
	return 0;
}

void tick_names_expire(struct tick_names *names, uint64_t now, uint64_t age, unsigned keep)
{
	struct tick_key *key, *next;

	if (HASH_CNT(by_name, names->keys_by_name) <= keep)
		return;
	names->last = NULL;
	HASH_ITER(by_name, names->keys_by_name, key, next)
	{
		if (now - key->seen <= age)
			continue;
		HASH_DELETE(by_key, names->keys_by_key, key);
		HASH_DELETE(by_name, names->keys_by_name, key);
		free(key);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks in the making, oldest first. Each tick leaves once, in order of time; the memory of a finished tick
 * is reused for a later one. Called by machine.c; knows neither stores, clocks nor the meaning of counts.
 */
#include "tick/join.h"
#include "base/array.h"

#include "base/hash.h"
#include "document/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* At most this many ticks are kept; then the oldest is processed as it is. Enough for 40 s of 10 ms ticks. */
#define JOIN_SLOTS_MAX 4096

#define NAME_SIZE  512
#define JOIN_SHOWN 3 /* number of ticks that show the first one's length, including itself */

struct join {
	int64_t grace_ms;
	int64_t position_ms;
	struct join_slot **slots; /* by time */
	unsigned n_slots;
	unsigned slots_capacity;
	struct join_slot **spare;
	unsigned n_spare;
	unsigned spare_capacity;
	uint64_t n_fed;
};

struct join *join_new(int64_t grace_ms)
{
	struct join *join = calloc(1, sizeof(*join));

	if (!join)
		return NULL;
	join->grace_ms = grace_ms;
	join->position_ms = INT64_MIN;
	return join;
}

static void slot_free(struct join_slot *slot)
{
	free(slot->reports);
	free(slot->values);
	free(slot->strings);
	free(slot->index);
	free(slot);
}

void join_free(struct join *join)
{
	if (!join)
		return;
	for (unsigned i = 0; i < join->n_slots; i++)
		slot_free(join->slots[i]);
	for (unsigned i = 0; i < join->n_spare; i++)
		slot_free(join->spare[i]);
	free(join->slots);
	free(join->spare);
	free(join);
}

void join_set_position(struct join *join, int64_t time_ms)
{
	join->position_ms = time_ms;
}

int64_t join_position(const struct join *join)
{
	return join->position_ms;
}

unsigned join_times(const struct join *join, const struct join_slot *slot, int64_t *ret_times_ms,
		    unsigned most)
{
	unsigned n = 0;

	if (most)
		ret_times_ms[n++] = slot->time_ms;
	for (unsigned i = 0; i < join->n_slots && n < most; i++) {
		if (join->slots[i]->has_all || !slot->has_all)
			ret_times_ms[n++] = join->slots[i]->time_ms;
	}
	return n;
}

unsigned join_pending(const struct join *join)
{
	return join->n_slots;
}

bool join_is_complete(const struct join_slot *slot)
{
	return slot->has_all && slot->said.n_targets >= 0 && (int64_t)slot->n_reports >= slot->said.n_targets;
}

static void slot_reset(struct join_slot *slot, int64_t time_ms)
{
	slot->time_ms = time_ms;
	slot->has_all = slot->conflicts = false;
	slot->said = REPORT_TICK_UNKNOWN;
	slot->n_reports = 0;
	slot->n_values = 0;
	slot->strings_length = 0;
	if (slot->index)
		memset(slot->index, 0, slot->index_size * sizeof(*slot->index));
}

/* Room for one more slot in both tables, so that releasing a slot never fails. */
static int reserve(struct join *join)
{
	const unsigned needed = join->n_slots + join->n_spare + 1;

	return ARRAY_RESERVE(join->slots, join->slots_capacity, needed) &&
			       ARRAY_RESERVE(join->spare, join->spare_capacity, needed)
		       ? 0
		       : -ENOMEM;
}

/* The slot of this time, created if there is none; NULL if out of memory. */
static struct join_slot *slot_at(struct join *join, int64_t time_ms)
{
	unsigned at = join->n_slots;
	struct join_slot *slot;

	while (at > 0 && join->slots[at - 1]->time_ms > time_ms)
		at--;
	if (at > 0 && join->slots[at - 1]->time_ms == time_ms)
		return join->slots[at - 1];
	if (!join->n_spare) {
		if (reserve(join) < 0)
			return NULL;
		slot = calloc(1, sizeof(*slot));
		if (!slot)
			return NULL;
	} else {
		slot = join->spare[--join->n_spare];
	}
	slot_reset(slot, time_ms);
	memmove(join->slots + at + 1, join->slots + at, (join->n_slots - at) * sizeof(struct join_slot *));
	join->slots[at] = slot;
	join->n_slots++;
	return slot;
}

/* The name's entry in the slot's index: its own, or an empty one. */
static uint32_t *index_find(const struct join_slot *slot, const char *name)
{
	uint32_t mask = slot->index_size - 1;

	for (uint32_t at = hash_text32(name, 0) & mask;; at = (at + 1) & mask) {
		uint32_t entry = slot->index[at];

		if (!entry || strcmp(join_name(slot, &slot->reports[entry - 1]), name) == 0)
			return &slot->index[at];
	}
}

/* Keeps the index at most half full. */
static int index_reserve(struct join_slot *slot)
{
	uint32_t size = slot->index_size ? slot->index_size * 2 : 64;
	uint32_t *index;

	if ((slot->n_reports + 1) * 2 <= slot->index_size)
		return 0;
	index = calloc(size, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(slot->index);
	slot->index = index;
	slot->index_size = size;
	for (unsigned i = 0; i < slot->n_reports; i++)
		*index_find(slot, join_name(slot, &slot->reports[i])) = i + 1;
	return 0;
}

static uint32_t add_string(struct join_slot *slot, const char *text)
{
	uint32_t at = slot->strings_length;
	size_t size = strlen(text) + 1;

	memcpy(slot->strings + at, text, size);
	slot->strings_length += (uint32_t)size;
	return at;
}

/* Copies names and values into the slot. */
static int copy_text(struct join_slot *slot, const struct report_decoded *report,
		     struct join_report *ret_copy)
{
	const char *container_id = report->container_id ? report->container_id : "";
	size_t text = strlen(report->target) + strlen(container_id) + 2;

	if (!ARRAY_RESERVE(slot->strings, slot->strings_capacity, slot->strings_length + text) ||
	    !ARRAY_RESERVE(slot->values, slot->values_capacity, (size_t)slot->n_values + report->n_values))
		return -ENOMEM;
	ret_copy->name = add_string(slot, report->target);
	ret_copy->container_id = add_string(slot, container_id);
	ret_copy->first_value = slot->n_values;
	ret_copy->n_values = report->n_values;
	ret_copy->partial = report->partial;
	if (report->n_values)
		memcpy(slot->values + slot->n_values, report->values,
		       report->n_values * sizeof(*slot->values));
	slot->n_values += report->n_values;
	return 0;
}

/* Adds the report under another name, because its own is taken. */
static int add_renamed(struct join_slot *slot, const struct report_decoded *report, enum join_fed *ret_fed);

/* A second report of a target: was the same one read again, or does it come from another sensor of the same
 * name? */
static void note_twice(struct join_slot *slot, const struct join_report *there,
		       const struct report_decoded *report)
{
	slot->conflicts |= there->n_values != report->n_values ||
			   (report->n_values && memcmp(slot->values + there->first_value, report->values,
						       report->n_values * sizeof(*report->values)) != 0);
}

static unsigned count_groups(const struct report_value *values, unsigned n)
{
	unsigned n_groups = 0;

	for (unsigned i = 0; i < n; i++)
		n_groups += i == 0 || values[i].group != values[i - 1].group;
	return n_groups;
}

/* The report that was taken for the machine's belongs to a container, which may have further data. */
static int demote_all(struct join_slot *slot)
{
	char name[NAME_SIZE];
	int r;

	r = index_reserve(slot);
	if (r == 0 && !ARRAY_RESERVE(slot->reports, slot->reports_capacity, (size_t)slot->n_reports + 1))
		r = -ENOMEM;
	(void)report_target_rename(REPORT_TARGET_ALL, join_container_id(slot, &slot->all), name,
				   sizeof(name));
	if (r == 0 &&
	    !ARRAY_RESERVE(slot->strings, slot->strings_capacity, slot->strings_length + strlen(name) + 1))
		r = -ENOMEM;
	if (r < 0 || *index_find(slot, name))
		return r;
	slot->all.name = add_string(slot, name);
	slot->reports[slot->n_reports] = slot->all;
	*index_find(slot, name) = ++slot->n_reports;
	return 0;
}

/*
 * Adds the machine's report. If a sensor passes names on unchanged, a container may be called `all`, too: the
 * machine's report has more groups of events.
 */
static int add_all(struct join_slot *slot, const struct report_decoded *report, enum join_fed *ret_fed)
{
	int r = 0;

	if (slot->has_all) {
		unsigned had = count_groups(slot->values + slot->all.first_value, slot->all.n_values);
		unsigned has = count_groups(report->values, report->n_values);

		if (had == has) {
			note_twice(slot, &slot->all, report);
			*ret_fed = JOIN_DUPLICATE;
		}
		if (has < had)
			return add_renamed(slot, report, ret_fed);
		if (has > had)
			r = demote_all(slot);
		if (r < 0 || had == has)
			return r;
	}
	r = copy_text(slot, report, &slot->all);
	if (r == 0) {
		slot->has_all = true;
		slot->said = report->said;
	}
	return r;
}

/* Two containers with one name: their IDs differ. */
static bool is_other(const struct join_slot *slot, const struct join_report *there,
		     const struct report_decoded *report)
{
	const char *id = join_container_id(slot, there);

	return id[0] && report->container_id && report->container_id[0] &&
	       strcmp(id, report->container_id) != 0;
}

static int add_target(struct join_slot *slot, const struct report_decoded *report, enum join_fed *ret_fed)
{
	uint32_t *entry;
	int r;

	r = index_reserve(slot);
	if (r < 0)
		return r;
	entry = index_find(slot, report->target);
	if (*entry) {
		if (is_other(slot, &slot->reports[*entry - 1], report))
			return add_renamed(slot, report, ret_fed);
		note_twice(slot, &slot->reports[*entry - 1], report);
		*ret_fed = JOIN_DUPLICATE;
		return 0;
	}
	if (!ARRAY_RESERVE(slot->reports, slot->reports_capacity, (size_t)slot->n_reports + 1))
		return -ENOMEM;
	r = copy_text(slot, report, &slot->reports[slot->n_reports]);
	if (r < 0)
		return r;
	*entry = ++slot->n_reports;
	return 0;
}

static int add_renamed(struct join_slot *slot, const struct report_decoded *report, enum join_fed *ret_fed)
{
	struct report_decoded renamed = *report;
	char name[NAME_SIZE];

	renamed.target = report_target_rename(report->target, report->container_id, name, sizeof(name));
	/* If the name is the same after truncation, it would be renamed forever. */
	if (strcmp(renamed.target, report->target) == 0) {
		*ret_fed = JOIN_DUPLICATE;
		return 0;
	}
	return add_target(slot, &renamed, ret_fed);
}

int join_feed(struct join *join, const struct report_decoded *report, int64_t now_ms, enum join_fed *ret_fed)
{
	struct join_slot *slot;
	int r;

	*ret_fed = JOIN_NEW;
	if (report->time_ms <= join->position_ms) {
		*ret_fed = JOIN_LATE;
		return 0;
	}
	slot = slot_at(join, report->time_ms);
	if (!slot)
		return -ENOMEM;
	if (strcmp(report->target, REPORT_TARGET_ALL) == 0)
		r = add_all(slot, report, ret_fed);
	else
		r = add_target(slot, report, ret_fed);
	if (r == 0 && *ret_fed == JOIN_NEW) {
		slot->fed_ms = now_ms;
		slot->fed_order = ++join->n_fed;
	}
	return r;
}

/*
 * The sensor's own clock may show that a tick is over, for example when a backlog is read: reports with a
 * later time arrived after its last one. Earlier arrivals prove nothing, because their time may be wrong.
 */
static bool is_outrun(const struct join *join, const struct join_slot *slot)
{
	for (unsigned i = join->n_slots; i-- > 1;) {
		if (join->slots[i]->time_ms - slot->time_ms < join->grace_ms)
			return false;
		if (join->slots[i]->fed_order > slot->fed_order)
			return true;
	}
	return false;
}

/*
 * A tick that does not announce its number of reports is over when a later one has begun and nothing more has
 * arrived for the grace period. Without a later tick (the sensor has ended), it is over after four grace
 * periods. A tick dated in the future is left alone: reports arriving until then would be late.
 */
static bool is_over(const struct join *join, const struct join_slot *slot, int64_t now_ms, bool patient)
{
	int64_t waited_ms = now_ms - slot->fed_ms;

	if (patient && join->n_slots < JOIN_SHOWN && isnan(slot->said.interval_s))
		return false;
	if (join_is_complete(slot) || join->n_slots > JOIN_SLOTS_MAX || is_outrun(join, slot))
		return true;
	if (now_ms > 0 && slot->time_ms > now_ms + join->grace_ms)
		return false;
	return waited_ms >= (join->n_slots > 1 ? join->grace_ms : 4 * join->grace_ms + 1);
}

struct join_slot *join_take(struct join *join, int64_t now_ms, bool patient, bool flush)
{
	struct join_slot *slot;

	if (!join->n_slots)
		return NULL;
	slot = join->slots[0];
	if (!flush && !is_over(join, slot, now_ms, patient))
		return NULL;
	join->n_slots--;
	memmove(join->slots, join->slots + 1, join->n_slots * sizeof(struct join_slot *));
	join->position_ms = slot->time_ms;
	return slot;
}

void join_release(struct join *join, struct join_slot *slot)
{
	join->spare[join->n_spare++] = slot;
}

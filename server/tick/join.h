/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The join: gathers a sensor's decoded reports, in any order, until all reports of a tick are there. Pure:
 * the caller provides the time. tick_make.h turns a gathered tick into flat arrays.
 */
#pragma once

#include "document/report_bson.h"

enum join_fed {
	JOIN_NEW,
	JOIN_DUPLICATE, /* this tick already has a report of this target */
	JOIN_LATE,      /* the tick has already been processed: the report cannot be used */
};

struct join_report {
	uint32_t name; /* offsets into the slot's strings; see join_name() */
	uint32_t container_id;
	uint32_t first_value;
	uint32_t n_values;
	bool partial;
};

/* A gathered tick. */
struct join_slot {
	int64_t time_ms;
	int64_t fed_ms;     /* when its last report arrived, by the caller's clock */
	uint64_t fed_order; /* number of its last report among all arrivals */
	bool has_all;
	bool conflicts;          /* a report arrived twice with different counts: two sensors have one name */
	struct report_tick said; /* by `all` */
	struct join_report all;
	unsigned n_reports;
	unsigned reports_capacity;
	struct join_report *reports;
	uint32_t n_values;
	uint32_t values_capacity;
	struct report_value *values;
	uint32_t strings_length;
	uint32_t strings_capacity;
	char *strings;
	uint32_t *index; /* open addressing: report number + 1 by name */
	uint32_t index_size;
};

struct join;

/* `grace_ms`: how long an incomplete tick waits after a later one has begun. NULL if out of memory. */
struct join *join_new(int64_t grace_ms);
void join_free(struct join *join);
/* Ticks at or before `time_ms` count as processed. INT64_MIN: none. */
void join_set_position(struct join *join, int64_t time_ms);
int64_t join_position(const struct join *join);

/* Adds a report. 0 or -ENOMEM. */
int join_feed(struct join *join, const struct report_decoded *report, int64_t now_ms, enum join_fed *ret_fed);
/*
 * The oldest tick, if it is complete or has waited long enough, or with `flush` in any case; else NULL. It
 * belongs to the join and must be given back by join_release() before the next call. With `patient`, a tick
 * without a reported length waits until two later ones have begun, however long that takes, because only they
 * show its length.
 */
struct join_slot *join_take(struct join *join, int64_t now_ms, bool patient, bool flush);
void join_release(struct join *join, struct join_slot *slot);
/* Times of the slot's tick and of waiting ones that have `all`: at most `most`. Returns their number. */
unsigned join_times(const struct join *join, const struct join_slot *slot, int64_t *ret_times_ms,
		    unsigned most);
/* Number of waiting ticks. */
unsigned join_pending(const struct join *join);
/* True if `all` and all targets that it announced have arrived. */
bool join_is_complete(const struct join_slot *slot);

static inline const char *join_name(const struct join_slot *slot, const struct join_report *report)
{
	return slot->strings + report->name;
}
static inline const char *join_container_id(const struct join_slot *slot, const struct join_report *report)
{
	return slot->strings + report->container_id;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to input/: input.c (finds collections and schedules them), reader.c (reads one collection) and
 * reader_sensor.c (finds the sensor of a document).
 */
#pragma once

#include "input/input.h"
#include "input/pace.h"
#include "document/collections.h"

#include <ev.h>
#include <uthash.h>

#define INPUT_TOKEN "input"
#define READER_BAD  65536 /* malformed documents that are remembered */

#define READER_SENSORS_MAX 64 /* of a database's collection */

/* One of the sensors whose reports a collection or file holds. */
struct reader_source {
	struct machine *machine;
	bool held; /* its position is before this read: its documents come with the next one */
	/* Counters and time of the last log message about it. */
	struct machine_counters complained;
	int64_t complained_ms;
};

/* A malformed document that was counted. */
struct reader_bad {
	uint64_t hash;
	uint64_t reading; /* the last read that returned it */
	UT_hash_handle hh;
};

struct reader {
	struct reader *next;
	struct reader *waiting_next, *waiting_prev; /* for its turn */
	struct input *input;
	char *collection;
	struct reader_source *sources; /* in a database's collection, the first one is the machine that owns
					  the collection */
	unsigned n_sources;
	bool said_many;
	/* For the sum at the end of --once. */
	uint64_t n_damaged;     /* lines or rows that were skipped */
	unsigned n_said;        /* answers that skipped something */
	bool failed;            /* it could not be read to its end */
	char said[400];         /* message of the last of them, or why it failed */
	int64_t asked_after_ms; /* of the read under way */
	ev_timer timer;
	uint64_t offset;
	unsigned limit;
	bool behind; /* the last answer did not reach the end: others' ticks go first */
	struct pace pace;
	int64_t looked_ms;      /* when the read in progress was requested */
	bool ended;             /* with --once: read to the end */
	struct reader_bad *bad; /* of this read and a few before it */
	uint64_t n_readings;
	struct machine_gap late; /* the gap that is being read again */
	int64_t late_ms;
	bool looking_late;
	/* Reports dated in the future: reader_ahead.c. */
	int64_t ahead_ms;                 /* how far ahead of the clock they are read */
	int64_t beyond_ms;                /* time of the newest unread one; INT64_MIN: none */
	uint64_t n_found, n_found_before; /* new reports, and how many at the last look */
	int64_t look_at_ms, look_wait_ms; /* monotonic: when the next look is due */
	bool looking_ahead;
	/* A clock that was set back: reader_behind.c. */
	int64_t behind_ms;       /* newest known report up to behind_until_ms; INT64_MIN: none */
	int64_t behind_until_ms; /* 0: nothing has been looked at */
	int64_t behind_from_ms;  /* where reading continues if this is confirmed */
	uint64_t n_found_behind;
	unsigned n_silent; /* consecutive looks without new reports anywhere */
	unsigned n_behind; /* consecutive looks that found reports which had arrived since */
	bool looking_behind;
};

struct input {
	struct ev_loop *loop;
	struct db_client *client;
	const struct db_client *output; /* where the results go */
	const struct server_config *config;
	struct input_events events;
	struct input_statistics statistics;
	struct reader *readers;
	unsigned n_readers;
	struct reader *waiting; /* for their turn */
	unsigned n_reading;     /* reads under way */
	ev_timer pause;
	ev_timer discover;
	unsigned discover_slower; /* times --discover until the next look for sensors */
	bool files;               /* input is a file, or a folder of files */
	bool stopped;
	char unserved[300]; /* a collection that could not be served; "" */
	bool listed;        /* the first list has come */
	char others[300];   /* collections that hold no reports by their names */
	char unlisted[300]; /* why its collections could not be listed; "" */
	char left[600];     /* logged about files that are not read */
};

/* Time up to which a database is read. INT64_MAX: no limit. */
int64_t reader_until_ms(const struct reader *reader);
/* Checks from time to time for reports dated in the future. `n_new`: new reports of the read just made. */
void reader_look_ahead(struct reader *reader, unsigned n_new);
/* Looks for reports dated before a position in the future. */
void reader_look_behind(struct reader *reader);

/* NULL if out of memory. It requests its first turn itself. */
struct reader *reader_new(struct input *input, const char *collection);
void reader_free(struct reader *reader);
void reader_stop(struct reader *reader);
/* Sends the request now. 0 or a negative errno; the next attempt is then scheduled. */
int reader_read(struct reader *reader);

/* The machine of this name among the reader's sources, created if it is new; NULL if out of memory. */
struct machine *reader_add_machine(struct reader *reader, const char *name);
/* The machine that a report belongs to. NULL: one that is not served. */
struct machine *reader_find_machine(struct reader *reader, const uint8_t *document, size_t length);
/* Time at which the next read of a database begins, so that no active sensor's reports are missed. */
int64_t reader_begin_ms(struct reader *reader);

/* Can a live tick of one reader wait for another's backlog? */
bool input_is_shared(const struct input *input);
/* Does --sensor include this one? */
bool input_wants(const struct input *input, const char *name);
/* Requests a turn for the reader: at once, or when others are done. */
void input_ask_turn(struct reader *reader);
/* Starts the next reads once the arrived documents are processed. */
void input_next_turn(struct input *input);
/* With --once: ends the input once every reader has ended. */
void input_check_end(struct input *input);

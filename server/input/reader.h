/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to input/: input.c (which collections there are, and whose turn it is), reader.c (one collection)
 * and reader_sensor.c (whose report a document is).
 */
#pragma once

#include "input/input.h"
#include "input/pace.h"
#include "document/collections.h"

#include <ev.h>

#define INPUT_TOKEN "input"
#define READER_BAD  1024

#define READER_SENSORS_MAX 64 /* of a database's collection */

/* One of the sensors whose reports a collection or file holds. */
struct reader_source {
	struct machine *machine;
	bool held; /* it continues before what was asked for: its documents come with the next reading */
};

struct reader {
	struct reader *next;
	struct reader *next_waiting; /* for its turn */
	struct input *input;
	char *collection;
	struct reader_source *sources; /* of a database's collection the first one is its own machine */
	unsigned n_sources;
	bool said_many;
	int64_t asked_after_ms; /* of the read under way */
	ev_timer timer;
	uint64_t offset;
	unsigned limit;
	struct pace pace;
	int64_t looked_ms; /* when the read under way was asked for */
	bool ended;        /* with --once: read to the end */
	uint64_t complained_late, complained_bad, complained_overlapping;
	uint64_t bad[READER_BAD]; /* hashes of what was bad */
	int64_t complained_ms;
	struct machine_gap late; /* what is being looked at again */
	int64_t late_ms;
	bool looking_late;
};

struct input {
	struct ev_loop *loop;
	struct db_client *client;
	const struct server_config *config;
	struct input_events events;
	struct input_statistics statistics;
	struct reader *readers;
	unsigned n_readers;
	struct reader *waiting, **waiting_last; /* for their turn */
	unsigned n_reading;                     /* reads under way */
	ev_timer pause;
	ev_timer discover;
	unsigned discover_slower; /* times --discover until the next look for sensors */
	bool files;               /* input is a file, or a folder of files */
	bool stopped;
	bool listed;      /* the first list has come */
	char others[300]; /* collections that hold no reports by their names */
};

/* NULL if out of memory. It asks for its first turn by itself. */
struct reader *reader_new(struct input *input, const char *collection);
void reader_free(struct reader *reader);
void reader_stop(struct reader *reader);
/* Asks the store now. 0 or a negative errno, with the next attempt planned. */
int reader_read(struct reader *reader);

/* The machine of this name among the reader's sources, made where it is new; NULL if out of memory. */
struct machine *reader_add_machine(struct reader *reader, const char *name);
/* Whose report it is. NULL: nobody's who is served. */
struct machine *reader_find_machine(struct reader *reader, const uint8_t *document, size_t length);
/* Where the next reading of a database begins: no sensor that is at work misses anything. */
int64_t reader_begin_ms(struct reader *reader);

/* Does --sensor want this one? */
bool input_wants(const struct input *input, const char *name);
/* The reader wants to read: at once, or when it is its turn. */
void input_ask_turn(struct reader *reader);
/* An answer has come; input_next_turn() lets the next ones read once it has been processed. */
void input_end_turn(struct input *input);
void input_next_turn(struct input *input);
/* With --once: ends the input once every reader has ended. */
void input_check_end(struct input *input);

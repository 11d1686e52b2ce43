/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the sensor collections, creates a reader for each (reader.c), and schedules their reads: waiting
 * readers queue up, few reads are in progress at a time, and none starts while writing lags. So memory is
 * limited by the reads in progress and the writer's queue, regardless of the number of sensors and of the
 * backlog. Called by the server's loop.
 */
#include "input/input.h"

#include "input/reader.h"

#include "document/collections.h"
#include "base/log.h"
#include "base/unit.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define READS_MAX       4    /* more would be no faster: the store's process handles one request at a time */
#define PAUSE_S         0.02 /* while writing lags */
#define BEHIND_QUEUED   ((size_t)512 * 1024) /* limit on pending writes to read on in a backlog */
#define DISCOVER_SLOWER 4                    /* times --discover after a long time without a new collection */

bool input_is_shared(const struct input *input)
{
	return !input->config->once && input->n_readers > 1;
}

bool input_wants(const struct input *input, const char *name)
{
	const struct config_list *patterns = &input->config->sensors;

	for (unsigned i = 0; i < patterns->n_items; i++) {
		if (fnmatch(patterns->items[i], name, 0) == 0)
			return true;
	}
	return patterns->n_items == 0;
}

static void pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	input_next_turn(timer->data);
}

void input_ask_turn(struct reader *reader)
{
	struct input *input = reader->input;

	DL_APPEND2(input->waiting, reader, waiting_prev, waiting_next);
	input_next_turn(input);
}

/*
 * The next reader that may read now. All writes share one queue: a reader with a backlog keeps it short, so
 * that a live tick of another sensor does not wait for hundreds of old ones.
 */
static struct reader *find_next(struct input *input)
{
	const bool is_short =
		!input_is_shared(input) || db_client_queued_bytes(input->output) <= BEHIND_QUEUED;
	struct reader *reader;

	if (db_client_is_full(input->output))
		return NULL;
	DL_FOREACH2(input->waiting, reader, waiting_next)
	{
		if (is_short || !reader->behind)
			return reader;
	}
	return NULL;
}

void input_next_turn(struct input *input)
{
	while (!input->stopped && input->n_reading < READS_MAX && input->waiting) {
		struct reader *reader = find_next(input);

		if (!reader) {
			input->statistics.paused++;
			ev_timer_stop(input->loop, &input->pause);
			ev_timer_set(&input->pause, PAUSE_S, 0);
			ev_timer_start(input->loop, &input->pause);
			return;
		}
		DL_DELETE2(input->waiting, reader, waiting_prev, waiting_next);
		input->n_reading += reader_read(reader) == 0;
	}
}

struct input *input_new(struct ev_loop *loop, struct db_client *client, const struct db_client *output,
			const struct server_config *config, const struct input_events *events)
{
	struct input *input = calloc(1, sizeof(*input));

	if (!input)
		return NULL;
	input->loop = loop;
	input->client = client;
	input->output = output;
	input->config = config;
	input->events = *events;
	ev_init(&input->pause, pause_over);
	input->pause.data = input;
	input->files = store_uri_traits(config->input_uri) & STORE_BY_OFFSET;
	return input;
}

void input_stop(struct input *input)
{
	input->stopped = true;
	ev_timer_stop(input->loop, &input->discover);
	ev_timer_stop(input->loop, &input->pause);
	for (struct reader *reader = input->readers; reader; reader = reader->next)
		reader_stop(reader);
}

void input_free(struct input *input)
{
	if (!input)
		return;
	input_stop(input);
	for (struct reader *reader = input->readers, *next; reader; reader = next) {
		next = reader->next;
		reader_free(reader);
	}
	free(input);
}

void input_check_end(struct input *input)
{
	if (!input->config->once || !input->listed || input->stopped)
		return;
	for (struct reader *reader = input->readers; reader; reader = reader->next) {
		if (!reader->ended)
			return;
	}
	input_stop(input);
	input->events.ended(input->events.data);
}

/* Notes a collection whose name is not that of reports; these are logged if there is no other. */
static void note_other(struct input *input, const char *collection)
{
	size_t length = strlen(input->others);

	if (!collection_is_ours(collection) && length + strlen(collection) + 4 < sizeof(input->others))
		(void)snprintf(input->others + length, sizeof(input->others) - length, "%s'%s'",
			       length ? ", " : "", collection);
}

/* Once, although each search for collections tries again. */
static void note_unserved(struct input *input, const char *collection)
{
	if (input->unserved[0])
		return;
	(void)snprintf(input->unserved, sizeof(input->unserved),
		       "'%s', and possibly others, cannot be served: out of memory, or too many sensors",
		       collection);
	log_error(INPUT_TOKEN, 0, "%s", input->unserved);
	input->statistics.failed++;
}

/* There are no reports: logs where they were looked for, what was found instead, and what to do. */
static void say_none(const struct input *input)
{
	const struct server_config *config = input->config;
	char uri[300], database[STORE_DATABASE_SIZE + 20] = "", name[STORE_DATABASE_SIZE];

	(void)store_uri_display(config->input_uri, uri, sizeof(uri));
	if (strncmp(uri, "mongodb", 7) == 0)
		(void)snprintf(database, sizeof(database), ", database '%s'",
			       store_database(config->input_uri, config->database, name, sizeof(name)));
	if (input->others[0])
		log_warning(INPUT_TOKEN, 0,
			    "no collection of reports in '%s'%s, which holds %s: reports are read from "
			    "sensorNAME, "
			    "prep and report_0; give the sensor's collection such a name (hwpc-sensor -C)",
			    uri, database, input->others);
	else if (input->files)
		log_warning(INPUT_TOKEN, 0, "no reports in '%s': no file there is named %s, or it is empty",
			    uri,
			    strncmp(uri, "csv", 3) == 0     ? "GROUP.csv"
			    : strncmp(uri, "jsonl", 5) == 0 ? "sensorNAME.jsonl"
							    : "sensorNAME.bson");
	else if (input->config->once)
		log_warning(INPUT_TOKEN, 0,
			    "no reports in '%s'%s: no collection there is named sensor*, or none matches "
			    "--sensor",
			    uri, database);
	else
		log_notice(INPUT_TOKEN, 0, "no collection named sensor* in '%s'%s yet; waiting for a sensor",
			   uri, database);
}

static void take_collection(struct input *input, const char *collection)
{
	const char *machine = collection_machine(COLLECTION_REPORTS, collection);
	struct reader *reader;

	if (!machine) {
		note_other(input, collection);
		return;
	}
	for (reader = input->readers; reader; reader = reader->next) {
		if (strcmp(reader->collection, collection) == 0)
			return;
	}
	/* A file's sensors are named in its documents. */
	if (!input->files && !input_wants(input, machine))
		return;
	reader = reader_new(input, collection);
	if (!reader) {
		note_unserved(input, collection);
		return;
	}
	reader->next = input->readers;
	input->readers = reader;
	input->n_readers++;
	log_info(INPUT_TOKEN, 0, "reading '%s'", collection);
}

/* Files of a folder that are not read: logged once, and again when they change. */
static void note_left(struct input *input, const char *text)
{
	if (text[0] && strcmp(input->left, text) != 0) {
		log_warning(INPUT_TOKEN, 0, "%s", text);
		input->statistics.damaged++;
	}
	(void)snprintf(input->left, sizeof(input->left), "%s", text);
}

static void take_list(void *data, const struct db_answer *answer)
{
	struct input *input = data;
	const char *at = (const char *)answer->documents->data;
	size_t left = answer->documents->length;
	unsigned n_before = input->n_readers;

	if (input->stopped)
		return;
	input->others[0] = '\0';
	input->statistics.failed += answer->result != STORE_OK;
	if (answer->result != STORE_OK) {
		log_error(INPUT_TOKEN, 0, "cannot list the sensors' collections: %s", answer->error);
		(void)snprintf(input->unlisted, sizeof(input->unlisted), "%s", answer->error);
	} else {
		note_left(input, answer->error);
	}
	while (left > 0) {
		size_t length = strnlen(at, left);

		if (length == left)
			break;
		take_collection(input, at);
		at += length + 1;
		left -= length + 1;
	}
	if (!input->listed && !input->readers && !input->unserved[0] && answer->result == STORE_OK)
		say_none(input);
	input->listed = true;
	if (input->config->once) {
		input_check_end(input);
	} else {
		/* While nothing new appears, searches become less frequent. */
		if (n_before == 0 || n_before != input->n_readers)
			input->discover_slower = 1;
		else if (input->discover_slower < DISCOVER_SLOWER)
			input->discover_slower++;
		/* A timer that has fired must be given its delay again. */
		ev_timer_set(&input->discover,
			     UNIT_S_OF_MS(input->config->discover_ms) * input->discover_slower, 0);
		ev_timer_start(input->loop, &input->discover);
	}
}

static void discover(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct input *input = timer->data;

	(void)loop, (void)events;
	ev_timer_stop(input->loop, timer);
	(void)db_client_list(input->client, input->files ? collection_prefix(COLLECTION_REPORTS) : "",
			     take_list, input);
}

void input_start(struct input *input)
{
	ev_init(&input->discover, discover);
	input->discover.data = input;
	discover(input->loop, &input->discover, 0);
}

static void explain_reader(const struct reader *reader, void (*each)(void *data, const char *what),
			   void *data)
{
	char text[600];

	if (reader->failed)
		(void)snprintf(text, sizeof(text), "'%s' was not read: %s", reader->collection, reader->said);
	else if (reader->n_said > 1)
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64 " malformed lines or rows of '%s', the last: %s", reader->n_damaged,
			       reader->collection, reader->said);
	else
		(void)snprintf(text, sizeof(text), "%s", reader->said);
	if (text[0])
		each(data, text);
}

void input_explain(const struct input *input, void (*each)(void *data, const char *what), void *data)
{
	char text[400];

	if (input->unlisted[0]) {
		(void)snprintf(text, sizeof(text), "its collections could not be listed: %s",
			       input->unlisted);
		each(data, text);
	}
	if (input->unserved[0])
		each(data, input->unserved);
	if (input->left[0])
		each(data, input->left);
	for (const struct reader *reader = input->readers; reader; reader = reader->next)
		explain_reader(reader, each, data);
	if (input->statistics.excess) {
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64
			       " reports of sensors above the limit per collection (%d) or per server",
			       input->statistics.excess, READER_SENSORS_MAX);
		each(data, text);
	}
}

const struct input_statistics *input_get_statistics(const struct input *input)
{
	return &input->statistics;
}

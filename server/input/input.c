/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reader for each sensor collection. Databases are read by time: from the last finished tick on, so that
 * what an incomplete tick lacks is found when it is read again. Files are read by offset and may hold several
 * sensors. After a tick the reader rests until the next one can be expected (pace.c).
 */
#include "input/input_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_FIRST     4000 /* documents */
#define LIMIT_MAX       1000000
#define FAILED_S        1.0 /* until the next look where one could not be asked for */
#define DISCOVER_SLOWER 4   /* times --discover where nothing new has come for long */

static void reader_look(struct ev_loop *loop, ev_timer *timer, int events);

struct input *input_new(struct ev_loop *loop, struct db_client *client, const struct server_config *config,
			const struct input_events *events)
{
	struct input *input = calloc(1, sizeof(*input));

	if (!input)
		return NULL;
	input->loop = loop;
	input->client = client;
	input->config = config;
	input->events = *events;
	input_turn_init(input);
	input->files =
		strncmp(config->input_uri, "bson:", 5) == 0 || strncmp(config->input_uri, "jsonl:", 6) == 0;
	return input;
}

void input_stop(struct input *input)
{
	input->stopped = true;
	ev_timer_stop(input->loop, &input->discover);
	input_turn_stop(input);
	for (struct reader *reader = input->readers; reader; reader = reader->next)
		ev_timer_stop(input->loop, &reader->timer);
}

void input_free(struct input *input)
{
	if (!input)
		return;
	input_stop(input);
	for (struct reader *reader = input->readers, *next; reader; reader = next) {
		next = reader->next;
		free(reader->collection);
		free(reader);
	}
	free(input);
}

static void check_end(struct input *input)
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

static void reader_rest(struct reader *reader, double seconds)
{
	if (reader->input->stopped)
		return;
	ev_timer_stop(reader->input->loop, &reader->timer);
	ev_timer_set(&reader->timer, seconds, 0);
	ev_timer_start(reader->input->loop, &reader->timer);
}

/* When to look next. */
static void reader_plan(struct reader *reader, const struct db_answer *answer,
			const struct reader_found *found)
{
	const struct machine *machine = reader->machine;

	if (!answer->read.end) {
		if (!reader->input->files && !found->n_ticks && reader->limit < LIMIT_MAX)
			reader->limit *= 2;
		reader_rest(reader, 0);
	} else if (reader->input->config->once) {
		reader->ended = true;
		check_end(reader->input);
	} else if (found->n_ticks && machine && machine->time_ms != INT64_MIN) {
		reader_rest(reader, pace_found(&reader->pace, reader->looked_ms, machine->time_ms,
					       clock_realtime_ms(), machine_interval_s(machine)));
	} else {
		reader_rest(reader, pace_missed(&reader->pace, found->n_new > 0));
	}
}

static void reader_answered(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;
	struct reader_found found = {0};
	int r;

	reader->input->statistics.reads++;
	input_turn_over(reader->input);
	if (reader->input->stopped)
		return;
	if (answer->result != STORE_OK) {
		reader->input->statistics.failed++;
		log_error(INPUT_TOKEN, 0, "cannot read '%s': %s", reader->collection, answer->error);
		if (answer->result == STORE_DROP)
			reader->ended = true;
	} else if (answer->read.damaged || (answer->error[0] && reader->input->config->once)) {
		reader->input->statistics.damaged += answer->read.damaged;
		log_warning(INPUT_TOKEN, 0, "%s", answer->error);
	}
	r = reader_take(reader, answer->documents, &found);
	reader->input->statistics.documents += found.n_documents;
	if (r < 0)
		log_error(INPUT_TOKEN, r, "%s: reports could not be worked off; trying again",
			  reader->collection);
	reader->offset = answer->read.offset;
	if (reader->ended && reader->input->config->once)
		check_end(reader->input);
	else
		reader_plan(reader, answer, &found);
	if (answer->read.end)
		reader_look_late(reader);
	input_turn_go(reader->input);
}

static void reader_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	input_turn_ask(timer->data);
}

int reader_read(struct reader *reader)
{
	struct input *input = reader->input;
	struct store_query query = {
		.collection = reader->collection,
		.after_ms = input->files ? INT64_MIN : join_position(reader->machine->join),
		.until_ms = INT64_MAX,
		.offset = reader->offset,
		.limit = reader->limit,
	};
	int r = db_client_read(input->client, &query, reader_answered, reader);

	reader->looked_ms = clock_realtime_ms();
	if (r == -ENOMEM)
		reader_rest(reader, FAILED_S);
	return r;
}

static int add_reader(struct input *input, const char *collection)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->collection = strdup(collection);
	if (reader->collection && !input->files)
		reader->machine = input->events.machine(input->events.data,
							collection + strlen(SENSOR_PREFIX), collection);
	if (!reader->collection || (!input->files && !reader->machine)) {
		free(reader->collection);
		free(reader);
		return -ENOMEM;
	}
	reader->input = input;
	reader->limit = LIMIT_FIRST;
	reader->pace = pace_init((double)input->config->poll_ms / 1000);
	ev_init(&reader->timer, reader_look);
	reader->timer.data = reader;
	reader->next = input->readers;
	input->readers = reader;
	input->n_readers++;
	reader_rest(reader, 0);
	return 0;
}

static void take_collection(struct input *input, const char *collection)
{
	if (strncmp(collection, SENSOR_PREFIX, strlen(SENSOR_PREFIX)) != 0)
		return;
	for (struct reader *reader = input->readers; reader; reader = reader->next) {
		if (strcmp(reader->collection, collection) == 0)
			return;
	}
	/* A file's sensors are named by its documents. */
	if (!input->files && !input_wants(input, collection + strlen(SENSOR_PREFIX)))
		return;
	if (add_reader(input, collection) < 0)
		log_error(INPUT_TOKEN, -ENOMEM, "cannot serve '%s'", collection);
	else
		log_info(INPUT_TOKEN, 0, "reading '%s'", collection);
}

static void take_list(void *data, const struct db_answer *answer)
{
	struct input *input = data;
	const char *at = (const char *)answer->documents->data;
	size_t left = answer->documents->length;
	unsigned n_before = input->n_readers;

	if (input->stopped)
		return;
	if (answer->result != STORE_OK)
		log_error(INPUT_TOKEN, 0, "cannot look for sensors: %s", answer->error);
	while (left > 0) {
		size_t length = strnlen(at, left);

		if (length == left)
			break;
		take_collection(input, at);
		at += length + 1;
		left -= length + 1;
	}
	if (!input->listed && !input->readers && !input->config->once)
		log_notice(INPUT_TOKEN, 0, "no collection named sensor* yet; waiting for a sensor");
	input->listed = true;
	if (input->config->once) {
		check_end(input);
	} else {
		/* Where nothing new comes it is looked for less and less often. */
		if (n_before == 0 || n_before != input->n_readers)
			input->discover_slower = 1;
		else if (input->discover_slower < DISCOVER_SLOWER)
			input->discover_slower++;
		/* A timer that has run keeps no delay: it must be set anew. */
		ev_timer_set(&input->discover,
			     (double)input->config->discover_ms / 1000 * input->discover_slower, 0);
		ev_timer_start(input->loop, &input->discover);
	}
}

static void discover(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct input *input = timer->data;

	(void)loop, (void)events;
	ev_timer_stop(input->loop, timer);
	(void)db_client_list(input->client, SENSOR_PREFIX, take_list, input);
}

void input_start(struct input *input)
{
	ev_init(&input->discover, discover);
	input->discover.data = input;
	(void)db_client_list(input->client, SENSOR_PREFIX, take_list, input);
}

const struct input_statistics *input_get_statistics(const struct input *input)
{
	return &input->statistics;
}

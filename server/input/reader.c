/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one sensor collection. Databases are read by time, starting at the last finished tick, so that
 * rereading an incomplete tick finds its missing reports. Files are read by offset and may hold several
 * sensors. Documents are passed to their machine, and every finished tick is processed. Then the reader waits
 * until the next tick is due (pace.c). Called by input.c.
 */
#include "input/reader.h"

#include "document/collections.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_FIRST      4000 /* documents */
#define LIMIT_SHARED     1000 /* if other sensors' ticks may be waiting meanwhile */
#define LIMIT_MAX        1000000
#define TICKS_LEAST      4   /* per answer: the reports of the last one are read again with the next answer */
#define FAILED_S         1.0 /* until the next attempt if a request could not be sent */
#define COMPLAIN_EACH_MS 60000
#define LATE_AFTER_MS    10000 /* after the grace period */
#define BAD_READINGS     8     /* how long a malformed document is remembered after it was last read */
#define LATE_EACH_MS     2000  /* sensors that do not announce their reports are checked by samples */

/* Contents of an answer. */
struct found {
	unsigned n_new;
	unsigned n_ticks;
};

/* Documents of the next answer. */
static unsigned limit_of(const struct reader *reader)
{
	const bool shared = !reader->input->files && input_is_shared(reader->input);

	return shared || reader->limit > LIMIT_FIRST ? reader->limit : LIMIT_FIRST;
}

static int64_t now_ms_of(const struct input *input)
{
	/* With --once only the reports' own times count. */
	return input->config->once ? 0 : clock_realtime_ms();
}

/* Logs from time to time which reports could not be used. */
static void complain(const struct reader *reader, struct reader_source *source)
{
	const struct machine *machine = source->machine;
	const uint64_t n_late = machine->n.late - source->complained.late;
	const uint64_t n_bad = machine->n.bad - source->complained.bad;
	const uint64_t n_overlapping = machine->n.overlapping - source->complained.overlapping;
	int64_t now_ms = clock_realtime_ms();

	if (!n_late && !n_bad && !n_overlapping)
		return;
	if (source->complained_ms && now_ms - source->complained_ms < COMPLAIN_EACH_MS)
		return;
	if (n_late)
		log_warning(INPUT_TOKEN, 0,
			    "%s: %" PRIu64
			    " reports arrived after their tick was processed (--grace is %" PRIu64
			    " ms); they are not used",
			    machine->name, n_late, reader->input->config->grace_ms);
	if (n_bad)
		log_warning(INPUT_TOKEN, 0, "%s: %" PRIu64 " malformed documents in '%s'; the last: %s",
			    machine->name, n_bad, machine->reports, machine->why.text);
	if (n_overlapping)
		log_warning(INPUT_TOKEN, 0,
			    "%s: ticks overlap; do two sensors have this name (--name), or was its "
			    "clock set back?",
			    machine->name);
	source->complained = machine->n;
	source->complained_ms = now_ms;
}

/*
 * A database's documents are read again until their tick is finished, and with several sensors in a
 * collection until the ticks of all are: malformed ones must be counted only once.
 */
static bool knew_bad(struct reader *reader, const uint8_t *document, size_t length)
{
	uint64_t hash = hash_bytes(HASH_START, document, length);
	struct reader_bad *known;

	HASH_FIND(hh, reader->bad, &hash, sizeof(hash), known);
	if (known) {
		known->reading = reader->n_readings;
		return true;
	}
	if (HASH_COUNT(reader->bad) >= READER_BAD)
		return false;
	known = calloc(1, sizeof(*known));
	if (!known)
		return false;
	known->hash = hash;
	known->reading = reader->n_readings;
	HASH_ADD(hh, reader->bad, hash, sizeof(known->hash), known);
	return false;
}

static void forget_bad(struct reader *reader, uint64_t before)
{
	struct reader_bad *known, *next;

	HASH_ITER(hh, reader->bad, known, next)
	{
		if (known->reading < before) {
			HASH_DEL(reader->bad, known);
			free(known);
		}
	}
}

/* Accepts one document. 1: it was new, 0: not, -ENOMEM. */
static int feed(struct reader *reader, struct machine *machine, const uint8_t *document, size_t length)
{
	struct input *input = reader->input;
	enum join_fed fed;
	int r = machine_feed(machine, document, length, now_ms_of(input), &fed);

	if (r == -EBADMSG) {
		if (!input->files && knew_bad(reader, document, length))
			machine_uncount_bad(machine);
		return 0;
	}
	if (r < 0)
		return r;
	if (fed == JOIN_DUPLICATE && input->files)
		machine_count_duplicate(machine);
	else if (fed == JOIN_LATE && (input->files || reader->n_sources == 1))
		machine_count_late(machine);
	return fed == JOIN_NEW;
}

static int work(struct reader *reader, struct machine *machine, bool more)
{
	struct input *input = reader->input;
	int n = machine_drain(machine, now_ms_of(input), false);

	if (n < 0)
		return n;
	for (unsigned i = 0; !more && i < reader->n_sources; i++) {
		if (reader->sources[i].machine == machine)
			complain(reader, &reader->sources[i]);
	}
	if (!more)
		machine_complain(machine, reader->collection);
	if (n || !more)
		input->events.worked(input->events.data, machine, more);
	return n;
}

static int take(struct reader *reader, const struct batch *documents, struct found *found)
{
	const uint8_t *document;
	size_t offset = 0, length;
	int r;

	while ((r = batch_next(documents, &offset, &document, &length)) == 1) {
		struct machine *machine = reader_find_machine(reader, document, length);

		if (!machine)
			continue;
		r = feed(reader, machine, document, length);
		if (r < 0)
			return r;
		found->n_new += (unsigned)r;
		if (!r || join_pending(machine->join) < 2)
			continue;
		/* Finished ticks are processed early, so that no long backlog builds up. */
		r = work(reader, machine, true);
		if (r < 0)
			return r;
		found->n_ticks += (unsigned)r;
	}
	for (unsigned i = 0; r >= 0 && i < reader->n_sources; i++) {
		r = work(reader, reader->sources[i].machine, false);
		found->n_ticks += r > 0 ? (unsigned)r : 0;
	}
	reader->n_readings++;
	forget_bad(reader, reader->n_readings > BAD_READINGS ? reader->n_readings - BAD_READINGS : 0);
	if (reader->input->files)
		reader->input->events.worked(reader->input->events.data, NULL, false);
	return r < 0 ? r : 0;
}

static void late_answered(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;

	reader->looking_late = false;
	if (!reader->input->stopped && answer->result == STORE_OK && reader->n_sources)
		machine_count_gap(reader->sources[0].machine, &reader->late, answer->documents);
}

/*
 * Reports that were stored after their tick had been finished would never be seen, since a database is read
 * from the last finished tick on. An incomplete tick is therefore read once more after some time, and reports
 * that arrived since are counted.
 */
static void look_late(struct reader *reader)
{
	struct input *input = reader->input;
	int64_t now_ms = clock_realtime_ms(),
		before_ms = now_ms - (int64_t)input->config->grace_ms - LATE_AFTER_MS;
	struct store_query query = {.collection = reader->collection};

	/* With several sensors in a collection, the documents of one moment cannot be counted this way. */
	if (input->files || reader->n_sources != 1 || input->config->once || reader->looking_late)
		return;
	if (now_ms - reader->late_ms < LATE_EACH_MS ||
	    !machine_take_gap(reader->sources[0].machine, before_ms, &reader->late))
		return;
	reader->late_ms = now_ms;
	query.after_ms = reader->late.time_ms - 1;
	query.until_ms = reader->late.time_ms;
	reader->looking_late = db_client_read(input->client, &query, late_answered, reader) == 0;
}

static void rest(struct reader *reader, double seconds)
{
	if (reader->input->stopped)
		return;
	ev_timer_stop(reader->input->loop, &reader->timer);
	ev_timer_set(&reader->timer, seconds, 0);
	ev_timer_start(reader->input->loop, &reader->timer);
}

/* When to look next. */
static void plan(struct reader *reader, const struct db_answer *answer, const struct found *found)
{
	const struct machine *machine =
		!reader->input->files && reader->n_sources == 1 ? reader->sources[0].machine : NULL;

	if (!answer->read.end) {
		if (!reader->input->files && found->n_ticks < TICKS_LEAST && reader->limit < LIMIT_MAX)
			reader->limit = 2 * limit_of(reader);
		rest(reader, 0);
	} else if (reader->input->config->once) {
		reader->ended = true;
		input_check_end(reader->input);
	} else if (found->n_ticks && machine && machine->time_ms != INT64_MIN) {
		rest(reader, pace_found(&reader->pace, reader->looked_ms, machine->time_ms,
					clock_realtime_ms(), machine_interval_s(machine)));
	} else {
		rest(reader, pace_missed(&reader->pace, found->n_new > 0));
	}
}

static void note_damage(struct reader *reader, const struct db_answer *answer)
{
	const unsigned n = answer->read.damaged ? answer->read.damaged : 1;

	reader->input->statistics.damaged += n;
	reader->n_damaged += n;
	reader->n_said++;
	if (!reader->failed)
		(void)snprintf(reader->said, sizeof(reader->said), "%s", answer->error);
	log_warning(INPUT_TOKEN, 0, "%s", answer->error);
}

static void answered(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;
	struct found found = {0};
	int r;

	reader->input->statistics.reads++;
	reader->input->n_reading--;
	if (reader->input->stopped)
		return;
	if (answer->result != STORE_OK) {
		reader->input->statistics.failed++;
		reader->failed = true;
		(void)snprintf(reader->said, sizeof(reader->said), "%s", answer->error);
		log_error(INPUT_TOKEN, 0, "cannot read '%s': %s", reader->collection, answer->error);
		if (answer->result == STORE_DROP)
			reader->ended = true;
	} else if (answer->read.damaged || (answer->error[0] && reader->input->config->once)) {
		note_damage(reader, answer);
	}
	if (answer->read.replaced)
		log_notice(INPUT_TOKEN, 0,
			   "the file of '%s' was cut or replaced: it is read from its beginning",
			   reader->collection);
	r = take(reader, answer->documents, &found);
	if (r < 0)
		log_error(INPUT_TOKEN, r, "%s: reports could not be processed; retrying", reader->collection);
	if (answer->result == STORE_OK && answer->read.end) {
		for (unsigned i = 0; i < reader->n_sources; i++)
			machine_catch_up(reader->sources[i].machine);
	}
	reader->offset = answer->read.offset;
	reader->behind = answer->result == STORE_OK && !answer->read.end;
	if (reader->ended && reader->input->config->once)
		input_check_end(reader->input);
	else
		plan(reader, answer, &found);
	if (answer->read.end) {
		look_late(reader);
		reader_look_ahead(reader, found.n_new);
	}
	input_next_turn(reader->input);
}

static void look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	input_ask_turn(timer->data);
}

int reader_read(struct reader *reader)
{
	struct input *input = reader->input;
	struct store_query query = {
		.collection = reader->collection,
		.after_ms = input->files ? INT64_MIN : reader_begin_ms(reader),
		.until_ms = reader_until_ms(reader),
		.offset = reader->offset,
		.limit = limit_of(reader),
	};
	int r;

	reader->asked_after_ms = query.after_ms;
	r = db_client_read(input->client, &query, answered, reader);
	reader->looked_ms = clock_realtime_ms();
	if (r == -ENOMEM)
		rest(reader, FAILED_S);
	return r;
}

struct reader *reader_new(struct input *input, const char *collection)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->collection = strdup(collection);
	reader->input = input;
	if (!reader->collection ||
	    (!input->files &&
	     !reader_add_machine(reader, collection_machine(COLLECTION_REPORTS, collection)))) {
		reader_free(reader);
		return NULL;
	}
	reader->limit = LIMIT_SHARED;
	reader->ahead_ms = MACHINE_AHEAD_MS;
	reader->beyond_ms = INT64_MIN;
	reader->pace = pace_init(UNIT_S_OF_MS(input->config->poll_ms));
	ev_init(&reader->timer, look);
	reader->timer.data = reader;
	rest(reader, 0);
	return reader;
}

void reader_stop(struct reader *reader)
{
	ev_timer_stop(reader->input->loop, &reader->timer);
}

void reader_free(struct reader *reader)
{
	forget_bad(reader, UINT64_MAX);
	free(reader->collection);
	free(reader->sources);
	free(reader);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor's clock that was ahead and has been set back, as by NTP: its reports are now dated before the
 * position and would not be read until its clock has passed it again. If the position is in the future,
 * reports that arrive before it are looked for; if they keep arriving and no others do, reading continues
 * from there. Called by reader_ahead.c.
 */
#include "input/reader.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>

#define WINDOW_MS 120000 /* more than the time between two looks */
#define CONFIRMED 2      /* consecutive looks that found something */

#define SILENT_LOOKS 3 /* consecutive looks without any new report */

static struct store_query query_of(const struct reader *reader, int64_t after_ms)
{
	return (struct store_query){.collection = reader->collection,
				    .after_ms = after_ms,
				    .until_ms = reader->behind_until_ms,
				    .limit = 1,
				    .newest_first = true};
}

/* Time of the answer's report; INT64_MIN: none. */
static int64_t time_of(struct machine *machine, const struct db_answer *answer)
{
	const uint8_t *document;
	size_t offset = 0, length;

	if (batch_next(answer->documents, &offset, &document, &length) != 1 ||
	    !machine_can_read(machine, document, length))
		return INT64_MIN;
	return machine->decoded.time_ms;
}

static void begin_window(struct reader *reader, int64_t position_ms)
{
	reader->behind_until_ms = clock_realtime_ms() + WINDOW_MS;
	if (reader->behind_until_ms >= position_ms)
		reader->behind_until_ms = position_ms - 1;
}

static void marked(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;

	reader->looking_behind = false;
	if (reader->input->stopped || answer->result != STORE_OK || !reader->n_sources)
		reader->behind_until_ms = 0;
	else
		reader->behind_ms = time_of(reader->sources[0].machine, answer);
}

/* Notes what is stored now: only later arrivals count. */
static void mark(struct reader *reader)
{
	struct store_query query;

	begin_window(reader, join_position(reader->sources[0].machine->join));
	reader->n_behind = 0;
	query = query_of(reader, INT64_MIN);
	reader->looking_behind = db_client_read(reader->input->client, &query, marked, reader) == 0;
	if (!reader->looking_behind)
		reader->behind_until_ms = 0;
}

static void set_back(struct reader *reader)
{
	struct machine *machine = reader->sources[0].machine;
	char time[TEXT_TIME_SIZE];

	log_warning(INPUT_TOKEN, 0,
		    "'%s': the sensor's clock was set back by about %" PRId64
		    " s: its reports are read from %s on",
		    reader->collection, (join_position(machine->join) - clock_realtime_ms()) / 1000,
		    text_format_time(reader->behind_from_ms, time, sizeof(time)) ? time : "an early date");
	machine_set_back(machine, reader->behind_from_ms);
	reader->ahead_ms = MACHINE_AHEAD_MS;
	reader->beyond_ms = INT64_MIN;
	reader->behind_until_ms = 0;
}

/* Reports dated where others are already cannot be told apart from those: at least it is said. */
static void note_silence(struct reader *reader, const struct machine *machine)
{
	char time[TEXT_TIME_SIZE];

	reader->n_silent = reader->n_found == reader->n_found_behind ? reader->n_silent + 1 : 0;
	reader->n_found_behind = reader->n_found;
	if (reader->n_silent != SILENT_LOOKS)
		return;
	log_warning(
		INPUT_TOKEN, 0,
		"'%s': no reports after the last tick, which is dated %s, %" PRId64
		" s ahead of this machine's clock; if a clock was set back, reports dated before that tick "
		"are not read: restart the server to read from the current time on",
		reader->collection,
		text_format_time(join_position(machine->join), time, sizeof(time)) ? time : "a distant date",
		(join_position(machine->join) - clock_realtime_ms()) / 1000);
}

static void checked(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;
	struct machine *machine = reader->n_sources == 1 ? reader->sources[0].machine : NULL;
	int64_t time_ms = INT64_MIN;

	reader->looking_behind = false;
	if (reader->input->stopped)
		return;
	if (machine && answer->result == STORE_OK)
		time_ms = time_of(machine, answer);
	if (time_ms == INT64_MIN) {
		if (machine) {
			note_silence(reader, machine);
			mark(reader);
		}
		return;
	}
	reader->n_silent = 0;
	if (reader->n_found != reader->n_found_behind) {
		/* Perhaps it has just been set back: what has arrived since the mark is not forgotten. */
		reader->n_found_behind = reader->n_found;
		reader->n_behind = 0;
		return;
	}
	if (!reader->n_behind++)
		reader->behind_from_ms =
			reader->behind_ms == INT64_MIN ? time_ms - WINDOW_MS : reader->behind_ms;
	reader->behind_ms = time_ms;
	begin_window(reader, join_position(machine->join));
	if (reader->n_behind >= CONFIRMED)
		set_back(reader);
}

void reader_look_behind(struct reader *reader)
{
	struct store_query query;

	if (reader->looking_behind)
		return;
	/* With several sensors, it is not known whose reports are new. */
	if (reader->n_sources != 1 ||
	    join_position(reader->sources[0].machine->join) <= clock_realtime_ms() + MACHINE_AHEAD_MS) {
		reader->behind_until_ms = 0;
		return;
	}
	if (!reader->behind_until_ms ||
	    (!reader->n_behind && clock_realtime_ms() > reader->behind_until_ms)) {
		mark(reader);
		return;
	}
	query = query_of(reader, reader->behind_ms);
	reader->looking_behind = db_client_read(reader->input->client, &query, checked, reader) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports dated in the future. None of them must become the position, or all correct ones would be late, so a
 * database is read only up to the present. Later reports are checked from time to time: if their newest time
 * advances while no others arrive, the sensor's clock is ahead, and its reports are read. Called by reader.c.
 */
#include "input/reader.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>

#define LOOK_FIRST_MS 2000 /* between two looks; increases while nothing is found */
#define LOOK_LAST_MS  60000

int64_t reader_until_ms(const struct reader *reader)
{
	if (reader->input->files || reader->input->config->once)
		return INT64_MAX;
	return clock_realtime_ms() + reader->ahead_ms;
}

static void say_left(const struct reader *reader, int64_t time_ms, int64_t now_ms)
{
	char time[TEXT_TIME_SIZE];

	log_warning(INPUT_TOKEN, 0,
		    "'%s': there are reports dated up to %s, %" PRId64
		    " s ahead of this machine's clock: they are not read until then; check the "
		    "clocks of both machines",
		    reader->collection,
		    text_format_time(time_ms, time, sizeof(time)) ? time : "a distant date",
		    (time_ms - now_ms) / 1000);
}

/* The sensor's clock is ahead of ours, as far as this report. */
static void allow(struct reader *reader, int64_t time_ms, int64_t now_ms)
{
	log_notice(INPUT_TOKEN, 0,
		   "'%s': the sensor's clock is %" PRId64 " s ahead of this machine's: its reports are read",
		   reader->collection, (time_ms - now_ms) / 1000);
	reader->ahead_ms = time_ms - now_ms + MACHINE_AHEAD_MS;
	for (unsigned i = 0; i < reader->n_sources; i++)
		machine_allow_ahead(reader->sources[i].machine, reader->ahead_ms, time_ms);
}

static void looked(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;
	const int64_t before_ms = reader->beyond_ms, now_ms = clock_realtime_ms();
	const uint8_t *document;
	size_t offset = 0, length;
	int64_t newest_ms = INT64_MIN;

	reader->looking_ahead = false;
	if (reader->input->stopped || answer->result != STORE_OK || !reader->n_sources)
		return;
	while (batch_next(answer->documents, &offset, &document, &length) == 1) {
		struct machine *machine = reader->sources[0].machine;

		/* The document's own time: that of a row may differ. */
		if (machine_can_read(machine, document, length) && machine->decoded.time_ms > newest_ms &&
		    machine->decoded.time_ms > reader_until_ms(reader))
			newest_ms = machine->decoded.time_ms;
	}
	reader->beyond_ms = newest_ms;
	if (newest_ms == INT64_MIN)
		return;
	if (before_ms == INT64_MIN)
		say_left(reader, newest_ms, now_ms);
	else if (newest_ms > before_ms && newest_ms - now_ms <= MACHINE_AHEAD_MAX_MS &&
		 reader->n_found == reader->n_found_before)
		allow(reader, newest_ms, now_ms);
	reader->look_wait_ms = newest_ms > before_ms ? LOOK_FIRST_MS : reader->look_wait_ms;
	reader->n_found_before = reader->n_found;
}

void reader_look_ahead(struct reader *reader, unsigned n_new)
{
	const int64_t now_ms = (int64_t)(clock_monotonic_ns() / CLOCK_NS_PER_MS);
	struct store_query query = {.collection = reader->collection,
				    .after_ms = reader_until_ms(reader),
				    .until_ms = INT64_MAX,
				    .limit = 1,
				    .newest_first = true};

	reader->n_found += n_new;
	if (query.after_ms == INT64_MAX || reader->looking_ahead || now_ms < reader->look_at_ms)
		return;
	reader->look_wait_ms = n_new || !reader->look_wait_ms ? LOOK_FIRST_MS : 2 * reader->look_wait_ms;
	if (reader->look_wait_ms > LOOK_LAST_MS)
		reader->look_wait_ms = LOOK_LAST_MS;
	reader->look_at_ms = now_ms + reader->look_wait_ms;
	reader->looking_ahead = db_client_read(reader->input->client, &query, looked, reader) == 0;
	reader_look_behind(reader);
}

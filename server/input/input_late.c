/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports that were stored after their tick had been finished: databases are read from the last finished tick
 * on, so they would never be seen. A tick that lacked something is read once more when some time has gone by,
 * and what has come since is counted. Called by input.c at the end of an answer.
 */
#include "input/input_private.h"

#include "base/clock.h"

#include <string.h>

#define LATE_AFTER_MS 10000 /* behind the grace period */
#define LATE_EACH_MS  2000  /* sensors that do not announce their reports are seen to by samples */

static void late_answered(void *data, const struct db_answer *answer)
{
	struct reader *reader = data;
	struct machine *machine = reader->machine;
	uint64_t n = 0;
	const uint8_t *document;
	size_t offset = 0, length;

	reader->looking_late = false;
	if (reader->input->stopped || answer->result != STORE_OK)
		return;
	while (batch_next(answer->documents, &offset, &document, &length) == 1)
		n += report_bson_decode(document, length, machine->names, &machine->decoded, &machine->why) ==
		     0;
	if (n > reader->late.n_reports)
		machine->n.late += n - reader->late.n_reports;
}

void reader_look_late(struct reader *reader)
{
	struct input *input = reader->input;
	struct machine *machine = reader->machine;
	int64_t now_ms = clock_realtime_ms();
	struct store_query query = {.collection = reader->collection};

	if (input->files || input->config->once || reader->looking_late || !machine->n_gaps)
		return;
	if (now_ms - reader->late_ms < LATE_EACH_MS ||
	    now_ms - machine->gaps[0].fed_ms < (int64_t)input->config->grace_ms + LATE_AFTER_MS)
		return;
	reader->late_ms = now_ms;
	reader->late = machine->gaps[0];
	memmove(machine->gaps, machine->gaps + 1, --machine->n_gaps * sizeof(machine->gaps[0]));
	query.after_ms = reader->late.time_ms - 1;
	query.until_ms = reader->late.time_ms;
	reader->looking_late = db_client_read(input->client, &query, late_answered, reader) == 0;
}

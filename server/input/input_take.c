/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read goes to the machine it is of, and every tick that is over is worked off. Called by input.c
 * with each answer of the store.
 */
#include "input/input_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#define COMPLAIN_EACH_MS 60000

static int64_t input_now_ms(const struct input *input)
{
	/* With --once only the reports' own times count. */
	return input->config->once ? 0 : clock_realtime_ms();
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

static struct machine *reader_machine(struct reader *reader, const uint8_t *document, size_t length)
{
	struct input *input = reader->input;
	const char *sensor;

	if (!input->files)
		return reader->machine;
	sensor = report_bson_sensor(document, length);
	if (!sensor)
		sensor = reader->collection + strlen(SENSOR_PREFIX);
	if (!input_wants(input, sensor))
		return NULL;
	if (!reader->machine || strcmp(reader->machine->name, sensor) != 0)
		reader->machine = input->events.machine(input->events.data, sensor, reader->collection);
	return reader->machine;
}

/* Says once in a while what reports were of no use. */
static void reader_complain(struct reader *reader, struct machine *machine)
{
	int64_t now_ms = clock_realtime_ms();

	if (machine->n.late == reader->complained_late && machine->n.bad == reader->complained_bad &&
	    machine->n.overlapping == reader->complained_overlapping)
		return;
	if (reader->complained_ms && now_ms - reader->complained_ms < COMPLAIN_EACH_MS)
		return;
	if (machine->n.late > reader->complained_late)
		log_warning(INPUT_TOKEN, 0,
			    "%s: %" PRIu64 " reports came after their tick was finished (--grace is %" PRIu64
			    " ms); they "
			    "are not counted",
			    machine->name, (machine->n.late - reader->complained_late),
			    reader->input->config->grace_ms);
	if (machine->n.bad > reader->complained_bad)
		log_warning(INPUT_TOKEN, 0, "%s: %" PRIu64 " documents of '%s' are no reports; the last: %s",
			    machine->name, (machine->n.bad - reader->complained_bad), machine->reports,
			    machine->why.text);
	if (machine->n.overlapping > reader->complained_overlapping)
		log_warning(INPUT_TOKEN, 0,
			    "%s: ticks overlap; do two sensors have this name (--name), or was its "
			    "clock set back?",
			    machine->name);
	reader->complained_overlapping = machine->n.overlapping;
	reader->complained_late = machine->n.late;
	reader->complained_bad = machine->n.bad;
	reader->complained_ms = now_ms;
}

/* A database's documents are read again until their tick is finished: bad ones are to be counted once. */
static bool reader_knew_bad(struct reader *reader, const uint8_t *document, size_t length)
{
	uint64_t hash = 14695981039346656037u, *known;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ document[i]) * 1099511628211u;
	known = &reader->bad[hash % READER_BAD];
	if (*known == hash)
		return true;
	*known = hash;
	return false;
}

/* Takes one document in. 1: it was new, 0: not, -ENOMEM. */
static int reader_feed(struct reader *reader, struct machine *machine, const uint8_t *document, size_t length)
{
	struct input *input = reader->input;
	enum join_fed fed;
	int r = machine_feed(machine, document, length, input_now_ms(input), &fed);

	if (r == -EBADMSG) {
		machine->n.bad -= !input->files && reader_knew_bad(reader, document, length);
		return 0;
	}
	if (r < 0)
		return r;
	if (fed == JOIN_DUPLICATE)
		machine->n.duplicates += input->files;
	else if (fed == JOIN_LATE)
		machine->n.late += machine->decoded.time_ms > machine->resumed_ms;
	return fed == JOIN_NEW;
}

static int reader_work(struct reader *reader, struct machine *machine, bool more)
{
	struct input *input = reader->input;
	int n = machine_drain(machine, input_now_ms(input), false);

	if (n < 0)
		return n;
	if (!more)
		reader_complain(reader, machine);
	if (n || !more)
		input->events.worked(input->events.data, machine, more);
	return n;
}

int reader_take(struct reader *reader, const struct batch *documents, struct reader_found *found)
{
	const uint8_t *document;
	size_t offset = 0, length;
	int r;

	while ((r = batch_next(documents, &offset, &document, &length)) == 1) {
		struct machine *machine = reader_machine(reader, document, length);

		found->n_documents++;
		if (!machine)
			continue;
		r = reader_feed(reader, machine, document, length);
		if (r < 0)
			return r;
		found->n_new += (unsigned)r;
		if (!r || join_pending(machine->join) < 2)
			continue;
		/* Finished ticks leave early, so that a long backlog does not gather. */
		r = reader_work(reader, machine, true);
		if (r < 0)
			return r;
		found->n_ticks += (unsigned)r;
	}
	if (r == 0 && reader->machine) {
		r = reader_work(reader, reader->machine, false);
		found->n_ticks += r > 0 ? (unsigned)r : 0;
	}
	if (reader->input->files)
		reader->input->events.worked(reader->input->events.data, NULL, false);
	return r < 0 ? r : 0;
}

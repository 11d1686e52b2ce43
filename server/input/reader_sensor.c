/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the sensor that a document belongs to. A file's sensors are named in its documents. A database's
 * collection belongs to one machine and has its name; if other sensors write to it, as users of hwpc-sensor
 * do, each of them becomes a machine of its own, and this is logged. Called by reader.c.
 */
#include "input/reader.h"
#include "base/array.h"

#include "document/collections.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define SILENT_MS 60000 /* after this silence a sensor no longer holds up the others */

static const char *own_name(const struct reader *reader)
{
	const char *machine = collection_machine(COLLECTION_REPORTS, reader->collection);

	return machine ? machine : reader->collection;
}

static struct machine *make_machine(struct reader *reader, const char *name)
{
	struct input *input = reader->input;
	struct machine *machine = input->events.machine(input->events.data, name, reader->collection);
	char other[512];

	if (!machine || input->files)
		return machine;
	/* Another stream, in this or another collection, has a machine of this name: the two are never
	 * merged. */
	if (strcmp(machine->reports, reader->collection) == 0 &&
	    (reader->n_sources == 0 || strcmp(machine->sensor, name) == 0 || !machine->sensor[0]))
		return machine;
	(void)snprintf(other, sizeof(other), "%s.%s", own_name(reader), name);
	machine = input->events.machine(input->events.data, other, reader->collection);
	if (machine)
		log_warning(INPUT_TOKEN, 0,
			    "another sensor is already served as '%s': the sensor of that name in '%s' is "
			    "served as '%s'",
			    name, reader->collection, other);
	return machine;
}

struct machine *reader_add_machine(struct reader *reader, const char *name)
{
	struct machine *machine = make_machine(reader, name);

	for (unsigned i = 0; machine && i < reader->n_sources; i++) {
		if (reader->sources[i].machine == machine)
			return machine;
	}
	if (!machine || !ARRAY_RESIZE(reader->sources, reader->n_sources + 1))
		return NULL;
	reader->sources[reader->n_sources++] = (struct reader_source){.machine = machine};
	return machine;
}

/*
 * The first document of a further sensor. Its earlier documents were attributed to another machine, or will
 * be read again from its own stored position; then the documents of this read are left for the next one, and
 * NULL is returned.
 */
static struct machine *add_further(struct reader *reader, const char *sensor)
{
	struct machine *machine;

	if (reader->n_sources >= READER_SENSORS_MAX) {
		if (!reader->said_many)
			log_error(INPUT_TOKEN, 0,
				  "'%s' holds reports of more than %d sensors: those of '%s' and others are "
				  "left "
				  "out; give each sensor its own collection",
				  reader->collection, READER_SENSORS_MAX, sensor);
		reader->said_many = true;
		reader->input->statistics.excess++;
		return NULL;
	}
	machine = reader_add_machine(reader, sensor);
	if (!machine)
		return NULL;
	machine_adopt(machine, sensor, reader->asked_after_ms);
	log_notice(INPUT_TOKEN, 0,
		   "'%s' holds reports of several sensors: '%s' is served as machine '%s', '%s' as '%s'",
		   reader->collection, reader->sources[0].machine->sensor, reader->sources[0].machine->name,
		   sensor, machine->name);
	reader->sources[reader->n_sources - 1].held = join_position(machine->join) < reader->asked_after_ms;
	return reader->sources[reader->n_sources - 1].held ? NULL : machine;
}

static struct machine *find_in_collection(struct reader *reader, const char *sensor, const uint8_t *document,
					  size_t length)
{
	struct machine *own = reader->sources[0].machine;

	/* The collection's own machine is the sensor that came first, whatever its name. */
	if (!sensor || !own->sensor[0] || strcmp(own->sensor, sensor) == 0)
		return own;
	for (unsigned i = 1; i < reader->n_sources; i++) {
		if (strcmp(reader->sources[i].machine->sensor, sensor) == 0)
			return reader->sources[i].held ? NULL : reader->sources[i].machine;
	}
	/* A malformed document creates no machine: it is counted with the others. */
	if (!machine_can_read(own, document, length))
		return own;
	return add_further(reader, sensor);
}

struct machine *reader_find_machine(struct reader *reader, const uint8_t *document, size_t length)
{
	const char *sensor = report_bson_sensor(document, length);
	struct machine *machine;

	if (!reader->input->files)
		return find_in_collection(reader, sensor, document, length);
	if (!sensor)
		sensor = own_name(reader);
	for (unsigned i = 0; i < reader->n_sources; i++) {
		if (strcmp(reader->sources[i].machine->name, sensor) == 0)
			return reader->sources[i].machine;
	}
	if (reader->n_sources > 0 && !machine_can_read(reader->sources[0].machine, document, length))
		return reader->sources[0].machine;
	if (!input_wants(reader->input, sensor))
		return NULL;
	machine = reader_add_machine(reader, sensor);
	reader->input->statistics.excess += !machine;
	return machine;
}

int64_t reader_begin_ms(struct reader *reader)
{
	int64_t now_ms = clock_realtime_ms(), begin_ms = INT64_MAX, newest_ms = INT64_MIN;

	for (unsigned i = 0; i < reader->n_sources; i++) {
		const struct machine *machine = reader->sources[i].machine;
		int64_t position_ms = join_position(machine->join);
		bool silent = machine->caught_up && now_ms - machine->fed_ms > SILENT_MS;

		reader->sources[i].held = false;
		if (position_ms > newest_ms)
			newest_ms = position_ms;
		if (position_ms < begin_ms && (!silent || reader->n_sources == 1))
			begin_ms = position_ms;
	}
	return begin_ms == INT64_MAX ? newest_ms : begin_ms;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source of reports: finds the sensor collections, including later ones, and reads each from its own
 * position. A sensor that fails does not stop the others.
 */
#pragma once

#include "db/db_client.h"
#include "machine/machine.h"

struct input;

struct input_events {
	/*
	 * The machine of this name, created if it is new; NULL if out of memory. `reports`: its collection.
	 */
	struct machine *(*machine)(void *data, const char *name, const char *reports);
	/*
	 * Ticks were processed: power reports wait in machine->out. `more`: others from the same answer
	 * follow. NULL: end of an answer with reports of several machines.
	 */
	void (*worked)(void *data, struct machine *machine, bool more);
	/* With --once: every sensor has been read to its end. */
	void (*ended)(void *data);
	void *data;
};

struct input_statistics {
	uint64_t reads;   /* answers of the store */
	uint64_t failed;  /* answers that were errors */
	uint64_t damaged; /* malformed lines of files */
	uint64_t excess;  /* reports of sensors beyond a collection's limit, counted at each read */
	uint64_t paused;  /* reads postponed because writing lagged */
};

/*
 * NULL if out of memory. The clients and the options outlive the input. While `output` has much to write,
 * nothing is read.
 */
struct input *input_new(struct ev_loop *loop, struct db_client *client, const struct db_client *output,
			const struct server_config *config, const struct input_events *events);
void input_free(struct input *input);
/* Begins to look for sensors. */
void input_start(struct input *input);
/* Stops reading. */
void input_stop(struct input *input);
const struct input_statistics *input_get_statistics(const struct input *input);
/* Calls `each` with a phrase for each cause of skipped or unreadable input. */
void input_explain(const struct input *input, void (*each)(void *data, const char *what), void *data);

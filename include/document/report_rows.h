/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power reports of a whole tick: what rows have in common is encoded and hashed once. The bytes are those of
 * report_bson_add_power(), row by row. Called by the server's output; nothing here allocates once it is warm.
 */
#pragma once

#include "document/report_bson.h"

#define REPORT_ROWS_NUMBERS 5

/* A target's part of its rows: made once for a tick, used for each socket and scope. */
struct report_rows_target {
	const char *name;         /* as given; UTF-8 */
	const char *container_id; /* NULL or "": none */
	size_t name_length;
	size_t container_id_length;
	uint64_t hash; /* of tick, sensor and target */
	bool plain;    /* both are valid UTF-8: their bytes go out as they are */
};

/* What all rows of one tick, socket, scope and formula share. Start with zeroes. */
struct report_rows_shape {
	struct batch bytes; /* a whole report with an empty target */
	size_t target_at;   /* of the target's length word */
	size_t rest_at;     /* behind the target's NUL */
	size_t metadata_at; /* of the metadata's length word */
	size_t numbers_at[REPORT_ROWS_NUMBERS];
	struct report_power common; /* its strings stay the caller's */
};

/* Hash of a tick's time and sensor, where its targets' begin. */
uint64_t report_rows_begin(int64_t time_ms, const char *sensor);
struct report_rows_target report_rows_target(uint64_t begun, const char *name, const char *container_id);
/* Of `common`: time, sensor, socket, scope, formula, interval, error, estimated. 0, -EINVAL, -ENOMEM. */
int report_rows_shape(struct report_rows_shape *shape, const struct report_power *common);
/* Of `row`: power, ratio, dynamic, fixed, energy_j. Errors as report_bson_add_power(). */
int report_rows_add(struct batch *batch, const struct report_rows_shape *shape,
		    const struct report_rows_target *target, const struct report_power *row);
void report_rows_shape_done(struct report_rows_shape *shape);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parsed line of a CSV file. Private to the CSV store: store_csv_read.c and store_csv_file.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum csv_field { CSV_TIMESTAMP, CSV_SENSOR, CSV_TARGET, CSV_SOCKET, CSV_CPU, CSV_EVENTS };

struct csv_row {
	char *line; /* contains the fields */
	size_t size;
	char **fields;
	unsigned n_fields;
	unsigned n_allocated;
	int64_t time_ms; /* set by csv_row_is_good() */
	bool used;
	char delimiter;  /* between fields; 0: a comma */
	unsigned n_line; /* line number in the file at which it ends */
};

/*
 * Ends the field at `at` in place and removes its quotes. Returns the start of the next one, NULL after the
 * last.
 */
char *csv_field_end(char *at, char delimiter);
/*
 * Detects the file's delimiter, ',' or ';' or a tab, and skips a byte order mark. False: the text has another
 * encoding, or it is not text.
 */
bool csv_row_prepare(FILE *file, struct csv_row *row);
/* Reads the next complete line: 1, 0 at the end (a line without a newline is not consumed), -ENOMEM. */
int csv_row_read(FILE *file, struct csv_row *row);
void csv_row_done(struct csv_row *row);
bool csv_row_is_header(const struct csv_row *row);
/* True for a row of reports with this many fields, with numbers and times where required; sets its time. */
bool csv_row_is_good(struct csv_row *row, unsigned n_fields);
/* Does the row's first field have a time in a known form? */
bool csv_row_has_time(const struct csv_row *row);
/* NAN if it is not a number. */
double csv_row_number(const struct csv_row *row, unsigned field);

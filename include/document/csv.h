/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV fields, and power reports as rows: one table of columns, in the order of PowerAPI's readers (the csv
 * store) and in one for people (`wattribute export`).
 */
#pragma once

#include "document/batch.h"
#include "document/report.h"

enum csv_style { CSV_STORE, CSV_EXPORT, CSV_STYLES };

enum csv_kind { CSV_TIME, CSV_TEXT, CSV_SCOPE, CSV_NUMBER, CSV_BOOL };

struct csv_column {
	const char *names[CSV_STYLES];
	enum csv_kind kind;
	size_t offset; /* in struct report_power */
};

/* Column `i` of a row of power, NULL after the last. */
const struct csv_column *csv_power_column(enum csv_style style, unsigned i);
/* Text of the field, "" for none; `buffer` (of 40 bytes) may be used for it. Not for CSV_NUMBER. */
const char *csv_power_text(enum csv_style style, const struct csv_column *column,
			   const struct report_power *power, char *buffer);
double csv_power_number(const struct csv_column *column, const struct report_power *power);
/* The names of all columns between commas, without a line end. Returns `ret`. */
const char *csv_power_header(enum csv_style style, char *ret, size_t size);
/* A row without its line end; a number that is not finite is an empty field. 0 or -ENOMEM. */
int csv_put_power(struct batch *text, enum csv_style style, const struct report_power *power);

/* Appends a field to the rows, after a comma unless it is the row's first, quoted if necessary. */
int csv_put_text(struct batch *text, const char *field, bool first);
/*
 * Untrusted text for people and their spreadsheets: control characters become '?', and a formula is prefixed
 * with '.
 */
int csv_put_cell(struct batch *text, const char *field, bool first);
/* After a comma; an empty field if there is no number. */
int csv_put_number(struct batch *text, double value, bool integer);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of CSV (RFC 4180). Called by the csv store and the client's export. Pure.
 */
#include "document/csv.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COLUMN(kind, member, ...)                                                                            \
	{                                                                                                    \
		{__VA_ARGS__}, kind, offsetof(struct report_power, member)                                   \
	}

static const struct csv_column columns[] = {
	COLUMN(CSV_TIME, time_ms, "timestamp", "timestamp"),
	COLUMN(CSV_TEXT, sensor, "sensor", "sensor"),
	COLUMN(CSV_TEXT, target, "target", "target"),
	COLUMN(CSV_NUMBER, power, "power", "power_w"),
	COLUMN(CSV_SCOPE, scope, "scope", "scope"),
	COLUMN(CSV_TEXT, socket, "socket", "socket"),
	COLUMN(CSV_TEXT, formula, "formula", "formula"),
	COLUMN(CSV_NUMBER, ratio, "ratio", "ratio"),
	COLUMN(CSV_NUMBER, interval_s, "interval", "interval_s"),
	COLUMN(CSV_NUMBER, energy_j, "energy", "energy_j"),
	COLUMN(CSV_NUMBER, dynamic, "dynamic", "dynamic_w"),
	COLUMN(CSV_NUMBER, fixed, "static", "static_w"),
	COLUMN(CSV_NUMBER, error, "error", "error_w"),
	COLUMN(CSV_BOOL, estimated, "estimated", "estimated"),
	COLUMN(CSV_TEXT, container_id, "container_id", "container_id"),
	COLUMN(CSV_NUMBER, sd, "sd", "sd_w"),
	COLUMN(CSV_BOOL, calibrated, "calibrated", "calibrated"),
};

/* The store uses the order of the table: a new column comes last, so that older files can get it. */
static const uint8_t order_of_export[ARRAY_SIZE(columns)] = {0, 1,  2, 5,  4, 3,  10, 11, 9,
							     8, 12, 7, 13, 6, 14, 15, 16};

const struct csv_column *csv_power_column(enum csv_style style, unsigned i)
{
	if (i >= ARRAY_SIZE(columns))
		return NULL;
	return &columns[style == CSV_EXPORT ? order_of_export[i] : i];
}

static const void *field(const struct csv_column *column, const struct report_power *power)
{
	return (const char *)power + column->offset;
}

const char *csv_power_text(enum csv_style style, const struct csv_column *column,
			   const struct report_power *power, char *buffer)
{
	const char *text;
	char moment[TEXT_TIME_SIZE];

	switch (column->kind) {
	case CSV_SCOPE:
		return report_scope_names[power->scope];
	case CSV_BOOL:
		return *(const bool *)field(column, power) ? "true" : "false";
	case CSV_TIME:
		if (style == CSV_STORE)
			(void)snprintf(buffer, 40, "%" PRId64, power->time_ms);
		else
			(void)snprintf(buffer, 40,
				       text_format_time(power->time_ms, moment, sizeof(moment)) ? "%sZ"
												: "%s",
				       moment);
		return buffer;
	default:
		text = *(const char *const *)field(column, power);
		return text ? text : "";
	}
}

double csv_power_number(const struct csv_column *column, const struct report_power *power)
{
	return *(const double *)field(column, power);
}

const char *csv_power_header(enum csv_style style, char *ret, size_t size)
{
	size_t length = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(columns) && length < size; i++)
		length += (size_t)snprintf(ret + length, size - length, "%s%s", i ? "," : "",
					   csv_power_column(style, i)->names[style]);
	return ret;
}

int csv_put_power(struct batch *text, enum csv_style style, const struct report_power *power)
{
	const struct csv_column *column;
	char buffer[40];
	int r = 0;

	for (unsigned i = 0; (column = csv_power_column(style, i)); i++)
		r |= column->kind == CSV_NUMBER ? csv_put_number(text, csv_power_number(column, power), false)
		     : style == CSV_EXPORT
			     ? csv_put_cell(text, csv_power_text(style, column, power, buffer), i == 0)
			     : csv_put_text(text, csv_power_text(style, column, power, buffer), i == 0);
	return r;
}

int csv_put_text(struct batch *text, const char *field, bool first)
{
	int r = first ? 0 : batch_add_bytes(text, ",", 1);

	if (r < 0 || !strpbrk(field, ",\"\r\n"))
		return r < 0 ? r : batch_add_bytes(text, field, strlen(field));
	r = batch_add_bytes(text, "\"", 1);
	for (const char *at = field; r == 0 && *at; at++)
		r = batch_add_bytes(text, *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1);
	return r < 0 ? r : batch_add_bytes(text, "\"", 1);
}

/* Also the full-width forms of these signs, which East Asian versions treat as the same. */
static bool begins_formula(const char *text)
{
	static const char *const wide[] = {"\uff1d", "\uff0b", "\uff0d", "\uff20"};

	for (size_t i = 0; i < ARRAY_SIZE(wide); i++) {
		if (text_begins(text, wide[i]))
			return true;
	}
	return *text && strchr("=+-@", *text);
}

int csv_put_cell(struct batch *text, const char *field, bool first)
{
	char plain[1024], marked[2 * sizeof(plain)];
	size_t n = 0;
	bool begins = true;

	(void)text_copy_plain(field, plain, sizeof(plain));
	for (const char *at = plain; *at; at++) {
		/* A spreadsheet would run it as a formula; the apostrophe marks it as text. */
		if (begins && begins_formula(at))
			marked[n++] = '\'';
		/* In many countries a semicolon begins the next cell, even within quotation marks. */
		begins = *at == ';' || (begins && strchr(" \"", *at));
		marked[n++] = *at;
	}
	marked[n] = '\0';
	return csv_put_text(text, marked, first);
}

int csv_put_number(struct batch *text, double value, bool integer)
{
	char digits[40] = ",";

	if (integer && value >= 0 && value < 18446744073709551616.0)
		(void)snprintf(digits, sizeof(digits), ",%" PRIu64, (uint64_t)value);
	else if (isfinite(value))
		(void)snprintf(digits, sizeof(digits), ",%.9g", value);
	return batch_add_bytes(text, digits, strlen(digits));
}

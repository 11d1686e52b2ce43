/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of `wattribute export`. Called by client_export.c; knows no store.
 */
#include "export/export_row.h"
#include "base/text.h"
#include "document/csv.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

void export_write_csv_head(FILE *out)
{
	char header[256];

	fprintf(out, "%s\r\n", csv_power_header(CSV_EXPORT, header, sizeof(header)));
}

void export_write_csv(FILE *out, const struct report_power *power)
{
	struct batch row = {0};

	if (csv_put_power(&row, CSV_EXPORT, power) < 0 || batch_add_bytes(&row, "\r\n", 2) < 0 ||
	    fwrite(row.data, 1, row.length, out) != row.length)
		errno = ferror(out) ? errno : ENOMEM;
	batch_done(&row);
}

void export_write_json(FILE *out, const struct report_power *power)
{
	const struct csv_column *column;
	json_t *object = json_object(), *value;
	char buffer[40];

	for (unsigned i = 0; (column = csv_power_column(CSV_EXPORT, i)); i++) {
		const char *text =
			column->kind == CSV_NUMBER ? "" : csv_power_text(CSV_EXPORT, column, power, buffer);

		if (column->kind == CSV_BOOL)
			value = json_boolean(strcmp(text, "true") == 0);
		else if (column->kind == CSV_NUMBER)
			value = json_real(csv_power_number(column, power));
		else
			value = *text ? json_string(text) : NULL;
		(void)json_object_set_new(object, column->names[CSV_EXPORT], value);
	}
	(void)json_dumpf(object, out,
			 JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	fputc('\n', out);
	json_decref(object);
}

int export_parse_time(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t ago_ms;
	double seconds;

	if (*text == '-' && text_parse_duration_ms(text + 1, 1000, &ago_ms) == 0 && ago_ms <= INT64_MAX / 2) {
		*ret_ms = now_ms - (int64_t)ago_ms;
		return 0;
	}
	if (text_parse_zoned_time(text, ret_ms))
		return 0;
	if (text_parse_double(text, &seconds) < 0 || fabs(seconds) > 1e12)
		return -EINVAL;
	*ret_ms = (int64_t)llround(seconds * 1000);
	return 0;
}

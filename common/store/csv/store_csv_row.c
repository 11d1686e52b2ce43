/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of CSV: fields separated by commas, quoted if they contain one. The files come from anywhere. Called
 * by store_csv_read.c, and by store_csv_file.c for the header of an existing file.
 */
#include "store/csv/store_csv_row.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int add_field(struct csv_row *row, char *field)
{
	char **fields;

	if (row->n_fields == row->n_allocated) {
		fields = realloc(row->fields, (row->n_allocated + 16) * sizeof(*fields));
		if (!fields)
			return -ENOMEM;
		row->fields = fields;
		row->n_allocated += 16;
	}
	row->fields[row->n_fields++] = field;
	return 0;
}

char *csv_field_end(char *at)
{
	char *to = at;
	bool quoted = *at == '"';

	if (!quoted) {
		at += strcspn(at, ",");
		to = at;
	}
	while (quoted && *++at) {
		if (*at == '"' && *++at != '"')
			break;
		*to++ = *at;
	}
	if (quoted)
		at += strcspn(at, ",");
	quoted = *at == ',';
	*to = '\0';
	return quoted ? at + 1 : NULL;
}

int csv_row_read(FILE *file, struct csv_row *row)
{
	ssize_t length = getline(&row->line, &row->size, file);
	int r = 0;

	row->n_fields = 0;
	if (length <= 0)
		return 0;
	if (row->line[length - 1] != '\n') {
		(void)fseeko(file, -(off_t)length, SEEK_CUR);
		return 0;
	}
	row->line[strcspn(row->line, "\r\n")] = '\0';
	for (char *at = row->line; r == 0 && at;) {
		char *next;

		/* The text of a quoted field is moved to where its quote is. */
		next = csv_field_end(at);
		r = add_field(row, at);
		at = next;
	}
	return r < 0 ? r : 1;
}

void csv_row_done(struct csv_row *row)
{
	free(row->line);
	free(row->fields);
	*row = (struct csv_row){0};
}

bool csv_row_is_header(const struct csv_row *row)
{
	static const char *const names[] = {"timestamp", "sensor", "target", "socket", "cpu"};

	if (row->n_fields <= CSV_EVENTS)
		return false;
	for (unsigned i = 0; i < CSV_EVENTS; i++)
		if (strcmp(row->fields[i], names[i]) != 0)
			return false;
	return true;
}

bool csv_row_is_good(struct csv_row *row, unsigned n_fields)
{
	uint64_t number;

	return row->n_fields == n_fields && text_parse_i64(row->fields[CSV_TIMESTAMP], &row->time_ms) == 0 &&
	       text_parse_u64(row->fields[CSV_SOCKET], &number) == 0 && number <= UINT16_MAX &&
	       text_parse_u64(row->fields[CSV_CPU], &number) == 0 && number <= UINT16_MAX;
}

double csv_row_number(const struct csv_row *row, unsigned field)
{
	double value;

	return text_parse_double(row->fields[field], &value) == 0 ? value : NAN;
}

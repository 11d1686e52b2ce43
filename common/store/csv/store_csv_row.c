/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of CSV: fields separated by commas, quoted if they contain one. The files are untrusted. Called by
 * store_csv_read.c, and by store_csv_file.c for the header of an existing file.
 */
#include "store/csv/store_csv_row.h"
#include "base/array.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINES_MAX 64 /* in a quoted field at most; a lone quote does not swallow the file */

static int add_field(struct csv_row *row, char *field)
{
	if (!ARRAY_RESERVE(row->fields, row->n_allocated, row->n_fields + 1))
		return -ENOMEM;
	row->fields[row->n_fields++] = field;
	return 0;
}

char *csv_field_end(char *at, char delimiter)
{
	char *to = at;
	const char ends[] = {delimiter, '\0'};
	bool quoted = *at == '"';

	if (!quoted) {
		at += strcspn(at, ends);
		to = at;
	}
	while (quoted && *++at) {
		if (*at == '"' && *++at != '"')
			break;
		*to++ = *at;
	}
	if (quoted)
		at += strcspn(at, ends);
	quoted = *at == delimiter;
	*to = '\0';
	return quoted ? at + 1 : NULL;
}

bool csv_row_prepare(FILE *file, struct csv_row *row)
{
	static const char mark[] = "\xef\xbb\xbf";
	char first[4096];
	size_t n = fread(first, 1, sizeof(first) - 1, file), skipped = 0;
	size_t commas = 0, semicolons = 0, tabs = 0;
	const char *line;

	if (memchr(first, '\0', n))
		return false;
	first[n] = '\0';
	if (strncmp(first, mark, strlen(mark)) == 0)
		skipped = strlen(mark);
	else if ((unsigned char)first[0] > 0x7f)
		return false;
	/* Spreadsheets write this line for each other. */
	if (strncasecmp(first + skipped, "sep=", 4) == 0) {
		skipped += strcspn(first + skipped, "\n");
		skipped += first[skipped] == '\n';
		row->n_line = 1;
	}
	line = first + skipped;
	for (const char *at = line; *at && *at != '\n'; at++) {
		commas += *at == ',';
		semicolons += *at == ';';
		tabs += *at == '\t';
	}
	row->delimiter = semicolons > commas && semicolons >= tabs ? ';' : tabs > commas ? '\t' : ',';
	return fseeko(file, (off_t)skipped, SEEK_SET) == 0;
}

/* Are all quotes of the text closed? */
static bool is_closed(const char *text, size_t length)
{
	bool closed = true;

	for (size_t i = 0; i < length; i++)
		closed ^= text[i] == '"';
	return closed;
}

/* Adds the next line to the row's. 1, 0 if there is no complete one, -ENOMEM. */
static int add_line(FILE *file, struct csv_row *row, size_t *length)
{
	char *line = NULL, *grown;
	size_t size = 0;
	ssize_t n = getline(&line, &size, file);

	if (n <= 0 || line[n - 1] != '\n') {
		if (n > 0)
			(void)fseeko(file, -(off_t)n, SEEK_CUR);
		free(line);
		return 0;
	}
	grown = realloc(row->line, *length + (size_t)n + 1);
	if (!grown) {
		free(line);
		return -ENOMEM;
	}
	row->line = grown;
	row->size = *length + (size_t)n + 1;
	memcpy(row->line + *length, line, (size_t)n + 1);
	*length += (size_t)n;
	free(line);
	return 1;
}

int csv_row_read(FILE *file, struct csv_row *row)
{
	off_t begin = ftello(file);
	ssize_t n = getline(&row->line, &row->size, file);
	size_t length = n > 0 ? (size_t)n : 0;
	int r = length > 0 && row->line[length - 1] == '\n';

	row->n_fields = 0;
	row->n_line++;
	for (unsigned lines = 1; r > 0 && lines < LINES_MAX && !is_closed(row->line, length); lines++) {
		r = add_line(file, row, &length);
		row->n_line += r > 0;
	}
	if (r <= 0) {
		row->n_line--;
		(void)fseeko(file, begin, SEEK_SET);
		return r;
	}
	while (length > 0 && (row->line[length - 1] == '\n' || row->line[length - 1] == '\r'))
		row->line[--length] = '\0';
	for (char *at = row->line; r > 0 && at;) {
		char *next = csv_field_end(at, row->delimiter ? row->delimiter : ',');

		/* A quoted field begins where its quote is: the text is moved there. */
		r = add_field(row, at) < 0 ? -ENOMEM : 1;
		at = next;
	}
	return r;
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
		if (strcasecmp(row->fields[i], names[i]) != 0)
			return false;
	return true;
}

/* A number, possibly with a decimal comma. */
static int take_number(const char *text, double *ret_value)
{
	char number[64];
	size_t length = strlen(text);
	char *comma;

	if (text_parse_double(text, ret_value) == 0)
		return 0;
	if (length >= sizeof(number) || strchr(text, '.'))
		return -EINVAL;
	memcpy(number, text, length + 1);
	comma = strchr(number, ',');
	if (!comma)
		return -EINVAL;
	*comma = '.';
	return text_parse_double(number, ret_value);
}

static bool take_time(const char *text, int64_t *ret_time_ms)
{
	double number;

	if (take_number(text, &number) < 0)
		return text_parse_zoned_time(text, ret_time_ms);
	*ret_time_ms = text_time_of_number(number);
	return true;
}

/* Is the field a value, or does it mark a missing one? */
static bool is_value(const char *text)
{
	double value;

	return !text[0] || strcasecmp(text, "nan") == 0 || take_number(text, &value) == 0;
}

bool csv_row_has_time(const struct csv_row *row)
{
	int64_t time_ms;

	return take_time(row->fields[CSV_TIMESTAMP], &time_ms);
}

bool csv_row_is_good(struct csv_row *row, unsigned n_fields)
{
	uint64_t number;

	if (row->n_fields != n_fields || !take_time(row->fields[CSV_TIMESTAMP], &row->time_ms) ||
	    text_parse_u64(row->fields[CSV_SOCKET], &number) < 0 || number > UINT16_MAX ||
	    text_parse_u64(row->fields[CSV_CPU], &number) < 0 || number > UINT16_MAX)
		return false;
	for (unsigned i = CSV_EVENTS; i < n_fields; i++) {
		if (!is_value(row->fields[i]))
			return false;
	}
	return true;
}

double csv_row_number(const struct csv_row *row, unsigned field)
{
	double value;

	return take_number(row->fields[field], &value) == 0 ? value : NAN;
}

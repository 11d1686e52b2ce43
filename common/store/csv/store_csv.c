/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV files in a directory: reports of counts in one file per group (the layout of hwpc-sensor, which
 * PowerAPI reads), power reports in power.csv. Other documents are not kept. Called through store.c.
 */
#include "store/csv/store_csv.h"
#include "store/store_document.h"
#include "store/store_path.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_store(struct store *store)
{
	struct csv_store *own = csv_store_of(store);

	for (unsigned i = 0; i < own->n_files; i++)
		csv_file_close(&own->files[i]);
	free(own->files);
	report_names_free(own->names);
	report_decoded_done(&own->decoded);
	csv_reader_free(own->reader);
}

static int open_store(struct store *store, const char *location, const struct store_options *options)
{
	struct csv_store *own = csv_store_of(store);
	size_t length = strlen(location);
	int r;

	own->names = report_names_new();
	own->overwrite = options->flags & STORE_OVERWRITE;
	while (length > 1 && store->location[length - 1] == '/')
		store->location[--length] = '\0';
	if (!own->names)
		r = -ENOMEM;
	else if (options->flags & STORE_WRITE)
		r = store_path_check_writable(location, true);
	else
		r = access(location, F_OK) < 0           ? -errno
		    : !store_path_is_directory(location) ? -ENOTDIR
		    : access(location, R_OK | X_OK) < 0  ? -errno
							 : 0;
	if (r < 0)
		(void)store_fail(store, STORE_RETRY, "cannot %s the directory '%s': %s; %s",
				 options->flags & STORE_WRITE ? "write into" : "read", location, strerror(-r),
				 r == -ENOTDIR ? "csv: takes the directory that holds the files"
					       : "choose another");
	return r;
}

/* The value of an event among those of one CPU; NAN if it is not there. */
static double value_of(const struct report_value *values, unsigned n_values, uint16_t event)
{
	for (unsigned i = 0; i < n_values; i++)
		if (values[i].event == event)
			return values[i].value;
	return NAN;
}

static bool has_all_columns(const struct csv_file *file, const struct report_value *values, unsigned n_values)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < file->n_columns; i++)
		hits += isnan(value_of(values, n_values, file->columns[i])) ? 0 : 1;
	return hits == n_values;
}

/* One row: the counts of one CPU for one group. */
static enum store_result add_row(struct store *store, const struct report_value *values, unsigned n_values)
{
	struct csv_store *own = csv_store_of(store);
	const struct report_decoded *report = &own->decoded;
	const char *group = report_names_group(own->names, values->group);
	char time[24];
	bool refused;
	struct csv_file *file = csv_file_get(store, group, CSV_SENSOR_COLUMNS, values, n_values, &refused);
	int r = 0;

	if (!file)
		return refused ? STORE_DROP : STORE_RETRY;
	if (!has_all_columns(file, values, n_values))
		r = csv_file_widen(store, file, values, n_values);
	if (r < 0)
		return store_fail(store, r == -E2BIG ? STORE_DROP : STORE_RETRY,
				  "'%s/%s.csv' has no columns for the events counted now, and none can be "
				  "added: %s; choose another directory",
				  store->location, file->name, r == -E2BIG ? "too many" : strerror(-r));
	r |= batch_add_bytes(&file->text, time,
			     (size_t)snprintf(time, sizeof(time), "%" PRId64, report->time_ms));
	r |= csv_put_text(&file->text, report->sensor, false);
	r |= csv_put_text(&file->text, report->target, false);
	r |= csv_put_number(&file->text, values->package, true);
	r |= csv_put_number(&file->text, values->cpu, true);
	for (unsigned i = 0; i < file->n_columns; i++)
		r |= csv_put_number(&file->text, value_of(values, n_values, file->columns[i]), true);
	r |= batch_add_bytes(&file->text, "\n", 1);
	file->n_rows++;
	return r < 0 ? store_fail(store, STORE_RETRY, "out of memory for rows") : STORE_OK;
}

static bool same_place(const struct report_value *a, const struct report_value *b)
{
	return a->group == b->group && a->package == b->package && a->cpu == b->cpu;
}

static enum store_result add_report(struct store *store, const uint8_t *data, size_t length)
{
	struct csv_store *own = csv_store_of(store);
	struct report_decoded *report = &own->decoded;
	enum store_result result = STORE_OK;
	struct reason why;

	if (report_bson_decode(data, length, own->names, report, &why) < 0)
		return store_fail(store, STORE_DROP, "a report is malformed: %s", why.text);
	for (unsigned i = 0, n; result == STORE_OK && i < report->n_values; i += n) {
		n = 1;
		while (i + n < report->n_values && same_place(&report->values[i], &report->values[i + n]))
			n++;
		result = add_row(store, &report->values[i], n);
	}
	return result;
}

static enum store_result add_power(struct store *store, const uint8_t *data, size_t length)
{
	struct report_power power;
	struct csv_file *file;
	char header[256];
	bool refused;
	struct reason why;

	if (report_bson_decode_power(data, length, &power, &why) < 0)
		return store_fail(store, STORE_DROP, "%s", why.text);
	file = csv_file_get(store, CSV_POWER_NAME, csv_power_header(CSV_STORE, header, sizeof(header)), NULL,
			    0, &refused);
	if (!file)
		return refused ? STORE_DROP : STORE_RETRY;
	if (csv_put_power(&file->text, CSV_STORE, &power) < 0 || batch_add_bytes(&file->text, "\n", 1) < 0)
		return store_fail(store, STORE_RETRY, "out of memory for rows");
	return STORE_OK;
}

static enum store_result add_document(struct store *store, const uint8_t *data, size_t length)
{
	struct store_document document;

	(void)store_document_read(data, length, &document);
	switch (document.kind) {
	case STORE_DOCUMENT_REPORT:
		return add_report(store, data, length);
	case STORE_DOCUMENT_POWER:
		return add_power(store, data, length);
	default:
		return store_fail(store, STORE_DROP,
				  "a csv store keeps only count reports and power reports");
	}
}

static enum store_result append(struct store *store, const char *collection, const struct batch *batch)
{
	struct csv_store *own = csv_store_of(store);
	enum store_result worst = STORE_OK;
	const uint8_t *data;
	size_t offset = 0;
	size_t length;
	unsigned dropped = 0;

	(void)collection;
	while (batch_next(batch, &offset, &data, &length) > 0) {
		enum store_result result = add_document(store, data, length);

		if (result == STORE_RETRY) {
			csv_files_forget_rows(own);
			return STORE_RETRY;
		}
		if (result == STORE_DROP) {
			worst = STORE_DROP;
			dropped++;
		}
	}
	if (csv_files_flush(store) < 0)
		return STORE_RETRY;
	store->statistics.round_trips++;
	store->statistics.dropped += dropped;
	store->statistics.appended += batch->n_documents - dropped;
	return worst;
}

const struct store_backend store_backend_csv = {
	.name = "csv",
	.form = "csv:DIR",
	.traits = STORE_LOCAL | STORE_STREAM | STORE_BY_OFFSET,
	.size = sizeof(struct csv_store),
	.open = open_store,
	.close = close_store,
	.append = append,
	.read = csv_read,
	.list = csv_list,
};

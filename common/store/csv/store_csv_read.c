/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports from a directory of CSV files, one per group, as written by hwpc-sensor or our own store: the files
 * are read in parallel, and the rows of one time and target become one document. The read offset is the time
 * of the last tick. Called through store.c; store_csv_row.c parses lines.
 */
#include "store/csv/store_csv.h"
#include "base/array.h"
#include "store/csv/store_csv_row.h"
#include "store/store_document.h"
#include "store/store_unpack.h"
#include "document/bson_encoder.h"
#include "document/collections.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct csv_source {
	char *group;
	FILE *file;
	struct csv_row header;
	struct csv_row *rows; /* of the present tick; rows[n_rows] is the first of the next if `ahead` */
	unsigned n_rows;
	unsigned n_allocated;
	bool ahead;
	bool torn;         /* it ends in a row without a line break */
	bool cut;          /* it was compressed, and its end is missing */
	unsigned n_bad;    /* rows that were skipped, reported or not */
	unsigned bad_line; /* of the first of them */
	bool bad_time;     /* the first one is complete except for its time */
};

struct csv_reader {
	struct csv_source *sources;
	unsigned n_sources;
	uint64_t offset;
	int64_t done_ms; /* ticks up to this time have been read */
	struct batch one;
	unsigned n_told;    /* bad rows and files that were reported */
	unsigned n_refused; /* files whose rows cannot be read */
	char refused[600];  /* the first of them, and why */
};

static void free_source(struct csv_source *source)
{
	for (unsigned i = 0; i < source->n_allocated; i++)
		csv_row_done(&source->rows[i]);
	csv_row_done(&source->header);
	free(source->rows);
	free(source->group);
	if (source->file)
		(void)fclose(source->file);
}

void csv_reader_free(struct csv_reader *reader)
{
	if (!reader)
		return;
	for (unsigned i = 0; i < reader->n_sources; i++)
		free_source(&reader->sources[i]);
	free(reader->sources);
	batch_done(&reader->one);
	free(reader);
}

static void refuse(struct csv_reader *reader, const char *name, const char *why)
{
	if (!reader->n_refused++)
		(void)snprintf(reader->refused, sizeof(reader->refused), "'%s' %s", name, why);
}

static bool is_known(const struct csv_reader *reader, const char *group)
{
	for (unsigned i = 0; i < reader->n_sources; i++) {
		if (strcmp(reader->sources[i].group, group) == 0)
			return true;
	}
	return false;
}

/* Opens the file, uncompressed if necessary. False: it is refused. */
static bool open_plain(struct csv_reader *reader, const char *directory, const char *name,
		       struct csv_source *source)
{
	char path[PATH_MAX];
	struct reason why;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		refuse(reader, name, strerror(errno));
		return false;
	}
	if (store_unpack(name, &fd, &source->cut, &why) < 0) {
		if (!reader->n_refused++)
			(void)snprintf(reader->refused, sizeof(reader->refused), "%.*s",
				       (int)sizeof(reader->refused) - 1, why.text);
		(void)close(fd);
		return false;
	}
	source->file = fdopen(fd, "r");
	if (!source->file)
		(void)close(fd);
	return source->file;
}

/* Opens DIR/GROUP.csv. 1, or 0 if it is not a file of reports, which is noted. */
static int open_source(struct csv_reader *reader, const char *directory, const char *name,
		       struct csv_source *source)
{
	source->group = strndup(name, (size_t)(strstr(name, ".csv") - name));
	if (!source->group)
		refuse(reader, name, "cannot be read: out of memory");
	else if (strcmp(name + strlen(source->group), ".csv") != 0 &&
		 strcmp(name + strlen(source->group), ".csv.gz") != 0)
		refuse(reader, name, "is not GROUP.csv or GROUP.csv.gz");
	else if (is_known(reader, source->group))
		refuse(reader, name, "exists in a second form");
	else if (!open_plain(reader, directory, name, source))
		;
	else if (!csv_row_prepare(source->file, &source->header))
		refuse(reader, name, "is not UTF-8 text; unpack or convert it (iconv -t UTF-8)");
	else if (csv_row_read(source->file, &source->header) <= 0)
		refuse(reader, name, "is empty, or its first line has no line break");
	else if (csv_row_is_header(&source->header))
		return 1;
	else if (strcmp(source->group, CSV_POWER_NAME) != 0)
		refuse(reader, name, "does not begin with " CSV_SENSOR_COLUMNS ",EVENT...");
	free_source(source);
	return 0;
}

static int is_csv(const struct dirent *entry)
{
	const char *suffix = strstr(entry->d_name, ".csv");

	/* Others, such as core.csv.xz, are reported as unreadable; core.csv~ is an editor's backup. */
	return suffix && suffix > entry->d_name && entry->d_name[0] != '.' &&
	       (suffix[4] == '\0' || suffix[4] == '.');
}

static int open_reader(struct store *store, struct csv_reader **ret_reader)
{
	const char *directory = store->location;
	struct csv_reader *reader = calloc(1, sizeof(*reader));
	struct dirent **entries = NULL;
	int n = scandir(directory, &entries, is_csv, alphasort);

	if (n < 0)
		(void)store_fail(store, STORE_RETRY, "cannot read '%s': %s", directory, strerror(errno));
	if (reader && n > 0)
		reader->sources = calloc((size_t)n, sizeof(*reader->sources));
	for (int i = 0; i < n; i++) {
		struct csv_source source = {0};

		if (reader && reader->sources && open_source(reader, directory, entries[i]->d_name, &source))
			reader->sources[reader->n_sources++] = source;
		free(entries[i]);
	}
	free(entries);
	if (n >= 0 && reader) {
		*ret_reader = reader;
		return 0;
	}
	csv_reader_free(reader);
	return -EIO;
}

static struct csv_row *row_room(struct csv_source *source)
{
	if (source->n_rows < source->n_allocated)
		return &source->rows[source->n_rows];
	if (!ARRAY_RESIZE(source->rows, source->n_allocated + 16))
		return NULL;
	memset(source->rows + source->n_allocated, 0, 16 * sizeof(*source->rows));
	source->n_allocated += 16;
	return &source->rows[source->n_rows];
}

/* Does the source have a current row, or can it read one? Malformed lines are skipped. */
static bool look_ahead(struct csv_source *source)
{
	struct csv_row *row = row_room(source);

	while (row && !source->ahead) {
		row->delimiter = source->header.delimiter;
		row->n_line = source->header.n_line;
		if (csv_row_read(source->file, row) <= 0)
			break;
		source->header.n_line = row->n_line;
		source->ahead = csv_row_is_good(row, source->header.n_fields);
		if (!source->ahead && row->line[0] && !source->n_bad++) {
			source->bad_line = row->n_line;
			source->bad_time = row->n_fields == source->header.n_fields && !csv_row_has_time(row);
		}
	}
	if (row && !source->ahead)
		source->torn = fgetc(source->file) != EOF;
	if (source->torn && !source->ahead)
		(void)fseeko(source->file, -1, SEEK_CUR);
	return row && source->ahead;
}

/* Moves the current row to the front: earlier ones have been used. */
static void begin_tick(struct csv_source *source)
{
	struct csv_row first;

	if (source->ahead && source->n_rows > 0) {
		first = source->rows[0];
		source->rows[0] = source->rows[source->n_rows];
		source->rows[source->n_rows] = first;
	}
	source->n_rows = 0;
}

/* Takes all rows of the earliest time. False at the end of all files. */
static bool take_tick(struct csv_reader *reader, int64_t *ret_time_ms)
{
	bool any = false;

	for (unsigned i = 0; i < reader->n_sources; i++) {
		struct csv_source *source = &reader->sources[i];

		begin_tick(source);
		if (!look_ahead(source))
			continue;
		if (!any || source->rows[0].time_ms < *ret_time_ms)
			*ret_time_ms = source->rows[0].time_ms;
		any = true;
	}
	for (unsigned i = 0; any && i < reader->n_sources; i++) {
		struct csv_source *source = &reader->sources[i];

		while (look_ahead(source) && source->rows[source->n_rows].time_ms == *ret_time_ms) {
			source->rows[source->n_rows++].used = false;
			source->ahead = false;
		}
	}
	return any;
}

static bool same_target(const struct csv_row *a, const struct csv_row *b)
{
	return strcmp(a->fields[CSV_TARGET], b->fields[CSV_TARGET]) == 0 &&
	       strcmp(a->fields[CSV_SENSOR], b->fields[CSV_SENSOR]) == 0;
}

static void add_events(struct bson_encoder *encoder, const struct csv_source *source,
		       const struct csv_row *row)
{
	for (unsigned i = CSV_EVENTS; i < source->header.n_fields; i++)
		bson_encoder_double_named(encoder, source->header.fields[i], csv_row_number(row, i));
}

/* The rows of a target in one source; those of one package are adjacent. */
static void add_group(struct bson_encoder *encoder, struct csv_source *source, const struct csv_row *like)
{
	const char *package = NULL;

	for (unsigned i = 0; i < source->n_rows; i++) {
		struct csv_row *row = &source->rows[i];

		if (row->used || !same_target(row, like))
			continue;
		if (!package)
			bson_encoder_open_named(encoder, source->group);
		if (package && strcmp(package, row->fields[CSV_SOCKET]) != 0)
			bson_encoder_close(encoder);
		if (!package || strcmp(package, row->fields[CSV_SOCKET]) != 0)
			bson_encoder_open(encoder, row->fields[CSV_SOCKET]);
		package = row->fields[CSV_SOCKET];
		bson_encoder_open(encoder, row->fields[CSV_CPU]);
		add_events(encoder, source, row);
		bson_encoder_close(encoder);
		row->used = true;
	}
	if (!package)
		return;
	bson_encoder_close(encoder);
	bson_encoder_close(encoder);
}

static int add_report(struct csv_reader *reader, const struct csv_row *like)
{
	struct bson_encoder encoder;
	uint8_t id[REPORT_ID_BYTES];

	report_make_id(like->time_ms, like->fields[CSV_SENSOR], like->fields[CSV_TARGET], NULL, NULL, id);
	batch_clear(&reader->one);
	bson_encoder_begin(&encoder, &reader->one);
	bson_encoder_object_id(&encoder, "_id", id);
	bson_encoder_date(&encoder, "timestamp", like->time_ms);
	bson_encoder_string(&encoder, "sensor", like->fields[CSV_SENSOR]);
	bson_encoder_string(&encoder, "target", like->fields[CSV_TARGET]);
	bson_encoder_open(&encoder, "groups");
	for (unsigned i = 0; i < reader->n_sources; i++)
		add_group(&encoder, &reader->sources[i], like);
	bson_encoder_close(&encoder);
	bson_encoder_open(&encoder, "metadata");
	bson_encoder_close(&encoder);
	return bson_encoder_end(&encoder);
}

/* Documents of the tick: containers first, then `all`, as sensors write them. */
static int add_reports(struct csv_reader *reader, const struct store_query *query, bool of_all,
		       struct batch *ret_documents)
{
	struct store_document document;
	int r = 0;

	for (unsigned i = 0; i < reader->n_sources; i++) {
		struct csv_source *source = &reader->sources[i];

		for (unsigned k = 0; r == 0 && k < source->n_rows; k++) {
			bool is_all = strcmp(source->rows[k].fields[CSV_TARGET], REPORT_TARGET_ALL) == 0;

			if (source->rows[k].used || is_all != of_all)
				continue;
			r = add_report(reader, &source->rows[k]);
			if (r == 0 && store_document_read(reader->one.data, reader->one.length, &document) &&
			    store_document_matches(&document, query))
				r = batch_append_batch(ret_documents, &reader->one);
		}
	}
	return r;
}

static int read_ticks(struct csv_reader *reader, const struct store_query *query, struct batch *ret_documents,
		      struct store_read *ret_read)
{
	unsigned before = ret_documents->n_documents;
	int64_t time_ms = 0;
	int r = 0;

	while (r == 0 && (!query->limit || ret_documents->n_documents - before < query->limit)) {
		if (!take_tick(reader, &time_ms)) {
			ret_read->end = true;
			break;
		}
		if (time_ms <= reader->done_ms)
			continue;
		r = add_reports(reader, query, false, ret_documents);
		if (r == 0)
			r = add_reports(reader, query, true, ret_documents);
		reader->offset = (uint64_t)time_ms;
	}
	ret_read->offset = reader->offset;
	return r;
}

/* Reports what was skipped in one sentence; rows and files not reported before are counted. */
static void tell_bad(struct store *store, const struct csv_reader *reader, struct store_read *ret_read)
{
	unsigned n_bad = 0, n_torn = 0;
	const struct csv_source *first = NULL, *torn = NULL, *cut = NULL;

	for (unsigned i = 0; i < reader->n_sources; i++) {
		const struct csv_source *source = &reader->sources[i];

		n_bad += source->n_bad;
		n_torn += source->torn;
		first = !first && source->n_bad ? source : first;
		torn = !torn && source->torn ? source : torn;
		cut = !cut && source->cut ? source : cut;
	}
	ret_read->damaged = n_bad + reader->n_refused - reader->n_told;
	if (first && ret_read->damaged)
		(void)store_fail(store, STORE_OK,
				 "'%s': %u damaged rows were skipped, the first one in line %u of '%s.csv'%s",
				 store->location, n_bad, first->bad_line, first->group,
				 first->bad_time ? ": its 'timestamp' is neither a number of ms, s, us or ns "
						   "since 1970 nor a time like 2024-03-01T10:00:00"
						 : "");
	else if (ret_read->damaged)
		(void)store_fail(store, STORE_OK, "'%s': %u files were skipped: %s", store->location,
				 reader->n_refused, reader->refused);
	else if (cut && ret_read->end)
		(void)store_fail(store, STORE_OK,
				 "'%s/%s.csv.gz' is damaged or cut short: everything before that was read",
				 store->location, cut->group);
	else if (n_torn && ret_read->end)
		(void)store_fail(store, STORE_OK,
				 "'%s': the last row of '%s.csv' has no line break: it was skipped, as it "
				 "may be incomplete; add one",
				 store->location, torn->group);
}

enum store_result csv_read(struct store *store, const struct store_query *query, struct batch *ret_documents,
			   struct store_read *ret_read)
{
	struct csv_store *own = csv_store_of(store);

	if (own->reader && own->reader->offset != query->offset) {
		csv_reader_free(own->reader);
		own->reader = NULL;
	}
	if (!own->reader) {
		if (open_reader(store, &own->reader) < 0)
			return STORE_RETRY;
		own->reader->offset = query->offset;
		own->reader->done_ms = query->offset ? (int64_t)query->offset : INT64_MIN;
	}
	store->statistics.round_trips++;
	if (read_ticks(own->reader, query, ret_documents, ret_read) < 0)
		return store_fail(store, STORE_RETRY, "out of memory reading '%s'", store->location);
	tell_bad(store, own->reader, ret_read);
	own->reader->n_told += ret_read->damaged;
	return STORE_OK;
}

/* The directory answers to any collection name; its own is derived from the first sensor in it. */
enum store_result csv_list(struct store *store, const char *prefix,
			   void (*each)(void *data, const char *collection), void *data)
{
	struct csv_reader *reader;
	bool any = false;
	char name[COLLECTION_SIZE];

	if (!collection_machine(COLLECTION_REPORTS, prefix))
		return STORE_OK;
	if (open_reader(store, &reader) < 0)
		return STORE_RETRY;
	for (unsigned i = 0; i < reader->n_sources; i++) {
		if (!look_ahead(&reader->sources[i]))
			continue;
		each(data, collection_compose(COLLECTION_REPORTS,
					      reader->sources[i].rows[0].fields[CSV_SENSOR], name));
		any = true;
		break;
	}
	/* Without any report, list "sensor" anyway: reading it then reports the errors of the files. */
	if (!any && (reader->n_refused || reader->n_sources))
		each(data, "sensor");
	csv_reader_free(reader);
	return STORE_OK;
}

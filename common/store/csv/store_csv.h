/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a CSV store, for its files: store_csv.c (batches), store_csv_file.c (one file: header, rows,
 * appending as a whole), store_csv_widen.c (more columns) and store_csv_read.c.
 */
#pragma once

#include "document/csv.h"
#include "document/report_bson.h"
#include "store/store_backend.h"

#include <sys/types.h>

#define CSV_EVENTS_MAX     256
#define CSV_SENSOR_COLUMNS "timestamp,sensor,target,socket,cpu"
#define CSV_POWER_NAME     "power"

struct csv_file {
	char *name; /* of the group; the file is NAME.csv */
	int fd;
	off_t end;          /* end of the written data */
	struct batch text;  /* rows of this batch */
	unsigned n_rows;    /* of the present batch */
	unsigned n_columns; /* of events, in the order of the header */
	uint16_t columns[CSV_EVENTS_MAX];
};

struct csv_reader;

struct csv_store {
	bool overwrite;
	struct report_names *names;
	struct report_decoded decoded;
	struct csv_file *files;
	unsigned n_files;
	struct csv_reader *reader; /* NULL until the first read */
};

static inline struct csv_store *csv_store_of(const struct store *store)
{
	return store->private;
}

/*
 * Opens the file of that name, and reads or writes its header. `values` (of one CPU) provide the events of a
 * new header; none for a file whose header is `fixed`. NULL: the store's error has the reason; *ret_refused
 * distinguishes permanent errors from temporary ones.
 */
struct csv_file *csv_file_get(struct store *store, const char *name, const char *fixed,
			      const struct report_value *values, unsigned n_values, bool *ret_refused);
/* Adds missing columns for events to the file. 0; -E2BIG: too many; or a negative errno. */
int csv_file_widen(struct store *store, struct csv_file *file, const struct report_value *values,
		   unsigned n_values);
/*
 * Adds columns at the end of each line: `names` is ",name,…". Earlier rows are empty there. 0 or a negative
 * errno.
 */
int csv_file_add_columns(struct store *store, struct csv_file *file, const char *names);
/* Writes the rows of all files; on failure none of them is kept. 0 or a negative errno. */
int csv_files_flush(struct store *store);
void csv_files_forget_rows(struct csv_store *own);
void csv_file_close(struct csv_file *file);

enum store_result csv_read(struct store *store, const struct store_query *query, struct batch *ret_documents,
			   struct store_read *ret_read);
enum store_result csv_list(struct store *store, const char *prefix,
			   void (*each)(void *data, const char *collection), void *data);
void csv_reader_free(struct csv_reader *reader);

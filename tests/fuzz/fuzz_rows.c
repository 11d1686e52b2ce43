/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of untrusted SQLite files: documents of a store, batches of a spool. The first bytes select which of
 * them, the query, and the type of each column; the rest is the body. Every row is read, or refused with a
 * message, within a bounded number of calls.
 */
#include "base/log.h"
#include "fuzz/driver/fuzz_files.h"
#include "fuzz/driver/fuzz_sqlite.h"
#include "store/store.h"
#include "write/spool.h"

#include <limits.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD      12 /* which, types, and eight bytes of a number */
#define PAGES_MAX 100

static struct store *store;
static struct spool *spool;
static sqlite3 *rows[2];
static sqlite3_stmt *begin[2], *clear[2], *insert[2], *commit[2];

static void must(bool good)
{
	if (!good)
		abort();
}

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

static void open_rows(unsigned which, const char *path, const char *clear_sql, const char *insert_sql)
{
	must(sqlite3_open(path, &rows[which]) == SQLITE_OK);
	must(sqlite3_exec(rows[which], "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK);
	must(sqlite3_prepare_v2(rows[which], "BEGIN", -1, &begin[which], NULL) == SQLITE_OK);
	must(sqlite3_prepare_v2(rows[which], clear_sql, -1, &clear[which], NULL) == SQLITE_OK);
	must(sqlite3_prepare_v2(rows[which], insert_sql, -1, &insert[which], NULL) == SQLITE_OK);
	must(sqlite3_prepare_v2(rows[which], "COMMIT", -1, &commit[which], NULL) == SQLITE_OK);
}

static int run(sqlite3_stmt *statement)
{
	(void)sqlite3_step(statement);
	return sqlite3_reset(statement);
}

static void close_rows(void)
{
	for (unsigned which = 0; which < 2; which++) {
		(void)sqlite3_finalize(begin[which]);
		(void)sqlite3_finalize(clear[which]);
		(void)sqlite3_finalize(insert[which]);
		(void)sqlite3_finalize(commit[which]);
		(void)sqlite3_close(rows[which]);
	}
	store_close(store);
	spool_close(spool);
}

static void prepare(void)
{
	const struct store_options options = {.flags = STORE_READ | STORE_WRITE, .timeout_ms = 10};
	const struct spool_limits limits = {.bytes = 1 << 20};
	struct reason why;
	char path[128], uri[160];

	log_set_sink(ignore, NULL);
	fuzz_sqlite_init();
	(void)snprintf(path, sizeof(path), "%s/rows.db", fuzz_folder());
	(void)snprintf(uri, sizeof(uri), "sqlite:%s", path);
	must(store_open(uri, &options, &store, &why) == 0);
	must(store_ensure(store, "sensorx", 0, 0) == STORE_OK);
	open_rows(
		0, path, "DELETE FROM documents",
		"INSERT INTO documents (collection, id, time, target, body) VALUES ('sensorx', ?, ?, ?, ?)");
	(void)snprintf(path, sizeof(path), "%s/rows-spool.db", fuzz_folder());
	must(spool_open(path, &limits, &spool, &why) == 0);
	open_rows(1, path, "DELETE FROM spool",
		  "INSERT INTO spool (sequence, time, put, collection, n_documents, documents) "
		  "VALUES (NULL, ?1, ?2, ?3, 1, ?4)");
	must(atexit(close_rows) == 0);
}

/* A value of one of SQLite's types, from a number and the body's bytes. */
static void bind(sqlite3_stmt *statement, int place, unsigned type, const uint8_t *head, const uint8_t *body,
		 size_t size)
{
	int64_t number;
	double real;

	memcpy(&number, head, sizeof(number));
	memcpy(&real, head, sizeof(real));
	switch (type) {
	case 0:
		(void)sqlite3_bind_int64(statement, place, number);
		break;
	case 1:
		(void)sqlite3_bind_double(statement, place, real);
		break;
	case 2:
		(void)sqlite3_bind_text(statement, place, (const char *)body, (int)size, SQLITE_STATIC);
		break;
	default:
		(void)sqlite3_bind_blob(statement, place, body, (int)size, SQLITE_STATIC);
	}
}

static void read_documents(int64_t time_ms, bool newest)
{
	struct store_query query = {
		.collection = "sensorx", .after_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 10};
	struct store_read read = {0};
	struct batch documents = {0};
	enum store_result result = STORE_OK;
	bool more = true;

	for (unsigned i = 0; more; i++) {
		result = store_read(store, &query, &documents, &read);
		must(result == STORE_OK || store_error(store)[0]);
		more = result == STORE_OK && store_query_continue(&query, &read, &documents);
		must(i < PAGES_MAX);
		batch_clear(&documents);
	}
	query.newest_first = true;
	query.after_ms = time_ms;
	if (newest)
		(void)store_read(store, &query, &documents, &read);
	else
		(void)store_get(store, "sensorx", "x", &documents);
	batch_done(&documents);
}

static void read_spool(void)
{
	struct spool_entry entry = {0};

	for (unsigned i = 0; spool_peek(spool, &entry) > 0; i++) {
		must(i < PAGES_MAX && strlen(entry.collection) < sizeof(entry.collection));
		must(spool_pop(spool, entry.sequence) == 0);
	}
	batch_done(&entry.documents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *const body = data + HEAD;
	const size_t length = size - HEAD;
	sqlite3_stmt *statement;
	unsigned which;
	int64_t time_ms;

	if (size < HEAD)
		return 0;
	if (!store)
		prepare();
	which = data[0] & 1;
	statement = insert[which];
	memcpy(&time_ms, data + 4, sizeof(time_ms));
	for (int i = 0; i < 3; i++)
		bind(statement, i + 1, data[1] >> 2 * i & 3, data + 4, body,
		     length < data[2] ? length : data[2]);
	bind(statement, 4, data[3] & 3, data + 4, body, length);
	must(run(begin[which]) == SQLITE_OK);
	must(run(clear[which]) == SQLITE_OK);
	(void)run(statement);
	must(run(commit[which]) == SQLITE_OK);
	if (which)
		read_spool();
	else
		read_documents(time_ms, data[0] & 2);
	return 0;
}

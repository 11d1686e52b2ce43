/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files read as a store: JSON lines, BSON, a folder of CSV, an SQLite file, a spool. The first byte selects
 * which; the rest is the file, or, four bytes each, the damage to one that we have written. Reading ends, and
 * reports a reason if a file is not a store.
 */
#include "fuzz/driver/fuzz_files.h"
#include "fuzz/driver/fuzz_sqlite.h"
#include "base/log.h"
#include "store/store.h"
#include "unit/state_report.h"
#include "write/spool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES_MAX       1000
#define COLLECTION_SIZE 128
#define CHANGES_MAX     8
#define CHANGE_SIZE     4
#define FILL            16
#define MADE_TICKS      5

static struct batch made_store, made_spool; /* complete files */

static const struct {
	const char *scheme, *path, *file;
	const char *beside[3];       /* files left by SQLite, and the new name of a damaged spool */
	const struct batch *damaged; /* NULL: the input is the whole file */
} forms[] = {
	{"jsonl", "in.jsonl", "in.jsonl", {NULL}, NULL},
	{"bson", "in.bson", "in.bson", {NULL}, NULL},
	{"csv", "csv-rapl", "csv-rapl/rapl.csv", {NULL}, NULL},
	{"csv", "csv-core", "csv-core/core.csv", {NULL}, NULL},
	{"sqlite", "in.db", "in.db", {"in.db-wal", "in.db-shm"}, NULL},
	{NULL, "spool.db", "spool.db", {"spool.db-wal", "spool.db-shm", "spool.db.damaged"}, NULL},
	{"jsonl", "in.jsonl.gz", "in.jsonl.gz", {NULL}, NULL},
	{"csv", "csv/power.csv", "csv/power.csv", {NULL}, NULL},
	{"sqlite", "in.db", "in.db", {"in.db-wal", "in.db-shm"}, &made_store},
	{NULL, "spool.db", "spool.db", {"spool.db-wal", "spool.db-shm", "spool.db.damaged"}, &made_spool},
};

/* The last name of a list. */
static void keep_name(void *data, const char *collection)
{
	(void)snprintf(data, COLLECTION_SIZE, "%s", collection);
}

static void read_collection(struct store *store, const char *collection)
{
	struct store_query query = {
		.collection = collection, .after_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 100};
	struct store_read read = {0};
	struct batch documents = {0};
	bool more = true;

	for (unsigned i = 0; more; i++) {
		enum store_result result = store_read(store, &query, &documents, &read);

		if (result != STORE_OK && !store_error(store)[0])
			abort(); /* failed without a message */
		more = result == STORE_OK && store_query_continue(&query, &read, &documents);
		if (i > PAGES_MAX)
			abort(); /* the same page repeatedly */
		batch_clear(&documents);
	}
	(void)store_get(store, collection, "x", &documents);
	batch_done(&documents);
}

static void use_store(const char *scheme, const char *path)
{
	const struct store_options options = {.flags = STORE_READ, .timeout_ms = 10};
	struct store *store = NULL;
	struct reason why = {""};
	char uri[160], collection[COLLECTION_SIZE] = "sensorx";

	(void)snprintf(uri, sizeof(uri), "%s:%s/%s", scheme, fuzz_folder(), path);
	if (store_open(uri, &options, &store, &why) < 0) {
		if (!why.text[0])
			abort();
		return;
	}
	(void)store_list(store, "", keep_name, collection);
	read_collection(store, collection);
	store_close(store);
}

static void use_spool(const char *path)
{
	const struct spool_limits limits = {.bytes = 1 << 20};
	struct spool_entry entry = {0};
	struct spool *spool = NULL;
	struct reason why = {""};
	char whole[128];

	(void)snprintf(whole, sizeof(whole), "%s/%s", fuzz_folder(), path);
	if (spool_open(whole, &limits, &spool, &why) < 0)
		return;
	for (unsigned i = 0; i < 10 && spool_peek(spool, &entry) > 0; i++)
		if (spool_pop(spool, entry.sequence) < 0)
			break;
	batch_done(&entry.documents);
	spool_close(spool);
}

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

static void must(bool good)
{
	if (!good)
		abort();
}

/* The complete generated file. */
static void take_file(const char *path, struct batch *ret_bytes)
{
	static uint8_t bytes[1 << 16];
	FILE *file = fopen(path, "rbe");
	size_t n = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

	must(n > 0 && n < sizeof(bytes) && fclose(file) == 0 && batch_add_bytes(ret_bytes, bytes, n) == 0);
}

static void make_files(void)
{
	const struct store_options options = {.flags = STORE_READ | STORE_WRITE};
	const struct spool_limits limits = {.bytes = 1 << 20};
	struct batch reports = {0};
	struct store *store = NULL;
	struct spool *spool = NULL;
	struct reason why;
	char path[128], uri[160];
	bson_t report;

	for (unsigned tick = 0; tick < MADE_TICKS; tick++) {
		must(state_report_init(&report, tick, "all", 1e9));
		must(bson_append_int32(&report, "_id", -1, (int)tick));
		must(batch_append(&reports, bson_get_data(&report), report.len) == 0);
		bson_destroy(&report);
	}
	(void)snprintf(path, sizeof(path), "%s/made.db", fuzz_folder());
	(void)snprintf(uri, sizeof(uri), "sqlite:%s", path);
	must(store_open(uri, &options, &store, &why) == 0);
	must(store_append(store, "sensorx", &reports) == STORE_OK);
	store_close(store);
	take_file(path, &made_store);
	(void)snprintf(path, sizeof(path), "%s/made-spool.db", fuzz_folder());
	must(spool_open(path, &limits, &spool, &why) == 0);
	for (unsigned i = 0; i < 3; i++)
		must(spool_push(spool, "sensorx", false, &reports, 1000) == 0);
	spool_close(spool);
	take_file(path, &made_spool);
	batch_done(&reports);
}

/* A place (two bytes), the operation, and its byte. */
static void write_damaged(const char *path, const struct batch *from, const uint8_t *data, size_t size)
{
	static uint8_t bytes[1 << 16];
	size_t length = from->length;

	memcpy(bytes, from->data, length);
	for (size_t i = 0; i + CHANGE_SIZE <= size && i < CHANGES_MAX * CHANGE_SIZE && length;
	     i += CHANGE_SIZE) {
		const size_t at = (size_t)(data[i] | data[i + 1] << 8) % length;

		if (data[i + 2] % 4 == 0)
			bytes[at] = data[i + 3];
		else if (data[i + 2] % 4 == 1)
			bytes[at] ^= data[i + 3];
		else if (data[i + 2] % 4 == 2)
			memset(bytes + at, data[i + 3], length - at < FILL ? length - at : FILL);
		else
			length = at;
	}
	fuzz_write(path, bytes, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t form;

	if (!made_store.length) {
		log_set_sink(ignore, NULL);
		fuzz_sqlite_init();
		make_files();
	}
	if (size == 0)
		return 0;
	form = data[0] % (sizeof(forms) / sizeof(forms[0]));
	if (forms[form].damaged)
		write_damaged(forms[form].file, forms[form].damaged, data + 1, size - 1);
	else
		fuzz_write(forms[form].file, data + 1, size - 1);
	if (forms[form].scheme)
		use_store(forms[form].scheme, forms[form].path);
	else
		use_spool(forms[form].path);
	/* This file was renamed as damaged: the next one is a new file. */
	for (unsigned i = 0; i < 3 && forms[form].beside[i]; i++)
		if (fuzz_unlink(forms[form].beside[i]) && i == 2)
			(void)fuzz_unlink(forms[form].file);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read as a store: JSON lines, BSON, a folder of CSV, an SQLite file, a spool. The first byte
 * selects which. Reading ends, and says something where a file is no store.
 */
#include "fuzz/driver/fuzz_files.h"
#include "fuzz/driver/fuzz_sqlite.h"
#include "base/log.h"
#include "store/store.h"
#include "write/spool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES_MAX       1000
#define COLLECTION_SIZE 128

static const struct {
	const char *scheme, *path, *file;
	const char *beside[3]; /* what SQLite leaves, and what a damaged spool becomes */
} forms[] = {
	{"jsonl", "in.jsonl", "in.jsonl", {NULL}},
	{"bson", "in.bson", "in.bson", {NULL}},
	{"csv", "csv-rapl", "csv-rapl/rapl.csv", {NULL}},
	{"csv", "csv-core", "csv-core/core.csv", {NULL}},
	{"sqlite", "in.db", "in.db", {"in.db-wal", "in.db-shm"}},
	{NULL, "spool.db", "spool.db", {"spool.db-wal", "spool.db-shm", "spool.db.damaged"}},
	{"jsonl", "in.jsonl.gz", "in.jsonl.gz", {NULL}},
	{"csv", "csv/power.csv", "csv/power.csv", {NULL}},
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
			abort(); /* failed without a word */
		more = result == STORE_OK && store_query_continue(&query, &read, &documents);
		if (i > PAGES_MAX)
			abort(); /* the same page again and again */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	size_t form;

	if (!begun) {
		log_set_sink(ignore, NULL);
		fuzz_sqlite_init();
		begun = true;
	}
	if (size == 0)
		return 0;
	form = data[0] % (sizeof(forms) / sizeof(forms[0]));
	fuzz_write(forms[form].file, data + 1, size - 1);
	if (forms[form].scheme)
		use_store(forms[form].scheme, forms[form].path);
	else
		use_spool(forms[form].path);
	/* What was set aside was this file: the next one is another. */
	for (unsigned i = 0; i < 3 && forms[form].beside[i]; i++)
		if (fuzz_unlink(forms[form].beside[i]) && i == 2)
			(void)fuzz_unlink(forms[form].file);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read as a store: JSON lines, BSON, a folder of CSV, an SQLite file, a spool. The first byte
 * selects which. Reading ends, and says something where a file is no store.
 */
#include "base/log.h"
#include "store/store.h"
#include "write/spool.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES_MAX 1000

static const struct {
	const char *scheme, *path, *file;
} forms[] = {
	{"jsonl", "in.jsonl", "in.jsonl"},
	{"bson", "in.bson", "in.bson"},
	{"csv", "csv", "csv/rapl.csv"},
	{"csv", "csv", "csv/core.csv"},
	{"sqlite", "in.db", "in.db"},
	{NULL, "spool.db", "spool.db"},
	{"jsonl", "in.jsonl.gz", "in.jsonl.gz"},
	{"csv", "csv/power.csv", "csv/power.csv"},
};

static char folder[] = "/tmp/wattribute-fuzz-XXXXXX";

static void remove_folder(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	(void)!system(command);
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)close(fd);
}

static void read_collection(void *data, const char *collection)
{
	struct store *store = data;
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
	char uri[160];

	(void)snprintf(uri, sizeof(uri), "%s:%s/%s", scheme, folder, path);
	if (store_open(uri, &options, &store, &why) < 0) {
		if (!why.text[0])
			abort();
		return;
	}
	(void)store_list(store, "", read_collection, store);
	read_collection(store, "sensorx");
	store_close(store);
}

static void use_spool(const char *path)
{
	const struct spool_limits limits = {.bytes = 1 << 20};
	struct spool_entry entry = {0};
	struct spool *spool = NULL;
	struct reason why = {""};
	char whole[128];

	(void)snprintf(whole, sizeof(whole), "%s/%s", folder, path);
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
	static const char *const left[] = {"in.jsonl",        "in.jsonl.gz",  "in.bson",      "in.db",
					   "in.db-wal",       "in.db-shm",    "spool.db",     "spool.db-wal",
					   "spool.db-shm",    "csv/rapl.csv", "csv/core.csv", "csv/power.csv",
					   "spool.db.damaged"};
	static bool made;
	char path[128];
	size_t form;

	if (!made) {
		log_set_sink(ignore, NULL);
		if (!mkdtemp(folder))
			abort();
		(void)snprintf(path, sizeof(path), "%s/csv", folder);
		(void)mkdir(path, 0700);
		made = atexit(remove_folder) == 0;
	}
	if (size == 0)
		return 0;
	form = data[0] % (sizeof(forms) / sizeof(forms[0]));
	write_file(forms[form].file, data + 1, size - 1);
	if (forms[form].scheme)
		use_store(forms[form].scheme, forms[form].path);
	else
		use_spool(forms[form].path);
	/* SQLite leaves files beside, and a spool is begun again beside a damaged one. */
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		(void)unlink(path);
	}
	return 0;
}

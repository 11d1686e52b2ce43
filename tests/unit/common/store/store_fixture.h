/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that use stores through their common interface: a store in its own folder or on a server, ticks
 * to write, and a count of what is found.
 */
#pragma once

#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define T0 INT64_C(1700000000000)

struct fixture {
	char uri[512];
	char directory[64];
	char collection[64];
	bool files; /* reads by offset, does not check identity */
	bool server;
	struct store *store;
};

static inline void open_store(struct fixture *fixture, unsigned flags)
{
	struct store_options options = {.flags = flags, .timeout_ms = 20000, .database = NULL};
	struct reason why = {""};
	int r = store_open(fixture->uri, &options, &fixture->store, &why);

	if (r < 0)
		print_message("# %s\n", why.text);
	assert_int_equal(r, 0);
}

static inline void set_up(struct fixture *fixture, const char *format)
{
	static unsigned counter;

	memset(fixture, 0, sizeof(*fixture));
	(void)snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/wattribute-store-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	(void)snprintf(fixture->collection, sizeof(fixture->collection), "sensort%dx%u", (int)getpid(),
		       counter++);
	fixture->server = strstr(format, "%s") == NULL;
	fixture->files = strncmp(format, "bson:", 5) == 0 || strncmp(format, "jsonl:", 6) == 0;
	if (fixture->server)
		(void)snprintf(fixture->uri, sizeof(fixture->uri), "%s", format);
	else
		(void)snprintf(fixture->uri, sizeof(fixture->uri), "%.*s%s%s",
			       (int)(strstr(format, "%s") - format), format, fixture->directory,
			       strstr(format, "%s") + 2);
	open_store(fixture, STORE_READ | STORE_WRITE);
}

static inline void tear_down(struct fixture *fixture)
{
	char command[128];

	store_close(fixture->store);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture->directory);
	assert_int_equal(system(command), 0);
}

static inline void add_report(struct batch *batch, int64_t time_ms, const char *target, uint64_t count)
{
	static const char *const events[] = {"INSTRUCTIONS_RETIRED", "LLC_MISSES"};
	static const struct report_place places[] = {{0, 0}};
	static const struct report_group group = {"core", 2, events, 1, places};
	uint64_t values[] = {count, count / 7};
	struct report_counts counts = {&group, values, NULL, NULL};
	struct report_head head = {time_ms, "node", target};
	struct report_target_metadata metadata = {.container_id = "0123456789ab", .scaled = 1};

	assert_int_equal(report_bson_add_target_counts(batch, &head, &counts, 1, &metadata), 0);
}

/* Ticks of 3 targets, one second apart. */
static inline void add_ticks(struct batch *batch, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		add_report(batch, T0 + i * 1000, "redis", i * 100 + 1);
		add_report(batch, T0 + i * 1000, "web", i * 100 + 2);
		add_report(batch, T0 + i * 1000, "all", i * 100 + 3);
	}
}

static inline void assert_stored(const struct fixture *fixture, enum store_result result)
{
	if (result != STORE_OK)
		print_message("# %s\n", store_error(fixture->store));
	assert_int_equal(result, STORE_OK);
}

static inline struct store_query query_of(const struct fixture *fixture)
{
	return (struct store_query){
		.collection = fixture->collection, .after_ms = INT64_MIN, .until_ms = INT64_MAX};
}

static inline unsigned count_found(struct fixture *fixture, const struct store_query *query)
{
	struct batch found = {0};
	struct store_read read;
	unsigned n;

	assert_stored(fixture, store_read(fixture->store, query, &found, &read));
	n = found.n_documents;
	batch_done(&found);
	return n;
}

/* A document of the collection sensorn1 with hardly more than its number. */
static inline void append_number(struct store *store, int n)
{
	struct batch batch = {0};
	bson_t document = BSON_INITIALIZER;

	BSON_APPEND_INT32(&document, "_id", n);
	BSON_APPEND_DATE_TIME(&document, "timestamp", 1000 + n);
	assert_int_equal(batch_append(&batch, bson_get_data(&document), document.len), 0);
	assert_int_equal(store_append(store, "sensorn1", &batch), STORE_OK);
	bson_destroy(&document);
	batch_done(&batch);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: each tick reaches the store in one append; while the store is unreachable, ticks wait in the
 * spool, also over a restart, and arrive once and in order when it is back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "write/writer.h"

#include "process/ipc.h"
#include "write/link.h"
#include "base/log.h"
#include "base/reason.h"

#include <bson/bson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_TICKS     7
#define N_DOCUMENTS 5

/* Port 1 of this machine refuses connections immediately. */
#define AWAY "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"

static char folder[64];
static size_t padding; /* of each report of a sender */

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	padding = 1;
	(void)snprintf(folder, sizeof(folder), "/tmp/wattribute-writer-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* The reports of a tick. */
static bool make_tick(struct batch *batch, int tick, size_t n_bytes)
{
	static uint8_t bytes[60000];
	int r = 0;

	batch_clear(batch);
	for (int i = 0; i < N_DOCUMENTS; i++) {
		bson_t document = BSON_INITIALIZER;
		bson_oid_t oid;
		char hex[25];

		(void)snprintf(hex, sizeof(hex), "%08x%016x", tick, (unsigned)i);
		bson_oid_init_from_string(&oid, hex);
		BSON_APPEND_OID(&document, "_id", &oid);
		BSON_APPEND_DATE_TIME(&document, "timestamp", 1000 * (int64_t)(tick + 1));
		BSON_APPEND_UTF8(&document, "sensor", "x");
		BSON_APPEND_UTF8(&document, "target", "all");
		BSON_APPEND_BINARY(&document, "padding", BSON_SUBTYPE_BINARY, bytes, (uint32_t)n_bytes);
		r |= batch_append(batch, bson_get_data(&document), document.len);
		bson_destroy(&document);
	}
	return r == 0;
}

/* A child that sends ticks first..first+n-1 and keeps the link open for a while. */
static pid_t start_sender(int sockets[2], int first, int n, unsigned open_ms)
{
	const pid_t pid = fork();
	struct link_sender sender;
	struct batch batch = {0};

	if (pid != 0) {
		(void)close(sockets[0]);
		return pid;
	}
	(void)close(sockets[1]);
	link_sender_init(&sender, sockets[0], 1 << 20);
	for (int tick = first; tick < first + n; tick++) {
		if (!make_tick(&batch, tick, padding))
			_exit(1);
		if (link_send(&sender, LINK_APPEND, "sensorx", &batch, true) < 0)
			_exit(1);
	}
	(void)usleep(open_ms * 1000);
	_exit(0);
}

/* Returns the number of lost documents. */
static uint64_t run_writer(const char *uri, int first, int n, unsigned open_ms)
{
	char spool[128];
	struct reason why;
	const struct writer_config config = {.uri = uri,
					     .options = {.flags = STORE_WRITE, .timeout_ms = 300},
					     .spool_path = spool,
					     .spool_limits = {.bytes = 1 << 20}};
	struct writer *writer = NULL;
	int sockets[2], status;
	uint64_t lost;
	pid_t pid;

	(void)snprintf(spool, sizeof(spool), "%s/spool.db", folder);
	assert_int_equal(ipc_pair(sockets), 0);
	pid = start_sender(sockets, first, n, open_ms);
	assert_int_equal(writer_open(&config, &writer, &why), 0);
	assert_int_equal(writer_run(writer, sockets[1]), 0);
	lost = writer_lost(writer);
	writer_close(writer);
	(void)close(sockets[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return lost;
}

static unsigned count_in_store(const char *uri, bool check_order)
{
	const struct store_options options = {.flags = STORE_READ};
	const struct store_query query = {
		.collection = "sensorx", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	struct store_read read_state = {0};
	struct batch batch = {0};
	struct store *store = NULL;
	struct reason why;
	size_t offset = 0, length;
	const uint8_t *data;
	int64_t last = 0;
	unsigned n;

	assert_int_equal(store_open(uri, &options, &store, &why), 0);
	assert_int_equal(store_read(store, &query, &batch, &read_state), STORE_OK);
	while (check_order && batch_next(&batch, &offset, &data, &length) > 0) {
		bson_t document;
		bson_iter_t iter;

		assert_true(bson_init_static(&document, data, length));
		assert_true(bson_iter_init_find(&iter, &document, "timestamp"));
		assert_true(bson_iter_date_time(&iter) >= last);
		last = bson_iter_date_time(&iter);
	}
	n = batch.n_documents;
	batch_done(&batch);
	store_close(store);
	return n;
}

static void ticks_reach_the_store(void **state)
{
	char uri[128];

	(void)state;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/store.db", folder);
	assert_int_equal(run_writer(uri, 0, N_TICKS, 0), 0);
	assert_int_equal(count_in_store(uri, true), N_TICKS * N_DOCUMENTS);
	/*
	 * One of them again, as from another sensor with this name: the first one stays, and the other is
	 * counted.
	 */
	assert_int_equal(run_writer(uri, N_TICKS - 1, 2, 0), N_DOCUMENTS);
	assert_int_equal(count_in_store(uri, true), (N_TICKS + 1) * N_DOCUMENTS);
}

static void ticks_wait_while_the_store_is_unavailable(void **state)
{
	char uri[128];

	(void)state;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/store.db", folder);
	assert_int_equal(run_writer(AWAY, 0, N_TICKS, 0), 0);
	assert_int_equal(run_writer(AWAY, N_TICKS, N_TICKS, 500), 0); /* a restart in between */
	assert_int_equal(run_writer(uri, 2 * N_TICKS, N_TICKS, 1500), 0);
	assert_int_equal(count_in_store(uri, true), 3 * N_TICKS * N_DOCUMENTS);
}

/*
 * A writer that continues for a killed one, and one whose `collect` was killed: neither stores part of a
 * tick. Ticks of several messages.
 */
/* Breaks the chain of the pages that hold the spooled ticks. */
static void damage_spool(void)
{
	static const uint8_t zeros[4092], ones[4] = {0xff, 0xff, 0xff, 0xff};
	uint8_t page[4096];
	char path[128];
	unsigned n = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/spool.db", folder);
	file = fopen(path, "r+");
	assert_non_null(file);
	for (long at = 0; fread(page, 1, sizeof(page), file) == sizeof(page); at += (long)sizeof(page)) {
		if (at > 0 && memcmp(page + 4, zeros, sizeof(zeros)) == 0 && memcmp(page, zeros, 4) != 0) {
			assert_int_equal(fseek(file, at, SEEK_SET), 0);
			assert_int_equal(fwrite(ones, 1, sizeof(ones), file), sizeof(ones));
			n++;
		}
		assert_int_equal(fseek(file, at + (long)sizeof(page), SEEK_SET), 0);
	}
	(void)fclose(file);
	assert_true(n > 0);
}

/* A damaged spool costs what was in it, not what follows. */
static void a_damaged_spool_is_set_aside(void **state)
{
	char uri[128], aside[128];
	uint64_t lost;
	unsigned stored;

	(void)state;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/store.db", folder);
	(void)snprintf(aside, sizeof(aside), "%s/spool.db.damaged", folder);
	padding = 20000;
	assert_int_equal(run_writer(AWAY, 0, N_TICKS, 0), 0);
	damage_spool();
	padding = 1;
	/* What arrives before the damage is found is lost with it; each document is stored or counted. */
	lost = run_writer(uri, N_TICKS, N_TICKS, 1500);
	stored = count_in_store(uri, true);
	assert_in_range(stored, 1, N_TICKS * N_DOCUMENTS);
	assert_int_equal(stored + lost, 2 * N_TICKS * N_DOCUMENTS);
	assert_int_equal(access(aside, R_OK), 0);
}

static void no_part_of_a_tick_is_stored(void **state)
{
	static uint8_t buffer[IPC_MESSAGE_MAX + 64];
	struct writer_config config = {.options = {.flags = STORE_WRITE}};
	struct writer *writer = NULL;
	struct ipc_message message;
	struct link_sender sender;
	struct batch batch = {0};
	struct reason why;
	char uri[128];
	int sockets[2];

	(void)state;
	(void)snprintf(uri, sizeof(uri), "jsonl:%s/store.jsonl", folder);
	config.uri = uri;
	assert_int_equal(ipc_pair(sockets), 0);
	link_sender_init(&sender, sockets[0], 1 << 20);
	assert_true(make_tick(&batch, 0, 50000));
	assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, true), 0);
	assert_true(make_tick(&batch, 1, 1));
	assert_int_equal(link_send(&sender, LINK_PUT, "targetx", &batch, false), 0);
	assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, true), 0);
	assert_true(make_tick(&batch, 2, 50000));
	assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, false), 0);
	/* What the killed writer had received. */
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
	(void)close(sockets[0]);
	assert_int_equal(writer_open(&config, &writer, &why), 0);
	assert_int_equal(writer_run(writer, sockets[1]), 0);
	assert_int_equal(writer_lost(writer), N_DOCUMENTS - 2 + N_DOCUMENTS);
	writer_close(writer);
	(void)close(sockets[1]);
	assert_int_equal(count_in_store(uri, true), N_DOCUMENTS);
	link_sender_done(&sender);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ticks_reach_the_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_part_of_a_tick_is_stored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ticks_wait_while_the_store_is_unavailable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_damaged_spool_is_set_aside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store process and its client over a real socket: order, large batches, refusals, a process that dies.
 */
#include "db/db.h"
#include "db/db_client.h"

#include "process/ipc.h"

#include <ev.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bson/bson.h>
#include <cmocka.h>

struct fixture {
	char folder[64];
	pid_t pid;
	struct ev_loop *loop;
	struct db_client *client;
	unsigned n_answers;
	unsigned n_documents;
	enum store_result result;
	int lost;
};

static void lost(void *data, int error)
{
	struct fixture *fixture = data;

	fixture->lost = error ? error : -1;
	ev_break(fixture->loop, EVBREAK_ALL);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct db_client_events events = {.lost = lost, .data = fixture};
	char uri[128];
	int sockets[2];

	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/wattribute-db-XXXXXX");
	if (!mkdtemp(fixture->folder) || ipc_pair(sockets) < 0)
		return -1;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/a.db", fixture->folder);
	fixture->pid = fork();
	if (fixture->pid == 0) {
		const struct db_options options = {.uri = uri, .store = {.flags = STORE_READ | STORE_WRITE}};

		(void)close(sockets[0]);
		_exit(db_serve(sockets[1], &options));
	}
	(void)close(sockets[1]);
	fixture->loop = ev_loop_new(0);
	fixture->client = db_client_new(fixture->loop, sockets[0], &events);
	*state = fixture;
	return fixture->client ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	int status;

	db_client_free(fixture->client);
	ev_loop_destroy(fixture->loop);
	(void)waitpid(fixture->pid, &status, 0);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
	status = system(command);
	free(fixture);
	return status;
}

static void answered(void *data, const struct db_answer *answer)
{
	struct fixture *fixture = data;
	const uint8_t *document;
	size_t offset = 0, length;

	fixture->n_answers++;
	fixture->result = answer->result;
	fixture->n_documents = 0;
	while (batch_next(answer->documents, &offset, &document, &length) == 1)
		fixture->n_documents++;
	if (db_client_waiting(fixture->client) == 0)
		ev_break(fixture->loop, EVBREAK_ALL);
}

/* Documents of about `size` bytes each, one second apart. */
static void fill(struct batch *batch, unsigned n, size_t size)
{
	char *text = calloc(1, size + 1);

	memset(text, 'x', size);
	for (unsigned i = 0; i < n; i++) {
		bson_t *document = BCON_NEW("_id", BCON_INT32((int32_t)i), "timestamp",
					    BCON_DATE_TIME((int64_t)i * 1000), "target", BCON_UTF8("a"),
					    "text", BCON_UTF8(text));

		assert_int_equal(batch_append(batch, bson_get_data(document), document->len), 0);
		bson_destroy(document);
	}
	free(text);
}

static void large_batches_come_back_whole(void **state)
{
	struct fixture *fixture = *state;
	struct store_query query = {.collection = "powera", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	struct batch batch = {0};

	fill(&batch, 300, 5000); /* 1.5 MB: many messages in each direction */
	assert_int_equal(db_client_append(fixture->client, "powera", &batch, answered, fixture), 0);
	assert_int_equal(db_client_read(fixture->client, &query, answered, fixture), 0);
	ev_run(fixture->loop, 0);
	assert_int_equal(fixture->n_answers, 2);
	assert_int_equal(fixture->result, STORE_OK);
	assert_int_equal(fixture->n_documents, 300);
	assert_int_equal(db_client_statistics(fixture->client)->appended, 300);
	batch_done(&batch);
}

static void one_document_larger_than_a_message(void **state)
{
	struct fixture *fixture = *state;
	struct batch batch = {0};

	fill(&batch, 1, 400000);
	assert_int_equal(db_client_put(fixture->client, "state", &batch, answered, fixture), 0);
	assert_int_equal(db_client_get(fixture->client, "state", NULL, answered, fixture), 0);
	ev_run(fixture->loop, 0);
	assert_int_equal(fixture->n_documents, 1);
	batch_done(&batch);
}

static void a_full_queue_is_reported(void **state)
{
	struct fixture *fixture = *state;
	struct batch batch = {0};

	/* More than the socket accepts at once. */
	fill(&batch, 600, 50000);
	assert_false(db_client_is_full(fixture->client));
	assert_int_equal(db_client_append(fixture->client, "powera", &batch, answered, fixture), 0);
	assert_true(db_client_is_full(fixture->client));
	assert_int_equal(db_client_flush(fixture->client), 0);
	ev_run(fixture->loop, 0);
	assert_false(db_client_is_full(fixture->client));
	assert_int_equal(db_client_queued_bytes(fixture->client), 0);
	batch_done(&batch);
}

static void count(void *data, const struct db_answer *answer)
{
	struct fixture *fixture = data;

	assert_int_equal(answer->result, STORE_OK);
	fixture->n_answers++;
}

/* Alternating documents of different collections: all are stored, each once, each answered. */
static void many_small_writes_are_stored_together(void **state)
{
	struct fixture *fixture = *state;
	struct batch batch = {0};
	char collection[32];

	fill(&batch, 10, 100);
	(void)kill(fixture->pid, SIGSTOP);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(collection, sizeof(collection), "power%u", i);
		assert_int_equal(db_client_append(fixture->client, collection, &batch, count, fixture), 0);
		if (i % 100 == 50)
			assert_int_equal(db_client_put(fixture->client, "state", &batch, count, fixture), 0);
	}
	assert_int_equal(db_client_flush(fixture->client), 0);
	(void)kill(fixture->pid, SIGCONT);
	assert_int_equal(db_client_get(fixture->client, "power299", NULL, answered, fixture), 0);
	ev_run(fixture->loop, 0);
	assert_int_equal(fixture->n_documents, 10);
	while (db_client_waiting(fixture->client) > 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_int_equal(fixture->n_answers, 304);
	assert_int_equal(db_client_statistics(fixture->client)->appended +
				 db_client_statistics(fixture->client)->duplicates,
			 3030);
	assert_in_range(db_client_statistics(fixture->client)->round_trips, 1, 60);
	batch_done(&batch);
}

/* A read sees all earlier writes, however many are pending. */
static void a_read_sees_earlier_writes(void **state)
{
	struct fixture *fixture = *state;
	struct batch batch = {0};

	fill(&batch, 3, 100);
	for (unsigned i = 0; i < 50; i++) {
		char collection[32];

		(void)snprintf(collection, sizeof(collection), "power%u", i);
		assert_int_equal(db_client_append(fixture->client, collection, &batch, NULL, NULL), 0);
		assert_int_equal(db_client_get(fixture->client, "other", NULL, NULL, NULL), 0);
		assert_int_equal(db_client_get(fixture->client, collection, NULL, answered, fixture), 0);
		fixture->n_documents = 0;
		ev_run(fixture->loop, 0);
		assert_int_equal(fixture->n_documents, 3);
	}
	batch_done(&batch);
}

static void a_dead_process_is_detected(void **state)
{
	struct fixture *fixture = *state;

	(void)kill(fixture->pid, SIGKILL);
	(void)db_client_list(fixture->client, "sensor", answered, fixture);
	ev_run(fixture->loop, 0);
	assert_int_not_equal(fixture->lost, 0);
	assert_int_equal(fixture->n_answers, 0);
	assert_int_equal(db_client_list(fixture->client, "sensor", answered, fixture), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(large_batches_come_back_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(one_document_larger_than_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(many_small_writes_are_stored_together, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_sees_earlier_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_process_is_detected, setup, teardown),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

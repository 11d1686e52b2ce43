/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An unreachable database: nothing is lost, nothing is written twice, and the reason is reported.
 * WATTRIBUTE_TEST_RESTART, a folder, makes a script of the wire tests stop and restart the server of
 * WATTRIBUTE_TEST_STORE.
 */
#include "store_fixture.h"
#include "base/reason.h"

/* Nothing listens on this port: open succeeds, writes return RETRY in time, and the message is helpful. */
static void test_mongodb_away(void **state)
{
	struct store_options options = {.timeout_ms = 500};
	struct store *store;
	struct batch batch = {0};
	struct reason why;

	(void)state;
	add_ticks(&batch, 0, 2);
	assert_int_equal(store_open("127.0.0.1:1", &options, &store, &why), 0);
	assert_int_equal(store_append(store, "sensorx", &batch), STORE_RETRY);
	print_message("# %s\n", store_error(store));
	assert_non_null(strstr(store_error(store), "127.0.0.1:1"));
	assert_int_equal(store_get_statistics(store)->appended, 0);
	assert_int_equal(store_ensure(store, "sensorx", 0, T0), STORE_RETRY);
	store_close(store);
	batch_done(&batch);
}

/* Makes a request to the script that runs the server, through files in a shared directory. */
static void ask_script(const char *wish, const char *answer)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", getenv("WATTRIBUTE_TEST_RESTART"), wish);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fclose(file);
	(void)snprintf(path, sizeof(path), "%s/%s", getenv("WATTRIBUTE_TEST_RESTART"), answer);
	for (unsigned i = 0; i < 600 && access(path, F_OK) < 0; i++)
		(void)usleep(100000);
	assert_int_equal(access(path, F_OK), 0);
}

/* The server stops and restarts: RETRY in between, and in the end every document exactly once. */
static void test_server_restart(void **state)
{
	struct fixture fixture;
	struct store_query query;
	struct batch batch = {0};
	enum store_result result = STORE_RETRY;

	(void)state;
	set_up(&fixture, getenv("WATTRIBUTE_TEST_STORE"));
	query = query_of(&fixture);
	add_ticks(&batch, 0, 5);
	assert_stored(&fixture, store_append(fixture.store, fixture.collection, &batch));
	ask_script("stop", "stopped");
	add_ticks(&batch, 5, 5);
	assert_int_equal(store_append(fixture.store, fixture.collection, &batch), STORE_RETRY);
	print_message("# %s\n", store_error(fixture.store));
	assert_int_equal(store_append(fixture.store, fixture.collection, &batch), STORE_RETRY);
	ask_script("start", "started");
	for (unsigned i = 0; i < 100 && result == STORE_RETRY; i++) {
		result = store_append(fixture.store, fixture.collection, &batch);
		(void)usleep(200000);
	}
	assert_stored(&fixture, result);
	assert_int_equal(count_found(&fixture, &query), 30);
	assert_int_equal(store_get_statistics(fixture.store)->duplicates, 15);
	tear_down(&fixture);
	batch_done(&batch);
}

/*
 * The driver uses no shared memory, neither after it is loaded nor after use, with a store open or closed.
 */
static void test_nothing_in_shared_memory(void **state)
{
	char path[64];
	struct store *store;
	struct reason why;

	(void)state;
	(void)snprintf(path, sizeof(path), "/dev/shm/mongoc-%u", (unsigned)getpid());
	assert_int_equal(access(path, F_OK), -1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
			store_open("mongodb://127.0.0.1:1", &(struct store_options){0}, &store, &why), 0);
		assert_int_equal(access(path, F_OK), -1);
		store_close(store);
		assert_int_equal(access(path, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest restart[] = {cmocka_unit_test(test_server_restart)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_in_shared_memory),
		cmocka_unit_test(test_mongodb_away),
	};

	if (getenv("WATTRIBUTE_TEST_RESTART"))
		return cmocka_run_group_tests(restart, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the SQLite store must survive: a second process, kill -9 during a write, a file that is not a
 * database, a full disk, and files whose last document a crash has truncated.
 */
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T0   INT64_C(1700000000000)
#define TICK 20 /* documents of a batch */

static char directory[64];
static char uri[128];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/wattribute-sqlite-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/store.db", directory);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

static struct store *open_or_null(const char *where, unsigned flags)
{
	struct store_options options = {.flags = flags, .timeout_ms = 10000};
	struct store *store;
	struct reason why;

	if (store_open(where, &options, &store, &why) < 0)
		(void)fprintf(stderr, "# %s\n", why.text);
	return store;
}

static void make_tick(struct batch *batch, const char *sensor, unsigned tick)
{
	static const char *const events[] = {"INSTRUCTIONS_RETIRED"};
	static const struct report_place places[] = {{0, 0}};
	static const struct report_group group = {"core", 1, events, 1, places};
	struct report_target_metadata metadata = {.scaled = 1};
	char target[32];

	batch_clear(batch);
	for (unsigned i = 0; i < TICK; i++) {
		uint64_t value = tick * 1000 + i;
		struct report_counts counts = {&group, &value, NULL, NULL};
		struct report_head head = {T0 + tick * 1000, sensor, target};

		(void)snprintf(target, sizeof(target), "target-%u", i);
		(void)report_bson_add_target_counts(batch, &head, &counts, 1, &metadata);
	}
}

static unsigned count(struct store *store, const char *collection)
{
	struct store_query query = {.collection = collection, .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	struct batch found = {0};
	struct store_read read;
	unsigned n;

	assert_int_equal(store_read(store, &query, &found, &read), STORE_OK);
	n = found.n_documents;
	batch_done(&found);
	return n;
}

/* Opens the store and appends ticks; 1 if one is not stored. */
static int append_ticks(const char *collection, unsigned n_ticks)
{
	struct store *store = open_or_null(uri, STORE_WRITE);
	struct batch batch = {0};
	bool stored = store != NULL;

	for (unsigned i = 0; stored && i < n_ticks; i++) {
		make_tick(&batch, collection, i);
		stored = store_append(store, collection, &batch) == STORE_OK;
		if (!stored)
			(void)fprintf(stderr, "# %s\n", store_error(store));
	}
	store_close(store);
	batch_done(&batch);
	return stored ? 0 : 1;
}

static pid_t start_writer(const char *collection, unsigned n_ticks)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(append_ticks(collection, n_ticks));
	return pid;
}

static void test_two_writers(void **state)
{
	pid_t writers[2];
	struct store *store = open_or_null(uri, STORE_READ | STORE_WRITE);
	int status;

	(void)state;
	writers[0] = start_writer("sensora", 50);
	writers[1] = start_writer("sensorb", 50);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(count(store, "sensora") % TICK, 0); /* only complete ticks are visible */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count(store, "sensora"), 50 * TICK);
	assert_int_equal(count(store, "sensorb"), 50 * TICK);
	store_close(store);
}

static void test_killed_writer(void **state)
{
	unsigned before = 0;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		pid_t pid = start_writer("sensora", 100000);
		struct store *store;
		unsigned n;

		(void)usleep(20000 + round * 7000);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		store = open_or_null(uri, STORE_READ | STORE_WRITE);
		assert_non_null(store);
		n = count(store, "sensora");
		assert_int_equal(n % TICK, 0);
		assert_true(n >= before);
		before = n;
		store_close(store);
	}
	print_message("# %u ticks after 8 kills\n", before / TICK);
	assert_true(before > 0);
}

/*
 * Sensors and a server of one machine start together: the first creates the file, and the others must not
 * fail because of it.
 */
/* As SECURITY.md documents: the umask decides who may read the file and those beside it. */
static void test_who_may_read(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	const mode_t before = umask(027);
	struct store *store = open_or_null(uri, STORE_WRITE);
	struct stat st;

	(void)state;
	assert_non_null(store);
	assert_int_equal(store_ensure(store, "sensorx", 0, T0), STORE_OK);
	for (unsigned i = 0; i < 3; i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s%s", uri + strlen("sqlite:"), ends[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0640);
	}
	store_close(store);
	(void)umask(before);
}

static void test_opened_at_once(void **state)
{
	enum { AT_ONCE = 6, ROUNDS = 25 };

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t openers[AT_ONCE];
		int gate[2], status;

		(void)snprintf(uri, sizeof(uri), "sqlite:%s/%u.db", directory, round);
		assert_int_equal(pipe(gate), 0);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			openers[i] = fork();
			if (openers[i] == 0) {
				char byte;

				(void)close(gate[1]);
				(void)!read(gate[0], &byte, 1); /* all start when the pipe is closed */
				_exit(append_ticks("sensora", 1));
			}
		}
		(void)close(gate[0]);
		(void)close(gate[1]);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_int_equal(waitpid(openers[i], &status, 0), openers[i]);
			assert_int_equal(status, 0);
		}
	}
}

static void write_file(const char *name, const void *data, size_t length)
{
	char path[160];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, length, file), length);
	(void)fclose(file);
}

static void test_no_database(void **state)
{
	static const char text[] =
		"this is no database, but it is long enough to be taken for one by whoever looks at it, "
		"and it does not begin as databases do";
	struct store *store;
	struct reason why = {""};

	(void)state;
	write_file("store.db", text, sizeof(text));
	assert_true(store_open(uri, NULL, &store, &why) < 0);
	print_message("# %s\n", why.text);
	assert_non_null(strstr(why.text, "damaged"));
	assert_non_null(strstr(why.text, directory));
}

static void test_missing_file(void **state)
{
	struct store_options options = {.flags = STORE_READ};
	struct store *store;
	struct reason why = {""};

	(void)state;
	assert_true(store_open(uri, &options, &store, &why) < 0);
	assert_non_null(strstr(why.text, "there is no such file"));
	/* To write, it would be created. */
	options.flags = STORE_WRITE;
	assert_true(store_open("sqlite:/proc/none.db", &options, &store, &why) < 0);
	assert_null(strstr(why.text, "there is no such file"));
	if (geteuid() == 0)
		assert_non_null(strstr(why.text, "no file can be created there"));
}

/*
 * A limit on file size simulates a full disk: RETRY, only complete ticks, and writing continues afterwards.
 */
static void test_full_disk(void **state)
{
	struct rlimit old;
	struct rlimit small;
	struct store *store = open_or_null(uri, STORE_READ | STORE_WRITE);
	struct batch batch = {0};
	enum store_result result = STORE_OK;
	unsigned stored = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 400000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (result == STORE_OK && stored < 10000) {
		make_tick(&batch, "sensora", stored);
		result = store_append(store, "sensora", &batch);
		stored += result == STORE_OK;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	print_message("# %s\n", store_error(store));
	assert_int_equal(result, STORE_RETRY);
	assert_int_equal(store_get_statistics(store)->appended, stored * TICK);
	assert_int_equal(count(store, "sensora"), stored * TICK);
	assert_int_equal(store_append(store, "sensora", &batch), STORE_OK);
	assert_int_equal(count(store, "sensora"), (stored + 1) * TICK);
	store_close(store);
	batch_done(&batch);
}

/* Truncates a file by `less` bytes. */
static void cut(const char *name, off_t less)
{
	struct stat status;
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size - less), 0);
}

static void try_torn(const char *scheme)
{
	char name[32];
	char where[160];
	struct batch batch = {0};
	struct store *store;

	(void)snprintf(name, sizeof(name), "torn.%s", scheme);
	(void)snprintf(where, sizeof(where), "%s:%s/%s", scheme, directory, name);
	store = open_or_null(where, STORE_READ | STORE_WRITE);
	make_tick(&batch, "node", 0);
	assert_int_equal(store_append(store, "sensora", &batch), STORE_OK);
	store_close(store);
	cut(name, 30);
	store = open_or_null(where, STORE_READ | STORE_WRITE);
	assert_int_equal(count(store, "sensora"), TICK - 1);
	assert_string_not_equal(store_error(store), "");
	make_tick(&batch, "node", 1);
	assert_int_equal(store_append(store, "sensora", &batch), STORE_OK);
	print_message("# %s\n", store_error(store));
	assert_non_null(strstr(store_error(store), "cut short"));
	assert_int_equal(count(store, "sensora"), 2 * TICK - 1);
	store_close(store);
	batch_done(&batch);
}

/* The end of a file of lines is found from behind: the rest of a long line, after a damaged one. */
static void try_torn_long_line(size_t length)
{
	struct batch batch = {0};
	struct store *store;
	char where[200], path[160];
	struct stat status;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/long.jsonl", directory);
	(void)snprintf(where, sizeof(where), "jsonl:%s", path);
	(void)unlink(path);
	store = open_or_null(where, STORE_READ | STORE_WRITE);
	make_tick(&batch, "node", 0);
	assert_int_equal(store_append(store, "sensora", &batch), STORE_OK);
	store_close(store);
	file = fopen(path, "ae");
	assert_non_null(file);
	(void)fprintf(file, "{damaged}\n{\"target\":\"%0*d", (int)length, 7);
	assert_int_equal(fclose(file), 0);
	store = open_or_null(where, STORE_READ | STORE_WRITE);
	make_tick(&batch, "node", 1);
	assert_int_equal(store_append(store, "sensora", &batch), STORE_OK);
	assert_non_null(strstr(store_error(store), "cut short"));
	assert_int_equal(count(store, "sensora"), 2 * TICK);
	store_close(store);
	assert_int_equal(stat(path, &status), 0);
	assert_in_range(status.st_size, 1, 10000);
	batch_done(&batch);
}

static void test_torn_files(void **state)
{
	(void)state;
	try_torn("bson");
	try_torn("jsonl");
	try_torn_long_line(1);
	try_torn_long_line(4096 - 12);
	try_torn_long_line(4096 - 11);
	try_torn_long_line(100000);
}

static void test_foreign_file(void **state)
{
	struct batch batch = {0};
	struct store *store;
	char where[160];

	(void)state;
	write_file("x.bson", "no documents here", 17);
	(void)snprintf(where, sizeof(where), "bson:%s/x.bson", directory);
	store = open_or_null(where, STORE_READ | STORE_WRITE);
	make_tick(&batch, "node", 0);
	assert_int_not_equal(store_append(store, "sensora", &batch), STORE_OK);
	print_message("# %s\n", store_error(store));
	store_close(store);
	batch_done(&batch);
}

/*
 * A file of a later version: readers and writers refuse it with both versions named, and leave it unchanged.
 */
static void test_later_schema(void **state)
{
	char command[300];
	struct store *store;
	struct reason why;
	sqlite3 *database;

	(void)state;
	assert_int_equal(append_ticks("sensorx", 1), 0);
	assert_int_equal(sqlite3_open(uri + strlen("sqlite:"), &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s/before'", uri + strlen("sqlite:"), directory);
	assert_int_equal(system(command), 0);
	for (unsigned flags = STORE_READ; flags <= STORE_WRITE; flags++) {
		struct store_options options = {.flags = flags, .timeout_ms = 1000};

		assert_true(store_open(uri, &options, &store, &why) < 0);
		assert_non_null(strstr(why.text, "schema version 2, this program knows 1"));
	}
	(void)snprintf(command, sizeof(command), "cmp '%s' '%s/before'", uri + strlen("sqlite:"), directory);
	assert_int_equal(system(command), 0);
}

/* What root creates in another user's folder can be written by this user, log included. */
static void test_owner(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct store *store;
	struct stat status;
	char path[160];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(directory, 12345, 54321), 0);
	for (unsigned again = 0; again < 2; again++) {
		struct batch batch = {0};

		store = open_or_null(uri, STORE_WRITE);
		assert_non_null(store);
		make_tick(&batch, "n", again);
		assert_int_equal(store_append(store, "sensorn", &batch), STORE_OK);
		for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
			(void)snprintf(path, sizeof(path), "%s/store.db%s", directory, suffixes[i]);
			assert_int_equal(stat(path, &status), 0);
			assert_int_equal(status.st_uid, 12345);
			assert_int_equal(status.st_gid, 54321);
		}
		store_close(store);
		batch_done(&batch);
	}
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later_schema, set_up, tear_down),
		CASE(test_who_may_read),
		CASE(test_owner),
		CASE(test_two_writers),
		CASE(test_killed_writer),
		CASE(test_no_database),
		CASE(test_missing_file),
		CASE(test_full_disk),
		CASE(test_torn_files),
		CASE(test_foreign_file),
		CASE(test_opened_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

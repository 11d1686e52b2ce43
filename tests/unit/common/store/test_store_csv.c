/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CSV store: files in hwpc-sensor's layout, continuing after a restart, and reading them back.
 */
#include "store/store.h"
#include "text_store.h"
#include "base/reason.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* In place of the C library's: notes which file was made durable last. */
static ino_t synced;

int fdatasync(int fd)
{
	struct stat status;

	synced = fstat(fd, &status) == 0 ? status.st_ino : 0;
	return fsync(fd);
}

static struct store *open_csv(void)
{
	struct store *store;
	char uri[100];
	struct reason why;

	(void)snprintf(uri, sizeof(uri), "csv:%s/out", directory);
	assert_int_equal(store_open(uri, NULL, &store, &why), 0);
	return store;
}

#define CSV_HEADER                                                                                           \
	"timestamp,sensor,target,socket,cpu,INSTRUCTIONS_RETIRED,LLC_MISSES,cycles,time_enabled,time_"       \
	"running\n"
#define CSV_ROWS(target)                                                                                     \
	"1700000000123,node," target ",0,0,3,1152921504606846976,1,10,10\n"                                  \
	"1700000000123,node," target ",1,4,6,5,4,20,20\n"

static void test_csv_reports(void **state)
{
	struct batch batch = {0};
	struct store *store = open_csv();

	(void)state;
	add_report(&batch, "redis", 3);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	assert_file("out/core.csv", CSV_HEADER CSV_ROWS("redis"));
	store_close(store);
	/* A restart continues in the same file; an unusual name is quoted. */
	store = open_csv();
	batch_clear(&batch);
	add_report(&batch, "a,\"b\"", 3);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	assert_file("out/core.csv", CSV_HEADER CSV_ROWS("redis") CSV_ROWS("\"a,\"\"b\"\"\""));
	store_close(store);
	/* Fewer events than the header has: empty fields. */
	store = open_csv();
	batch_clear(&batch);
	add_report(&batch, "two", 2);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	store_close(store);
	batch_done(&batch);
}

/* Events without a column in the file get one, in the middle of a batch and after a restart. */
static void test_csv_other_events(void **state)
{
	static const char header[] = "timestamp,sensor,target,socket,cpu,LLC_MISSES,cycles,time_enabled,"
				     "time_running,INSTRUCTIONS_RETIRED\n";
	static const char narrow[] = "1700000000123,node,\"a,\n\"\"b\"\"\",0,0,1152921504606846976,1,10,10,\n"
				     "1700000000123,node,\"a,\n\"\"b\"\"\",1,4,4,3,20,20,\n";
	static const char wide[] = "1700000000123,node,redis,0,0,1152921504606846976,1,10,10,3\n"
				   "1700000000123,node,redis,1,4,5,4,20,20,6\n";
	char expected[2048];
	struct batch batch = {0};
	struct store *store = open_csv();

	(void)state;
	add_report(&batch, "a,\n\"b\"", 2);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	add_report(&batch, "redis", 3);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	(void)snprintf(expected, sizeof(expected), "%s%s%s%s", header, narrow, narrow, wide);
	assert_file("out/core.csv", expected);
	assert_int_equal(store_get_statistics(store)->dropped, 0);
	store_close(store);
	/* The next run finds all columns, and a reader finds all rows. */
	store = open_csv();
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	(void)snprintf(expected, sizeof(expected), "%s%s%s%s%s%s", header, narrow, narrow, wide, narrow,
		       wide);
	assert_file("out/core.csv", expected);
	store_close(store);
	batch_done(&batch);
}

static void test_csv_foreign_header(void **state)
{
	struct batch batch = {0};
	struct store *store = open_csv();
	char command[256];

	(void)state;
	(void)snprintf(command, sizeof(command), "mkdir -p %s/out && echo a,b,c > %s/out/core.csv", directory,
		       directory);
	assert_int_equal(system(command), 0);
	add_report(&batch, "redis", 2);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_DROP);
	print_message("# %s\n", store_error(store));
	assert_file("out/core.csv", "a,b,c\n");
	store_close(store);
	batch_done(&batch);
}

/* An event of raw terms has commas in its name, but gets one column, also after a restart. */
static void test_csv_event_with_commas(void **state)
{
	static const char *const events[] = {"cpu/event=0x3c,umask=0x00/", "instructions"};
	static const struct report_place places[] = {{0, 0}};
	static const struct report_group group = {"core", 2, events, 1, places};
	static const uint64_t values[] = {1, 2};
	struct report_counts counts = {&group, values, NULL, NULL};
	struct report_head head = {T0, "node", "redis"};
	struct report_target_metadata metadata = {.scaled = 1};
	struct batch batch = {0};

	(void)state;
	assert_int_equal(report_bson_add_target_counts(&batch, &head, &counts, 1, &metadata), 0);
	for (unsigned run = 0; run < 2; run++) {
		struct store *store = open_csv();

		assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
		store_close(store);
	}
	assert_file("out/core.csv",
		    "timestamp,sensor,target,socket,cpu,\"cpu/event=0x3c,umask=0x00/\",instructions\n"
		    "1700000000123,node,redis,0,0,1,2\n"
		    "1700000000123,node,redis,0,0,1,2\n");
	batch_done(&batch);
}

/* If the disk fills up during the header, no partial header remains, as every later row would be refused. */
static void test_csv_torn_header(void **state)
{
	struct rlimit small = {10, 10}, before;
	struct batch batch = {0};
	struct store *store = open_csv();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	(void)signal(SIGXFSZ, SIG_IGN);
	add_report(&batch, "redis", 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_RETRY);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_file("out/core.csv", "");
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	assert_file("out/core.csv", CSV_HEADER CSV_ROWS("redis"));
	store_close(store);
	batch_done(&batch);
}

static void test_csv_power(void **state)
{
	struct report_power power = {.time_ms = T0,
				     .sensor = "node",
				     .target = "redis",
				     .socket = "0",
				     .scope = REPORT_SCOPE_CPU,
				     .formula = "pooled",
				     .ratio = 0.5,
				     .power = 12.25,
				     .dynamic = 10,
				     .fixed = 2.25,
				     .energy_j = 12.25,
				     .interval_s = 1,
				     .error = 0.1,
				     .sd = 0.75,
				     .calibrated = true};
	struct batch batch = {0};
	struct store *store = open_csv();

	(void)state;
	assert_int_equal(report_bson_add_power(&batch, &power), 0);
	assert_int_equal(store_append(store, "powernode", &batch), STORE_OK);
	assert_file("out/power.csv",
		    "timestamp,sensor,target,power,scope,socket,formula,ratio,interval,energy,dynamic,static,"
		    "error,"
		    "estimated,container_id,sd,calibrated\n"
		    "1700000000123,node,redis,12.25,cpu,0,pooled,0.5,1,12.25,10,2.25,0.1,false,,0.75,true\n");
	store_close(store);
	batch_done(&batch);
}

/* A file of an earlier version gets the columns that were added since, a torn last line included. */
static void test_csv_power_of_an_earlier_version(void **state)
{
	static const char earlier[] =
		"timestamp,sensor,target,power,scope,socket,formula,ratio,interval,energy,"
		"dynamic,static,error,estimated,container_id\n"
		"1699999999000,node,redis,9,cpu,0,pooled,0.5,1,9,8,1,0.1,false,\n16999";
	struct report_power power = {.time_ms = T0,
				     .sensor = "node",
				     .target = "redis",
				     .socket = "0",
				     .formula = "share",
				     .ratio = 1,
				     .power = 2,
				     .dynamic = NAN,
				     .fixed = NAN,
				     .energy_j = 2,
				     .interval_s = 1,
				     .error = NAN,
				     .sd = NAN};
	struct batch batch = {0};
	struct store *store = open_csv();
	char path[200];
	FILE *file;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/out", directory);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "%s/out/power.csv", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(earlier, file);
	(void)fclose(file);
	assert_int_equal(report_bson_add_power(&batch, &power), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(store_append(store, "powernode", &batch), STORE_OK);
		store_close(store);
		store = open_csv();
	}
	assert_file("out/power.csv",
		    "timestamp,sensor,target,power,scope,socket,formula,ratio,interval,energy,dynamic,static,"
		    "error,estimated,container_id,sd,calibrated\n"
		    "1699999999000,node,redis,9,cpu,0,pooled,0.5,1,9,8,1,0.1,false,,,\n"
		    "1700000000123,node,redis,2,cpu,0,share,1,1,2,,,,false,,,false\n"
		    "1700000000123,node,redis,2,cpu,0,share,1,1,2,,,,false,,,false\n");
	store_close(store);
	batch_done(&batch);
}

/* CSV output is read back as reports: complete ticks, `all` last, continuing from an offset. */
static void test_csv_read(void **state)
{
	static const char *const events[] = {"RAPL_ENERGY_PKG"};
	static const struct report_place places[] = {{0, 0}};
	static const struct report_group rapl = {"rapl", 1, events, 1, places};
	struct batch batch = {0};
	struct batch found = {0};
	struct store *store = open_csv();
	struct store_query query = {
		.collection = "sensornode", .after_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 1};
	struct store_read read;
	unsigned n = 0;

	(void)state;
	for (unsigned tick = 0; tick < 4; tick++) {
		uint64_t value = tick + 1;
		struct report_counts counts = {&rapl, &value, NULL, NULL};
		struct report_head all = {T0 + tick, "node", "all"};
		struct report_tick_metadata metadata = {.skew_s = -1};

		assert_int_equal(report_bson_add_all_counts(&batch, &all, &counts, 1, &metadata), 0);
	}
	add_report(&batch, "redis", 3);
	add_report(&batch, "a,\"b\"", 3);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	for (bool end = false; !end; query.offset = read.offset) {
		if (n == 4) { /* another process could continue here, too */
			store_close(store);
			store = open_csv();
		}
		batch_clear(&found);
		assert_int_equal(store_read(store, &query, &found, &read), STORE_OK);
		if (n == 0) {
			assert_int_equal(found.n_documents, 3);
			assert_non_null(memmem(found.data, found.length, "a,\"b\"", 6));
		}
		n += found.n_documents;
		end = read.end;
	}
	assert_int_equal(n, 6);
	store_close(store);
	batch_done(&batch);
	batch_done(&found);
}

/* With --overwrite, too, a file that another store writes keeps its rows. */
static void test_csv_two_writers(void **state)
{
	const struct store_options overwrite = {.flags = STORE_WRITE | STORE_OVERWRITE, .timeout_ms = 20000};
	struct batch batch = {0};
	struct store *store = open_csv(), *second;
	struct reason why;
	char uri[100];

	(void)state;
	add_report(&batch, "redis", 3);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	(void)snprintf(uri, sizeof(uri), "csv:%s/out", directory);
	assert_int_equal(store_open(uri, &overwrite, &second, &why), 0);
	assert_int_equal(store_append(second, "sensornode", &batch), STORE_RETRY);
	assert_non_null(strstr(store_error(second), "another process is writing"));
	assert_file("out/core.csv", CSV_HEADER CSV_ROWS("redis"));
	/* After the first has closed it, the second starts an empty file. */
	store_close(store);
	batch_clear(&batch);
	add_report(&batch, "web", 3);
	assert_int_equal(store_append(second, "sensornode", &batch), STORE_OK);
	assert_file("out/core.csv", CSV_HEADER CSV_ROWS("web"));
	store_close(second);
	batch_done(&batch);
}

/* The wider copy of a file is on the disk before it replaces the file, and others can read it no more than
 * before. */
static void test_csv_wider_copy(void **state)
{
	char path[100];
	struct batch batch = {0};
	struct stat status;
	struct store *store = open_csv();

	(void)state;
	add_report(&batch, "redis", 2);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	(void)snprintf(path, sizeof(path), "%s/out/core.csv", directory);
	assert_int_equal(chmod(path, 0600), 0);
	add_report(&batch, "redis", 3);
	synced = 0;
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(synced, status.st_ino);
	store_close(store);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(test_csv_reports),        WITH_DIRECTORY(test_csv_other_events),
		WITH_DIRECTORY(test_csv_foreign_header), WITH_DIRECTORY(test_csv_event_with_commas),
		WITH_DIRECTORY(test_csv_torn_header),    WITH_DIRECTORY(test_csv_power),
		WITH_DIRECTORY(test_csv_read),           WITH_DIRECTORY(test_csv_power_of_an_earlier_version),
		WITH_DIRECTORY(test_csv_two_writers),    WITH_DIRECTORY(test_csv_wider_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

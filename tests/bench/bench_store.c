/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of documents: CPU time of encoding and decoding a container's report, and documents per second written
 * to and read from each store. usage: bench_store [URI...]; without a URI the stores that need no server, in
 * a new directory in /tmp.
 */
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define T0      INT64_C(1700000000000)
#define TARGETS 200
#define TICKS   100
#define ROUNDS  200000

static const char *const events[] = {"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P",
				     "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const struct report_place places[] = {{0, 0}};
static const struct report_group group = {"core", 4, events, 1, places};

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void add_report(struct batch *batch, unsigned tick, unsigned target)
{
	const uint64_t values[] = {1234567890 + target, 2345678901, 3456789012, 45678 + tick};
	const uint64_t times[] = {1000000000};
	struct report_counts counts = {&group, values, times, times};
	struct report_target_metadata metadata = {.container_id = "0123456789ab", .scaled = 1};
	char name[32];
	struct report_head head = {T0 + tick * 1000, "node-12", name};

	(void)snprintf(name, sizeof(name), "container-name-%05u", target);
	(void)report_bson_add_target_counts(batch, &head, &counts, 1, &metadata);
}

static void bench_codec(void)
{
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	double encoded;
	struct reason why;
	unsigned n_values = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		batch_clear(&batch);
		add_report(&batch, 1, 7);
	}
	encoded = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; names && i < ROUNDS; i++)
		if (report_bson_decode(batch.data, batch.length, names, &decoded, &why) == 0)
			n_values += decoded.n_values;
	printf("%-10s %5zu bytes a report, encode %.0f ns, decode %.0f ns (%u values)\n", "codec",
	       batch.length, (encoded - start) / ROUNDS * 1e9,
	       (seconds(CLOCK_THREAD_CPUTIME_ID) - encoded) / ROUNDS * 1e9, n_values / ROUNDS);
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

/* Ticks of some hundred targets, a batch each. Returns the documents stored. */
static unsigned append_ticks(struct store *store, const char *collection)
{
	struct batch batch = {0};
	unsigned n = 0;

	for (unsigned tick = 0; tick < TICKS; tick++) {
		batch_clear(&batch);
		for (unsigned target = 0; target < TARGETS; target++)
			add_report(&batch, tick, target);
		if (store_append(store, collection, &batch) != STORE_OK) {
			printf("# %s\n", store_error(store));
			break;
		}
		n += batch.n_documents;
	}
	batch_done(&batch);
	return n;
}

static unsigned read_all(struct store *store, const char *collection)
{
	struct store_query query = {
		.collection = collection, .after_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 2000};
	struct store_read read = {0};
	struct batch found = {0};
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct reason why;
	unsigned n = 0;

	while (!read.end) {
		const uint8_t *document;
		size_t offset = 0;
		size_t length;

		batch_clear(&found);
		if (store_read(store, &query, &found, &read) != STORE_OK)
			break;
		query.offset = read.offset;
		while (batch_next(&found, &offset, &document, &length) > 0)
			if (report_bson_decode(document, length, names, &decoded, &why) == 0)
				n++;
		if (strcmp(store_name(store), "sqlite") == 0 || strcmp(store_name(store), "mongodb") == 0)
			query.after_ms = decoded.time_ms;
	}
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&found);
	return n;
}

static void bench_store(const char *uri)
{
	struct store_options options = {.flags = STORE_READ | STORE_WRITE, .timeout_ms = 60000};
	struct store *store;
	char collection[64];
	struct reason why;
	double wall[3];
	double cpu[3];
	unsigned n[2] = {0};

	if (store_open(uri, &options, &store, &why) < 0) {
		printf("# %s\n", why.text);
		return;
	}
	(void)snprintf(collection, sizeof(collection), "sensorbench%ld", (long)time(NULL));
	(void)store_ensure(store, collection, 0, T0);
	for (unsigned i = 0; i < 3; i++) {
		wall[i] = seconds(CLOCK_MONOTONIC);
		cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID);
		if (i == 0)
			n[0] = append_ticks(store, collection);
		else if (i == 1)
			n[1] = read_all(store, collection);
	}
	printf("%-10s append %8.0f docs/s, %6.2f us CPU each; read %8.0f docs/s, %6.2f us CPU each (%u, "
	       "%u)\n",
	       store_name(store), n[0] / (wall[1] - wall[0]), (cpu[1] - cpu[0]) / n[0] * 1e6,
	       n[1] / (wall[2] - wall[1]), (cpu[2] - cpu[1]) / (n[1] ? n[1] : 1) * 1e6, n[0], n[1]);
	store_close(store);
}

int main(int argc, char *argv[])
{
	static const char *const formats[] = {"null:%s", "sqlite:%s/store.db", "bson:%s/", "jsonl:%s/",
					      "csv:%s/csv"};
	char directory[] = "/tmp/wattribute-bench-XXXXXX";
	char text[100];

	bench_codec();
	for (int i = 1; i < argc; i++)
		bench_store(argv[i]);
	if (argc > 1 || !mkdtemp(directory))
		return 0;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(strchr(formats[i], '%') - formats[i]),
			       formats[i], i ? directory : "", i ? strstr(formats[i], "%s") + 2 : "");
		bench_store(text);
	}
	(void)snprintf(text, sizeof(text), "rm -rf '%s'", directory);
	return system(text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: feed IN.bson STORE-URI COLLECTION [--live INTERVAL_S | --paced INTERVAL_S] [--ticks N]
 * Puts recorded reports into a store. With --live the ticks come one by one at that interval, dated
 * now; otherwise all at once, unchanged. SIGTERM ends it after a complete tick. For tests of
 * the server that need no sensor.
 */
#include "document/batch.h"
#include "base/clock.h"
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <bson/bson.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

struct feed {
	FILE *in;
	struct store *store;
	const char *collection;
	double live_s; /* 0: all at once */
	bool paced;    /* the reports keep their time */
	long ticks;    /* 0: all */
	struct batch batch;
	int64_t tick_ms; /* of the batch, as recorded */
};

static const bson_t *read_document(FILE *in, bson_t *ret)
{
	static uint8_t bytes[1 << 20];
	uint32_t length;

	if (fread(bytes, sizeof(length), 1, in) != 1)
		return NULL;
	memcpy(&length, bytes, sizeof(length));
	if (length < 5 || length > sizeof(bytes) ||
	    fread(bytes + sizeof(length), length - sizeof(length), 1, in) != 1)
		return NULL;
	return bson_init_static(ret, bytes, length) ? ret : NULL;
}

static int64_t time_of(const bson_t *document)
{
	bson_iter_t iterator;

	return bson_iter_init_find(&iterator, document, "timestamp") ? bson_iter_date_time(&iterator) : 0;
}

static const char *text_of(const bson_t *document, const char *key)
{
	bson_iter_t iterator;

	return bson_iter_init_find(&iterator, document, key) ? bson_iter_utf8(&iterator, NULL) : "";
}

/* The document with another time and the matching _id. */
static void add_shifted(struct batch *batch, const bson_t *document, int64_t time_ms)
{
	bson_t copy = BSON_INITIALIZER;
	uint8_t id[REPORT_ID_BYTES];
	bson_iter_t iterator;
	bson_oid_t oid;

	report_make_id(time_ms, text_of(document, "sensor"), text_of(document, "target"), NULL, NULL, id);
	bson_oid_init_from_data(&oid, id);
	bson_append_oid(&copy, "_id", -1, &oid);
	bson_append_date_time(&copy, "timestamp", -1, time_ms);
	bson_iter_init(&iterator, document);
	while (bson_iter_next(&iterator)) {
		if (strcmp(bson_iter_key(&iterator), "_id") != 0 &&
		    strcmp(bson_iter_key(&iterator), "timestamp") != 0)
			bson_append_iter(&copy, NULL, 0, &iterator);
	}
	(void)batch_append(batch, bson_get_data(&copy), copy.len);
	bson_destroy(&copy);
}

static void wait_s(double seconds)
{
	struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	(void)nanosleep(&time, NULL);
}

static int put_batch(struct feed *feed)
{
	enum store_result result = STORE_OK;

	/* Paces and retries like a sensor. */
	while (feed->batch.n_documents) {
		result = store_append(feed->store, feed->collection, &feed->batch);
		if (result != STORE_RETRY || feed->live_s == 0)
			break;
		wait_s(0.2);
	}
	if (result != STORE_OK) {
		fprintf(stderr, "feed: %s\n", store_error(feed->store));
		return 1;
	}
	batch_clear(&feed->batch);
	return 0;
}

static int run(struct feed *feed)
{
	bson_t document;
	int64_t time_ms = 0;
	long n = 0;

	while (read_document(feed->in, &document)) {
		if (n == 0 || time_of(&document) != feed->tick_ms) {
			if (put_batch(feed))
				return 1;
			if (stopped || (feed->ticks && n == feed->ticks))
				return 0;
			if (n && feed->live_s > 0)
				wait_s(feed->live_s);
			feed->tick_ms = time_of(&document);
			time_ms = feed->live_s > 0 && !feed->paced ? clock_realtime_ms() : feed->tick_ms;
			n++;
		}
		add_shifted(&feed->batch, &document, time_ms);
	}
	return put_batch(feed);
}

int main(int argc, char *argv[])
{
	const struct store_options options = {.flags = STORE_READ | STORE_WRITE};
	struct feed feed = {0};
	struct reason why;
	int status;

	if (argc < 4) {
		fprintf(stderr,
			"usage: feed IN.bson STORE-URI COLLECTION [--live S | --paced S] [--ticks N]\n");
		return 2;
	}
	(void)signal(SIGTERM, stop);
	feed.collection = argv[3];
	for (int i = 4; i + 1 < argc; i += 2) {
		feed.paced |= strcmp(argv[i], "--paced") == 0;
		if (strcmp(argv[i], "--live") == 0 || strcmp(argv[i], "--paced") == 0)
			feed.live_s = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--ticks") == 0)
			feed.ticks = strtol(argv[i + 1], NULL, 10);
	}
	feed.in = fopen(argv[1], "rb");
	if (!feed.in || store_open(argv[2], &options, &feed.store, &why) < 0) {
		fprintf(stderr, "feed: %s\n", feed.in ? why.text : argv[1]);
		return 1;
	}
	status = run(&feed);
	store_close(feed.store);
	batch_done(&feed.batch);
	(void)fclose(feed.in);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares our BSON writer and reader with libbson's on the same documents: writing a power report, walking a
 * sensor's report element by element. CPU time per document. usage: bench_bson
 */
#include "document/bson_cursor.h"
#include "document/report_bson.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bson/bson.h>

#define ROUNDS 300000
#define BATCH  1000

static double cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double walk_ours(struct bson_cursor *at)
{
	struct bson_cursor inner;
	double sum = 0, value;

	while (bson_cursor_next(at) > 0) {
		if (bson_cursor_enter(at, &inner))
			sum += walk_ours(&inner);
		else if (bson_cursor_number(at, &value))
			sum += value;
		else
			sum += bson_cursor_string(at) != NULL;
	}
	return sum;
}

static bool text_is_valid(const bson_iter_t *at)
{
	uint32_t length;
	const char *text = bson_iter_utf8(at, &length);

	return bson_utf8_validate(text, length, false);
}

static double walk_theirs(bson_iter_t *at)
{
	bson_iter_t inner;
	double sum = 0;

	while (bson_iter_next(at)) {
		if (bson_iter_recurse(at, &inner))
			sum += walk_theirs(&inner);
		else if (BSON_ITER_HOLDS_NUMBER(at))
			sum += bson_iter_as_double(at);
		else if (BSON_ITER_HOLDS_UTF8(at))
			sum += text_is_valid(at);
	}
	return sum;
}

/* The fields of report_bson_add_power(), in the same order. */
static void write_theirs(bson_writer_t *writer, const struct report_power *power)
{
	uint8_t id[REPORT_ID_BYTES];
	bson_t *document, metadata;
	bson_oid_t oid;

	report_make_id(power->time_ms, power->sensor, power->target, "cpu", power->socket, id);
	bson_oid_init_from_data(&oid, id);
	bson_writer_begin(writer, &document);
	BSON_APPEND_OID(document, "_id", &oid);
	BSON_APPEND_DATE_TIME(document, "timestamp", power->time_ms);
	BSON_APPEND_UTF8(document, "sensor", power->sensor);
	BSON_APPEND_UTF8(document, "target", power->target);
	BSON_APPEND_DOUBLE(document, "power", power->power);
	BSON_APPEND_DOCUMENT_BEGIN(document, "metadata", &metadata);
	BSON_APPEND_UTF8(&metadata, "scope", "cpu");
	BSON_APPEND_UTF8(&metadata, "socket", power->socket);
	BSON_APPEND_UTF8(&metadata, "formula", power->formula);
	BSON_APPEND_DOUBLE(&metadata, "ratio", power->ratio);
	BSON_APPEND_DOUBLE(&metadata, "interval", power->interval_s);
	BSON_APPEND_DOUBLE(&metadata, "energy", power->energy_j);
	BSON_APPEND_DOUBLE(&metadata, "dynamic", power->dynamic);
	BSON_APPEND_DOUBLE(&metadata, "static", power->fixed);
	BSON_APPEND_DOUBLE(&metadata, "error", power->error);
	BSON_APPEND_BOOL(&metadata, "estimated", power->estimated);
	BSON_APPEND_UTF8(&metadata, "container_id", power->container_id);
	bson_append_document_end(document, &metadata);
	bson_writer_end(writer);
}

static void bench_writing(void)
{
	struct report_power power = {.time_ms = INT64_C(1700000000000),
				     .sensor = "machine",
				     .target = "container-12",
				     .socket = "0",
				     .formula = "pooled",
				     .ratio = 0.1,
				     .interval_s = 1,
				     .energy_j = 1.5,
				     .dynamic = 1,
				     .fixed = 0.5,
				     .error = 0.01,
				     .container_id = "0123456789ab"};
	struct batch batch = {0};
	uint8_t *memory = NULL;
	size_t size = 0;
	double ours_ns, theirs_ns = cpu_ns();

	for (unsigned i = 0; i < ROUNDS; i += BATCH) {
		bson_writer_t *writer = bson_writer_new(&memory, &size, 0, bson_realloc_ctx, NULL);

		for (power.power = 0; power.power < BATCH; power.power++)
			write_theirs(writer, &power);
		bson_writer_destroy(writer);
	}
	theirs_ns = cpu_ns() - theirs_ns;
	ours_ns = cpu_ns();
	for (unsigned i = 0; i < ROUNDS; i += BATCH) {
		batch_clear(&batch);
		for (power.power = 0; power.power < BATCH; power.power++)
			(void)report_bson_add_power(&batch, &power);
	}
	ours_ns = cpu_ns() - ours_ns;
	printf("write a power report: ours %.0f ns, bson_writer %.0f ns\n", ours_ns / ROUNDS,
	       theirs_ns / ROUNDS);
	bson_free(memory);
	batch_done(&batch);
}

static void bench_reading(void)
{
	static const char *const events[] = {"CPU_CLK_THREAD_UNHALTED:REF_P",
					     "CPU_CLK_THREAD_UNHALTED:THREAD_P", "INSTRUCTIONS_RETIRED",
					     "LLC_MISSES"};
	static const struct report_place places[] = {{0, 0}};
	static const struct report_group group = {"core", 4, events, 1, places};
	const uint64_t values[] = {1234567890, 2345678901, 3456789012, 45678}, times[] = {1000000000};
	const struct report_counts counts = {&group, values, times, times};
	const struct report_head head = {INT64_C(1700000000000), "machine", "container-12"};
	const struct report_target_metadata metadata = {.container_id = "0123456789ab", .scaled = 1};
	struct batch batch = {0};
	double ours_ns, theirs_ns, ours = 0, theirs = 0;

	(void)report_bson_add_target_counts(&batch, &head, &counts, 1, &metadata);
	ours_ns = cpu_ns();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct bson_cursor at;

		if (bson_cursor_init(&at, batch.data, batch.length))
			ours = walk_ours(&at);
	}
	ours_ns = cpu_ns() - ours_ns;
	theirs_ns = cpu_ns();
	for (unsigned i = 0; i < ROUNDS; i++) {
		bson_iter_t at;

		if (bson_iter_init_from_data(&at, batch.data, batch.length))
			theirs = walk_theirs(&at);
	}
	theirs_ns = cpu_ns() - theirs_ns;
	printf("read a report: ours %.0f ns, bson_iter %.0f ns%s\n", ours_ns / ROUNDS, theirs_ns / ROUNDS,
	       ours == theirs ? "" : " (DIFFERENT VALUES)");
	batch_done(&batch);
}

int main(void)
{
	bench_writing();
	bench_reading();
	return 0;
}

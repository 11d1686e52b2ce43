/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one sensor's reports to power reports, and continuing from a stored state: nothing lost, nothing
 * changed.
 */
#include "machine/machine.h"
#include "machine/state.h"
#include "base/reason.h"
#include "unit/formula_defaults.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

static double said_s = 1; /* length of a tick in its report */
static bool says_seq;     /* and its sequence number */
static unsigned said_cores = 8;
static struct server_config config;

static int setup_config(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	formula_config_init(&config.formula);
	config.ops = formula_find("pooled");
	config.grace_ms = 2000;
	config.expire_ms = 300000;
	return config.ops ? 0 : -1;
}

/* One report of a tick; `target` "all" has the energy. */
static void feed(struct machine *machine, unsigned tick, const char *target, double cycles)
{
	char text[1024], metadata[120], seq[30] = "";
	enum join_fed fed;
	bson_t document;
	int length;

	if (says_seq)
		(void)snprintf(seq, sizeof(seq), ",\"seq\":%u", tick + 1);
	(void)snprintf(metadata, sizeof(metadata),
		       ",\"metadata\":{\"interval\":%.3f,\"cores\":%u,\"targets\":2%s}", said_s, said_cores,
		       seq);
	length = snprintf(
		text, sizeof(text),
		"{\"timestamp\":{\"$date\":{\"$numberLong\":\"%u\"}},\"sensor\":\"n1\",\"target\":\"%s\","
		"\"groups\":{%s\"core\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":%.1f,"
		"\"CPU_CLK_THREAD_UNHALTED:THREAD_P\":%.1f}}}}%s}",
		1000000 + tick * 1000, target,
		strcmp(target, "all") ? "" : "\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":85899345920.0}}},",
		cycles, cycles * 1.1, strcmp(target, "all") ? "" : metadata);
	assert_true(length > 0 && length < (int)sizeof(text));
	assert_true(bson_init_from_json(&document, text, -1, NULL));
	assert_int_equal(machine_feed(machine, bson_get_data(&document), document.len, 0, &fed), 0);
	bson_destroy(&document);
}

static void feed_ticks(struct machine *machine, unsigned from, unsigned to)
{
	for (unsigned tick = from; tick < to; tick++) {
		feed(machine, tick, "a", 1e9 + 1e8 * (tick % 7));
		feed(machine, tick, "b", 2e9 - 1e8 * (tick % 5));
		feed(machine, tick, "all", 3.3e9);
		assert_int_equal(machine_drain(machine, 0, false), 1);
	}
}

static double sum_power(const struct batch *batch, int64_t time_ms, bool measured)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	double sum = 0;
	struct reason why;

	while (batch_next(batch, &offset, &document, &length) == 1) {
		assert_int_equal(report_bson_decode_power(document, length, &row, &why), 0);
		if (row.time_ms != time_ms || strcmp(row.target, "global") == 0)
			continue;
		if ((strcmp(row.target, "rapl") == 0) == measured)
			sum += row.power;
	}
	return sum;
}

static void rows_add_up(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");

	(void)state;
	feed_ticks(machine, 0, 30);
	for (unsigned tick = 0; tick < 30; tick++) {
		double measured = sum_power(&machine->out, 1000000 + tick * 1000, true);

		assert_true(fabs(measured - 20) < 1e-9);
		assert_true(fabs(sum_power(&machine->out, 1000000 + tick * 1000, false) - measured) < 1e-6);
	}
	assert_int_equal(machine->n.ticks, 30);
	assert_int_equal(machine->n.incomplete, 0);
	assert_non_null(live_find(&machine->live, "a"));
	assert_null(live_find(&machine->live, "c"));
	machine_free(machine);
}

static void bad_documents_are_counted(void **state)
{
	static const uint8_t nonsense[] = {9, 0, 0, 0, 1, 2, 3, 4, 0};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	enum join_fed fed;

	(void)state;
	assert_true(machine_feed(machine, nonsense, sizeof(nonsense), 0, &fed) < 0);
	assert_int_equal(machine->n.bad, 1);
	assert_true(machine->why.text[0]);
	feed_ticks(machine, 0, 1);
	machine_free(machine);
}

static void missing_reports_are_counted(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");

	(void)state;
	feed(machine, 0, "a", 1e9);
	feed(machine, 0, "all", 2e9);
	assert_int_equal(machine_drain(machine, 0, false), 0);
	assert_int_equal(machine_drain(machine, 0, true), 1);
	assert_int_equal(machine->n.missing, 1);
	assert_int_equal(machine->n.incomplete, 1);
	machine_free(machine);
}

/*
 * A machine that continues from a stored state produces byte for byte what it would have without the restart.
 */
static void state_continues(void **state)
{
	struct machine *whole = machine_new(&config, "n1", "sensorn1");
	struct machine *second = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0};
	struct reason why = {""};

	(void)state;
	feed_ticks(whole, 0, 40);
	assert_int_equal(state_add(&states, whole, 5), 0);
	assert_int_equal(state_load(second, &states, 0, &why), 1);
	assert_int_equal(second->time_ms, whole->time_ms);
	batch_clear(&whole->out);
	feed_ticks(whole, 40, 60);
	feed_ticks(second, 40, 60);
	assert_int_equal(whole->out.length, second->out.length);
	assert_memory_equal(whole->out.data, second->out.data, whole->out.length);
	batch_done(&states);
	machine_free(whole);
	machine_free(second);
}

/* Ticks deleted from the store before a stopped server could read them are counted as skipped. */
static void skipped_across_a_restart(void **state)
{
	struct machine *first = machine_new(&config, "n1", "sensorn1");
	struct machine *second = machine_new(&config, "n1", "sensorn1");
	struct machine *third = machine_new(&config, "n1", "sensorn1");
	struct machine *fourth = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0};
	struct reason why = {""};

	(void)state;
	says_seq = true;
	feed_ticks(first, 0, 20);
	assert_int_equal(state_add(&states, first, 5), 0);
	assert_int_equal(state_load(second, &states, 0, &why), 1);
	feed_ticks(second, 20, 25);
	assert_int_equal(second->n.skipped, 0);
	assert_int_equal(state_load(third, &states, 0, &why), 1);
	feed_ticks(third, 32, 40);
	assert_int_equal(third->n.skipped, 12);
	/* If the last tick had no number, nothing can be counted. */
	says_seq = false;
	batch_clear(&states);
	feed_ticks(first, 20, 25);
	assert_int_equal(state_add(&states, first, 5), 0);
	says_seq = true;
	assert_int_equal(state_load(fourth, &states, 0, &why), 1);
	feed_ticks(fourth, 30, 35);
	assert_int_equal(fourth->n.skipped, 0);
	says_seq = false;
	batch_done(&states);
	machine_free(fourth);
	machine_free(first);
	machine_free(second);
	machine_free(third);
}

/* The calibration of `from`, as the client stores it, dated `time_ms`. */
static int calibration_version = 1;

static void add_calibration(struct batch *batch, const struct machine *from, int64_t time_ms)
{
	bson_t document = BSON_INITIALIZER, model;

	bson_append_utf8(&document, "_id", -1, "calibration:n1", -1);
	bson_append_utf8(&document, "formula", -1, "pooled", -1);
	bson_append_date_time(&document, "timestamp", -1, time_ms);
	bson_append_int32(&document, "version", -1, calibration_version);
	bson_append_document_begin(&document, "model", -1, &model);
	assert_int_equal(from->config->ops->save(from->formula, &model), 0);
	bson_append_document_end(&document, &model);
	assert_int_equal(batch_append(batch, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
}

/* A calibration that cannot be used: of another version of the model, or damaged. */
static void add_bad_calibration(struct batch *batch, int64_t time_ms)
{
	bson_t document = BSON_INITIALIZER, model = BSON_INITIALIZER;

	bson_append_utf8(&document, "_id", -1, "calibration:n1", -1);
	bson_append_utf8(&document, "formula", -1, "pooled", -1);
	bson_append_date_time(&document, "timestamp", -1, time_ms);
	bson_append_document(&document, "model", -1, &model);
	assert_int_equal(batch_append(batch, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	bson_destroy(&model);
}

/* The number of power reports that are marked as calibrated; -1: only some are. */
static int calibrated_reports(const struct machine *machine)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	struct reason why;
	int yes = 0, no = 0;

	while (batch_next(&machine->out, &offset, &document, &length) == 1) {
		assert_int_equal(report_bson_decode_power(document, length, &row, &why), 0);
		yes += row.calibrated;
		no += !row.calibrated;
	}
	return yes && no ? -1 : yes;
}

/*
 * Loads the documents into a new machine and counts the calibrated reports of some ticks; stores its state in
 * `ret_state`.
 */
static int run_calibrated(const struct batch *documents, unsigned from, struct batch *ret_state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct reason why = {""};
	int n;

	assert_true(state_load(machine, documents, 0, &why) >= 0);
	feed_ticks(machine, from, from + 3);
	n = calibrated_reports(machine);
	if (ret_state)
		assert_int_equal(state_add(ret_state, machine, 5), 0);
	machine_free(machine);
	return n;
}

static unsigned uncalibrated_ticks(const struct batch *documents, unsigned n_ticks)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct reason why = {""};
	unsigned n;

	assert_true(state_load(machine, documents, 0, &why) >= 0);
	feed_ticks(machine, 100, 100 + n_ticks);
	n = machine->n_uncalibrated;
	machine_free(machine);
	return n;
}

/* The number of ticks that the model of a machine has learnt from after loading the documents. */
static uint64_t learnt_samples(const struct batch *documents, struct batch *ret_state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct reason why = {""};
	uint64_t samples;

	assert_true(state_load(machine, documents, 0, &why) >= 0);
	samples = machine_describe(machine, REPORT_SCOPE_CPU, 0).samples;
	if (ret_state)
		assert_int_equal(state_add(ret_state, machine, 5), 0);
	machine_free(machine);
	return samples;
}

/*
 * A calibration that cannot be used does not cost the machine what it has learnt. Without the one that it
 * began with, the model starts empty.
 */
static void a_bad_calibration_keeps_the_model(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0}, again = {0}, calibrated = {0}, left = {0};
	uint64_t samples;

	(void)state;
	feed_ticks(machine, 0, 60);
	assert_int_equal(state_add(&states, machine, 5), 0);
	assert_true(learnt_samples(&states, NULL) > 30);
	add_bad_calibration(&states, 7000);
	assert_true(learnt_samples(&states, &again) > 30);
	/* Nor at the next start. */
	add_bad_calibration(&again, 7000);
	assert_true(learnt_samples(&again, NULL) > 30);
	/* A calibrated model whose calibration became unusable, or was removed. */
	add_calibration(&calibrated, machine, 7000);
	assert_true(run_calibrated(&calibrated, 100, &left) > 0);
	samples = learnt_samples(&left, NULL);
	add_bad_calibration(&left, 7000);
	assert_true(samples == 0 && learnt_samples(&left, NULL) > 0);
	assert_int_equal(run_calibrated(&left, 103, NULL), 0);
	machine_free(machine);
	batch_done(&states);
	batch_done(&again);
	batch_done(&calibrated);
	batch_done(&left);
}

static void a_calibration_is_used_and_reported(void **state)
{
	struct machine *teacher = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0}, none = {0}, with_both = {0}, newer = {0}, broken = {0}, later = {0};

	(void)state;
	feed_ticks(teacher, 0, 60);
	assert_int_equal(run_calibrated(&none, 100, NULL), 0);
	add_calibration(&states, teacher, 7000);
	assert_int_equal(state_count(&states, "pooled"), 1);
	assert_true(run_calibrated(&states, 100, &with_both) > 0);
	/* Its state and the calibration that it began with: it continues, still marked as calibrated. */
	add_calibration(&with_both, teacher, 7000);
	assert_int_equal(state_count(&with_both, "pooled"), 2);
	assert_true(run_calibrated(&with_both, 103, NULL) > 0);
	/* A state older than the calibration gives only its position: old ticks are not processed again. */
	assert_true(state_add(&newer, teacher, 5) == 0);
	add_calibration(&newer, teacher, 9000);
	assert_true(run_calibrated(&newer, 60, NULL) > 0);
	/* While the machine has other cores, it is not used, which is counted (and logged). */
	said_cores = 4;
	assert_int_equal(run_calibrated(&states, 100, NULL), 0);
	assert_int_equal(uncalibrated_ticks(&states, 7), 7);
	said_cores = 8;
	assert_int_equal(uncalibrated_ticks(&states, 7), 0);
	assert_int_equal(uncalibrated_ticks(&none, 7), 0);
	/* Nor is one of another version. */
	calibration_version = 2;
	add_calibration(&later, teacher, 7000);
	assert_int_equal(run_calibrated(&later, 100, NULL), 0);
	calibration_version = 1;
	/* A calibration without a model is not used. */
	add_calibration(&broken, teacher, 7000);
	memset(broken.data + broken.length / 2, 0xff, 400);
	assert_int_equal(run_calibrated(&broken, 100, NULL), 0);
	machine_free(teacher);
	batch_done(&states);
	batch_done(&with_both);
	batch_done(&later);
	batch_done(&newer);
	batch_done(&broken);
}

static void foreign_state_is_refused(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0};
	struct reason why = {""};
	bson_t document;

	(void)state;
	assert_int_equal(state_load(machine, &states, 0, &why), 0);
	assert_true(bson_init_from_json(&document, "{\"_id\":\"pooled:n1\",\"version\":99}", -1, NULL));
	assert_int_equal(batch_append(&states, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	assert_true(state_load(machine, &states, 0, &why) < 0);
	assert_non_null(strstr(why.text, "version"));
	batch_clear(&states);
	assert_true(bson_init_from_json(&document,
					"{\"_id\":\"pooled:n1\",\"version\":1,\"position\":{\"$date\":"
					"{\"$numberLong\":\"1000000\"}},\"model\":{\"x\":1}}",
					-1, NULL));
	assert_int_equal(batch_append(&states, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	assert_true(state_load(machine, &states, 0, &why) < 0);
	assert_int_equal(join_position(machine->join), 1000000);
	feed_ticks(machine, 1, 3);
	batch_done(&states);
	machine_free(machine);
}

/*
 * The expected length of the next tick: neither an extra reading nor one pause changes it, but a new interval
 * does.
 */
static void odd_ticks_do_not_change_the_usual_length(void **state)
{
	const struct {
		double said_s, usual_s;
	} ticks[] = {{1, 1},      {1, 1},      {0.3, 1},   {0.12, 1}, {0.58, 1},   {1, 1},
		     {9, 1},      {1, 1},      {1, 1},     {0.2, 1},  {0.8, 1},    {0.05, 1},
		     {0.95, 1},   {1, 1},      {0.2, 1},   {0.2, 1},  {0.2, 0.95}, {0.2, 0.95},
		     {0.2, 0.95}, {0.2, 0.95}, {0.2, 0.2}, {60, 0.2}, {60, 60}};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");

	(void)state;
	for (unsigned i = 0; i < sizeof(ticks) / sizeof(*ticks); i++) {
		said_s = ticks[i].said_s;
		feed_ticks(machine, i, i + 1);
		if (fabs(machine_interval_s(machine) - ticks[i].usual_s) > 1e-9)
			fail_msg("after tick %u: %g, not %g", i, machine_interval_s(machine),
				 ticks[i].usual_s);
	}
	said_s = 1;
	machine_free(machine);
}

/*
 * Feeds `all` and a target of one tick at our clock's `now_ms`, and drains. Returns the number of ticks made.
 */
static int feed_at(struct machine *machine, int64_t time_ms, int64_t now_ms)
{
	for (unsigned i = 0; i < 2; i++) {
		bson_t *document = BCON_NEW("timestamp", BCON_DATE_TIME(time_ms), "sensor", "n1", "target",
					    i ? "all" : "a", "groups", "{", i ? "rapl" : "core", "{", "0",
					    "{", "0", "{", i ? "RAPL_ENERGY_PKG" : "ref-cycles",
					    BCON_DOUBLE(85899345920.0), "}", "}", "}", "}", "metadata", "{",
					    "interval", BCON_DOUBLE(1), "targets", BCON_INT32(1), "}");
		enum join_fed fed;

		(void)machine_feed(machine, bson_get_data(document), document->len, now_ms, &fed);
		bson_destroy(document);
	}
	return machine_drain(machine, now_ms, false);
}

static void one_tick_dated_ahead_silences_nothing(void **state)
{
	static const int64_t leaps_ms[] = {
		11000, 60000, 10 * 3600000LL, 23 * 3600000LL, 400 * 86400000LL, INT64_MAX / 2};
	const int64_t now_ms = 1700000000000;

	(void)state;
	for (size_t k = 0; k < sizeof(leaps_ms) / sizeof(leaps_ms[0]); k++) {
		struct machine *machine = machine_new(&config, "n1", "sensorn1");

		assert_int_equal(feed_at(machine, now_ms, now_ms), 1);
		assert_int_equal(feed_at(machine, now_ms + leaps_ms[k], now_ms), 0);
		assert_int_equal(machine->n.bad, 2);
		assert_true(strstr(machine->why.text, "ahead of this machine's clock") || k == 5);
		for (int i = 1; i < 15; i++)
			assert_int_equal(feed_at(machine, now_ms + i * 1000, now_ms + i * 1000), 1);
		assert_int_equal(machine->n.ticks, 15);
		machine_free(machine);
	}
}

/* A sensor whose clock is ahead is accepted after several ticks have shown that. */
static void a_clock_ahead_is_accepted(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	const int64_t now_ms = 1700000000000;
	int n = 0;

	(void)state;
	for (int i = 0; i < 30; i++)
		n += feed_at(machine, now_ms + 3600000 + i * 1000, now_ms + i * 1000);
	assert_int_equal(n, 20);
	machine_free(machine);
}

/* A stored position ahead of our clock is not trusted; with --once there is no clock. */
static void a_position_ahead_is_not_trusted(void **state)
{
	struct machine *first = machine_new(&config, "n1", "sensorn1"), *second;
	const int64_t now_ms = 1700000000000;
	struct batch states = {0};
	struct reason why;

	(void)state;
	(void)feed_at(first, now_ms, now_ms);
	assert_int_equal(state_add(&states, first, now_ms), 0);
	machine_free(first);
	for (int once = 0; once < 2; once++) {
		const int64_t then_ms = now_ms - 86400000;

		second = machine_new(&config, "n1", "sensorn1");
		assert_int_equal(state_load(second, &states, once ? 0 : then_ms, &why), 1);
		for (int i = 0; i < 8; i++)
			assert_int_equal(feed_at(second, then_ms + i * 1000, once ? 0 : then_ms + i * 1000),
					 !once);
		machine_free(second);
	}
	batch_done(&states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_tick_dated_ahead_silences_nothing),
		cmocka_unit_test(a_clock_ahead_is_accepted),
		cmocka_unit_test(a_position_ahead_is_not_trusted),
		cmocka_unit_test(rows_add_up),
		cmocka_unit_test(bad_documents_are_counted),
		cmocka_unit_test(missing_reports_are_counted),
		cmocka_unit_test(state_continues),
		cmocka_unit_test(skipped_across_a_restart),
		cmocka_unit_test(a_calibration_is_used_and_reported),
		cmocka_unit_test(a_bad_calibration_keeps_the_model),
		cmocka_unit_test(foreign_state_is_refused),
		cmocka_unit_test(odd_ticks_do_not_change_the_usual_length),
	};

	return cmocka_run_group_tests(tests, setup_config, NULL);
}

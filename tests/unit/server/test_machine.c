/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sensor's way from reports to power reports, and going on from a stored state: nothing lost, nothing
 * changed.
 */
#include "machine/machine.h"
#include "machine/state.h"
#include "base/reason.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static double said_s = 1; /* length of a tick, as its report says */
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

/* A document of a tick; `target` "all" carries the energy. */
static void feed(struct machine *machine, unsigned tick, const char *target, double cycles)
{
	char text[1024], metadata[80];
	enum join_fed fed;
	bson_t document;
	int length;

	(void)snprintf(metadata, sizeof(metadata), ",\"metadata\":{\"interval\":%.3f,\"targets\":2}", said_s);
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

/* What a machine makes from a stored state on is byte for byte what it would have made without a break. */
static void state_goes_on(void **state)
{
	struct machine *whole = machine_new(&config, "n1", "sensorn1");
	struct machine *second = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0};
	struct reason why = {""};

	(void)state;
	feed_ticks(whole, 0, 40);
	assert_int_equal(state_add(&states, whole, 5), 0);
	assert_int_equal(state_load(second, &states, &why), 1);
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

static void foreign_state_is_refused(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct batch states = {0};
	struct reason why = {""};
	bson_t document;

	(void)state;
	assert_int_equal(state_load(machine, &states, &why), 0);
	assert_true(bson_init_from_json(&document, "{\"_id\":\"pooled:n1\",\"version\":99}", -1, NULL));
	assert_int_equal(batch_append(&states, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	assert_true(state_load(machine, &states, &why) < 0);
	assert_non_null(strstr(why.text, "version"));
	batch_clear(&states);
	assert_true(bson_init_from_json(&document,
					"{\"_id\":\"pooled:n1\",\"version\":1,\"position\":{\"$date\":"
					"{\"$numberLong\":\"1000000\"}},\"model\":{\"x\":1}}",
					-1, NULL));
	assert_int_equal(batch_append(&states, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	assert_true(state_load(machine, &states, &why) < 0);
	assert_int_equal(join_position(machine->join), 1000000);
	feed_ticks(machine, 1, 3);
	batch_done(&states);
	machine_free(machine);
}

/* What the next tick may last: neither an extra reading nor one pause changes it; another interval does. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_add_up),
		cmocka_unit_test(bad_documents_are_counted),
		cmocka_unit_test(missing_reports_are_counted),
		cmocka_unit_test(state_goes_on),
		cmocka_unit_test(foreign_state_is_refused),
		cmocka_unit_test(odd_ticks_do_not_change_the_usual_length),
	};

	return cmocka_run_group_tests(tests, setup_config, NULL);
}

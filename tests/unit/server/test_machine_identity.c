/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the joules belong to: reserved names, IDs in names, two containers with the same name, a name with a
 * new ID; totals that begin at the server's start; and how ended sensors are shown.
 */
#include "document/report.h"
#include "machine/machine.h"
#include "machine/state.h"
#include "unit/formula_defaults.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID64_A "aa11aa11aa11bb22cc33dd44ee55ff660011223344556677889900aabbccddee"
#define ID64_B "bb22bb22bb2200112233445566778899aabbccddeeff00112233445566778899"

static struct server_config config;

static int setup_config(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	formula_config_init(&config.formula);
	config.ops = formula_find("share");
	config.grace_ms = 100;
	config.expire_ms = 60000;
	return config.ops ? 0 : -1;
}

/* Reports of a sensor that passes names through unchanged and reports nothing about itself. */
static void feed(struct machine *machine, int64_t time_ms, const char *target, const char *id, double joules,
		 int64_t now_ms)
{
	char text[2048], energy[200] = "", metadata[200] = "{}";
	enum join_fed fed;
	bson_t document;

	if (joules > 0)
		(void)snprintf(energy, sizeof(energy), "\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":%.1f}}},",
			       joules * 4294967296.0);
	if (id)
		(void)snprintf(metadata, sizeof(metadata), "{\"container_id\":\"%s\"}", id);
	(void)snprintf(text, sizeof(text),
		       "{\"timestamp\":{\"$date\":{\"$numberLong\":\"%" PRId64
		       "\"}},\"sensor\":\"n1\",\"target\":\"%s\","
		       "\"groups\":{%s\"core\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":%.1f}}}},"
		       "\"metadata\":%s}",
		       time_ms, target, energy, joules > 0 ? 4e9 : 1e9, metadata);
	assert_true(bson_init_from_json(&document, text, -1, NULL));
	assert_int_equal(machine_feed(machine, bson_get_data(&document), document.len, now_ms, &fed), 0);
	bson_destroy(&document);
}

/* Watts of a target in one tick's power reports; NAN: none. There must not be two rows of one name. */
static double watts(const struct batch *batch, int64_t time_ms, const char *target, const char *id)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	double found = NAN;
	struct reason why;

	while (batch_next(batch, &offset, &document, &length) == 1) {
		assert_int_equal(report_bson_decode_power(document, length, &row, &why), 0);
		if (row.time_ms != time_ms || strcmp(row.target, target) != 0)
			continue;
		assert_true(isnan(found));
		found = row.power;
		assert_string_equal(row.container_id ? row.container_id : "", id);
	}
	return found;
}

static void run_ticks(struct machine *machine, const char *const (*targets)[2], unsigned n, unsigned n_ticks,
		      bool machine_first)
{
	for (unsigned tick = 0; tick < n_ticks; tick++) {
		int64_t time_ms = 1700000000000 + (int64_t)tick * 1000;

		if (machine_first)
			feed(machine, time_ms, "all", NULL, 50, 0);
		for (unsigned i = 0; i < n; i++)
			feed(machine, time_ms, targets[i][0], targets[i][1], 0, 0);
		if (!machine_first)
			feed(machine, time_ms, "all", NULL, 50, 0);
		/* The database is read repeatedly until a tick is finished. */
		for (unsigned i = 0; i < n; i++)
			feed(machine, time_ms, targets[i][0], targets[i][1], 0, 0);
		feed(machine, time_ms, "all", NULL, 50, 0);
		assert_true(machine_drain(machine, 0, false) >= 0);
	}
	assert_true(machine_drain(machine, 0, true) >= 0);
}

static void reserved_names_belong_to_the_machine(void **state)
{
	static const char *const targets[][2] = {
		{"system", NULL}, {"rapl", "aa11aa11aa11"}, {"idle", NULL}, {"global", "cc33cc33cc33"},
		{"all", NULL},
	};
	const int64_t last_ms = 1700000000000 + 4000;

	(void)state;
	for (int machine_first = 0; machine_first < 2; machine_first++) {
		struct machine *machine = machine_new(&config, "n1", "sensorn1");

		run_ticks(machine, targets, 5, 5, machine_first);
		assert_float_equal(watts(&machine->out, last_ms, "rapl", ""), 50, 1e-6);
		assert_float_equal(watts(&machine->out, last_ms, "system-container", ""), 10, 5);
		assert_float_equal(watts(&machine->out, last_ms, "rapl-aa11aa", "aa11aa11aa11"), 10, 5);
		assert_float_equal(watts(&machine->out, last_ms, "idle-container", ""), 10, 5);
		assert_float_equal(watts(&machine->out, last_ms, "global-cc33cc", "cc33cc33cc33"), 10, 5);
		assert_float_equal(watts(&machine->out, last_ms, "all-container", ""), 10, 5);
		assert_int_equal(machine->n.renamed, 4 * 5);
		assert_true(isnan(watts(&machine->out, last_ms, "all", "")));
		machine_free(machine);
	}
}

static void ids_are_taken_from_names(void **state)
{
	static const char *const targets[][2] = {
		{"/docker/" ID64_A, NULL},
		{"/system.slice/docker-" ID64_B ".scope", NULL},
		{"/kubepods/besteffort/pod0f2d9c1e-1111-2222-3333-444455556666/" ID64_B "/nested", NULL},
		{"0123456789ab", NULL},
		{"web", NULL},
		{"/lxc/deadbeef", NULL},
	};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	const int64_t last_ms = 1700000000000 + 3000;

	(void)state;
	run_ticks(machine, targets, 6, 4, false);
	assert_true(!isnan(watts(&machine->out, last_ms, targets[0][0], "aa11aa11aa11")));
	assert_true(!isnan(watts(&machine->out, last_ms, targets[1][0], "bb22bb22bb22")));
	assert_true(!isnan(watts(&machine->out, last_ms, targets[2][0], "bb22bb22bb22")));
	assert_true(!isnan(watts(&machine->out, last_ms, targets[3][0], "0123456789ab")));
	assert_true(!isnan(watts(&machine->out, last_ms, "web", "")));
	assert_true(!isnan(watts(&machine->out, last_ms, "/lxc/deadbeef", "")));
	machine_free(machine);
}

/* Two containers with the same name in one tick (Docker's and Podman's): both get rows. */
static void two_with_one_name_stay_two(void **state)
{
	static const char *const targets[][2] = {
		{"web", "aa11aa11aa11"}, {"web", "bb22bb22bb22"}, {"web", "cc33cc33cc33"}};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	const int64_t last_ms = 1700000000000 + 3000;

	(void)state;
	run_ticks(machine, targets, 3, 4, false);
	assert_float_equal(watts(&machine->out, last_ms, "web", "aa11aa11aa11"), 12.5, 5);
	assert_float_equal(watts(&machine->out, last_ms, "web-bb22bb", "bb22bb22bb22"), 12.5, 5);
	assert_float_equal(watts(&machine->out, last_ms, "web-cc33cc", "cc33cc33cc33"), 12.5, 5);
	machine_free(machine);
}

static double total(const struct machine *machine, const char *name, const char *id)
{
	double sum = NAN;

	for (const struct live_target *target = machine->live.targets; target; target = target->hh.next) {
		if (strcmp(target->name, name) == 0 && strcmp(target->container_id, id) == 0) {
			assert_true(isnan(sum));
			sum = target->rows[REPORT_SCOPE_CPU].total_j;
		}
	}
	return sum;
}

static void a_new_id_starts_at_zero(void **state)
{
	static const char *const old[][2] = {{"shop", "aa11aa11aa11"}}, *const new[][2] = {{"shop", ID64_B}};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	double first;

	(void)state;
	run_ticks(machine, old, 1, 10, false);
	first = total(machine, "shop", "aa11aa11aa11");
	assert_true(first > 50);
	for (unsigned tick = 10; tick < 12; tick++) {
		feed(machine, 1700000000000 + (int64_t)tick * 1000, new[0][0], new[0][1], 0, 0);
		feed(machine, 1700000000000 + (int64_t)tick * 1000, "all", NULL, 50, 0);
	}
	assert_int_equal(machine_drain(machine, 0, true), 2);
	assert_float_equal(total(machine, "shop", "aa11aa11aa11"), first, 1e-9);
	assert_float_equal(total(machine, "shop", "bb22bb22bb22"), first / 5, first / 20);
	assert_string_equal(live_find(&machine->live, "shop")->container_id, "bb22bb22bb22");
	live_expire(&machine->live, 1000);
	assert_true(isnan(total(machine, "shop", "aa11aa11aa11")));
	assert_non_null(live_find(&machine->live, "shop"));
	machine_free(machine);
}

/* An hour of earlier ticks, a tick during which the server starts, and later ones. */
static void totals_begin_at_the_start(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	const int64_t start_ms = 1700000000000 + 3600 * 1000 + 500;

	(void)state;
	machine->counts_from_ms = start_ms;
	for (int64_t tick = 0; tick < 3610; tick++) {
		feed(machine, 1700000000000 + tick * 1000, "all", NULL, 50, start_ms);
		assert_true(machine_drain(machine, start_ms, false) >= 0);
	}
	assert_true(machine_drain(machine, start_ms, true) >= 0);
	assert_float_equal(total(machine, "rapl", ""), 50 * 8.5, 1e-6);
	machine_free(machine);
}

/* A sensor whose clock is two hours behind: existing ticks do not count, new ones do. */
static void a_clock_behind_counts_once_caught_up(void **state)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	const int64_t start_ms = 1700000000000 + 7200 * 1000;

	(void)state;
	machine->counts_from_ms = start_ms;
	for (int64_t tick = 0; tick < 20; tick++) {
		if (tick == 10)
			machine_catch_up(machine);
		feed(machine, 1700000000000 + tick * 1000, "all", NULL, 50, start_ms);
	}
	machine_catch_up(machine);
	assert_true(machine_drain(machine, start_ms, true) == 20);
	assert_float_equal(total(machine, "rapl", ""), 500, 1e-6);
	machine_free(machine);
}

static void an_ended_sensor_is_removed(void **state)
{
	static const char *const targets[][2] = {{"shop", NULL}};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");

	const int64_t now_ms = 1700000000000;

	(void)state;
	assert_false(machine_expire(machine, now_ms));
	run_ticks(machine, targets, 1, 5, false);
	machine->fed_ms = now_ms;
	assert_false(machine_expire(machine, now_ms + 59000));
	assert_non_null(live_find(&machine->live, "rapl"));
	assert_true(machine_expire(machine, now_ms + 61000));
	assert_false(machine_expire(machine, now_ms + 62000));
	assert_null(machine->live.targets);
	assert_null(live_find(&machine->live, "rapl"));
	/* It may return. */
	feed(machine, 1700000100000, "all", NULL, 50, (now_ms + 200000));
	feed(machine, 1700000100000, "shop", NULL, 0, (now_ms + 200000));
	assert_int_equal(machine_drain(machine, (now_ms + 200000), true), 1);
	assert_non_null(live_find(&machine->live, "shop"));
	/* With ticks of a minute, a minute without reports is normal. */
	machine->interval_s = 60;
	assert_false(machine_expire(machine, (now_ms + 200000) + 120000));
	assert_true(machine_expire(machine, (now_ms + 200000) + 190000));
	machine_free(machine);
}

/* It ended an hour before the server's start; its reports are read all the same. */
static void a_sensor_ended_before_the_start_is_removed(void **state)
{
	static const char *const targets[][2] = {{"shop", NULL}};
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	int64_t now_ms;

	(void)state;
	run_ticks(machine, targets, 1, 5, false);
	now_ms = machine->newest_ms + 3600000;
	machine->fed_ms = now_ms - 1000;
	assert_false(machine_expire(machine, now_ms)); /* not everything has been read */
	machine_catch_up(machine);
	assert_true(machine_expire(machine, now_ms));
	assert_float_equal(machine_silent_s(machine, now_ms), 3600, 1e-6);
	assert_null(live_find(&machine->live, "rapl"));
	/* It writes again, with a clock that is an hour behind. */
	feed(machine, 1700000100000, "all", NULL, 50, now_ms + 5000);
	feed(machine, 1700000100000, "shop", NULL, 0, now_ms + 5000);
	assert_int_equal(machine_drain(machine, now_ms + 5000, true), 1);
	assert_false(machine_expire(machine, now_ms + 6000));
	assert_non_null(live_find(&machine->live, "shop"));
	machine_free(machine);
}

static void new_names_are_bounded(void **state)
{
	char name[24], id[REPORT_CONTAINER_ID_SIZE];

	(void)state;
	assert_string_equal(report_target_rename("system", "", name, sizeof(name)), "system-container");
	assert_string_equal(report_target_rename("system", NULL, name, sizeof(name)), "system-container");
	assert_string_equal(report_target_rename("web", ID64_A, name, sizeof(name)), "web-aa11aa");
	assert_string_equal(report_target_rename("a-name-that-is-too-long", ID64_A, name, sizeof(name)),
			    "a-name-that-is-t-aa11aa");
	/* Never splits a character. */
	assert_string_equal(
		report_target_rename(
			"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x\xc3\xa4", ID64_A,
			name, sizeof(name)),
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4-aa11aa");
	assert_true(report_target_is_reserved("all"));
	assert_false(report_target_is_row("all"));
	assert_false(report_target_is_reserved("System"));
	assert_false(report_target_find_id("deadbeef", id));
	assert_false(report_target_find_id("", id));
	assert_false(report_target_find_id("/x/" ID64_A "0", id));
	assert_true(report_target_find_id("/x/" ID64_A "/y/" ID64_B, id));
	assert_string_equal(id, "bb22bb22bb22");
}

/*
 * Which sensor a machine's reports came from is stored: after a restart, another sensor in its collection
 * does not inherit them.
 */
static void the_source_is_stored(void **state)
{
	static const char *const targets[][2] = {{"shop", NULL}};
	struct machine *machine = machine_new(&config, "lab", "sensorlab");
	struct machine *second = machine_new(&config, "lab", "sensorlab");
	struct batch states = {0};
	struct reason why;

	(void)state;
	run_ticks(machine, targets, 1, 5, false);
	assert_int_equal(state_add(&states, machine, 5), 0);
	assert_true(state_load(second, &states, 0, &why) >= 0 || second->sensor[0]);
	assert_string_equal(second->sensor, "n1");
	batch_done(&states);
	machine_free(machine);
	machine_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_names_belong_to_the_machine),
		cmocka_unit_test(ids_are_taken_from_names),
		cmocka_unit_test(two_with_one_name_stay_two),
		cmocka_unit_test(a_new_id_starts_at_zero),
		cmocka_unit_test(totals_begin_at_the_start),
		cmocka_unit_test(a_clock_behind_counts_once_caught_up),
		cmocka_unit_test(an_ended_sensor_is_removed),
		cmocka_unit_test(a_sensor_ended_before_the_start_is_removed),
		cmocka_unit_test(new_names_are_bounded),
		cmocka_unit_test(the_source_is_stored),
	};

	return cmocka_run_group_tests(tests, setup_config, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder: which targets get a report, the content of `all`, several groups in separate fields, no
 * allocations once warm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/encode.h"

#include "base/cleanup.h"
#include "document/report_bson.h"
#include "target/target.h"
#include "base/reason.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS 6

static const char *const core_events[] = {"CYCLES", "INSTRUCTIONS"};
static const char *const other_events[] = {"PAGE_FAULTS"};
static const char *const rapl_events[] = {"RAPL_ENERGY_PKG"};
static const struct report_place places[] = {{0, 0}, {1, 4}};
static const struct report_group groups[] = {
	{"core", 2, core_events, 2, places},
	{"other", 1, other_events, 2, places},
};

/* [slot][place][event]: 100 * slot + 10 * place + event + 1 */
static uint64_t counts[N_SLOTS * 2 * 3];
static uint64_t enabled[N_SLOTS * 2 * 2], running[N_SLOTS * 2 * 2];
static uint8_t flags[N_SLOTS];
static uint32_t active[N_SLOTS] = {1, 3, 4};
static struct activity_frame frame = {.n_groups = 2,
				      .groups = groups,
				      .n_events = 3,
				      .n_places = 2,
				      .n_slots = N_SLOTS,
				      .counts = counts,
				      .enabled_ns = enabled,
				      .running_ns = running,
				      .flags = flags,
				      .active = active,
				      .n_active = 3};
static uint64_t joules[2] = {1000, 2000};
static struct system_source rapl = {.group = {"rapl", 1, rapl_events, 2, places}, .values = joules};
static struct system_source *systems[] = {&rapl};
static const char *names[N_SLOTS] = {"all", "one", "", "three", "four", "idle"};
static const char *short_ids[N_SLOTS] = {NULL, "0123456789ab", NULL, NULL, "ba9876543210", NULL};
static uint8_t states[N_SLOTS] = {TARGET_LIVE,  TARGET_LIVE, TARGET_FREE,
				  TARGET_ENDED, TARGET_LIVE, TARGET_LIVE};

static void prepare(void)
{
	for (unsigned s = 0; s < N_SLOTS; s++) {
		flags[s] = ACTIVITY_OPEN;
		for (unsigned p = 0; p < 2; p++) {
			for (unsigned e = 0; e < 3; e++)
				counts[(s * 2 + p) * 3 + e] = 100 * s + 10 * p + e + 1;
			for (unsigned g = 0; g < 2; g++) {
				enabled[(s * 2 + p) * 2 + g] = 1000;
				running[(s * 2 + p) * 2 + g] = 1000;
			}
		}
	}
	running[(1 * 2 + 1) * 2 + 0] = 250;
	flags[4] = ACTIVITY_OPEN | ACTIVITY_FIRST;
}

static struct encode_tick a_tick(void)
{
	return (struct encode_tick){.time_ms = 1700000000123,
				    .sensor = "machine",
				    .frame = &frame,
				    .systems = systems,
				    .n_systems = 1,
				    .names = names,
				    .short_ids = short_ids,
				    .states = states,
				    .last_state = TARGET_ENDED,
				    .n_names = N_SLOTS,
				    .metadata = {.seq = 7,
						 .interval_s = 1.001,
						 .energy_source = "rapl",
						 .activity_source = "perf",
						 .skew_s = -1}};
}

static double value_of(const struct report_decoded *report, const struct report_names *table,
		       const char *group, unsigned package, const char *event)
{
	for (unsigned i = 0; i < report->n_values; i++) {
		const struct report_value *value = &report->values[i];

		if (value->package == package &&
		    strcmp(report_names_group(table, value->group), group) == 0 &&
		    strcmp(report_names_event(table, value->event), event) == 0)
			return value->value;
	}
	return -1;
}

static void tick_becomes_documents(void **state)
{
	struct encoder *encoder = encoder_new(&frame, NULL, systems, 1);
	struct encode_tick tick = a_tick();
	struct report_names *table = report_names_new();
	struct report_decoded report = {0};
	struct batch batch = {0};
	const char *const expected[] = {"one", "three", "four", "all"};
	size_t offset = 0, length;
	const uint8_t *document;
	unsigned n_targets = 0, n = 0;
	struct reason why;

	(void)state;
	prepare();
	assert_int_equal(encoder_run(encoder, &tick, &batch, &n_targets), 0);
	assert_int_equal(n_targets, 3);
	while (batch_next(&batch, &offset, &document, &length) > 0) {
		assert_int_equal(report_bson_decode(document, length, table, &report, &why), 0);
		assert_string_equal(report.target, expected[n]);
		assert_string_equal(report.sensor, "machine");
		assert_true(report.time_ms == 1700000000123);
		if (n == 0) {
			assert_true(value_of(&report, table, "core", 1, "INSTRUCTIONS") == 112);
			assert_true(value_of(&report, table, "other", 0, "PAGE_FAULTS") == 103);
			assert_true(value_of(&report, table, "core", 1, "time_running") == 250);
			assert_string_equal(report.container_id, "0123456789ab");
			assert_true(fabs(report.scaled - 0.25) < 1e-12);
			assert_false(report.partial);
		}
		if (n == 1 || n == 2) /* the ended and the new one */
			assert_true(report.partial);
		n++;
	}
	assert_int_equal(n, 4);
	assert_int_equal(report.said.n_targets, 3);
	assert_true(report.said.has_seq && report.said.seq == 7);
	assert_true(value_of(&report, table, "rapl", 1, "RAPL_ENERGY_PKG") == 2000);
	assert_true(value_of(&report, table, "core", 0, "CYCLES") == 1);
	report_decoded_done(&report);
	report_names_free(table);
	encoder_free(encoder);
	batch_done(&batch);
}

static void failed_slots_are_left_out(void **state)
{
	struct encoder *encoder = encoder_new(&frame, NULL, systems, 1);
	struct encode_tick tick = a_tick();
	struct batch batch = {0};
	unsigned n_targets = 0;

	(void)state;
	prepare();
	flags[3] |= ACTIVITY_FAILED;
	assert_int_equal(encoder_run(encoder, &tick, &batch, &n_targets), 0);
	assert_int_equal(n_targets, 2);
	assert_int_equal(batch.n_documents, 3);
	prepare();
	tick.keep_idle = true; /* slot 2 has no name, slot 0 is the machine */
	assert_int_equal(encoder_run(encoder, &tick, &batch, &n_targets), 0);
	assert_int_equal(n_targets, 4);
	encoder_free(encoder);
	batch_done(&batch);
}

/* Two slots without room in the frame are in another one, with its own group. */
static void overflow_is_in_the_same_tick(void **state)
{
	static const char *const time_events[] = {REPORT_EVENT_CPU_TIME};
	static const struct report_group time_group = {REPORT_GROUP_CPUSTAT, 1, time_events, 2, places};
	uint64_t times[N_SLOTS * 2] = {900, 901, 0, 0, 20, 21, 0, 0, 0, 0, 50, 51};
	uint8_t time_flags[N_SLOTS] = {ACTIVITY_OPEN, 0, 0, 0, 0, ACTIVITY_OPEN};
	uint32_t time_active[N_SLOTS] = {5};
	const struct activity_frame overflow = {.n_groups = 1,
						.groups = &time_group,
						.n_events = 1,
						.n_places = 2,
						.n_slots = N_SLOTS,
						.counts = times,
						.flags = time_flags,
						.active = time_active,
						.n_active = 1};
	struct encoder *encoder = encoder_new(&frame, &overflow, systems, 1);
	struct encoder *alone = encoder_new(&overflow, &overflow, systems, 1);
	struct encode_tick tick = a_tick();
	struct report_names *table = report_names_new();
	struct report_decoded report = {0};
	struct batch batch = {0};
	size_t offset = 0, length;
	const uint8_t *document;
	unsigned n_targets = 0, n = 0;
	struct reason why;

	(void)state;
	prepare();
	tick.overflow = &overflow;
	assert_int_equal(encoder_run(encoder, &tick, &batch, &n_targets), 0);
	assert_int_equal(n_targets, 4);
	for (; batch_next(&batch, &offset, &document, &length) > 0; n++) {
		assert_int_equal(report_bson_decode(document, length, table, &report, &why), 0);
		assert_true((value_of(&report, table, "core", 0, "CYCLES") >= 0) == (n != 3));
		assert_true((value_of(&report, table, "cpustat", 0, REPORT_EVENT_CPU_TIME) >= 0) == (n >= 3));
		if (n != 3)
			continue;
		assert_string_equal(report.target, "idle");
		assert_true(value_of(&report, table, "cpustat", 1, REPORT_EVENT_CPU_TIME) == 51);
	}
	assert_int_equal(n, 5); /* the last one is `all`, with the groups of both */
	assert_true(value_of(&report, table, "cpustat", 1, REPORT_EVENT_CPU_TIME) == 901);
	assert_true(value_of(&report, table, "rapl", 1, "RAPL_ENERGY_PKG") == 2000);

	/* If both count the same event, the machine is counted once. */
	tick.frame = &overflow;
	assert_int_equal(encoder_run(alone, &tick, &batch, &n_targets), 0);
	for (offset = 0, n = 0; batch_next(&batch, &offset, &document, &length) > 0;)
		assert_int_equal(report_bson_decode(document, length, table, &report, &why), 0);
	for (unsigned i = 0; i < report.n_values; i++)
		n += strcmp(report_names_group(table, report.values[i].group), REPORT_GROUP_CPUSTAT) == 0;
	assert_int_equal(n, 2);
	report_decoded_done(&report);
	report_names_free(table);
	encoder_free(encoder);
	encoder_free(alone);
	batch_done(&batch);
}

static void warm_encoder_does_not_allocate(void **state)
{
	struct encoder *encoder = encoder_new(&frame, NULL, systems, 1);
	struct encode_tick tick = a_tick();
	struct batch batch = {0};
	struct mallinfo2 before, after;
	unsigned n_targets;
	const uint8_t *data;

	(void)state;
	prepare();
	for (int i = 0; i < 3; i++)
		assert_int_equal(encoder_run(encoder, &tick, &batch, &n_targets), 0);
	data = batch.data;
	before = mallinfo2();
	for (int i = 0; i < 100; i++)
		(void)encoder_run(encoder, &tick, &batch, &n_targets);
	after = mallinfo2();
	assert_int_equal(before.uordblks, after.uordblks);
	assert_ptr_equal(data, batch.data);
	encoder_free(encoder);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tick_becomes_documents),
		cmocka_unit_test(failed_slots_are_left_out),
		cmocka_unit_test(overflow_is_in_the_same_tick),
		cmocka_unit_test(warm_encoder_does_not_allocate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Document encoders and decoders: libbson accepts the output, everything written is read back, sizes and
 * identity are right, a warm encoder does not allocate, and damaged bytes are refused.
 */
#include "document/report_bson.h"
#include "document/bson_encoder.h"
#include "base/cleanup.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bson/bson.h>
#include <cmocka.h>

#define TIME_MS INT64_C(1574087112345)

static const char *const core_events[] = {"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P",
					  "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const struct report_place one_place[] = {{0, 0}};
static const struct report_group core_group = {"core", 4, core_events, 1, one_place};
static const uint64_t core_values[] = {1234567890, 2345678901, 3456789012, 45678};
static const uint64_t core_enabled[] = {1000000000};
static const uint64_t core_running[] = {750000000};
static const struct report_counts core_counts = {&core_group, core_values, core_enabled, core_running};
static const struct report_head head = {TIME_MS, "node-12.example", "a-name-of-twenty-chr"};
static const struct report_target_metadata plain = {.container_id = "0123456789ab", .scaled = 1};

static void assert_valid(const struct batch *batch)
{
	const uint8_t *document;
	size_t offset = 0;
	size_t length;
	unsigned n = 0;

	while (batch_next(batch, &offset, &document, &length) > 0) {
		bson_t bson;

		assert_true(bson_init_static(&bson, document, length));
		assert_true(bson_validate(&bson,
					  BSON_VALIDATE_UTF8 | BSON_VALIDATE_DOLLAR_KEYS |
						  BSON_VALIDATE_DOT_KEYS | BSON_VALIDATE_EMPTY_KEYS,
					  NULL));
		n++;
	}
	assert_int_equal(offset, batch->length);
	assert_int_equal(n, batch->n_documents);
}

static void test_container_size(void **state)
{
	struct report_target_metadata full = {
		.container_id = "0123456789ab", .partial = true, .scaled = 0.75};
	struct batch batch = {0};

	(void)state;
	assert_int_equal(report_bson_add_target_counts(&batch, &head, &core_counts, 1, &full), 0);
	assert_valid(&batch);
	print_message("# a container's tick with 4 events on one package: %zu bytes\n", batch.length);
	assert_true(batch.length <= 400);
	batch_done(&batch);
}

/* The layout that PowerAPI reads: order and types of fields. */
static void test_layout(void **state)
{
	static const char *const order[] = {"_id", "timestamp", "sensor", "target", "groups", "metadata"};
	static const bson_type_t types[] = {BSON_TYPE_OID,  BSON_TYPE_DATE_TIME, BSON_TYPE_UTF8,
					    BSON_TYPE_UTF8, BSON_TYPE_DOCUMENT,  BSON_TYPE_DOCUMENT};
	struct batch batch = {0};
	bson_iter_t iter;
	bson_iter_t leaf;
	bson_t bson;

	(void)state;
	assert_int_equal(report_bson_add_target_counts(&batch, &head, &core_counts, 1, &plain), 0);
	assert_true(bson_init_static(&bson, batch.data, batch.length));
	assert_true(bson_iter_init(&iter, &bson));
	for (size_t i = 0; i < 6; i++) {
		assert_true(bson_iter_next(&iter));
		assert_string_equal(bson_iter_key(&iter), order[i]);
		assert_int_equal(bson_iter_type(&iter), types[i]);
	}
	assert_false(bson_iter_next(&iter));
	assert_true(bson_iter_init(&iter, &bson));
	assert_true(bson_iter_find_descendant(&iter, "groups.core.0.0.INSTRUCTIONS_RETIRED", &leaf));
	assert_true(BSON_ITER_HOLDS_DOUBLE(&leaf));
	assert_true(bson_iter_double(&leaf) == 3456789012.0);
	assert_true(bson_iter_init(&iter, &bson));
	assert_true(bson_iter_find_descendant(&iter, "groups.core.0.0.time_running", &leaf));
	assert_true(bson_iter_double(&leaf) == 750000000.0);
	batch_done(&batch);
}

static void test_times_left_out(void **state)
{
	struct report_counts counts = {&core_group, core_values, NULL, NULL};
	struct batch batch = {0};

	(void)state;
	assert_int_equal(report_bson_add_target_counts(&batch, &head, &counts, 1, &plain), 0);
	assert_null(memmem(batch.data, batch.length, "time_", 5));
	batch_done(&batch);
}

static void test_all(void **state)
{
	static const char *const events[] = {"RAPL_ENERGY_PKG"};
	static const struct report_place places[] = {{0, 0}, {0, 7}, {1, 8}, {12, 65000}};
	static const struct report_group group = {"rapl", 1, events, 4, places};
	static const uint64_t values[] = {1, 2, 3, UINT64_C(1) << 53};
	struct report_counts counts = {&group, values, NULL, NULL};
	static const struct report_machine machine = {.design_w = 125,
						      .limit_w = 150,
						      .idle_latency_us = 133,
						      .idle_driver = "intel_idle",
						      .idle_state = "C6",
						      .frequency_driver = "intel_pstate",
						      .frequency_governor = ""};
	struct report_tick_metadata metadata = {.seq = 77,
						.interval_s = 1.0125,
						.n_targets = 9,
						.energy_source = "rapl",
						.activity_source = "perf",
						.cpu_model = "A \"B\"",
						.estimated = true,
						.base_frequency_mhz = 2100,
						.n_cores = 8,
						.machine = &machine,
						.skew_s = 0.001,
						.lost_cpu_s = 0.25,
						.boot_id = "b",
						.version = "0.1.0",
						.lost = {1, 0, 2}};
	struct report_head all = {TIME_MS, "node", "all"};
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};
	struct reason why;

	(void)state;
	assert_int_equal(report_bson_add_all_counts(&batch, &all, &counts, 1, &metadata), 0);
	assert_valid(&batch);
	assert_non_null(memmem(batch.data, batch.length, "lost_cpu_time", sizeof("lost_cpu_time")));
	assert_int_equal(report_bson_decode(batch.data, batch.length, names, &decoded, &why), 0);
	assert_true(decoded.said.has_seq);
	assert_int_equal(decoded.said.seq, 77);
	assert_true(decoded.said.interval_s == 1.0125);
	assert_int_equal(decoded.said.n_targets, 9);
	assert_string_equal(decoded.energy_source, "rapl");
	assert_string_equal(decoded.activity_source, "perf");
	assert_string_equal(decoded.cpu_model, "A \"B\"");
	assert_string_equal(decoded.version, "0.1.0");
	assert_true(decoded.said.estimated);
	assert_true(decoded.said.base_frequency_mhz == 2100 && decoded.said.n_cores == 8);
	assert_true(decoded.said.design_w == 125 && decoded.said.limit_w == 150);
	assert_true(fabs(decoded.said.idle_latency_us - 133) < 1e-9);
	assert_non_null(memmem(batch.data, batch.length, "intel_pstate", sizeof("intel_pstate")));
	assert_null(memmem(batch.data, batch.length, "frequency_governor", sizeof("frequency_governor")));
	assert_int_equal(decoded.said.lost_total, 3);
	assert_true(decoded.said.lost_cpu_s == 0.25);
	assert_int_equal(decoded.n_values, 4);
	assert_int_equal(decoded.values[3].package, 12);
	assert_int_equal(decoded.values[3].cpu, 65000);
	assert_true(decoded.values[3].value == ldexp(1, 53));
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

static void test_identity(void **state)
{
	uint8_t first[REPORT_ID_BYTES];
	uint8_t second[REPORT_ID_BYTES];
	bson_oid_t oid;

	(void)state;
	report_make_id(TIME_MS, "s", "t", NULL, NULL, first);
	report_make_id(TIME_MS, "s", "t", NULL, NULL, second);
	assert_memory_equal(first, second, sizeof(first));
	bson_oid_init_from_data(&oid, first);
	assert_int_equal(bson_oid_get_time_t(&oid), TIME_MS / 1000);
	report_make_id(TIME_MS + 1, "s", "t", NULL, NULL, second);
	assert_memory_not_equal(first, second, sizeof(first));
	report_make_id(TIME_MS, "st", "", NULL, NULL, second);
	assert_memory_not_equal(first, second, sizeof(first));
	report_make_id(TIME_MS, "s", "t", "cpu", NULL, first);
	report_make_id(TIME_MS, "s", "t", NULL, "cpu", second);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void test_power(void **state)
{
	struct report_power power = {.time_ms = TIME_MS,
				     .sensor = "node",
				     .target = "redis",
				     .socket = "1",
				     .scope = REPORT_SCOPE_DRAM,
				     .formula = "pooled-3",
				     .ratio = 0.25,
				     .power = 12.5,
				     .dynamic = 10,
				     .fixed = 2.5,
				     .energy_j = 12.6,
				     .interval_s = 1.008,
				     .error = NAN,
				     .estimated = true,
				     .calibrated = true,
				     .container_id = "0123456789ab"};
	struct report_power back;
	struct batch batch = {0};
	struct reason why;

	(void)state;
	assert_int_equal(report_bson_add_power(&batch, &power), 0);
	assert_valid(&batch);
	print_message("# a power report: %zu bytes\n", batch.length);
	assert_int_equal(report_bson_decode_power(batch.data, batch.length, &back, &why), 0);
	assert_int_equal(back.time_ms, power.time_ms);
	assert_string_equal(back.sensor, "node");
	assert_string_equal(back.target, "redis");
	assert_string_equal(back.socket, "1");
	assert_int_equal(back.scope, REPORT_SCOPE_DRAM);
	assert_string_equal(back.formula, "pooled-3");
	assert_string_equal(back.container_id, "0123456789ab");
	assert_true(back.power == 12.5 && back.dynamic == 10 && back.fixed == 2.5 && back.energy_j == 12.6);
	assert_true(back.interval_s == 1.008 && back.ratio == 0.25 && isnan(back.error) && back.estimated &&
		    back.calibrated);
	power.power = NAN;
	assert_int_equal(report_bson_add_power(&batch, &power), -EINVAL);
	assert_int_equal(batch.n_documents, 1);
	assert_valid(&batch);
	batch_done(&batch);
}

static void test_target(void **state)
{
	static const char *const labels[] = {
		"org.opencontainers.image.title", "x", "$odd", "", "b\xe9", "caf\xe9", NULL};
	struct report_target target = {.sensor = "node",
				       .target = "redis",
				       .id = "0123",
				       .image = "redis:7",
				       .runtime = "docker",
				       .cgroup = "/a.slice/b",
				       .labels = labels,
				       .cpu_quota = 1.5,
				       .name = "bad \xff utf8",
				       .first_seen_ms = 1,
				       .last_seen_ms = TIME_MS};
	struct batch batch = {0};
	uint8_t id[REPORT_ID_BYTES];

	(void)state;
	assert_int_equal(report_bson_add_target(&batch, &target), 0);
	assert_valid(&batch);
	assert_non_null(memmem(batch.data, batch.length, "org.opencontainers.image.title=x", 32));
	assert_non_null(memmem(batch.data, batch.length, "bad \\xFF utf8", 13));
	assert_non_null(memmem(batch.data, batch.length, "b\\xE9=caf\\xE9", 14));
	memcpy(id, batch.data + 9, sizeof(id));
	batch_clear(&batch);
	target.last_seen_ms++;
	assert_int_equal(report_bson_add_target(&batch, &target), 0);
	assert_memory_equal(id, batch.data + 9, sizeof(id));
	batch_done(&batch);
}

/* Data from the network may contain any time and any name. */
static void test_odd_reports(void **state)
{
	static const int64_t odd[] = {INT64_MIN, -1, INT64_C(253402300800000), INT64_MAX};
	char name[REPORT_KEY_MAX + 2] = "";
	const char *events[] = {name};
	const struct report_group group = {"g", 1, events, 1, one_place};
	static const uint64_t values[] = {1};
	struct report_counts counts = {&group, values, NULL, NULL};
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct report_target_metadata metadata = {.scaled = 1};
	struct batch batch = {0};
	struct reason why;

	(void)state;
	assert_non_null(names);
	for (size_t i = 0; i <= sizeof(odd) / sizeof(odd[0]); i++) {
		bool last = i == sizeof(odd) / sizeof(odd[0]);
		struct report_head odd_head = {last ? TIME_MS : odd[i], "node", "t"};

		memset(name, 'e', last ? REPORT_KEY_MAX + 1 : 3);
		batch_clear(&batch);
		assert_int_equal(report_bson_add_target_counts(&batch, &odd_head, &counts, 1, &metadata), 0);
		assert_int_equal(report_bson_decode(batch.data, batch.length, names, &decoded, &why),
				 last ? -ENAMETOOLONG : -EBADMSG);
		assert_non_null(strstr(why.text, last ? "127 bytes" : "1970 to 9999"));
	}
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

static void test_keys(void **state)
{
	static const char *const events[] = {"INST_RETIRED.ANY", "$EVENT"};
	static const struct report_group group = {"g.1", 2, events, 1, one_place};
	static const uint64_t values[] = {1, 2};
	struct report_counts counts = {&group, values, NULL, NULL};
	struct batch batch = {0};
	struct reason why;

	(void)state;
	assert_int_equal(report_check_key("CPU_CLK:REF_P", &why), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(report_check_key(events[i], &why), -EINVAL);
	assert_int_equal(report_check_key("", &why), -EINVAL);
	assert_int_equal(report_check_key("a\nb", &why), -EINVAL);
	assert_int_equal(report_check_key("\xff", &why), -EINVAL);
	assert_int_equal(report_bson_add_target_counts(&batch, &head, &counts, 1, &plain), 0);
	assert_valid(&batch);
	assert_non_null(memmem(batch.data, batch.length, "INST_RETIRED:ANY", 17));
	assert_non_null(memmem(batch.data, batch.length, "_EVENT", 7));
	batch_done(&batch);
}

/* Duplicate keys of damaged or foreign writers: the first is used, nothing counts twice. */
static void test_keys_twice(void **state)
{
	static const char *const groups[] = {
		("{\"core\":{\"0\":{\"0\":{\"X\":5.0}}},"
		 "\"core\":{\"0\":{\"0\":{\"X\":3.0},\"1\":{\"X\":3.0}}}}"),
		"{\"core\":{\"0\":{\"0\":{\"X\":5.0}},\"0\":{\"0\":{\"X\":7.0}}}}",
		"{\"core\":{\"0\":{\"0\":{\"X\":5.0},\"0\":{\"X\":7.0}}}}",
		"{\"core\":{\"0\":{\"0\":{\"X\":5.0,\"X\":7.0}}}}",
		"{\"core\":{\"0\":{\"3\":{\"X\":5.0},\"1\":{},\"3\":{\"X\":7.0}}}}",
	};
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct reason why = {""};
	char text[512];
	bson_t bson;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (int again = 0; again < 2; again++) { /* the second time with the names of the first */
			(void)snprintf(text, sizeof(text),
				       "{\"timestamp\":{\"$date\":1000},\"sensor\":\"s\",\"target\":\"web\","
				       "\"groups\":%s}",
				       groups[i]);
			assert_true(bson_init_from_json(&bson, text, -1, NULL));
			assert_int_equal(
				report_bson_decode(bson_get_data(&bson), bson.len, names, &decoded, &why), 0);
			if (decoded.n_values != 1 || decoded.values[0].value != 5)
				fail_msg("%s: %u values", groups[i], decoded.n_values);
			bson_destroy(&bson);
		}
	assert_true(bson_init_from_json(&bson,
					"{\"timestamp\":{\"$date\":1000},\"sensor\":\"s\",\"target\":\"web\","
					"\"groups\":{\"core\":{}},\"groups\":{\"core\":{}}}",
					-1, NULL));
	assert_int_equal(report_bson_decode(bson_get_data(&bson), bson.len, names, &decoded, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "duplicate field 'groups'"));
	bson_destroy(&bson);
	report_decoded_done(&decoded);
	report_names_free(names);
}

/* Impossible values and non-numbers: the report is valid, and nothing is known of the machine. */
static void test_hostile_machine(void **state)
{
	static const char *const values[] = {"0",
					     "-1",
					     "-125.5",
					     "1e9",
					     "1e300",
					     "\"125\"",
					     "\"\"",
					     "true",
					     "null",
					     "[125]",
					     "{\"W\":125}",
					     "{\"$numberDouble\":\"NaN\"}",
					     "{\"$numberDouble\":\"Infinity\"}",
					     "{\"$numberDouble\":\"-Infinity\"}"};
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct reason why = {""};
	char text[512];
	bson_t bson;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		(void)snprintf(
			text, sizeof(text),
			"{\"timestamp\":{\"$date\":1000},\"sensor\":\"s\",\"target\":\"all\",\"groups\":{},"
			"\"metadata\":{\"design_power\":%s,\"power_limit\":%s,\"idle_latency\":%s,"
			"\"idle_state\":%s,\"cores\":4}}",
			values[i], values[i], values[i], values[i]);
		assert_true(bson_init_from_json(&bson, text, -1, NULL));
		assert_int_equal(report_bson_decode(bson_get_data(&bson), bson.len, names, &decoded, &why),
				 0);
		if (decoded.said.design_w != 0 || decoded.said.limit_w != 0 ||
		    decoded.said.idle_latency_us != 0 || decoded.said.n_cores != 4)
			fail_msg("%s is taken for %g W, %g W, %g us", values[i], decoded.said.design_w,
				 decoded.said.limit_w, decoded.said.idle_latency_us);
		bson_destroy(&bson);
	}
	report_decoded_done(&decoded);
	report_names_free(names);
}

/* Whatever was not read is omitted, be it a value, a place or a whole group; it is never 0. */
static void test_missing_values(void **state)
{
	static const struct report_place places[] = {{0, 0}, {0, 1}, {1, 8}};
	static const char *const events[] = {"A", "B"};
	static const struct report_group group = {"rapl", 2, events, 3, places};
	static const uint64_t none = REPORT_COUNT_MISSING;
	static const struct {
		uint64_t values[6];
		const char *json;
	} cases[] = {
		{{1, 2, 3, 4, 5, 0},
		 "{ \"rapl\" : { \"0\" : { \"0\" : { \"A\" : 1.0, \"B\" : 2.0 }, \"1\" : { \"A\" : 3.0, "
		 "\"B\" : 4.0 } }, "
		 "\"1\" : { \"8\" : { \"A\" : 5.0, \"B\" : 0.0 } } } }"},
		{{none, 2, none, none, 5, none},
		 "{ \"rapl\" : { \"0\" : { \"0\" : { \"B\" : 2.0 } }, \"1\" : { \"8\" : { \"A\" : 5.0 } } } "
		 "}"},
		{{none, none, 3, 4, none, none},
		 "{ \"rapl\" : { \"0\" : { \"1\" : { \"A\" : 3.0, \"B\" : 4.0 } } } }"},
		{{none, none, none, none, none, none}, "{ }"},
	};
	struct batch batch = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct report_counts counts = {.group = &group, .values = cases[i].values};
		const struct report_tick_metadata metadata = {.skew_s = -1};
		bson_iter_t iter;
		bson_t bson, groups;
		const uint8_t *data;
		uint32_t length;
		char *json;

		batch_clear(&batch);
		assert_int_equal(report_bson_add_all_counts(&batch, &head, &counts, 1, &metadata), 0);
		assert_valid(&batch);
		assert_true(bson_init_static(&bson, batch.data, batch.length));
		assert_true(bson_iter_init_find(&iter, &bson, "groups"));
		bson_iter_document(&iter, &length, &data);
		assert_true(bson_init_static(&groups, data, length));
		json = bson_as_relaxed_extended_json(&groups, NULL);
		assert_string_equal(json, cases[i].json);
		bson_free(json);
	}
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_size), cmocka_unit_test(test_layout),
		cmocka_unit_test(test_times_left_out), cmocka_unit_test(test_all),
		cmocka_unit_test(test_identity),       cmocka_unit_test(test_power),
		cmocka_unit_test(test_target),         cmocka_unit_test(test_keys),
		cmocka_unit_test(test_odd_reports),    cmocka_unit_test(test_keys_twice),
		cmocka_unit_test(test_missing_values), cmocka_unit_test(test_hostile_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

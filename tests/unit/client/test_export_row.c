/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of `wattribute export`, and times as users type them. */
#include "export/export_row.h"
#include "base/cleanup.h"
#include "document/csv.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static const struct report_power sample = {
	.time_ms = NOW_MS + 123,
	.sensor = "n1",
	.target = "a,\"b\"",
	.socket = "0",
	.scope = REPORT_SCOPE_DRAM,
	.formula = "pooled",
	.ratio = 0.25,
	.power = 1.5,
	.dynamic = NAN,
	.fixed = 0.5,
	.energy_j = 3,
	.interval_s = 2,
	.error = INFINITY,
	.sd = 0.125,
	.estimated = true,
};

static char *written(void (*write_row)(FILE *, const struct report_power *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	write_row(out, &sample);
	(void)fclose(out);
	return text;
}

static void test_csv_quotes_and_omits(void **state)
{
	cleanup_(cleanup_free) char *row = written(export_write_csv);

	(void)state;
	assert_string_equal(row, "2026-01-01T00:00:00.123Z,n1,\"a,\"\"b\"\"\",0,dram,1.5,,0.5,3,2,,0.25,true,"
				 "pooled,,0.125,false\r\n");
}

/* Text that a spreadsheet would treat as a formula is marked wherever it begins a cell. */
static void test_csv_no_formulas(void **state)
{
	static const char *const cells[][2] = {
		{"web", "web"},
		{"=1+1", "'=1+1"},
		{"-2", "'-2"},
		{"a=b-c@d", "a=b-c@d"},
		{" =1", " '=1"},
		{"a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"},
		{"a; \"@SUM(1)", "\"a; \"\"'@SUM(1)\""},
		{"\uff1d1", "'\uff1d1"},
		{"\t=1", "?=1"},
		{"\r+1", "?+1"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		struct batch text = {0};

		assert_int_equal(csv_put_cell(&text, cells[i][0], true), 0);
		assert_int_equal(batch_add_bytes(&text, "", 1), 0);
		assert_string_equal((const char *)text.data, cells[i][1]);
		batch_done(&text);
	}
}

static void test_json_omits_unknown_numbers(void **state)
{
	cleanup_(cleanup_free) char *row = written(export_write_json);

	(void)state;
	assert_non_null(strstr(row, "\"target\":\"a,\\\"b\\\"\""));
	assert_non_null(strstr(row, "\"sd_w\":0.125"));
	assert_non_null(strstr(row, "\"estimated\":true"));
	assert_non_null(strstr(row, "\"calibrated\":false"));
	assert_non_null(strstr(row, "\"power_w\":1.5"));
	assert_null(strstr(row, "dynamic_w"));
	assert_null(strstr(row, "error_w"));
	assert_null(strstr(row, "container_id"));
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t time_ms;
	} good[] = {
		{"2026-01-01", NOW_MS},
		{"2026-01-01T00:00:01Z", NOW_MS + 1000},
		{"2026-01-01 00:01", NOW_MS + 60000},
		{"2026-01-01T00:00:00.25Z", NOW_MS + 250},
		{"2026-01-01T01:00:00+01:00", NOW_MS},
		{"2025-12-31 19:00:00-0500", NOW_MS},
		{"2026-01-01T01:00:00+01", NOW_MS},
		{"1767225600", NOW_MS},
		{"1767225600.5", NOW_MS + 500},
		{"-10m", NOW_MS - 600000},
		{"-30s", NOW_MS - 30000},
	};
	static const char *const bad[] = {"",
					  "yesterday",
					  "2026-01-01T00:00:00+1",
					  "2026-13-01",
					  "1e99",
					  "-x",
					  "2026-02-29",
					  "2026-04-31T10:00:00Z",
					  "2026-01-01T00:00:00+99:00",
					  "2026-01-01T00:00:00+-1:00",
					  "2026-01-01T00:00:00+01:00x"};
	int64_t time_ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(export_parse_time(good[i].text, NOW_MS, &time_ms), 0);
		assert_int_equal(time_ms, good[i].time_ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(export_parse_time(bad[i], NOW_MS, &time_ms), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv_quotes_and_omits),
		cmocka_unit_test(test_csv_no_formulas),
		cmocka_unit_test(test_json_omits_unknown_numbers),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests_name("export_row", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text: grouping, escaping, numbers, invalid names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void collect(void *data, struct metrics_writer *writer)
{
	const char *labels[] = {"target", data, "socket", "0", NULL};
	static const char *const bad_labels[] = {"0target", "x", NULL};
	static const char *const odd_labels[] = {"a", NULL};

	metrics_family(writer, METRICS_GAUGE, "power_watts", "power of a\nline \\ \"quoted\"");
	metrics_sample(writer, labels, 12.5);
	metrics_sample(writer, NULL, NAN);
	metrics_sample(writer, NULL, -INFINITY);
	metrics_sample(writer, bad_labels, 1);
	metrics_sample(writer, odd_labels, 1);
}

struct numbers {
	double documents, tiny;
};

static void collect_numbers(void *data, struct metrics_writer *writer)
{
	const struct numbers *numbers = data;

	metrics_family(writer, METRICS_COUNTER, "documents_total", "Documents.");
	metrics_sample(writer, NULL, numbers->documents);
	metrics_family(writer, METRICS_GAUGE, "tiny_watts", "Tiny.");
	metrics_sample(writer, NULL, numbers->tiny);
}

static void whole_text(void **state)
{
	struct numbers numbers = {9007199254740991, 1e-300};
	struct metrics *metrics = metrics_new();
	size_t length;

	(void)state;
	assert_int_equal(metrics_collect(metrics, collect_numbers, &numbers), 0);
	assert_int_equal(metrics_collect(metrics, collect, "a\"b\\c\nd\xff\xc3\xa9"), 0);
	char *text = metrics_write(metrics, METRICS_TEXT, &length);
	assert_string_equal(text, "# HELP documents_total Documents.\n"
				  "# TYPE documents_total counter\n"
				  "documents_total 9007199254740991\n"
				  "# HELP tiny_watts Tiny.\n"
				  "# TYPE tiny_watts gauge\n"
				  "tiny_watts 1e-300\n"
				  "# HELP power_watts power of a\\nline \\\\ \"quoted\"\n"
				  "# TYPE power_watts gauge\n"
				  "power_watts{target=\"a\\\"b\\\\c\\nd?\xc3\xa9\",socket=\"0\"} 12.5\n"
				  "power_watts NaN\n"
				  "power_watts -Inf\n");
	assert_int_equal(length, strlen(text));
	free(text);
	numbers.documents = 1; /* read again at each scrape */
	text = metrics_write(metrics, METRICS_TEXT, &length);
	assert_non_null(strstr(text, "documents_total 1\n"));
	free(text);
	metrics_free(metrics);
}

/* A refused family's samples are omitted, too. */
static void collect_refused(void *data, struct metrics_writer *writer)
{
	static const char *const names[] = {"", "1a", "a-b", "a b", "\xc3\xa9", "not-a-name"};

	(void)data;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		metrics_family(writer, METRICS_GAUGE, names[i], "refused");
		metrics_sample(writer, NULL, 1);
	}
}

static void refused_names(void **state)
{
	struct metrics *metrics = metrics_new();
	size_t length;

	(void)state;
	assert_int_equal(metrics_collect(metrics, collect_refused, NULL), 0);
	char *text = metrics_write(metrics, METRICS_TEXT, &length);
	assert_string_equal(text, "");
	assert_int_equal(length, 0);
	free(text);
	metrics_free(metrics);
	metrics_free(NULL);
}

static void collect_counter(void *data, struct metrics_writer *writer)
{
	const char *labels[] = {"machine", "mars", "image", "", "scope", "cpu", NULL};
	const char *none[] = {"image", "", NULL};

	(void)data;
	metrics_family(writer, METRICS_COUNTER, "power_joules_total", "Say \"J\".");
	metrics_counter(writer, labels, 3, 1700000000.5);
	metrics_counter(writer, none, 4, 1700000000);
	metrics_family(writer, METRICS_GAUGE, "power_watts", "Watts.");
	metrics_counter(writer, labels, 5, 1700000000);
}

/*
 * OpenMetrics: the family without _total, created timestamps only for counters, the EOF mark; empty labels
 * are omitted.
 */
static void open_metrics(void **state)
{
	struct metrics *metrics = metrics_new();
	size_t length;
	char *text;

	(void)state;
	assert_int_equal(metrics_collect(metrics, collect_counter, NULL), 0);
	text = metrics_write(metrics, METRICS_OPEN, &length);
	assert_string_equal(text, "# HELP power_joules Say \\\"J\\\".\n"
				  "# TYPE power_joules counter\n"
				  "power_joules_total{machine=\"mars\",scope=\"cpu\"} 3\n"
				  "power_joules_created{machine=\"mars\",scope=\"cpu\"} 1700000000.500\n"
				  "power_joules_total 4\n"
				  "power_joules_created 1700000000.000\n"
				  "# HELP power_watts Watts.\n"
				  "# TYPE power_watts gauge\n"
				  "power_watts{machine=\"mars\",scope=\"cpu\"} 5\n"
				  "# EOF\n");
	free(text);
	text = metrics_write(metrics, METRICS_TEXT, &length);
	assert_null(strstr(text, "_created"));
	assert_null(strstr(text, "EOF"));
	assert_non_null(strstr(text, "# TYPE power_joules_total counter\n"));
	free(text);
	metrics_free(metrics);
}

/* Accept headers as sent by clients. */
static void accepted(void **state)
{
	(void)state;
	assert_int_equal(metrics_accepted(NULL), METRICS_TEXT);
	assert_int_equal(metrics_accepted("*/*"), METRICS_TEXT);
	assert_int_equal(metrics_accepted("text/plain;version=0.0.4"), METRICS_TEXT);
	assert_int_equal(
		metrics_accepted("application/openmetrics-text;version=1.0.0,application/"
				 "openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5"),
		METRICS_OPEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_metrics),
		cmocka_unit_test(accepted),
		cmocka_unit_test(whole_text),
		cmocka_unit_test(refused_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

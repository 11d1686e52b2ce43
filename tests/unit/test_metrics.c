/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text: grouping, escaping, numbers, refused names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const cpu_labels[] = {"scope", "cpu", NULL};
static const char *const dram_labels[] = {"scope", "dram", NULL};

static void collect(void *data, struct metrics_writer *writer)
{
	const char *labels[] = {"target", data, "socket", "0", NULL};
	static const char *const bad_labels[] = {"0target", "x", NULL};

	metrics_family(writer, METRICS_GAUGE, "power_watts", "power of a\nline \\ \"quoted\"");
	metrics_sample(writer, labels, 12.5);
	metrics_sample(writer, NULL, NAN);
	metrics_sample(writer, NULL, -INFINITY);
	metrics_sample(writer, bad_labels, 1);
	metrics_family(writer, METRICS_GAUGE, "not-a-name", "refused");
	metrics_sample(writer, NULL, 1);
}

static void whole_text(void **state)
{
	uint64_t documents = UINT64_MAX, other = 7;
	double error_w = 0.1, tiny = 1e-300;
	struct metrics *metrics = metrics_new();
	size_t length;

	(void)state;
	assert_int_equal(metrics_watch_u64(metrics, METRICS_COUNTER, "documents_total", "Documents.",
					   cpu_labels, &documents),
			 0);
	assert_int_equal(
		metrics_watch_double(metrics, METRICS_GAUGE, "error_watts", "Error.", NULL, &error_w), 0);
	assert_int_equal(metrics_watch_u64(metrics, METRICS_COUNTER, "documents_total", "Documents.",
					   dram_labels, &other),
			 0);
	assert_int_equal(metrics_watch_double(metrics, METRICS_GAUGE, "tiny_watts", "Tiny.", NULL, &tiny), 0);
	assert_int_equal(metrics_collect(metrics, collect, "a\"b\\c\nd\xff\xc3\xa9"), 0);
	char *text = metrics_write(metrics, &length);
	assert_string_equal(text, "# HELP documents_total Documents.\n"
				  "# TYPE documents_total counter\n"
				  "documents_total{scope=\"cpu\"} 18446744073709551615\n"
				  "documents_total{scope=\"dram\"} 7\n"
				  "# HELP error_watts Error.\n"
				  "# TYPE error_watts gauge\n"
				  "error_watts 0.1\n"
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
	documents = 1; /* read anew at each question */
	text = metrics_write(metrics, &length);
	assert_non_null(strstr(text, "documents_total{scope=\"cpu\"} 1\n"));
	free(text);
	metrics_free(metrics);
}

static void refused_names(void **state)
{
	static const char *const names[] = {"", "1a", "a-b", "a b", "\xc3\xa9"};
	static const char *const odd[] = {"a", NULL};
	struct metrics *metrics = metrics_new();
	uint64_t value = 0;
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(metrics_watch_u64(metrics, METRICS_GAUGE, names[i], "", NULL, &value),
				 -EINVAL);
	assert_int_equal(metrics_watch_u64(metrics, METRICS_GAUGE, "a", "", odd, &value), -EINVAL);
	char *text = metrics_write(metrics, &length);
	assert_string_equal(text, "");
	assert_int_equal(length, 0);
	free(text);
	metrics_free(metrics);
	metrics_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_text),
		cmocka_unit_test(refused_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of repeated runs, compared with SciPy's results, and the output for groups of runs. */
#include "compare/group.h"
#include "compare/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static const double series_a[] = {12.1, 11.8, 12.6, 12.0, 12.3, 11.9};
static const double series_b[] = {10.2, 10.9, 9.8, 10.1};

static void assert_near(double got, double wanted, double tolerance)
{
	if (!(fabs(got - wanted) <= tolerance * fabs(wanted)))
		fail_msg("%.12g is not %.12g", got, wanted);
}

/* scipy.stats.t.ppf(0.975, freedom) */
static void test_student(void **state)
{
	static const double known[][2] = {{0.5, 164.55767348},  {1, 12.7062047362},  {2, 4.30265272975},
					  {4.5, 2.6589123472},  {9, 2.2621571628},   {29, 2.04522964213},
					  {100, 1.98397151852}, {1e5, 1.95998770753}};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_near(sample_t_975(known[i][0]), known[i][1], 1e-9);
	assert_true(isnan(sample_t_975(0)));
	assert_true(isnan(sample_t_975(NAN)));
}

/* numpy's mean and std(ddof=1), scipy.stats.t.interval */
static void test_summary(void **state)
{
	static const double odd[] = {NAN, 3, INFINITY};
	struct sample sample;

	(void)state;
	sample_summarize(series_a, 6, &sample);
	assert_int_equal(sample.n, 6);
	assert_near(sample.mean, 12.1166666667, 1e-9);
	assert_near(sample.sd, 0.29268868558, 1e-9);
	assert_near(sample.low, 11.8095087286, 1e-9);
	assert_near(sample.high, 12.4238246047, 1e-9);
	assert_true(sample.min == 11.8 && sample.max == 12.6);
	sample_summarize(odd, 3, &sample);
	assert_int_equal(sample.n, 1);
	assert_true(sample.mean == 3 && sample.min == 3 && sample.max == 3);
	assert_true(isnan(sample.sd) && isnan(sample.low));
	sample_summarize(NULL, 0, &sample);
	assert_true(sample.n == 0 && isnan(sample.mean));
}

static void test_ratio(void **state)
{
	static const double constant[] = {2, 2, 2};
	struct sample a, b, zero = {0, NAN, NAN, NAN, NAN, NAN, NAN};
	struct sample_ratio ratio;

	(void)state;
	sample_summarize(series_a, 6, &a);
	sample_summarize(series_b, 4, &b);
	sample_compare(&a, &b, &ratio);
	assert_near(ratio.ratio, 1.18211382114, 1e-9);
	assert_near(ratio.low, 1.10466397994, 1e-9);
	assert_near(ratio.high, 1.26499380037, 1e-9);
	/* The reverse comparison gives the reciprocal, including the interval. */
	sample_compare(&b, &a, &ratio);
	assert_near(ratio.low, 1 / 1.26499380037, 1e-9);
	sample_summarize(series_a, 1, &a);
	sample_compare(&a, &b, &ratio);
	assert_true(isfinite(ratio.ratio) && isnan(ratio.low));
	sample_compare(&a, &zero, &ratio);
	assert_true(isnan(ratio.ratio));
	sample_summarize(constant, 3, &a);
	sample_compare(&a, &a, &ratio);
	assert_true(ratio.ratio == 1 && ratio.low == 1 && ratio.high == 1);
}

/* The interval contains the true mean in 95 of 100 series. */
static void test_coverage(void **state)
{
	uint64_t seed = (uint64_t)time(NULL), random;
	unsigned covered = 0;

	(void)state;
	print_message("seed %" PRIu64 "\n", seed);
	random = seed | 1;
	for (unsigned trial = 0; trial < 4000; trial++) {
		double values[5];
		struct sample sample;

		for (unsigned i = 0; i < 5; i++) {
			double sum = 0;

			/* Approximately normal: the sum of twelve uniform numbers. */
			for (unsigned k = 0; k < 12; k++) {
				random = random * 6364136223846793005U + 1442695040888963407U;
				sum += (double)(random >> 11) / 9007199254740992.0;
			}
			values[i] = 100 + sum - 6;
		}
		sample_summarize(values, 5, &sample);
		covered += sample.low <= 100 && sample.high >= 100;
	}
	/* Within five standard deviations of the expected count. */
	assert_in_range(covered, 3800 - 70, 3800 + 70);
}

static void test_outliers(void **state)
{
	static const double none[] = {10, 10.1, 9.9, 10.2, 9.8, 10};
	static const double one[] = {10, 10.1, 9.9, 15, 9.8, 10};
	static const double same[] = {10, 10, 10, 10, 10, 10, 12};
	static const double equal[] = {7, 7, 7, 7, 7};
	static const double few[] = {1, 1, 1, 100};
	bool marks[8];

	(void)state;
	assert_int_equal(sample_mark_outliers(none, 6, marks), 0);
	assert_int_equal(sample_mark_outliers(one, 6, marks), 1);
	assert_true(marks[3]);
	assert_int_equal(sample_mark_outliers(same, 7, marks), 1);
	assert_true(marks[6]);
	assert_int_equal(sample_mark_outliers(equal, 5, marks), 0);
	assert_int_equal(sample_mark_outliers(few, 4, marks), 0);
	assert_int_equal(sample_mark_outliers(NULL, 0, marks), 0);
}

static void add(struct compare_group *group, double cpu_j, double dram_j, double seconds, double tick_s)
{
	json_t *recap =
		json_pack("{sf sf s{s{sf sf sf} s{sf}} s{s{sf}} ss ss s{sf}}", "duration", seconds, "tick",
			  tick_s, "energy", "cpu", "total", cpu_j, "dynamic", cpu_j / 2, "sd", 0.3, "dram",
			  "total", dram_j, "power", "cpu", "mean", cpu_j / seconds, "begin",
			  "2026-01-01T00:00:00Z", "exit_status", "3", "execution", "duration", seconds / 2);

	assert_non_null(recap);
	assert_int_equal(compare_group_add(group, recap, NULL), 0);
	assert_int_equal(compare_group_add(group, recap, "warmup"), -ENOENT);
	json_decref(recap);
}

static char *printed(enum compare_format format, struct compare_group *groups, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(compare_print(out, format, groups, n), 0);
	(void)fclose(out);
	return text;
}

static void assert_has(char *text, const char *const *parts)
{
	for (; *parts; parts++)
		if (!strstr(text, *parts))
			fail_msg("no '%s' in:\n%s", *parts, text);
	free(text);
}

static void test_forms(void **state)
{
	struct compare_group groups[2] = {{.name = "old \"x\""}, {.name = "new|\033[1m"}};

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		add(&groups[0], series_a[i] - 1, 1, 4, 0.2);
	add(&groups[0], 13, 1, 4, 0.2);
	for (unsigned i = 0; i < 4; i++)
		add(&groups[1], series_b[i], 0, 0.1, 0.2);
	assert_has(printed(COMPARE_TEXT, groups, 2),
		   (const char *const[]){"A  old \"x\"  (7 runs)\n", "B  new|?[1m  (4 runs)\n",
					 "outliers  run 7 with 14.000 J", "energy J",
					 "10.250   0.4655      9.5093 to     10.991", "power W      ~102.50",
					 "~ marks watts", "about 0.3000 J", "\nA / B\n",
					 "(95 %: ", "A has more", NULL});
	assert_has(
		printed(COMPARE_CSV, groups, 2),
		(const char *const[]){"\"old \"\"x\"\"\",1,1767225600.000,12.1,5.55,4,2.775,0.3,3,0,0,0\r\n",
				      "\"old \"\"x\"\"\",7,1767225600.000,14,6.5,4,3.25,0.3,3,0,0,1\r\n",
				      ",1,0,0\r\n", NULL});
	assert_has(printed(COMPARE_MARKDOWN, groups, 2),
		   (const char *const[]){"| B | `new??[1m` | 4 | 10.250 ± 0.4655 |", " to ", NULL});
	assert_has(printed(COMPARE_JSON, groups, 2),
		   (const char *const[]){"\"first_to_this\"", "\"mean\": 10.25", "\"outlier\": true", NULL});
	compare_group_done(&groups[0]);
	compare_group_done(&groups[1]);
}

/* A single run has no spread, and malformed recaps have no figures. */
static void test_little(void **state)
{
	struct compare_group groups[2] = {{.name = "one"}, {.name = "odd"}};
	json_t *odd = json_loads("{\"energy\":3,\"duration\":\"x\",\"exit_status\":\"1000\",\"power\":[]}", 0,
				 NULL);
	json_t *none = json_null();
	json_t *lost = json_loads("{\"energy\":{\"cpu\":{\"total\":0}},\"warning\":\"no report\"}", 0, NULL);

	(void)state;
	assert_int_equal(compare_group_add(&groups[1], lost, NULL), 0);
	assert_has(printed(COMPARE_TEXT, &groups[1], 1),
		   (const char *const[]){"note      1 of the runs have no report", NULL});
	assert_true(isnan(groups[1].runs[0].figures[COMPARE_ENERGY]));
	compare_group_done(&groups[1]);
	json_decref(lost);
	add(&groups[0], 10, 0, 1, 0.2);
	assert_int_equal(compare_group_add(&groups[1], none, NULL), -ENOENT);
	assert_int_equal(compare_group_add(&groups[1], odd, NULL), 0);
	assert_int_equal(groups[1].runs[0].exit_status, -1);
	assert_has(printed(COMPARE_TEXT, groups, 2),
		   (const char *const[]){"A  one  (1 run)\n", "10.000        -", NULL});
	assert_has(printed(COMPARE_CSV, groups, 2), (const char *const[]){"\nodd,1,,,,,,,,0,0,0\r\n", NULL});
	free(printed(COMPARE_MARKDOWN, groups, 2));
	free(printed(COMPARE_JSON, groups, 2));
	free(printed(COMPARE_JSON, groups, 0));
	json_decref(odd);
	compare_group_done(&groups[0]);
	compare_group_done(&groups[1]);
}

/* GPUs add to processor and memory; scopes that overlap these do not. Errors of scopes are independent. */
static void test_scopes(void **state)
{
	struct compare_group group = {.name = "gpu"};
	json_t *recap = json_loads(
		"{\"duration\":2,\"coverage\":0.6,\"energy\":{\"cpu\":{\"total\":10,\"dynamic\":4,\"sd\":3},"
		"\"dram\":{\"total\":1},\"gpu\":{\"total\":200,\"dynamic\":150,\"sd\":4},"
		"\"platform\":{\"total\":300,\"sd\":50},\"core\":{\"total\":8}},"
		"\"power\":{\"cpu\":{\"mean\":5},\"gpu\":{\"mean\":100},\"platform\":{\"mean\":150}}}",
		0, NULL);

	(void)state;
	assert_int_equal(compare_group_add(&group, recap, NULL), 0);
	assert_float_equal(group.runs[0].figures[COMPARE_ENERGY], 211, 0);
	assert_float_equal(group.runs[0].figures[COMPARE_DYNAMIC], 154, 0);
	assert_float_equal(group.runs[0].figures[COMPARE_WATTS], 105, 0);
	assert_float_equal(group.runs[0].sd_j, 5, 1e-12);
	assert_has(printed(COMPARE_TEXT, &group, 1),
		   (const char *const[]){"note      reports cover only a part of 1 of the runs;", NULL});
	/* The GPU's error is unknown: that of the processor is not that of the run, unless the GPU rested. */
	json_object_del(json_object_get(json_object_get(recap, "energy"), "gpu"), "sd");
	assert_int_equal(compare_group_add(&group, recap, NULL), 0);
	assert_true(isnan(group.runs[1].sd_j));
	json_object_set_new(json_object_get(json_object_get(recap, "energy"), "gpu"), "dynamic",
			    json_real(0));
	json_object_set_new(json_object_get(json_object_get(recap, "energy"), "gpu"), "total", json_real(10));
	assert_int_equal(compare_group_add(&group, recap, NULL), 0);
	assert_float_equal(group.runs[2].sd_j, 3, 1e-12);
	json_decref(recap);
	compare_group_done(&group);
}

static void test_export_words(void **state)
{
	static const struct {
		const char *text, *path;
		enum compare_format format;
	} good[] = {{"csv", "-", COMPARE_CSV},
		    {"json:", "-", COMPARE_JSON},
		    {"markdown:a/b:c.md", "a/b:c.md", COMPARE_MARKDOWN}};
	static const char *const bad[] = {"", "cs", "csvx", "text", ":x", "CSV"};
	struct reason why = {""};
	enum compare_format format;
	const char *path;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(compare_parse_export(good[i].text, &format, &path, &why), 0);
		assert_int_equal(format, good[i].format);
		assert_string_equal(path, good[i].path);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(compare_parse_export(bad[i], &format, &path, &why), -EINVAL);
		assert_non_null(strstr(why.text, "csv, json or markdown"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_student),  cmocka_unit_test(test_summary),
		cmocka_unit_test(test_ratio),    cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_outliers), cmocka_unit_test(test_forms),
		cmocka_unit_test(test_little),   cmocka_unit_test(test_export_words),
		cmocka_unit_test(test_scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

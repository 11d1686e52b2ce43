/* SPDX-License-Identifier: Apache-2.0 */
/* What the client prints of the server's answers: the live table, and recaps. */
#include "base/cleanup.h"
#include "recap/recap_table.h"
#include "top/top_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_top_sorts_by_watts(void **state)
{
	json_t *answer = json_loads(
		"{\"sensors\":[{\"sensor\":\"n1\",\"energy_source\":\"estimate\",\"estimated\":true,"
		"\"measured\":{\"cpu\":10.5,\"dram\":null},\"targets\":["
		"{\"target\":\"small\",\"cpu\":1},{\"target\":\"big\",\"cpu\":5,\"dram\":1},"
		"{\"target\":\"\\u001b[31mred\",\"cpu\":2}]}]}",
		0, NULL);
	struct top_view view = {0};
	const char *lines[8] = {0};

	(void)state;
	assert_non_null(answer);
	assert_int_equal(top_view_fill(&view, answer, NULL), 0);
	assert_int_equal(view.n_sensors, 1);
	assert_int_equal(view.n_lines, 6);
	for (size_t i = 0; i < view.n_lines; i++)
		lines[i] = view.lines[i].text;
	assert_non_null(strstr(lines[0], "cpu 10.50 W   ESTIMATED from CPU use and design power"));
	assert_null(strstr(lines[0], "dram"));
	assert_ptr_equal(strstr(lines[3], "big"), lines[3]);
	assert_ptr_equal(strstr(lines[4], "?[31mred"), lines[4]);
	assert_ptr_equal(strstr(lines[5], "small"), lines[5]);
	assert_int_equal(top_view_fill(&view, answer, "other"), 0);
	assert_int_equal(view.n_sensors, 0);
	assert_non_null(strstr(view.lines[0].text, "waiting for the first tick of other"));
	top_view_done(&view);
	json_decref(answer);
}

static void test_top_hides_what_is_old(void **state)
{
	json_t *answer = json_loads(
		"{\"sensors\":[{\"sensor\":\"gone\",\"age\":95.0,\"interval\":1,\"targets\":[{\"target\":"
		"\"a\",\"cpu\":9}]},"
		"{\"sensor\":\"slow\",\"age\":95.0,\"interval\":60,\"energy_source\":\"rapl\",\"measured\":{"
		"\"dram\":2},"
		"\"targets\":[{\"target\":\"/a/path/that/is/long/and/differs/at/its/end/b17\",\"cpu\":1}]}]}",
		0, NULL);
	struct top_view view = {0};

	(void)state;
	assert_int_equal(top_view_fill(&view, answer, NULL), 0);
	assert_int_equal(view.n_lines, 6);
	assert_string_equal(view.lines[0].text, "gone   no tick for 95 s; is its sensor running?");
	assert_string_equal(view.lines[2].text, "slow   cpu - W   dram 2.00 W   measured by rapl");
	assert_ptr_equal(strstr(view.lines[5].text, "/a/path/that/is/l..rs/at/its/end/b17 "),
			 view.lines[5].text);
	assert_int_equal(top_view_scroll(&view, 0, 3), 3);
	assert_int_equal(top_view_scroll(&view, 3, 1000000), 5);
	assert_int_equal(top_view_scroll(&view, 5, -2), 3);
	assert_int_equal(top_view_scroll(&view, 3, -22), 0);
	top_view_done(&view);
	assert_int_equal(top_view_scroll(&view, 0, 1), 0);
	json_decref(answer);
}

/* Streams of other sensors do not say what their energy and activity come from. */
static void test_top_without_sources(void **state)
{
	json_t *answer = json_loads(
		"{\"sensors\":["
		"{\"sensor\":\"a\",\"energy_source\":\"\",\"activity_source\":\"\",\"formula\":\"pooled\","
		"\"measured\":{\"cpu\":10},\"targets\":[]},"
		"{\"sensor\":\"b\",\"formula\":\"share\",\"measured\":{\"dram\":2},\"targets\":[]},"
		"{\"sensor\":\"c\",\"energy_source\":null,\"measured\":{\"cpu\":null},\"targets\":[]},"
		"{\"sensor\":\"d\",\"estimated\":true,\"measured\":{\"cpu\":3},\"targets\":[]}]}",
		0, NULL);
	struct top_view view = {0};
	char all[4096] = "";

	(void)state;
	assert_non_null(answer);
	assert_int_equal(top_view_fill(&view, answer, NULL), 0);
	for (size_t i = 0; i < view.n_lines; i++)
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\n", view.lines[i].text);
	assert_non_null(strstr(all, "a   cpu 10.00 W   measured\n"));
	assert_non_null(strstr(all, "\nformula pooled, error"));
	assert_non_null(strstr(all, "dram 2.00 W   measured\n"));
	assert_non_null(strstr(all, "no energy in its last tick\n"));
	assert_non_null(strstr(all, "cpu 3.00 W   ESTIMATED\n"));
	assert_null(strstr(all, " by "));
	top_view_done(&view);
	json_decref(answer);
}

static void test_top_bears_nonsense(void **state)
{
	static const char *const nonsense[] = {"[]", "{}", "{\"sensors\":3}",
					       "{\"sensors\":[1,{\"targets\":[2,{}]}]}"};
	struct top_view view = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		json_t *answer = json_loads(nonsense[i], 0, NULL);

		assert_int_equal(top_view_fill(&view, answer, NULL), 0);
		json_decref(answer);
	}
	top_view_done(&view);
}

static void test_dates(void **state)
{
	static const char *const forms[] = {
		"\"2026-01-01T00:00:00.500Z\"", "1767225600500", "{\"$date\":\"2026-01-01T00:00:00.5Z\"}",
		"{\"$date\":{\"$numberLong\":\"1767225600500\"}}", "{\"$date\":1767225600500}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		json_t *date = json_loads(forms[i], JSON_DECODE_ANY, NULL);

		assert_non_null(date);
		assert_true(recap_table_date_ms(date) == 1767225600500.0);
		json_decref(date);
	}
	assert_true(recap_table_date_ms(NULL) < 0);
}

static void test_recap_phases(void **state)
{
	json_t *recap =
		json_loads("{\"name\":\"x\",\"duration\":12,\"warmup time\":2,\"execution time\":10,"
			   "\"samples\":12,\"coverage\":0.98,\"estimated\":true,"
			   "\"energy\":{\"cpu\":{\"total\":40.5,\"dynamic\":30,\"static\":10.5,\"sd\":1.5}},"
			   "\"power\":{\"cpu\":{\"mean\":3.375,\"max\":5}},\"machine\":{\"cpu\":100},"
			   "\"warmup\":{\"energy\":{\"cpu\":{\"total\":8}}},\"execution\":{}}",
			   0, NULL);
	cleanup_(cleanup_free) char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(recap);
	recap_table_print(out, recap);
	(void)fclose(out);
	assert_non_null(strstr(
		text, "whole run   cpu      12.000      40.500     1.500      30.000      10.500     3.375"));
	assert_non_null(strstr(text, "warm-up     cpu       2.000       8.000         -           -"));
	assert_non_null(strstr(text, "cover 98 %"));
	assert_non_null(strstr(text, "estimated"));
	json_decref(recap);
}

/* The whole run is longer than a reading, its warm-up is not; then a run that is shorter, and an old one
 * without `tick`. */
static void test_brief_recaps_say_so(void **state)
{
	static const char form[] =
		"{\"duration\":%g,\"warmup time\":0.05,\"execution time\":%g%s,"
		"\"power\":{\"cpu\":{\"mean\":45.5,\"max\":138}},\"energy\":{\"cpu\":{\"total\":1}},"
		"\"warmup\":{\"energy\":{\"cpu\":{\"total\":1}},\"power\":{\"cpu\":{\"mean\":7}}%s},"
		"\"execution\":{}}";
	static const struct {
		double duration;
		const char *tick, *whole, *warmup, *note;
	} runs[] = {
		{3, ",\"tick\":0.2", "    45.500   138.000", "   ~7.000",
		 "note        ~ marks watts over less"},
		{0.06, ",\"tick\":0.2", "   ~45.500  ~138.000", "   ~7.000", "one reading (0.200 s)"},
		{0.06, "", "    45.500   138.000", "     7.000", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		cleanup_(cleanup_free) char *json = NULL, *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		json_t *recap;

		assert_true(asprintf(&json, form, runs[i].duration, runs[i].duration, runs[i].tick,
				     runs[i].tick) > 0);
		recap = json_loads(json, 0, NULL);
		assert_non_null(recap);
		recap_table_print(out, recap);
		recap_table_print_line(out, recap);
		(void)fclose(out);
		assert_non_null(strstr(text, runs[i].whole));
		assert_non_null(strstr(text, runs[i].warmup));
		assert_true(runs[i].note ? strstr(text, runs[i].note) != NULL : strstr(text, "note") == NULL);
		assert_non_null(strstr(text, runs[i].whole[3] == '~' ? "~45.500\n" : " 45.500\n"));
		json_decref(recap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top_sorts_by_watts),
		cmocka_unit_test(test_top_hides_what_is_old),
		cmocka_unit_test(test_top_without_sources),
		cmocka_unit_test(test_top_bears_nonsense),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_recap_phases),
		cmocka_unit_test(test_brief_recaps_say_so),
	};

	return cmocka_run_group_tests_name("client_views", tests, NULL, NULL);
}

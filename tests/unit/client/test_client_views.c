/* SPDX-License-Identifier: Apache-2.0 */
/* The client's output for the server's answers: the live table, and recaps. */
#include "base/cleanup.h"
#include "json_fields.h"
#include "recap/recap_table.h"
#include "top/top_text.h"
#include "top/top_view.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct top_settings everything;

static json_t *load(const char *text)
{
	json_t *answer = json_loads(text, 0, NULL);

	assert_non_null(answer);
	return answer;
}

/* Fills the view; returns all lines as one text. */
static char *lines_of(struct top_view *view, const json_t *answer, const struct top_settings *settings)
{
	static char all[65536];
	size_t length = 0;

	all[0] = '\0';
	assert_int_equal(top_view_fill(view, answer, settings, NULL, 0), 0);
	for (size_t i = 0; i < view->n_lines; i++)
		length += (size_t)snprintf(all + length, sizeof(all) - length, "%s\n", view->lines[i].text);
	return all;
}

static void assert_order(const char *text, const char *const *parts)
{
	const char *at = text;

	for (; *parts; parts++) {
		const char *found = strstr(at, *parts);

		if (!found)
			fail_msg("no '%s' (or not in this order) in:\n%s", *parts, text);
		at = found + strlen(*parts);
	}
}
#define ORDER(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char small_machine[] =
	"{\"sensors\":[{\"sensor\":\"n1\",\"energy_source\":\"estimate\",\"estimated\":true,"
	"\"measured\":{\"cpu\":10.5,\"dram\":null},\"targets\":["
	"{\"target\":\"small\",\"cpu\":1,\"dynamic\":0.9,\"static\":0.1,\"energy_j\":7,\"sd\":0.012,"
	"\"image\":"
	"\"shop:2\","
	"\"runtime\":\"docker\",\"slice\":\"system.slice\"},"
	"{\"target\":\"big\",\"cpu\":5,\"dram\":1,\"dynamic\":0.5,\"static\":5.5,\"energy_j\":5,\"sd\":4,"
	"\"image\":\"shop:2\",\"runtime\":\"podman\"},"
	"{\"target\":\"\\u001b[31mred\\u009b\",\"cpu\":2,\"dynamic\":0.6,\"static\":1.4,\"energy_j\":6,"
	"\"sd\":0.0002}]}]}";

static void test_top_sorts(void **state)
{
	static const struct {
		int sort;
		bool reversed;
		const char *order[4];
	} cases[] = {{TOP_BY_WATTS, false, {"big", "red", "small"}},
		     {TOP_BY_WATTS, true, {"small", "red", "big"}},
		     {TOP_BY_DYNAMIC, false, {"small", "red", "big"}},
		     {TOP_BY_JOULES, false, {"small", "red", "big"}},
		     {TOP_BY_ERROR, false, {"big", "small", "red"}},
		     {TOP_BY_NAME, false, {"red", "big", "small"}}};
	json_t *answer = load(small_machine);
	struct top_view view = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct top_settings settings = {.sort = cases[i].sort, .is_reversed = cases[i].reversed};

		assert_order(lines_of(&view, answer, &settings), cases[i].order);
	}
	assert_order(lines_of(&view, answer, &everything),
		     ORDER("n1   cpu 10.50 W   ESTIMATED from CPU use and design power\n",
			   "dynamic 2.00 W, idle 8.50 W", "target ",
			   " watts   dynamic      idle    +- W     joules", "big ",
			   " 6.000     0.500     5.500", "?[31mred?"));
	assert_int_equal(view.n_sensors, 1);
	assert_null(strstr(view.lines[0].text, "dram"));
	assert_order(
		lines_of(&view, answer, &everything),
		ORDER("big ", " 5.500   4.000 ", "red?", " 1.400  <0.001 ", "small ", " 0.100   0.012 "));
	top_view_done(&view);
	json_decref(answer);
}

static void test_top_filters_and_groups(void **state)
{
	struct top_settings settings = {.filter = "SHOP"};
	json_t *answer = load(small_machine);
	struct top_view view = {0};
	const char *text;

	(void)state;
	text = lines_of(&view, answer, &settings);
	assert_order(text, ORDER("dynamic 2.00 W, idle 8.50 W", "big", "small",
				 "1 more do not match the filter 'SHOP'"));
	assert_null(strstr(text, "red"));
	settings = (struct top_settings){.group = TOP_BY_IMAGE};
	text = lines_of(&view, answer, &settings);
	assert_order(text, ORDER("\nshop:2 (2) ", "7.000     1.400     5.600   4.000       12.0\n", "  big ",
				 "  small ", "- (1) ", "  ?[31mred?"));
	settings.group = TOP_BY_RUNTIME;
	settings.sort = TOP_BY_DYNAMIC;
	assert_order(lines_of(&view, answer, &settings),
		     ORDER("\ndocker (1)", "small", "\n- (1)", "red", "\npodman (1)", "big"));
	settings.group = TOP_BY_SLICE;
	assert_order(lines_of(&view, answer, &settings), ORDER("system.slice (1)", "small"));
	settings = (struct top_settings){.machine = "other"};
	text = lines_of(&view, answer, &settings);
	assert_int_equal(view.n_sensors, 0);
	assert_non_null(strstr(text, "waiting for the first tick of other; this server has: n1\n"));
	top_view_done(&view);
	json_decref(answer);
}

/* The error of a group's known members is not that of all, if much of its power lacks one. */
static void test_top_group_with_unknown_errors(void **state)
{
	struct top_settings settings = {.group = TOP_BY_IMAGE};
	json_t *answer =
		load("{\"sensors\":[{\"sensor\":\"n1\",\"age\":1,\"interval\":1,\"targets\":["
		     "{\"target\":\"a\",\"image\":\"x\",\"cpu\":3,\"dynamic\":1,\"static\":2,\"sd\":0.5},"
		     "{\"target\":\"b\",\"image\":\"x\",\"cpu\":6,\"dynamic\":4,\"static\":2},"
		     "{\"target\":\"c\",\"image\":\"y\",\"cpu\":3,\"dynamic\":1,\"static\":2,\"sd\":0.5},"
		     "{\"target\":\"d\",\"image\":\"y\",\"cpu\":1,\"dynamic\":0,\"static\":1}]}]}");
	struct top_view view = {0};

	(void)state;
	assert_order(lines_of(&view, answer, &settings),
		     ORDER("\nx (2) ", "9.000     5.000     4.000       - ", "\ny (2) ",
			   "4.000     1.000     3.000   0.500 "));
	top_view_done(&view);
	json_decref(answer);
}

static void test_top_hides_what_is_old(void **state)
{
	json_t *answer = load(
		"{\"sensors\":[{\"sensor\":\"gone\",\"age\":9500.0,\"interval\":1,\"targets\":[{\"target\":"
		"\"a\",\"cpu\":9}]},"
		"{\"sensor\":\"slow\",\"age\":95.0,\"interval\":60,\"energy_source\":\"rapl\",\"measured\":{"
		"\"dram\":2},"
		"\"targets\":[{\"target\":\"/a/path/that/is/long/and/differs/at/its/end/b17\",\"cpu\":1},"
		"{\"target\":\"ended\",\"cpu\":1,\"age\":31}]}]}");
	struct top_view view = {0};
	const char *text = lines_of(&view, answer, &everything);

	(void)state;
	assert_order(text, ORDER("gone   no tick for 3 hours; is its sensor running?\n",
				 "slow   cpu - W   dram 2.00 W   measured by rapl\n",
				 "\n/a/path/that/is/l..rs/at/its/end/b17 "));
	assert_null(strstr(text, "ended"));
	top_view_done(&view);
	json_decref(answer);
}

/* Streams of other sensors do not name their sources of energy and activity. */
static void test_top_without_sources(void **state)
{
	json_t *answer = load(
		"{\"sensors\":["
		"{\"sensor\":\"a\",\"energy_source\":\"\",\"activity_source\":\"\",\"formula\":\"pooled\","
		"\"measured\":{\"cpu\":10},\"targets\":[]},"
		"{\"sensor\":\"b\",\"formula\":\"share\",\"measured\":{\"dram\":2},\"targets\":[]},"
		"{\"sensor\":\"c\",\"energy_source\":null,\"measured\":{\"cpu\":null},\"targets\":[]},"
		"{\"sensor\":\"d\",\"estimated\":true,\"measured\":{\"cpu\":3},\"targets\":[]}]}");
	struct top_view view = {0};
	const char *text = lines_of(&view, answer, &everything);

	(void)state;
	assert_order(text, ORDER("a   cpu 10.00 W   measured\n", "formula pooled, error",
				 "dram 2.00 W   measured\n", "no energy in its last tick\n",
				 "cpu 3.00 W   ESTIMATED\n"));
	assert_null(strstr(text, " by "));
	top_view_done(&view);
	json_decref(answer);
}

/* One line for each machine, as on a screen. */
static void test_top_overview(void **state)
{
	struct top_settings settings = {.is_overview = true, .width = 100, .selected = 1};
	json_t *answer = load(
		"{\"sensors\":[{\"sensor\":\"a\",\"measured\":{\"cpu\":10,\"dram\":2},\"targets\":["
		"{\"target\":\"x\",\"cpu\":3,\"dynamic\":3},{\"target\":\"y\",\"cpu\":1,\"dynamic\":1.5}]},"
		"{\"sensor\":\"b\",\"measured\":{\"cpu\":5},\"estimated\":true,\"targets\":[]},"
		"{\"sensor\":\"c\",\"age\":99,\"measured\":{\"cpu\":7},\"targets\":[]}]}");
	struct top_view view = {0};

	(void)state;
	assert_order(lines_of(&view, answer, &settings),
		     ORDER("3 machines   17.00 W", "machine", "\na ", "12.00      4.50      7.50        2",
			   "\nb ", "estimated", "\nc ", "no tick for 2 minutes"));
	assert_int_equal(view.n_fixed, 2);
	assert_int_equal(view.lines[3].style, TOP_SELECTED);
	assert_int_equal(view.lines[2].style, TOP_PLAIN);
	assert_string_equal(top_view_machine(answer, 2), "c");
	assert_null(top_view_machine(answer, 3));
	top_view_done(&view);
	json_decref(answer);
}

/* The last page is always full, whatever keys are pressed; the heading does not scroll. */
static void test_top_scroll(void **state)
{
	struct top_view view = {.n_lines = 104, .n_fixed = 4};

	(void)state;
	assert_int_equal(top_view_scroll(&view, 24, 0, 1000000000), 80);
	assert_int_equal(top_view_scroll(&view, 24, 80, 1), 80);
	assert_int_equal(top_view_scroll(&view, 24, 80, -1000000000), 0);
	assert_int_equal(top_view_scroll(&view, 24, 70, 5), 75);
	assert_int_equal(top_view_scroll(&view, 24, 90, 0), 80); /* the list has become shorter */
	assert_int_equal(top_view_scroll(&view, 2, 0, 1000), 99);
	view.n_lines = 10;
	assert_int_equal(top_view_scroll(&view, 24, 0, 1000000000), 0);
	assert_int_equal(top_view_scroll(&view, 24, 0, 20), 0);
	view.n_lines = view.n_fixed = 0;
	assert_int_equal(top_view_scroll(&view, 24, 3, 1), 0);
}

/*
 * Every line of a table has its numbers in the same columns, whatever the names; wide screens show longer
 * names.
 */
static void test_top_widths(void **state)
{
	static const size_t widths[] = {60, 80, 100, 120, 200};
	json_t *answer =
		load("{\"sensors\":[{\"sensor\":\"n\",\"measured\":{\"cpu\":9},\"targets\":["
		     "{\"target\":\"漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字\","
		     "\"cpu\":7.125},"
		     "{\"target\":\"e\\u0301tudes-\\u202e-\\u00e9\",\"cpu\":6.125},{\"target\":\"🐳\",\"cpu\":"
		     "5.125},"
		     "{\"target\":\"a-name-of-exactly-forty-six-characters-in-all-1\",\"cpu\":4.125}]}]}");
	struct top_view view = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		struct top_settings settings = {.width = widths[i], .has_unicode = true};
		const char *text = lines_of(&view, answer, &settings);
		size_t column = 0;

		for (size_t n = view.n_fixed; n < view.n_lines; n++) {
			char *line = view.lines[n].text, *number = strstr(line, ".125");

			assert_non_null(number);
			*number = '\0';
			assert_true(n == view.n_fixed || top_text_width(line) == column);
			column = top_text_width(line);
			*number = '.';
			assert_true(top_text_width(line) <= widths[i]);
		}
		assert_true((strstr(text, "a-name-of-exactly-forty-six-characters-in-all-1") != NULL) ==
			    (widths[i] >= 120));
		assert_null(strstr(text, "\u202e"));
	}
	top_view_done(&view);
	json_decref(answer);
}

static void test_top_text(void **state)
{
	double values[] = {0, 1, NAN, 4, 8};
	char text[64], tiny[4];

	(void)state;
	assert_string_equal(top_text_fit("abc", 5, text, sizeof(text)), "abc  ");
	assert_string_equal(top_text_fit("abcdefgh", 6, text, sizeof(text)), "ab..gh");
	assert_string_equal(top_text_fit("漢字漢字", 7, text, sizeof(text)), "漢..字 ");
	assert_string_equal(top_text_fit("\xff\x1b", 3, text, sizeof(text)), "?? ");
	assert_true(strlen(top_text_fit("漢字", 20, tiny, sizeof(tiny))) < sizeof(tiny));
	assert_string_equal(top_text_bar(2, 4, 10, 10, text, sizeof(text)), "||::::    ");
	assert_string_equal(top_text_bar(NAN, 99, 10, 4, text, sizeof(text)), "::::");
	assert_string_equal(top_text_bar(1, 1, 0, 3, text, sizeof(text)), "   ");
	assert_string_equal(top_text_bar(-1, 2, 2, 4, text, sizeof(text)), "::  ");
	assert_string_equal(top_text_sparkline(values, 5, false, text, sizeof(text)), "_. =#");
	assert_string_equal(top_text_sparkline(values, 5, true, text, sizeof(text)), "▁▂ ▅█");
}

static void test_top_history(void **state)
{
	struct top_history *history = top_history_new();
	double minute[TOP_HISTORY_CELLS];

	(void)state;
	top_history_add(history, "m", "a", 60000, 2);
	top_history_add(history, "m", "a", 61000, 4);
	top_history_add(history, "m", "a", 66000, 8);
	top_history_add(history, "m", "a", 66500, NAN);
	top_history_read(history, "m", "a", 68999, minute);
	assert_true(minute[TOP_HISTORY_CELLS - 1] == 8 && isnan(minute[TOP_HISTORY_CELLS - 2]));
	assert_true(minute[TOP_HISTORY_CELLS - 3] == 3 && isnan(minute[0]));
	top_history_read(history, "m", "b", 68999, minute);
	assert_true(isnan(minute[TOP_HISTORY_CELLS - 1]));
	/* After a pause of more than a minute, nothing earlier remains. */
	top_history_add(history, "m", "a", 200000, 1);
	top_history_read(history, "m", "a", 200000, minute);
	for (unsigned i = 0; i + 1 < TOP_HISTORY_CELLS; i++)
		assert_true(isnan(minute[i]));
	top_history_expire(history, 300000);
	top_history_read(history, "m", "a", 200000, minute);
	assert_true(isnan(minute[TOP_HISTORY_CELLS - 1]));
	top_history_read(NULL, "m", "a", 1, minute);
	top_history_free(history);
	top_history_free(NULL);
}

static void test_top_handles_invalid_answers(void **state)
{
	static const char *const nonsense[] = {"[]", "{}", "{\"sensors\":3}",
					       "{\"sensors\":[1,{\"targets\":[2,{}]}]}"};
	struct top_view view = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		json_t *answer = load(nonsense[i]);

		for (unsigned n = 0; n < 2 * TOP_GROUPS; n++) {
			struct top_settings settings = {
				.group = (int)(n / 2), .is_overview = n % 2, .width = 80};

			assert_int_equal(top_view_fill(&view, answer, &settings, NULL, 0), 0);
		}
		top_view_remember(NULL, answer, 0);
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
		assert_true(json_date_ms(date) == 1767225600500.0);
		json_decref(date);
	}
	assert_true(json_date_ms(NULL) < 0);
}

static void test_recap_phases(void **state)
{
	json_t *recap =
		json_loads("{\"name\":\"x\",\"duration\":12,\"warmup time\":2,\"execution time\":10,"
			   "\"samples\":12,\"coverage\":0.98,\"estimated\":true,"
			   "\"energy\":{\"cpu\":{\"total\":40.5,\"dynamic\":30,\"static\":10.5,\"sd\":1.5}},"
			   "\"power\":{\"cpu\":{\"mean\":3.375,\"max\":5}},\"machine\":{\"cpu\":100},"
			   "\"image\":\"shop:2\",\"command\":\"a\\u001b[1m\",\"exit_status\":\"3\","
			   "\"formula\":\"pooled\","
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
		text, "whole run cpu   12.000  40.500   1.500  30.000  10.500   3.375   5.000   100.000\n"));
	assert_non_null(strstr(text, "warm-up   cpu    2.000   8.000       -       -"));
	assert_non_null(strstr(text, "cover 98 %"));
	assert_non_null(strstr(text, "\nnote        joules and their errors are those of the covered time"));
	assert_non_null(strstr(text, "estimated"));
	assert_non_null(
		strstr(text, "image       shop:2\ncommand     a?[1m\nexit status 3\nformula     pooled\n"));
	json_decref(recap);
}

/*
 * The whole run is longer than a reading, but its warm-up is not; then a shorter run, and an old recap
 * without `tick`.
 */
static void test_brief_recaps_are_marked(void **state)
{
	static const char form[] =
		"{\"duration\":%g,\"warmup time\":0.05,\"execution time\":%g%s,"
		"\"power\":{\"cpu\":{\"mean\":45.5,\"max\":138}},\"energy\":{\"cpu\":{\"total\":1,\"sd\":0."
		"25}},"
		"\"warmup\":{\"energy\":{\"cpu\":{\"total\":1}},\"power\":{\"cpu\":{\"mean\":7}}%s},"
		"\"execution\":{}}";
	static const struct {
		double duration;
		const char *tick, *whole, *warmup, *note;
	} runs[] = {
		{3, ",\"tick\":0.2", "  45.500 138.000", "  ~7.000", "note        ~ marks watts over less"},
		{0.06, ",\"tick\":0.2", " ~45.500 ~138.000", "  ~7.000", "one reading (0.200 s)"},
		{0.06, "", "  45.500 138.000", "   7.000", NULL},
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
		assert_non_null(strstr(text, "    1.000   0.250        -")); /* its error bar, in the list */
		assert_non_null(strstr(text, runs[i].whole[1] == '~' ? "~45.500\n" : " 45.500\n"));
		json_decref(recap);
	}
}

/*
 * Large figures use the padding beside them, so that every row fits 80 columns. In a pipe, long names stay on
 * one line.
 */
static void test_recaps_fit_80_columns(void **state)
{
	cleanup_(cleanup_free) char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_t *recap =
		json_loads("{\"name\":\"a-benchmark-of-long-name\",\"duration\":86400.5,"
			   "\"begin\":{\"$date\":\"2026-01-01T00:00:00Z\"},\"samples\":1,"
			   "\"energy\":{\"cpu\":{\"total\":1234567,\"dynamic\":123456.7,\"static\":99999.96,"
			   "\"sd\":9999.996},\"platform\":{\"total\":12.5,\"sd\":0.0001}},"
			   "\"power\":{\"cpu\":{\"mean\":142.857,\"max\":999.99999}},"
			   "\"machine\":{\"cpu\":12345678,\"platform\":123.5}}",
			   0, NULL);

	(void)state;
	assert_non_null(recap);
	recap_table_print_line(out, NULL);
	recap_table_print_line(out, recap);
	recap_table_print(out, recap);
	(void)fclose(out);
	assert_non_null(
		strstr(text, "\na-benchmark-of-long-name 2026-01-01 00:00:00 86400.5 1234567 10000.0 "));
	assert_non_null(strstr(text,
			       "\nwhole run cpu  86400.5 1234567 10000.0  123457  100000 142.857 1000.00"
			       "  12345678\n"));
	assert_non_null(strstr(text, "\nwhole run platform 86400.5 12.500 <0.001 "));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
	json_decref(recap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top_sorts),
		cmocka_unit_test(test_top_filters_and_groups),
		cmocka_unit_test(test_top_group_with_unknown_errors),
		cmocka_unit_test(test_top_overview),
		cmocka_unit_test(test_top_scroll),
		cmocka_unit_test(test_top_widths),
		cmocka_unit_test(test_top_text),
		cmocka_unit_test(test_top_history),
		cmocka_unit_test(test_top_hides_what_is_old),
		cmocka_unit_test(test_top_without_sources),
		cmocka_unit_test(test_top_handles_invalid_answers),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_recap_phases),
		cmocka_unit_test(test_brief_recaps_are_marked),
		cmocka_unit_test(test_recaps_fit_80_columns),
	};

	assert_true(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
	return cmocka_run_group_tests_name("client_views", tests, NULL, NULL);
}

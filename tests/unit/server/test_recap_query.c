/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for recaps: which are accepted, which are refused and why; the documents made from them.
 */
#include "recap/recap_query.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000100000)

struct pair {
	const char *name;
	const char *value;
};

static int parse(struct recap_query *query, const struct pair *pairs)
{
	assert_int_equal(recap_query_init(query, "n1"), 0);
	for (; pairs->name; pairs++)
		recap_query_add(query, pairs->name, pairs->value);
	return recap_query_finish(query, NOW_MS);
}

static void whole_request(void **state)
{
	const struct pair pairs[] = {{"name", "web"},
				     {"begin", "1700000000"},
				     {"beginwarmup", "1700000001.5"},
				     {"beginexecution", "1700000002"},
				     {"end", "1700000010.25"},
				     {"id", "0123456789abcdef"},
				     {"name", "second"},
				     {"comment", "a b"},
				     {"comment", "again"},
				     {"blank", ""},
				     {"async", "1"},
				     {"timeout", "2.5"},
				     {NULL, NULL}};
	struct recap_query query;

	(void)state;
	assert_int_equal(parse(&query, pairs), 0);
	assert_string_equal(query.request.name, "web");
	assert_true(query.request.window.warmup_ms == 1700000001500.0);
	assert_true(query.request.window.end_ms == 1700000010250.0);
	assert_int_equal(query.request.n_extras, 1);
	assert_string_equal(query.request.extras[0].value, "a b");
	assert_true(query.async);
	assert_true(query.timeout_s == 2.5);
	recap_query_done(&query);
}

static void without_markers(void **state)
{
	const struct pair pairs[] = {
		{"id", "0123456789abcdef"}, {"begin", "1700000000"}, {"end", "1700000010"}, {NULL, NULL}};
	struct recap_query query;

	(void)state;
	assert_int_equal(parse(&query, pairs), 0);
	assert_string_equal(query.request.name, "");
	assert_true(query.request.window.execution_ms == query.request.window.begin_ms);
	recap_query_done(&query);
}

/* A request with one field replaced is refused with a message that names `word`. */
static void refused(const char *name, const char *value, const char *word)
{
	const struct pair pairs[] = {{name, value},
				     {"name", "web"},
				     {"begin", "1700000000"},
				     {"beginwarmup", "1700000001"},
				     {"beginexecution", "1700000002"},
				     {"end", "1700000003"},
				     {NULL, NULL}};
	struct recap_query query;

	if (parse(&query, pairs) != -EINVAL)
		fail_msg("%s=%s was taken", name, value);
	if (!strstr(query.error.text, word))
		fail_msg("%s=%s: '%s' does not name '%s'", name, value, query.error.text, word);
	recap_query_done(&query);
}

static void bad_fields(void **state)
{
	struct recap_query query;
	const struct pair none[] = {{NULL, NULL}};
	const struct pair nameless[] = {{"begin", "1"}, {"end", "2"}, {NULL, NULL}};

	(void)state;
	refused("begin", "soon", "begin");
	refused("begin", "-1", "begin");
	refused("begin", "nan", "begin");
	refused("begin", "1e999", "begin");
	refused("end", "1700000000000000", "milliseconds");
	refused("end", "1700000000.5", "beginexecution");
	refused("beginwarmup", "1699999999", "beginwarmup");
	refused("beginexecution", "1700000000.5", "beginexecution");
	refused("end", "1700009999", "ahead");
	refused("_id", "x", "_id");
	refused("energy", "x", "energy");
	refused("formula", "x", "formula");
	refused("warmup_powers_PKG_0", "1", "warmup_powers");
	refused("a.b", "1", "a.b");
	refused("$where", "1", "$where");
	refused("async", "maybe", "async");
	refused("timeout", "-1", "timeout");
	refused("format", "xml", "format");
	assert_int_equal(parse(&query, none), -EINVAL);
	assert_non_null(strstr(query.error.text, "begin"));
	recap_query_done(&query);
	assert_int_equal(parse(&query, nameless), -EINVAL);
	assert_non_null(strstr(query.error.text, "name"));
	recap_query_done(&query);
}

static void request_survives_storage(void **state)
{
	const struct pair pairs[] = {{"name", "web"},
				     {"begin", "1700000000"},
				     {"end", "1700000010"},
				     {"comment", "a b"},
				     {NULL, NULL}};
	bson_t list = BSON_INITIALIZER;
	struct recap_request back;
	struct recap_query query;
	bson_iter_t iterator;

	(void)state;
	assert_int_equal(parse(&query, pairs), 0);
	assert_int_equal(recap_bson_write_request(&list, 0, &query.request), 0);
	assert_true(bson_iter_init_find(&iterator, &list, "0"));
	assert_int_equal(recap_bson_read_request(&iterator, &back), 0);
	assert_string_equal(back.name, "web");
	assert_string_equal(back.machine, "n1");
	assert_int_equal(back.n_extras, 1);
	assert_true(back.window.end_ms == query.request.window.end_ms);
	recap_request_done(&back);
	recap_query_done(&query);
	bson_destroy(&list);
}

static double number(const bson_t *document, const char *path)
{
	bson_iter_t iterator, found;

	if (!bson_iter_init(&iterator, document) || !bson_iter_find_descendant(&iterator, path, &found))
		fail_msg("no field '%s'", path);
	return bson_iter_double(&found);
}

static void recap_has_old_and_new_fields(void **state)
{
	const struct pair pairs[] = {{"name", "web"},
				     {"begin", "1700000000"},
				     {"beginexecution", "1700000001"},
				     {"beginwarmup", "1700000000"},
				     {"end", "1700000002"},
				     {NULL, NULL}};
	bson_t document = BSON_INITIALIZER;
	struct report_power row = {.target = "rapl",
				   .socket = "0",
				   .power = 10,
				   .dynamic = 4,
				   .fixed = 6,
				   .energy_j = 10,
				   .interval_s = 1};
	struct recap_query query;
	struct recap recap;
	char text[2000];

	(void)state;
	assert_int_equal(parse(&query, pairs), 0);
	recap_init(&recap, &query.request.window);
	for (int i = 1; i <= 2; i++) {
		row.time_ms = 1700000000000 + i * 1000;
		row.power = row.energy_j = 10;
		recap_add(&recap, &row, true, 1);
		row.power = row.energy_j = 5;
		recap_add(&recap, &row, false, 1);
	}
	assert_int_equal(recap_bson_write(&document, &query.request, &recap), 0);
	assert_true(number(&document, "warmup time") == 1);
	assert_true(number(&document, "execution time") == 1);
	assert_true(number(&document, "warmup_powers_PKG_0") == 10);
	assert_true(number(&document, "execution_powers_PKG_0") == 10);
	assert_true(number(&document, "energy.cpu.total") == 10);
	assert_true(number(&document, "energy.cpu.dynamic") == 8);
	assert_true(number(&document, "warmup.energy.cpu.total") == 5);
	assert_true(number(&document, "execution.power.cpu.mean") == 5);
	assert_true(number(&document, "machine.cpu") == 20);
	assert_true(number(&document, "coverage") == 1);
	assert_false(bson_has_field(&document, "warmup_powers_DRAM_0"));
	assert_true(recap_text(&query.request, &recap, text, sizeof(text)) < sizeof(text));
	assert_non_null(strstr(text, "energy of web on n1"));
	assert_null(strstr(text, "dram"));
	assert_non_null(strstr(text, "\nwarm-up "));
	assert_null(strstr(text, "formula"));
	/* A scope with a long name, and a small error bar, which is known. */
	row.scope = REPORT_SCOPE_PLATFORM;
	row.sd = 1e-4;
	recap_add(&recap, &row, true, 1);
	recap_add(&recap, &row, false, 1);
	assert_true(number(&document, "energy.cpu.sd") == 0);
	assert_true(recap_text(&query.request, &recap, text, sizeof(text)) < sizeof(text));
	assert_non_null(strstr(text, "\nwhole run  platform 2.000      5.000     <0.001      4.000"));
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		assert_true(strcspn(line, "\n") <= 80);
	bson_destroy(&document);
	recap_query_done(&query);
}

/*
 * tester.sh's request for a run without markers: everything in it is shown, but no phase that did not happen.
 */
static void recap_shows_what_ran(void **state)
{
	const struct pair pairs[] = {
		{"name", "web"},          {"begin", "1700000000"}, {"end", "1700000002"}, {"image", "shop:2"},
		{"command", "--size 10"}, {"exit_status", "3"},    {"cpus", "0-1"},       {NULL, NULL}};
	static const char *const lines[] = {"\nwhole run  cpu",       "\nimage: shop:2\n",
					    "\ncommand: --size 10\n", "\nexit status: 3\n",
					    "\nCPUs: 0-1\n",          "\nformula: pooled\n"};
	bson_t document = BSON_INITIALIZER;
	bson_iter_t iterator;
	struct recap_query query;
	struct recap recap;
	char text[2000];

	(void)state;
	assert_int_equal(parse(&query, pairs), 0);
	recap_init(&recap, &query.request.window);
	recap.formula = "pooled";
	(void)recap_text(&query.request, &recap, text, sizeof(text));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			fail_msg("no '%s' in:\n%s", lines[i], text);
	assert_null(strstr(text, "warm-up"));
	assert_null(strstr(text, "execution "));
	assert_int_equal(recap_bson_write(&document, &query.request, &recap), 0);
	assert_true(bson_iter_init_find(&iterator, &document, "formula"));
	assert_string_equal(bson_iter_utf8(&iterator, NULL), "pooled");
	assert_true(bson_iter_init_find(&iterator, &document, "exit_status"));
	assert_string_equal(bson_iter_utf8(&iterator, NULL), "3");
	bson_destroy(&document);
	recap_query_done(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_request),
		cmocka_unit_test(without_markers),
		cmocka_unit_test(bad_fields),
		cmocka_unit_test(request_survives_storage),
		cmocka_unit_test(recap_has_old_and_new_fields),
		cmocka_unit_test(recap_shows_what_ran),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

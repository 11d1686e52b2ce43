/* SPDX-License-Identifier: Apache-2.0 */
/* Totals that outlast containers: sums, the bound on names, saving and loading, damaged states. */
#include "machine/totals.h"

#include "base/bson_driver.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct total_addition addition_of(enum total_kind kind, const char *name, double joules)
{
	return (struct total_addition){
		.kind = kind, .name = name, .total_j = joules, .dynamic_j = joules / 2, .time_ms = 1000};
}

static void add(struct totals *totals, enum total_kind kind, const char *name, double joules)
{
	struct total_addition addition = addition_of(kind, name, joules);

	assert_int_equal(totals_add(totals, &addition), 0);
}

static double sum_of(const struct totals *totals, enum total_kind kind, const char *name)
{
	double sum = 0;

	for (const struct total *total = totals->entries; total; total = total->hh.next)
		if (total->sum.kind == kind && (!name || strcmp(total->sum.name, name) == 0))
			sum += total->sum.total_j;
	return sum;
}

static void test_sums(void **state)
{
	struct totals totals = {0};

	(void)state;
	add(&totals, TOTAL_IMAGE, "redis", 1);
	add(&totals, TOTAL_IMAGE, "redis", 2);
	add(&totals, TOTAL_IMAGE, "", 4);
	add(&totals, TOTAL_NAMESPACE, "redis", 8);
	add(&totals, TOTAL_IMAGE, "redis", NAN);
	add(&totals, TOTAL_IMAGE, "redis", -5);
	add(&totals, TOTAL_IMAGE, "redis", INFINITY);
	assert_true(sum_of(&totals, TOTAL_IMAGE, "redis") == 3);
	assert_true(sum_of(&totals, TOTAL_IMAGE, "") == 4);
	assert_true(sum_of(&totals, TOTAL_NAMESPACE, "redis") == 8);
	totals_done(&totals);
}

/* Any number of names: memory is bounded, and no joules are lost. */
static void test_many_names(void **state)
{
	struct totals totals = {0};
	char name[40];

	(void)state;
	for (unsigned i = 0; i < 3 * TOTALS_MOST; i++) {
		(void)snprintf(name, sizeof(name), "image-%u", i);
		add(&totals, TOTAL_IMAGE, name, 1);
	}
	assert_int_equal(totals.left_out, 2 * TOTALS_MOST);
	assert_int_equal(HASH_COUNT(totals.entries), TOTALS_MOST + 1);
	assert_true(sum_of(&totals, TOTAL_IMAGE, NULL) == 3 * TOTALS_MOST);
	assert_true(sum_of(&totals, TOTAL_IMAGE, TOTALS_OTHER) == 2 * TOTALS_MOST);
	totals_done(&totals);
}

static void save(const struct totals *totals, bson_t *ret_document)
{
	bson_t array;

	bson_init(ret_document);
	bson_append_array_unsafe_begin(ret_document, "totals", -1, &array);
	(void)totals_save(totals, &array, 0);
	bson_append_array_end(ret_document, &array);
}

/* Random sums are unchanged after loading, and continue. */
static void test_saved(void **state)
{
	struct totals totals = {0}, loaded = {0};
	bson_t document;
	char name[40];

	(void)state;
	srand(random_begin());
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "n%d", rand() % 40);
		add(&totals, (enum total_kind)(rand() % TOTAL_KINDS), name, rand() % 1000 / 7.0);
	}
	save(&totals, &document);
	assert_int_equal(totals_load(&loaded, &document), 0);
	assert_int_equal(HASH_COUNT(loaded.entries), HASH_COUNT(totals.entries));
	for (int kind = 0; kind < TOTAL_KINDS; kind++)
		for (unsigned i = 0; i < 40; i++) {
			(void)snprintf(name, sizeof(name), "n%u", i);
			assert_true(sum_of(&loaded, (enum total_kind)kind, name) ==
				    sum_of(&totals, (enum total_kind)kind, name));
		}
	assert_int_equal(loaded.entries->sum.time_ms, 1000);
	bson_destroy(&document);
	totals_done(&loaded);
	totals_done(&totals);
}

/* A foreign state: malformed entries are skipped, the others are loaded. */
static void test_damaged(void **state)
{
	struct totals totals = {0}, loaded = {0};
	bson_t document = BSON_INITIALIZER, array, element;

	(void)state;
	BSON_APPEND_UTF8(&document, "totals", "none");
	assert_int_equal(totals_load(&loaded, &document), 0);
	bson_reinit(&document);
	add(&totals, TOTAL_IMAGE, "good", 3);
	bson_append_array_unsafe_begin(&document, "totals", -1, &array);
	BSON_APPEND_INT32(&array, "0", 7);
	bson_append_document_begin(&array, "1", -1, &element);
	BSON_APPEND_INT32(&element, "kind", TOTAL_KINDS);
	bson_append_document_end(&array, &element);
	bson_append_document_begin(&array, "2", -1, &element);
	BSON_APPEND_INT32(&element, "kind", 0);
	BSON_APPEND_INT32(&element, "scope", -1);
	bson_append_document_end(&array, &element);
	bson_append_document_begin(&array, "3", -1, &element);
	BSON_APPEND_INT32(&element, "kind", 0);
	BSON_APPEND_INT32(&element, "scope", 0);
	BSON_APPEND_INT32(&element, "package", 0);
	BSON_APPEND_INT32(&element, "name", 1);
	bson_append_document_end(&array, &element);
	(void)totals_save(&totals, &array, 4);
	bson_append_array_end(&document, &array);
	assert_int_equal(totals_load(&loaded, &document), 0);
	assert_int_equal(HASH_COUNT(loaded.entries), 1);
	assert_true(sum_of(&loaded, TOTAL_IMAGE, "good") == 3);
	bson_destroy(&document);
	totals_done(&loaded);
	totals_done(&totals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoder that already knows the names decodes any bytes like one that knows none.
 */
#include "document/report_bson.h"
#include "base/reason.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

#define N_MUTATIONS 20000

static const char *const events[] = {"CYCLES", "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const struct report_place places[] = {{0, 0}, {0, 1}, {1, 4}};
static const struct report_group core = {"core", 3, events, 3, places};
static struct reason why, why_first;

static void add_report(struct batch *batch, unsigned number)
{
	const struct report_head head = {.time_ms = 1000000 + number, .sensor = "n1", .target = "redis"};
	const struct report_target_metadata metadata = {.container_id = "0123456789ab", .scaled = 1};
	uint64_t values[9];
	const struct report_counts counts = {.group = &core, .values = values};

	for (unsigned i = 0; i < 9; i++)
		values[i] = number * 10 + i;
	assert_int_equal(report_bson_add_target_counts(batch, &head, &counts, 1, &metadata), 0);
}

/* Decodes with `names` and with empty names; the results are equal. */
static int decode_both(struct report_names *names, struct report_decoded *decoded, const struct batch *batch)
{
	struct report_names *fresh = report_names_new();
	struct report_decoded first = {0};
	int r = report_bson_decode(batch->data, batch->length, names, decoded, &why);

	assert_int_equal(report_bson_decode(batch->data, batch->length, fresh, &first, &why_first), r);
	if (r < 0)
		assert_string_equal(why.text, why_first.text);
	if (r == 0)
		assert_int_equal(decoded->n_values, first.n_values);
	for (unsigned i = 0; r == 0 && i < first.n_values; i++) {
		const struct report_value *a = &decoded->values[i], *b = &first.values[i];

		assert_string_equal(report_names_group(names, a->group), report_names_group(fresh, b->group));
		assert_string_equal(report_names_event(names, a->event), report_names_event(fresh, b->event));
		assert_int_equal(a->package, b->package);
		assert_int_equal(a->cpu, b->cpu);
		assert_memory_equal(&a->value, &b->value, sizeof(a->value));
	}
	report_decoded_done(&first);
	report_names_free(fresh);
	return r;
}

static void known_names_take_the_new_numbers(void **state)
{
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};

	(void)state;
	for (unsigned number = 0; number < 5; number++) {
		batch_clear(&batch);
		add_report(&batch, number);
		assert_int_equal(decode_both(names, &decoded, &batch), 0);
		assert_int_equal(decoded.n_values, 9);
		assert_true(decoded.values[8].value == number * 10 + 8);
		assert_int_equal(decoded.values[8].package, 1);
		assert_int_equal(decoded.values[8].cpu, 4);
	}
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

static void any_byte_may_differ(void **state)
{
	unsigned drawn = random_begin();
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};
	unsigned n_good = 0;

	(void)state;
	add_report(&batch, 1);
	for (unsigned i = 0; i < N_MUTATIONS; i++) {
		size_t at = (size_t)rand_r(&drawn) % batch.length;
		uint8_t old = batch.data[at];

		batch.data[at] = (uint8_t)(rand_r(&drawn) >> 7);
		n_good += decode_both(names, &decoded, &batch) == 0;
		batch.data[at] = old;
		assert_int_equal(decode_both(names, &decoded, &batch), 0);
	}
	assert_in_range(n_good, N_MUTATIONS / 20, N_MUTATIONS);
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

static void non_finite_values_are_left_out(void **state)
{
	const double nan = NAN;
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};
	uint8_t *at;

	(void)state;
	add_report(&batch, 1);
	assert_int_equal(decode_both(names, &decoded, &batch), 0);
	at = memmem(batch.data, batch.length, "LLC_MISSES", 11);
	assert_non_null(at);
	memcpy(at + 11, &nan, sizeof(nan));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(decode_both(names, &decoded, &batch), 0);
		assert_int_equal(decoded.n_values, 8);
	}
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
}

/* A report's group with so many packages, CPUs in each and events in each, in descending order. */
static int decode_many(struct report_names *names, unsigned n_packages, unsigned n_cpus, unsigned n_events)
{
	struct report_decoded decoded = {0};
	bson_t document = BSON_INITIALIZER, groups, group, package, cpu;
	char key[32];
	int r;

	BSON_APPEND_DATE_TIME(&document, "timestamp", 1000);
	BSON_APPEND_UTF8(&document, "sensor", "n1");
	BSON_APPEND_UTF8(&document, "target", "redis");
	BSON_APPEND_DOCUMENT_BEGIN(&document, "groups", &groups);
	BSON_APPEND_DOCUMENT_BEGIN(&groups, "core", &group);
	for (unsigned p = n_packages; p-- > 0;) {
		(void)snprintf(key, sizeof(key), "%u", p);
		BSON_APPEND_DOCUMENT_BEGIN(&group, key, &package);
		for (unsigned c = n_cpus; c-- > 0;) {
			(void)snprintf(key, sizeof(key), "%u", c);
			BSON_APPEND_DOCUMENT_BEGIN(&package, key, &cpu);
			for (unsigned e = 0; e < n_events; e++) {
				(void)snprintf(key, sizeof(key), "EVENT_%u", e);
				BSON_APPEND_DOUBLE(&cpu, key, e);
			}
			bson_append_document_end(&package, &cpu);
		}
		bson_append_document_end(&group, &package);
	}
	bson_append_document_end(&groups, &group);
	bson_append_document_end(&document, &groups);
	r = report_bson_decode(bson_get_data(&document), document.len, names, &decoded, &why);
	assert_true(r < 0 || decoded.n_values == n_packages * n_cpus * n_events);
	bson_destroy(&document);
	report_decoded_done(&decoded);
	return r;
}

/* Impossibly large reports are not searched for duplicates for seconds; the largest machines' are read. */
static void reading_is_bounded(void **state)
{
	struct report_names *names = report_names_new();

	(void)state;
	assert_int_equal(decode_many(names, 1, 1024, 32), 0);
	assert_int_equal(decode_many(names, 64, 64, 8), 0);
	assert_true(decode_many(names, 1, 1, 30000) < 0);
	assert_non_null(strstr(why.text, "than any machine has"));
	assert_true(decode_many(names, 1, 30000, 1) < 0);
	assert_true(decode_many(names, 30000, 1, 1) < 0);
	assert_int_equal(decode_many(names, 1, 4, 32), 0);
	report_names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names_take_the_new_numbers),
		cmocka_unit_test(any_byte_may_differ),
		cmocka_unit_test(non_finite_values_are_left_out),
		cmocka_unit_test(reading_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

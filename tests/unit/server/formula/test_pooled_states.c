/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of the pooled model that programs of earlier versions saved (tests/data/pooled-7.bson.gz, -8) after
 * 100 ticks of a stream: a model that loads one goes on with the stream almost like one that has seen it from
 * its begin, where a new model starts from its priors.
 */
#include "formula/conserve.h"
#include "formula/formula.h"
#include "stream.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define TICKS_SEEN 100
#define TICKS_NEXT 30
#define MOST_PART  0.03 /* of the machine's power, between the old model and one that was never saved */

static void load(void *formula, const char *name)
{
	size_t length = 0;
	uint8_t *bytes = stream_read_file(name, &length);
	struct reason why = {""};
	bson_t document;

	assert_true(bson_init_static(&document, bytes, length));
	if (formula_pooled.load(formula, &document, &why) < 0)
		fail_msg("%s: %s", name, why.text);
	free(bytes);
}

static double dynamic_of(const struct conserve_output *output, const struct conserve_row *wanted)
{
	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];
		if (row->scope == wanted->scope && row->socket == wanted->socket &&
		    row->target == wanted->target)
			return row->dynamic_w;
	}
	return 0;
}

/* Sum of the differences of the cpu's rows, as a part of the machine's power. */
static double difference(const struct tick *tick, void *one, void *other)
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	struct conserve_output a = {0}, b = {0};
	struct formula_result result;
	double sum = 0, machine = 0;

	assert_int_equal(formula_pooled.run(one, tick, &result), 0);
	assert_int_equal(conserve_apply(tick, &result, &policy, &a), 0);
	assert_int_equal(formula_pooled.run(other, tick, &result), 0);
	assert_int_equal(conserve_apply(tick, &result, &policy, &b), 0);
	for (unsigned i = 0; i < a.n_rows; i++) {
		if (a.rows[i].scope != REPORT_SCOPE_CPU)
			continue;
		if (strcmp(conserve_row_name(tick, &a.rows[i]), REPORT_TARGET_RAPL) == 0)
			machine += a.rows[i].power_w;
		else
			sum += fabs(a.rows[i].dynamic_w - dynamic_of(&b, &a.rows[i]));
	}
	conserve_output_done(&a);
	conserve_output_done(&b);
	return sum / machine;
}

/* Means over the ticks after those seen. */
static double compare(void *saved, const char *state)
{
	void *whole = formula_pooled.make(NULL);
	struct formula_result result;
	const struct tick *tick;
	struct stream stream;
	double sum = 0;
	unsigned n = 0;

	stream_open(&stream, "tests/peer/data/small-mixed.bson.gz");
	while (n < TICKS_SEEN && (tick = stream_next(&stream))) {
		assert_int_equal(formula_pooled.run(whole, tick, &result), 0);
		n++;
	}
	if (state)
		load(saved, state);
	for (n = 0; n < TICKS_NEXT && (tick = stream_next(&stream)); n++)
		sum += difference(tick, whole, saved);
	assert_int_equal(n, TICKS_NEXT);
	stream_close(&stream);
	formula_pooled.free(whole);
	return sum / TICKS_NEXT;
}

static void continues(const char *name)
{
	void *old = formula_pooled.make(NULL), *fresh = formula_pooled.make(NULL);
	const double of_old = compare(old, name), of_fresh = compare(fresh, NULL);

	printf("# %s: differs by %.2f %% of the machine's power, a new model by %.2f %%\n", name,
	       100 * of_old, 100 * of_fresh);
	assert_true(of_old < MOST_PART);
	assert_true(of_old < of_fresh / 3);
	formula_pooled.free(old);
	formula_pooled.free(fresh);
}

static void version_7(void **state)
{
	(void)state;
	continues("tests/data/pooled-7.bson.gz");
}

static void version_8(void **state)
{
	(void)state;
	continues("tests/data/pooled-8.bson.gz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(version_7), cmocka_unit_test(version_8)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

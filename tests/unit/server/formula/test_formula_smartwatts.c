/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict mode compared with recorded power reports of the published package (made by tests/peer/record.sh),
 * and the default mode's improvements.
 */
#include "formula/conserve.h"
#include "stream.h"
#include "base/reason.h"
#include "unit/formula_defaults.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define TOLERANCE 0.01

/* Finds one of our rows; NULL if there is none. */
static const struct conserve_row *find_row(const struct tick *tick, const struct conserve_output *output,
					   const struct report_power *power)
{
	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];
		char socket[16];
		(void)snprintf(socket, sizeof(socket), "%u", tick->sockets[row->socket].package);
		if (row->scope == power->scope && strcmp(socket, power->socket) == 0 &&
		    strcmp(conserve_row_name(tick, row), power->target) == 0)
			return row;
	}
	return NULL;
}

struct comparison {
	unsigned n_both, n_missing, n_different;
	double worst;
};

static void compare_power(const struct tick *tick, const struct conserve_output *output,
			  const struct report_power *power, struct comparison *c)
{
	const struct conserve_row *row = find_row(tick, output, power);
	double miss;

	if (!row) {
		c->n_missing++;
		return;
	}
	miss = fabs(row->power_w - power->power) / fmax(fabs(power->power), 0.01);
	c->n_both++;
	c->n_different += !(miss <= TOLERANCE);
	c->worst = fmax(c->worst, miss);
}

/* The reference's reports of one tick. Its ticks are in the stream's order, its scopes are not. */
static void compare_tick(const struct tick *tick, const struct conserve_output *output, const uint8_t *bytes,
			 size_t length, struct comparison *c)
{
	for (size_t at = 0; at < length; at += stream_document_length(bytes + at)) {
		struct report_power power;
		struct reason why;
		assert_int_equal(report_bson_decode_power(bytes + at, stream_document_length(bytes + at),
							  &power, &why),
				 0);
		if (power.time_ms == tick->time_ms)
			compare_power(tick, output, &power, c);
	}
}

static void run_strict(const char *name)
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	struct comparison c = {0};
	struct conserve_output output = {0};
	struct formula_config config;
	struct formula_result result;
	const struct tick *tick;
	struct stream stream;
	char path[256];
	size_t length = 0;
	uint8_t *reference;
	void *formula;

	formula_config_init(&config);
	config.strict_reference = true;
	formula = formula_smartwatts.make(&config);
	(void)snprintf(path, sizeof(path), "tests/peer/data/%s.reference.bson.gz", name);
	reference = stream_read_file(path, &length);
	(void)snprintf(path, sizeof(path), "tests/peer/data/%s.bson.gz", name);
	stream_open(&stream, path);
	while ((tick = stream_next(&stream))) {
		assert_int_equal(formula_smartwatts.run(formula, tick, &result), 0);
		assert_int_equal(conserve_apply(tick, &result, &policy, &output), 0);
		compare_tick(tick, &output, reference, length, &c);
	}
	printf("# %s: %u reports compared, %u differ by more than 1 %%, worst %.2g, %u we lack\n", name,
	       c.n_both, c.n_different, c.worst, c.n_missing);
	assert_true(c.n_both > 1000);
	assert_int_equal(c.n_different, 0);
	assert_int_equal(c.n_missing, 0);
	stream_close(&stream);
	conserve_output_done(&output);
	formula_smartwatts.free(formula);
	free(reference);
}

static void strict_gives_the_recorded_watts(void **state)
{
	(void)state;
	run_strict("small-mixed");
	run_strict("small-churn");
	run_strict("small-phases");
}

/* Default mode: rows from the first tick on, which add up to the measured power. */
static void default_mode_adds_up(void **state)
{
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	struct conserve_output output = {0};
	struct formula_config config;
	struct formula_result result;
	const struct tick *tick;
	struct stream stream;
	void *formula;

	(void)state;
	formula_config_init(&config);
	formula = formula_smartwatts.make(&config);
	stream_open(&stream, "tests/peer/data/small-mixed.bson.gz");
	while ((tick = stream_next(&stream))) {
		double sum = 0, measured = 0;
		assert_int_equal(formula_smartwatts.run(formula, tick, &result), 0);
		assert_int_equal(conserve_apply(tick, &result, &policy, &output), 0);
		for (unsigned i = 0; i < output.n_rows; i++) {
			if (output.rows[i].target == CONSERVE_RAPL)
				measured += output.rows[i].power_w;
			else if (output.rows[i].target != CONSERVE_GLOBAL)
				sum += output.rows[i].power_w;
		}
		assert_true(measured > 0 && fabs(sum - measured) < 1e-9 * measured);
		assert_true(output.n_rows >= tick->n_targets);
	}
	stream_close(&stream);
	conserve_output_done(&output);
	formula_smartwatts.free(formula);
}

static void state_resumes(void **state)
{
	struct formula_config config;
	struct formula_result result, again;
	const struct tick *tick;
	struct stream stream;
	void *formula, *resumed;
	struct reason why = {""};
	bson_t document = BSON_INITIALIZER;

	(void)state;
	formula_config_init(&config);
	formula = formula_smartwatts.make(&config);
	resumed = formula_smartwatts.make(&config);
	stream_open(&stream, "tests/peer/data/small-mixed.bson.gz");
	for (unsigned i = 0; i < 150 && (tick = stream_next(&stream)); i++)
		assert_int_equal(formula_smartwatts.run(formula, tick, &result), 0);
	assert_int_equal(formula_smartwatts.save(formula, &document), 0);
	assert_int_equal(formula_smartwatts.load(resumed, &document, &why), 0);
	for (unsigned i = 0; i < 50 && (tick = stream_next(&stream)); i++) {
		assert_int_equal(formula_smartwatts.run(formula, tick, &result), 0);
		assert_int_equal(formula_smartwatts.run(resumed, tick, &again), 0);
		if (i > 0 && isfinite(result.sockets[0][0].predicted_w))
			assert_true(fabs(result.sockets[0][0].predicted_w - again.sockets[0][0].predicted_w) <
				    1e-9);
	}
	config.learn_history = 30;
	formula_smartwatts.free(resumed);
	resumed = formula_smartwatts.make(&config);
	assert_int_equal(formula_smartwatts.load(resumed, &document, &why), -EINVAL);
	assert_non_null(strstr(why.text, "window"));
	bson_destroy(&document);
	stream_close(&stream);
	formula_smartwatts.free(formula);
	formula_smartwatts.free(resumed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_gives_the_recorded_watts),
		cmocka_unit_test(default_mode_adds_up),
		cmocka_unit_test(state_resumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pooled model compared with an independent prototype of the same maths (recorded in
 * tests/data/pooled-*.csv: every fifth tick, sockets summed). They differ where this model was improved
 * later: priors, noise of the counts.
 */
#include "formula/conserve.h"
#include "stream.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define MEAN_PART 0.02 /* of the machine's power */
#define MOST_PART 0.25

struct golden {
	int64_t time_ms;
	enum report_scope scope;
	char target[64];
	double power_w;
};

static unsigned golden_read(const char *name, struct golden *rows, unsigned most)
{
	char path[128], line[256], scope[8];
	size_t length = 0;
	unsigned n = 0;
	uint8_t *bytes;

	(void)snprintf(path, sizeof(path), "tests/data/pooled-%s.csv", name);
	bytes = stream_read_file(path, &length);
	for (size_t at = 0, end; at < length && n < most; at = end + 1) {
		struct golden *row = &rows[n];
		for (end = at; end < length && bytes[end] != '\n';)
			end++;
		(void)snprintf(line, sizeof(line), "%.*s", (int)(end - at), (const char *)bytes + at);
		if (sscanf(line, "%ld,%7[^,],%63[^,],%lf", &row->time_ms, scope, row->target,
			   &row->power_w) != 4)
			continue;
		row->scope = strcmp(scope, "cpu") == 0 ? REPORT_SCOPE_CPU : REPORT_SCOPE_DRAM;
		n++;
	}
	free(bytes);
	return n;
}

static double sum_rows(const struct tick *tick, const struct conserve_output *output, enum report_scope scope,
		       const char *target)
{
	double sum = 0;

	for (unsigned i = 0; i < output->n_rows; i++) {
		if (output->rows[i].scope == scope &&
		    strcmp(conserve_row_name(tick, &output->rows[i]), target) == 0)
			sum += output->rows[i].power_w;
	}
	return sum;
}

static void compare(const char *name)
{
	static struct golden rows[2000];
	const struct conserve_policy policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL};
	unsigned n = golden_read(name, rows, 2000), n_compared = 0;
	struct conserve_output output = {0};
	struct formula_result result;
	double sum = 0, most = 0;
	const struct tick *tick;
	struct stream stream;
	void *formula = formula_pooled.make(NULL);
	char path[128];

	(void)snprintf(path, sizeof(path), "tests/peer/data/%s.bson.gz", name);
	stream_open(&stream, path);
	while ((tick = stream_next(&stream))) {
		assert_int_equal(formula_pooled.run(formula, tick, &result), 0);
		assert_int_equal(conserve_apply(tick, &result, &policy, &output), 0);
		for (unsigned i = 0; i < n; i++) {
			double machine, miss;
			if (rows[i].time_ms != tick->time_ms)
				continue;
			machine = sum_rows(tick, &output, rows[i].scope, REPORT_TARGET_RAPL);
			miss = fabs(sum_rows(tick, &output, rows[i].scope, rows[i].target) -
				    rows[i].power_w) /
			       machine;
			sum += miss;
			most = fmax(most, miss);
			n_compared++;
		}
	}
	printf("# %s: %u rows, mean difference %.2f %% of the machine, most %.2f %%\n", name, n_compared,
	       100 * sum / n_compared, 100 * most);
	assert_int_equal(n_compared, n);
	assert_true(n > 100 && sum / n_compared < MEAN_PART && most < MOST_PART);
	stream_close(&stream);
	conserve_output_done(&output);
	formula_pooled.free(formula);
}

static void agrees_with_the_prototype(void **state)
{
	(void)state;
	compare("small-mixed");
	compare("small-phases");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_prototype)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

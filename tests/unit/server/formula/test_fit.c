/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The solvers against others' results: scikit-learn's elastic net (recorded, same random numbers), LAPACK's
 * dposv and, for non-negative least squares, the Karush-Kuhn-Tucker conditions and dgels where nothing is
 * bound.
 */
#include "formula/smartwatts/fit.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <lapacke.h>

#define SAMPLES_MAX 60
#define FEATURES    4

static uint64_t state_of_random;

static double random_unit(void)
{
	state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
	return (double)(state_of_random >> 11) * 0x1p-53;
}

struct data {
	double x[SAMPLES_MAX][FEATURES];
	double y[SAMPLES_MAX];
};

/* Collinear like counters: cycles follow reference cycles, instructions follow cycles. */
static void make_data(struct data *data, unsigned n, double scale)
{
	for (unsigned i = 0; i < n; i++) {
		double a = random_unit() * 10, b = a * (0.8 + 0.4 * random_unit());
		double c = b * (1 + random_unit()), d = random_unit() * 0.02;
		data->x[i][0] = a * scale;
		data->x[i][1] = b * scale;
		data->x[i][2] = c * scale;
		data->x[i][3] = d * scale;
		data->y[i] = 20 + 3 * a + 0.5 * c + 40 * d + (random_unit() - .5);
	}
}

/* Recorded with scikit-learn 1.9.1, ElasticNet(alpha=1, l1_ratio=0.5, positive=True). */
static const struct {
	double scale;
	unsigned n;
	bool intercept;
	double weights[FEATURES];
	double expected_intercept;
} recorded[] = {
	{1e9,
	 60,
	 true,
	 {3.0192895812012449e-09, 0, 4.8196598572384812e-10, 4.2866277536748668e-08},
	 20.033931017768097},
	{1e9,
	 25,
	 false,
	 {2.5725254462547125e-09, 8.4125328004243519e-10, 1.3133941194757876e-09, 1.0233972605319806e-06},
	 0},
	{1, 60, true, {1.7076972008755773, 0.61479168415830732, 0.79594772623105781, 0}, 21.588755924777473},
	{1, 40, false, {4.1772296611988295, 1.470843324030342, 0.54557747403429779, 0}, 0},
};

static void elastic_net_as_recorded(void **state)
{
	uint64_t seed = state_of_random;

	(void)state;
	state_of_random = 12345;
	for (unsigned i = 0; i < sizeof(recorded) / sizeof(*recorded); i++) {
		struct fit_elastic options = {1, 0.5, true, recorded[i].intercept, 1000, 1e-4};
		struct fit_samples samples;
		struct fit_model model;
		struct data data;
		make_data(&data, recorded[i].n, recorded[i].scale);
		samples = (struct fit_samples){recorded[i].n, FEATURES, &data.x[0][0], data.y};
		assert_int_equal(fit_elastic_net(&samples, &options, &model), 0);
		for (unsigned j = 0; j < FEATURES; j++)
			assert_true(fabs(model.weights[j] - recorded[i].weights[j]) * recorded[i].scale <
				    1e-6);
		assert_true(fabs(model.intercept - recorded[i].expected_intercept) < 1e-6);
	}
	state_of_random = seed;
}

static void elastic_net_refuses(void **state)
{
	struct fit_elastic options = {1, 0.5, true, true, 1000, 1e-4};
	struct fit_samples samples = {0, 1, NULL, NULL};
	struct fit_model model;

	(void)state;
	assert_int_equal(fit_elastic_net(&samples, &options, &model), -EINVAL);
	samples = (struct fit_samples){1, FIT_FEATURES + 1, NULL, NULL};
	assert_int_equal(fit_elastic_net(&samples, &options, &model), -EINVAL);
}

/* G = X'X and c = X'y of random data. */
static void make_normal(unsigned n, double *g, double *c, bool positive)
{
	memset(g, 0, (size_t)n * n * sizeof(*g));
	memset(c, 0, n * sizeof(*c));
	for (unsigned s = 0; s < 3 * n; s++) {
		double x[FIT_FEATURES], y = 0;
		for (unsigned j = 0; j < n; j++) {
			x[j] = random_unit();
			y += (positive ? 1 + j : random_unit() * 4 - 2) * x[j];
		}
		for (unsigned i = 0; i < n; i++) {
			c[i] += x[i] * y;
			for (unsigned j = 0; j < n; j++)
				g[i * n + j] += x[i] * x[j];
		}
	}
}

static void cholesky_as_lapack(void **state)
{
	double g[FIT_FEATURES * FIT_FEATURES], copy[FIT_FEATURES * FIT_FEATURES], c[FIT_FEATURES],
		ours[FIT_FEATURES], theirs[FIT_FEATURES];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + round % FIT_FEATURES;
		make_normal(n, g, c, false);
		memcpy(copy, g, sizeof(g));
		memcpy(theirs, c, sizeof(c));
		assert_int_equal(fit_cholesky(g, n, c, ours), 0);
		assert_int_equal(LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', (int)n, 1, copy, (int)n, theirs, 1), 0);
		for (unsigned j = 0; j < n; j++)
			assert_true(fabs(ours[j] - theirs[j]) <= 1e-7 * (1 + fabs(theirs[j])));
	}
	memset(g, 0, sizeof(g));
	assert_int_equal(fit_cholesky(g, 2, c, ours), -EDOM);
}

static void nnls_meets_its_conditions(void **state)
{
	double g[FIT_FEATURES * FIT_FEATURES], copy[FIT_FEATURES * FIT_FEATURES], c[FIT_FEATURES],
		w[FIT_FEATURES], free_w[FIT_FEATURES];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 1 + round % 8;
		make_normal(n, g, c, round % 3 == 0);
		assert_int_equal(fit_nnls(g, c, n, w), 0);
		for (unsigned i = 0; i < n; i++) {
			double slope = c[i];
			for (unsigned j = 0; j < n; j++)
				slope -= g[i * n + j] * w[j];
			assert_true(w[i] >= 0);
			assert_true(slope <= 1e-6 * (1 + fabs(c[i])));
			assert_true(w[i] == 0 || fabs(slope) <= 1e-6 * (1 + fabs(c[i])));
		}
		memcpy(copy, g, sizeof(g));
		memcpy(free_w, c, sizeof(c));
		if (round % 3 || LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', (int)n, 1, copy, (int)n, free_w, 1))
			continue;
		for (unsigned j = 0; j < n; j++)
			assert_true(fabs(w[j] - free_w[j]) <= 1e-5 * (1 + free_w[j]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elastic_net_as_recorded),
		cmocka_unit_test(elastic_net_refuses),
		cmocka_unit_test(cholesky_as_lapack),
		cmocka_unit_test(nnls_meets_its_conditions),
	};
	const char *text = getenv("WATTRIBUTE_SEED");

	state_of_random = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", state_of_random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

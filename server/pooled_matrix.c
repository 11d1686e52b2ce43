/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops over covariances, where the time goes. Symmetric matrices are kept whole and symmetric to the
 * bit: each operation does the same arithmetic on both halves. Steps of four let the compiler use vector
 * registers.
 */
#include "pooled.h"

#include <string.h>

void pooled_matrix_times(const double *p, unsigned size, unsigned n, const double *h, double *ret_ph)
{
	memset(ret_ph, 0, n * sizeof(*ret_ph));
	for (unsigned i = 0; i < n; i++) {
		const double *restrict row = p + (size_t)i * size;
		double *restrict out = ret_ph;
		double a = h[i];

		if (a == 0)
			continue;
		for (unsigned j = 0; j < n; j += 4) {
			out[j] += a * row[j];
			out[j + 1] += a * row[j + 1];
			out[j + 2] += a * row[j + 2];
			out[j + 3] += a * row[j + 3];
		}
	}
}

/* p -= w w' */
void pooled_matrix_downdate(double *p, unsigned size, unsigned n, const double *w)
{
	for (unsigned i = 0; i < n; i++) {
		double *restrict row = p + (size_t)i * size;
		const double *restrict v = w;
		double a = w[i];

		if (a == 0)
			continue;
		for (unsigned j = 0; j < n; j += 4) {
			row[j] -= a * v[j];
			row[j + 1] -= a * v[j + 1];
			row[j + 2] -= a * v[j + 2];
			row[j + 3] -= a * v[j + 3];
		}
	}
}

/* p_ij *= scale_i scale_j */
void pooled_matrix_scale(double *p, unsigned size, unsigned n, const double *scale)
{
	for (unsigned i = 0; i < n; i++) {
		double *restrict row = p + (size_t)i * size;
		const double *restrict v = scale;
		double a = scale[i];

		for (unsigned j = 0; j < n; j += 4) {
			row[j] *= a * v[j];
			row[j + 1] *= a * v[j + 1];
			row[j + 2] *= a * v[j + 2];
			row[j + 3] *= a * v[j + 3];
		}
	}
}

void pooled_matrix_clear(double *p, unsigned size, unsigned index)
{
	memset(p + (size_t)index * size, 0, size * sizeof(*p));
	for (unsigned i = 0; i < size; i++)
		p[(size_t)i * size + index] = 0;
}

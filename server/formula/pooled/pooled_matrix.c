/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops over covariances, which take most of the time. Symmetric matrices are stored completely and stay
 * bitwise symmetric: each operation does the same arithmetic on both halves. Each loop exists twice if
 * compiler and C library can choose at the start: with wide registers, and without; the results are bitwise
 * the same, because nothing is fused or reordered.
 */
#include "formula/pooled/pooled.h"

#include <string.h>

/* For a function that its own file does not call, clang 14 emits the clones but not the function's own
 * symbol. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(WATTRIBUTE_SANITIZED)
#define KERNEL __attribute__((target_clones("avx2", "default")))
#else
#define KERNEL
#endif

/* Four doubles, or their bits, at any address. */
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint64_t four_words __attribute__((vector_size(32), aligned(8), may_alias));

static inline const four *fours(const double *at)
{
	return (const four *)(const void *)at;
}

KERNEL void pooled_matrix_times(const double *p, unsigned size, unsigned n, const double *h, double *ret_ph)
{
	four *restrict out = (four *)(void *)ret_ph;

	memset(ret_ph, 0, n * sizeof(*ret_ph));
	for (unsigned i = 0; i < n; i++) {
		const four *row = fours(p + (size_t)i * size);
		double a = h[i];

		if (a == 0)
			continue;
		for (unsigned j = 0; j < n / 4; j++)
			out[j] += a * row[j];
	}
}

/* p -= w w' */
KERNEL void pooled_matrix_downdate(double *p, unsigned size, unsigned n, const double *w)
{
	const four *v = fours(w);

	for (unsigned i = 0; i < n; i++) {
		four *restrict row = (four *)(void *)(p + (size_t)i * size);
		double a = w[i];

		if (a == 0)
			continue;
		for (unsigned j = 0; j < n / 4; j++)
			row[j] -= a * v[j];
	}
}

/* p_ij *= scale_i scale_j */
KERNEL void pooled_matrix_scale(double *p, unsigned size, unsigned n, const double *scale)
{
	const four *v = fours(scale);

	for (unsigned i = 0; i < n; i++) {
		four *restrict row = (four *)(void *)(p + (size_t)i * size);
		double a = scale[i];

		for (unsigned j = 0; j < n / 4; j++)
			row[j] *= a * v[j];
	}
}

KERNEL void pooled_matrix_keep(double *p, unsigned size, const uint64_t *keep)
{
	const four_words *columns = (const four_words *)(const void *)keep;

	for (unsigned i = 0; i < size; i++) {
		double *row = p + (size_t)i * size, diagonal = row[i];
		four_words *restrict words = (four_words *)(void *)row;

		for (unsigned j = 0; j < size / 4; j++)
			words[j] &= columns[j] & keep[i];
		row[i] = diagonal;
	}
}

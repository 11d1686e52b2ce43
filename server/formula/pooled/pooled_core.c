/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets whose cores' energy was counted by the hardware itself. Cores are a part of a target's dynamic
 * watts; the rest (caches, memory controllers, the mesh) is shared in proportion, by a ratio that is learnt
 * from the measured targets. No target gets less than was measured for it, and static plus dynamic watts add
 * up to the socket's.
 */
#include "formula/pooled/pooled.h"

#include <math.h>

#define FADE       0.98
#define PART_LEAST 0.05
#define LEAST_W    0.05 /* of all measured targets together; a tick with less does not show the part */

double pooled_core_part(const struct pooled_filter *filter, unsigned socket)
{
	if (!(filter->model_sum[socket] > 0))
		return 0;
	return fmin(fmax(filter->core_sum[socket] / filter->model_sum[socket], PART_LEAST), 1);
}

/* One socket at work. */
struct core_rows {
	unsigned n;
	const double *core_w; /* NAN: not measured */
	double *dynamic;      /* NAN: no row */
	double *static_w;
	double power_w;
};

static bool is_measured(const struct core_rows *rows, unsigned i)
{
	return isfinite(rows->core_w[i]) && isfinite(rows->dynamic[i]);
}

/* Measured and modelled watts of the measured targets. False: there is none. */
static bool add_up(const struct core_rows *rows, double *ret_core_w, double *ret_model_w)
{
	bool any = false;

	*ret_core_w = *ret_model_w = 0;
	for (unsigned i = 0; i < rows->n; i++) {
		if (!is_measured(rows, i))
			continue;
		*ret_core_w += rows->core_w[i];
		*ret_model_w += rows->dynamic[i];
		any = true;
	}
	return any;
}

/* Scales static and dynamic watts to the socket's measured power. */
static void fit_power(const struct core_rows *rows)
{
	double sum = *rows->static_w > 0 ? *rows->static_w : 0;

	for (unsigned i = 0; i < rows->n; i++)
		sum += isfinite(rows->dynamic[i]) ? rows->dynamic[i] : 0;
	if (!(sum > 0))
		return;
	*rows->static_w = fmax(*rows->static_w, 0) * (rows->power_w / sum);
	for (unsigned i = 0; i < rows->n; i++)
		rows->dynamic[i] *= rows->power_w / sum;
}

/* Raises rows below their cores' measured watts to these, at the expense of everything above its minimum.
 * `most`: the part of the measured watts that is granted. */
static void raise_rows(const struct core_rows *rows, double most)
{
	double wanted = 0, spare = *rows->static_w, keep;

	for (unsigned i = 0; i < rows->n; i++) {
		const double least = is_measured(rows, i) ? most * rows->core_w[i] : 0;

		if (!isfinite(rows->dynamic[i]))
			continue;
		wanted += fmax(least - rows->dynamic[i], 0);
		spare += fmax(rows->dynamic[i] - least, 0);
	}
	if (!(wanted > 0))
		return;
	keep = spare > wanted ? 1 - wanted / spare : 0;
	*rows->static_w *= keep;
	for (unsigned i = 0; i < rows->n; i++) {
		const double least = is_measured(rows, i) ? most * rows->core_w[i] : 0;

		if (isfinite(rows->dynamic[i]))
			rows->dynamic[i] = least + fmax(rows->dynamic[i] - least, 0) * keep;
	}
}

void pooled_core_apply(const struct pooled_input *input, struct pooled_filter *filter)
{
	for (unsigned k = 0; k < filter->n_sockets && input->has_cores; k++) {
		const struct core_rows rows = {
			.n = input->n_rows,
			.core_w = input->core_w + (size_t)k * input->n_rows,
			.dynamic = filter->dynamic + (size_t)k * input->n_rows,
			.static_w = &filter->static_w[k],
			.power_w = input->power_w[filter->scope][k],
		};
		double core_w, model_w, part;

		if (filter->scope != REPORT_SCOPE_CPU || !(rows.power_w > 0) ||
		    input->bridged[filter->scope][k] || !add_up(&rows, &core_w, &model_w))
			continue;
		if (core_w > LEAST_W && model_w > LEAST_W) {
			filter->core_sum[k] = FADE * filter->core_sum[k] + core_w;
			filter->model_sum[k] = FADE * filter->model_sum[k] + model_w;
		}
		part = pooled_core_part(filter, k);
		for (unsigned i = 0; i < rows.n && part > 0; i++)
			if (is_measured(&rows, i))
				rows.dynamic[i] = rows.core_w[i] / part;
		fit_power(&rows);
		raise_rows(&rows, core_w > rows.power_w ? rows.power_w / core_w : 1);
	}
}

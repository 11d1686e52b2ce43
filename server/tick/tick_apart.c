/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain's energy and, for a GPU, its working time: one entry for each domain, whatever the group's name.
 * Called by tick_make.c.
 */
#include "tick/tick_apart.h"

#include "tick/feature.h"

#include <math.h>
#include <stdlib.h>

#define TIME_MOST_NS 0x1p62

bool tick_apart_is_gpu(const struct tick_names *names, const struct report_value *value)
{
	return names->features[value->event].scope == REPORT_SCOPE_GPU;
}

static struct tick_apart *find(struct tick *tick, enum report_scope scope, unsigned number)
{
	for (unsigned i = 0; i < tick->n_aparts; i++)
		if (tick->aparts[i].scope == scope && tick->aparts[i].number == number)
			return &tick->aparts[i];
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct tick_apart *x = a, *y = b;

	if (x->scope != y->scope)
		return x->scope > y->scope ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

static void take(struct tick *tick, enum report_scope scope, bool is_energy, const struct report_value *value)
{
	struct tick_apart *apart = find(tick, scope, value->package);
	const bool sane = value->value >= 0 && value->value <= TIME_MOST_NS;

	if (!apart) {
		if (tick->n_aparts == TICK_APARTS_MAX || value->package >= TICK_NUMBERS_MAX)
			return;
		apart = &tick->aparts[tick->n_aparts++];
		*apart = (struct tick_apart){
			.scope = scope, .number = value->package, .energy_j = NAN, .work_ns = NAN};
	}
	/* A sensor that reads every CPU repeats the same counter. */
	if (is_energy && isnan(apart->energy_j) && sane)
		apart->energy_j = ldexp(value->value, REPORT_RAPL_EXPONENT);
	else if (!is_energy && sane)
		apart->work_ns = value->value + (isnan(apart->work_ns) ? 0 : apart->work_ns);
}

void tick_apart_make(const struct tick_names *names, const struct join_slot *slot, struct tick *tick)
{
	tick->n_aparts = 0;
	for (uint32_t i = 0; slot->has_all && i < slot->all.n_values; i++) {
		const struct report_value *value = &slot->values[slot->all.first_value + i];
		const struct feature *feature = &names->features[value->event];

		if (feature->kind == FEATURE_ENERGY_APART || feature->kind == FEATURE_GPU_TIME)
			take(tick, feature->scope, feature->kind == FEATURE_ENERGY_APART, value);
	}
	qsort(tick->aparts, tick->n_aparts, sizeof(*tick->aparts), compare);
}

void tick_apart_add(const struct tick_names *names, const struct tick *tick, const struct report_value *value,
		    double *work_ns)
{
	if (names->features[value->event].kind != FEATURE_GPU_TIME ||
	    !(value->value >= 0 && value->value <= TIME_MOST_NS))
		return;
	for (unsigned i = 0; i < tick->n_aparts; i++)
		if (tick->aparts[i].scope == REPORT_SCOPE_GPU && tick->aparts[i].number == value->package)
			work_ns[i] += value->value;
}

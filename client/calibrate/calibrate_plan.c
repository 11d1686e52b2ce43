/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of a calibration, and its arithmetic.
 */
#include "calibrate/calibrate_plan.h"
#include "base/cleanup.h"

#include <math.h>
#include <stdio.h>

#define ADDS_LEAST_W 0.05 /* below this, indistinguishable from noise */

const char *const calibrate_kind_names[CALIBRATE_KINDS] = {
	[CALIBRATE_INTEGER] = "integer",
	[CALIBRATE_VECTOR] = "vector",
	[CALIBRATE_MEMORY] = "memory",
};

static void set(struct calibrate_phase *phase, enum calibrate_kind kind, unsigned threads)
{
	phase->threads[kind] = threads;
	(void)snprintf(phase->title, sizeof(phase->title), "%s, %u thread%s", calibrate_kind_names[kind],
		       threads, threads == 1 ? "" : "s");
}

void calibrate_plan(unsigned n_cpus, struct calibrate_phase ret_phases[CALIBRATE_PHASES])
{
	const unsigned half = n_cpus > 1 ? n_cpus / 2 : 1, counts[] = {1, half, n_cpus};
	unsigned n = CALIBRATE_IDLE;

	for (unsigned i = 0; i < CALIBRATE_PHASES; i++)
		ret_phases[i] = (struct calibrate_phase){.title = "idle"};
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
			set(&ret_phases[++n], kind, counts[i]);
	set(&ret_phases[CALIBRATE_A], CALIBRATE_KIND_A, half);
	set(&ret_phases[CALIBRATE_B], CALIBRATE_KIND_B, half);
	set(&ret_phases[CALIBRATE_BOTH], CALIBRATE_KIND_A, half);
	set(&ret_phases[CALIBRATE_BOTH], CALIBRATE_KIND_B, half);
	(void)snprintf(ret_phases[CALIBRATE_BOTH].title, sizeof(ret_phases[CALIBRATE_BOTH].title),
		       "%s and %s, %u thread%s each", calibrate_kind_names[CALIBRATE_KIND_A],
		       calibrate_kind_names[CALIBRATE_KIND_B], half, half == 1 ? "" : "s");
}

int calibrate_find(const int64_t begin_ms[CALIBRATE_PHASES], const int64_t end_ms[CALIBRATE_PHASES],
		   int64_t settle_ms, int64_t from_ms, int64_t until_ms)
{
	for (int i = 0; i < CALIBRATE_PHASES; i++)
		if (from_ms >= begin_ms[i] + settle_ms && until_ms <= end_ms[i])
			return i;
	return -1;
}

double calibrate_machine_w(const struct calibrate_seen *seen)
{
	return seen->seconds > 0 ? seen->machine_j / seen->seconds : NAN;
}

static struct calibrate_watts watts_of(const struct calibrate_seen *seen, unsigned alone, unsigned other,
				       enum calibrate_kind kind)
{
	const struct calibrate_seen *both = &seen[CALIBRATE_BOTH];
	double idle_w = calibrate_machine_w(&seen[CALIBRATE_IDLE]), both_w = calibrate_machine_w(both);
	double sum_j = both->load_j[CALIBRATE_KIND_A] + both->load_j[CALIBRATE_KIND_B];
	struct calibrate_watts watts = {
		.alone = calibrate_machine_w(&seen[alone]) - idle_w,
		.beside = both_w - calibrate_machine_w(&seen[other]),
		.attributed = sum_j > 0 ? (both_w - idle_w) * both->load_j[kind] / sum_j : 0,
	};

	watts.fair = (watts.alone + watts.beside) / 2;
	return watts;
}

bool calibrate_judge(const struct calibrate_seen seen[CALIBRATE_PHASES], struct calibrate_error *ret_error)
{
	double wrong;

	*ret_error = (struct calibrate_error){.percent = NAN};
	for (unsigned i = 0; i < CALIBRATE_PHASES; i++)
		if (!(seen[i].seconds > 0))
			return false;
	ret_error->a = watts_of(seen, CALIBRATE_A, CALIBRATE_B, CALIBRATE_KIND_A);
	ret_error->b = watts_of(seen, CALIBRATE_B, CALIBRATE_A, CALIBRATE_KIND_B);
	ret_error->adds = ret_error->a.fair + ret_error->b.fair;
	/* Both differences are the same, with opposite signs. */
	wrong = fabs(ret_error->a.attributed - ret_error->a.fair);
	if (ret_error->adds >= ADDS_LEAST_W)
		ret_error->percent = 100 * wrong / ret_error->adds;
	return true;
}

bool calibrate_any_adds(const struct calibrate_seen seen[CALIBRATE_PHASES])
{
	const double idle_w = calibrate_machine_w(&seen[CALIBRATE_IDLE]);

	for (unsigned i = CALIBRATE_IDLE + 1; i < CALIBRATE_PHASES; i++)
		if (calibrate_machine_w(&seen[i]) - idle_w >= ADDS_LEAST_W)
			return true;
	return false;
}

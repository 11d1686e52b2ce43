/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remaining error of an estimator that knows every true cost but sees only the noisy readings: a
 * lower bound for a formula's errors. For simgen; see sim_add_floor.
 */
#include "sim/sim_stream.h"

#include "sim/sim_machine.h"

#include "document/report_bson.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Shown work / true work of a container, over all sockets; 1 if it did none. */
static double shown_part(const struct sim *sim, const struct sim_container *container,
			 enum report_scope scope)
{
	enum sim_count count = scope == REPORT_SCOPE_DRAM ? SIM_MISSES : SIM_CYCLES;
	double shown = 0, truly = 0;

	if (!sim->scenario.count[count])
		count = SIM_REF;
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		const struct sim_account *account = &container->accounts[k];

		shown += (double)account->read[count];
		truly += account->counts[count];
	}
	if (count == SIM_REF && sim->scenario.cpu_time)
		shown *= sim->machine.base_ghz;
	return truly > 0 && shown > 0 ? shown / truly : 1;
}

static int add_row(const struct sim *sim, struct report_power *power, const char *target, double full_w,
		   double dynamic_w, struct batch *batch)
{
	power->target = target;
	power->power = full_w;
	power->dynamic = dynamic_w;
	power->fixed = full_w - dynamic_w;
	power->energy_j = full_w * sim_interval_s(sim);
	return report_bson_add_power(batch, power);
}

/* `parts` has room for each container's modelled energy. */
static int add_socket(const struct sim *sim, struct report_power *power, unsigned k, double *parts,
		      struct batch *batch)
{
	double fixed_j = sim_true_static_j(sim, k, power->scope), total_j = 0, scale, shown_w;
	int r = 0;

	for (unsigned i = 0; i < sim->n_containers; i++) {
		parts[i] = sim_true_dynamic_j(sim, i, k, power->scope);
		if (i != SIM_SYSTEM)
			parts[i] *= shown_part(sim, &sim->containers[i], power->scope);
		total_j += parts[i];
	}
	shown_w = ldexp((double)sim_energy(sim, k, power->scope), -32) / sim_interval_s(sim);
	scale = total_j + fixed_j > 0 ? shown_w / (total_j + fixed_j) : 0;
	for (unsigned i = 0; i < sim->n_containers && r >= 0; i++) {
		if (i != SIM_SYSTEM && (!sim_alive(sim, i) || (!sim_ran(sim, i) && parts[i] <= 0)))
			continue;
		r = add_row(sim, power, sim_name(sim, i), total_j > 0 ? shown_w * parts[i] / total_j : 0,
			    parts[i] * scale, batch);
	}
	if (r >= 0)
		r = add_row(sim, power, REPORT_TARGET_RAPL, shown_w, total_j * scale, batch);
	return r;
}

int sim_add_floor(const struct sim *sim, const char *sensor, struct batch *batch)
{
	double *parts = calloc(sim->n_containers, sizeof(*parts));
	unsigned n_scopes = sim_shape(sim)->dram ? 2 : 1;
	int r = parts ? 0 : -ENOMEM;

	for (unsigned k = 0; k < sim_shape(sim)->sockets && r >= 0; k++) {
		char socket[12];

		snprintf(socket, sizeof(socket), "%u", k);
		for (unsigned s = 0; s < n_scopes && r >= 0; s++) {
			struct report_power power = {.time_ms = sim_time_ms(sim),
						     .sensor = sensor,
						     .socket = socket,
						     .scope = (enum report_scope)s,
						     .formula = "floor",
						     .interval_s = sim_interval_s(sim)};

			r = add_socket(sim, &power, k, parts, batch);
		}
	}
	free(parts);
	return r;
}

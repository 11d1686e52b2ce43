/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The truth of the simulated machine's last tick as power reports. For wattribute-sim and simgen.
 */
#include "sim/sim.h"

#include "document/report_bson.h"

#include <stdio.h>

static int add_truth_row(const struct sim *sim, struct report_power *power, double dynamic_j, double fixed_j,
			 struct batch *batch)
{
	double interval_s = sim_interval_s(sim);

	power->dynamic = dynamic_j / interval_s;
	power->fixed = fixed_j / interval_s;
	power->energy_j = dynamic_j + fixed_j;
	power->power = power->energy_j / interval_s;
	return report_bson_add_power(batch, power);
}

/*
 * Static power is proportional to dynamic power (policy `proportional`); without dynamic power it goes to the
 * system.
 */
static int add_truth_of(const struct sim *sim, struct report_power *power, unsigned k, struct batch *batch)
{
	double total_j = 0, fixed_j = sim_true_static_j(sim, k, power->scope);

	for (unsigned i = 0; i < sim_slots(sim); i++)
		total_j += sim_true_dynamic_j(sim, i, k, power->scope);
	for (unsigned i = 0; i < sim_slots(sim); i++) {
		double dynamic_j = sim_true_dynamic_j(sim, i, k, power->scope), share;
		char short_id[13];
		int r;

		if (i != SIM_SYSTEM && (!sim_alive(sim, i) || (!sim_ran(sim, i) && dynamic_j <= 0)))
			continue;
		share = total_j > 0 ? dynamic_j / total_j : i == SIM_SYSTEM ? 1 : 0;
		snprintf(short_id, sizeof(short_id), "%.12s", sim_container_id(sim, i));
		power->target = sim_name(sim, i);
		power->container_id = i == SIM_SYSTEM ? NULL : short_id;
		power->ratio = share;
		r = add_truth_row(sim, power, dynamic_j, fixed_j * share, batch);
		if (r < 0)
			return r;
	}
	power->target = REPORT_TARGET_RAPL;
	power->container_id = NULL;
	power->ratio = 1;
	return add_truth_row(sim, power, total_j, fixed_j, batch);
}

int sim_add_truth(const struct sim *sim, const char *sensor, struct batch *batch)
{
	unsigned n_scopes = sim_shape(sim)->dram ? 2 : 1;

	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
		char socket[12];

		snprintf(socket, sizeof(socket), "%u", k);
		for (unsigned s = 0; s < n_scopes; s++) {
			struct report_power power = {.time_ms = sim_time_ms(sim),
						     .sensor = sensor,
						     .socket = socket,
						     .scope = (enum report_scope)s,
						     .formula = "truth",
						     .interval_s = sim_interval_s(sim),
						     .error = 0};
			int r = add_truth_of(sim, &power, k, batch);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

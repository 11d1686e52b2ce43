/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counter values of the simulated machine at the end of a tick: quantum, late updates and wrap of the energy
 * registers; multiplexing error and read skew of the event counters. Called by sim.c around the last step.
 */
#include "sim/sim_machine.h"

#include <math.h>
#include <string.h>

/* Before the tick's last step: saves the counts, so that the step's own counts are known. */
void sim_read_begin(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_containers; i++) {
		struct sim_container *container = &sim->containers[i];

		for (unsigned k = 0; container->touched && k < sim->scenario.sockets; k++)
			memcpy(container->accounts[k].last, container->accounts[k].counts,
			       sizeof(container->accounts[k].last));
	}
}

/* Error of a counter: part of it stays from tick to tick, part is common to all counters of the container. */
static void draw_errors(double *errors, uint64_t *random, double sd)
{
	double common = sim_random_normal(random);
	/* A separate stream, so that the other errors are drawn as before this counter was added. */
	uint64_t apart = sim_random_stream(*random, 0x7061636b);

	for (unsigned e = 0; e < SIM_COUNTS; e++)
		errors[e] =
			.6 * errors[e] +
			.8 * sd * (.6 * common + .8 * sim_random_normal(e == SIM_PACKED ? &apart : random));
}

static uint64_t to_count(double value)
{
	return value > 0 ? (uint64_t)(value + .5) : 0;
}

static void read_container(struct sim *sim, struct sim_container *container, double step_s)
{
	const struct sim_scenario *scenario = &sim->scenario;
	double sd = sim->machine.counter_noise * scenario->noise;
	double late, unit = scenario->cpu_time ? 1 / sim->machine.base_ghz : 1;

	container->running = 1;
	if (scenario->multiplexed < 1) {
		container->running = scenario->multiplexed * sim_random_range(&container->noise, .9, 1.1);
		sd += .02 * sqrt((1 - scenario->multiplexed) / scenario->multiplexed);
	}
	draw_errors(container->error, &container->noise, sd);
	/* Read a little before the energy: what happens in between is counted in the next tick. */
	container->skew_s = sim->machine.skew_s * sim_random_unit(&container->noise);
	late = container->skew_s < step_s ? container->skew_s / step_s : 1;
	for (unsigned k = 0; k < scenario->sockets; k++) {
		struct sim_account *account = &container->accounts[k];

		for (unsigned e = 0; e < SIM_COUNTS; e++) {
			double left = container->ending ? 0 : (account->counts[e] - account->last[e]) * late;
			double count = account->counts[e] + account->carry[e] - left;
			double error = scenario->cpu_time ? 0 : container->error[e];

			account->carry[e] = left;
			account->read[e] = to_count(count * (1 + error) * (e == SIM_REF ? unit : 1));
			sim->sockets[k].counts[e] += account->counts[e];
		}
	}
}

/* One energy register: updated about every millisecond, in quanta, 32 bits wide. */
static void read_energy(struct sim *sim, struct sim_socket *socket, unsigned scope)
{
	const unsigned quantum_bits = scope == REPORT_SCOPE_DRAM ? 16 : 14;
	double age_s = sim->machine.jitter_s * sim_random_unit(&sim->random);
	double shown, step_j;
	uint32_t raw;

	socket->noise[scope] = .5 * socket->noise[scope] + .87 * sim_random_normal(&sim->random);
	step_j = socket->power_w[scope] * sim->interval_s * sim->machine.rapl_noise[scope] *
		 socket->noise[scope];
	socket->noise_j[scope] += step_j;
	shown = socket->energy_j[scope] + socket->noise_j[scope] - socket->power_w[scope] * age_s;
	raw = (uint32_t)(uint64_t)(shown > 0 ? shown * (double)(1u << quantum_bits) : 0);
	socket->read[scope] = (uint64_t)(uint32_t)(raw - socket->raw[scope]) << (32 - quantum_bits);
	socket->raw[scope] = raw;
}

/* After the tick's last step. */
void sim_read_end(struct sim *sim, double step_s)
{
	double unit = sim->scenario.cpu_time ? 1 / sim->machine.base_ghz : 1;

	for (unsigned i = 0; i < sim->n_containers; i++) {
		struct sim_container *container = &sim->containers[i];

		if (container->touched)
			read_container(sim, container, step_s);
	}
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		struct sim_socket *socket = &sim->sockets[k];

		draw_errors(socket->error, &sim->random, sim->machine.machine_noise * sim->scenario.noise);
		for (unsigned e = 0; e < SIM_COUNTS; e++) {
			if (!sim->scenario.cpu_time)
				socket->counts[e] *= 1 + socket->error[e];
			if (e == SIM_REF)
				socket->counts[e] *= unit;
		}
		read_energy(sim, socket, REPORT_SCOPE_CPU);
		if (sim->scenario.dram)
			read_energy(sim, socket, REPORT_SCOPE_DRAM);
	}
}

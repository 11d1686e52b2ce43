/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the simulated machine's threads run: first an idle core near the container's other threads, then a
 * sibling, then another socket. Threads stay where they are until the container pauses or a rare migration
 * moves one.
 */
#include "sim/sim_machine.h"

#define SIBLING_WEIGHT .45
#define AWAY_WEIGHT    .35 /* cost of a CPU on another socket than the container's own */

static unsigned sibling_of(const struct sim *sim, unsigned cpu)
{
	unsigned cores = sim->scenario.sockets * sim->scenario.cores;

	if (sim->scenario.threads < 2)
		return cpu;
	return cpu < cores ? cpu + cores : cpu - cores;
}

/* The container's own list of CPUs; NULL: all CPUs of the machine. */
static const uint16_t *allowed_cpus(const struct sim_container *container, unsigned *ret_n)
{
	const struct sim_group *group = container->group;

	*ret_n = group->n_cpus;
	return group->has_own_cpus ? group->cpus + (size_t)container->member * group->n_cpus : group->cpus;
}

static unsigned random_cpu(struct sim *sim, const struct sim_container *container)
{
	unsigned n;
	const uint16_t *cpus = allowed_cpus(container, &n);

	if (!n)
		return sim_random_below(&sim->random, sim->n_cpus);
	return cpus[sim_random_below(&sim->random, n)];
}

static unsigned best_cpu(struct sim *sim, const struct sim_container *container)
{
	unsigned n, best = 0;
	const uint16_t *cpus = allowed_cpus(container, &n);
	double best_cost = 1e9;

	if (!n)
		n = sim->n_cpus;
	for (unsigned i = 0; i < n; i++) {
		unsigned cpu = cpus ? cpus[i] : i, sibling = sibling_of(sim, cpu);
		double cost = sim->cpus[cpu].placed + 1e-3 * sim_random_unit(&sim->random);

		if (sibling != cpu)
			cost += SIBLING_WEIGHT * sim->cpus[sibling].placed;
		if (container->home >= 0 && sim_cpu_socket(sim, cpu) != (unsigned)container->home)
			cost += AWAY_WEIGHT;
		if (cost < best_cost) {
			best_cost = cost;
			best = cpu;
		}
	}
	return best;
}

/* The socket with the least load, for a container that has no preference. */
static int calm_socket(struct sim *sim)
{
	double load[SIM_SOCKETS_MAX] = {0};
	unsigned best = sim_random_below(&sim->random, sim->scenario.sockets);

	for (unsigned cpu = 0; cpu < sim->n_cpus; cpu++)
		load[sim_cpu_socket(sim, cpu)] += sim->cpus[cpu].placed;
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		if (load[k] + .5 < load[best])
			best = k;
	}
	return (int)best;
}

void sim_place_threads(struct sim *sim, struct sim_container *container)
{
	bool light = container->group->kinds[0] == SIM_IDLE;

	sim_unplace_threads(sim, container);
	if (container->home < 0 && !light)
		container->home = calm_socket(sim);
	for (unsigned i = 0; i < container->n_threads; i++) {
		unsigned cpu = light ? random_cpu(sim, container) : best_cpu(sim, container);

		container->cpus[i] = (uint16_t)cpu;
		sim->cpus[cpu].placed += container->load_base;
	}
	container->n_placed = container->n_threads;
}

void sim_unplace_threads(struct sim *sim, struct sim_container *container)
{
	for (unsigned i = 0; i < container->n_placed; i++) {
		struct sim_cpu *cpu = &sim->cpus[container->cpus[i]];

		cpu->placed -= container->load_base;
		if (cpu->placed < 1e-9)
			cpu->placed = 0;
	}
	container->n_placed = 0;
}

/* Moves one thread to the best place now. */
void sim_place_migrate(struct sim *sim, struct sim_container *container)
{
	unsigned i;

	if (!container->n_placed)
		return;
	i = sim_random_below(&sim->random, container->n_placed);
	sim->cpus[container->cpus[i]].placed -= container->load_base;
	container->cpus[i] = (uint16_t)best_cpu(sim, container);
	sim->cpus[container->cpus[i]].placed += container->load_base;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine from outside: creating one from a scenario, stepping it tick by tick, reading it. See
 * sim.h for its users; the physics is in sim_power.c, the lives in sim_life.c, the errors in sim_read.c.
 */
#include "sim/sim.h"

#include "sim/sim_machine.h"

#include "base/cleanup.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct sim_group system_group = {
	.name = "system",
	.count = 1,
	.n_kinds = 1,
	.kinds = {SIM_IDLE},
	.vary = .5,
	.socket = -1,
	.memory = -1,
};

static void set_containers(struct sim *sim)
{
	unsigned slot = 1;

	sim->containers[SIM_SYSTEM].group = &system_group;
	for (unsigned g = 0; g < sim->scenario.n_groups; g++) {
		const struct sim_group *group = &sim->scenario.groups[g];

		for (unsigned m = 0; m < group->count; m++, slot++) {
			struct sim_container *container = &sim->containers[slot];

			container->group = group;
			container->member = m;
			container->random = sim_random_stream(sim->seed, UINT64_C(1000000) * (g + 1) +
										 (group->twins ? 0 : m));
		}
	}
	for (unsigned i = 0; i < sim->n_containers; i++) {
		struct sim_container *container = &sim->containers[i];

		container->accounts = sim->accounts + (size_t)i * sim->scenario.sockets;
		container->noise = sim_random_stream(sim->seed ^ 0x6e6f697365, i);
		container->running = 1;
		if (i != SIM_SYSTEM)
			sim_life_start(sim, container);
	}
}

static void set_system(struct sim *sim)
{
	struct sim_container *system = &sim->containers[SIM_SYSTEM];

	(void)snprintf(system->name, sizeof(system->name), "%s", REPORT_TARGET_SYSTEM);
	system->random = sim_random_stream(sim->seed, 1);
	sim_character_draw(&system->characters[0], SIM_IDLE, &system->random);
	system->alive = system->on = true;
	system->home = -1;
	system->n_threads = system->n_placed = sim->n_cpus < 8 ? sim->n_cpus : 8;
	system->load_base = system->load = sim->scenario.system_load * sim->n_cpus / system->n_placed;
}

static int allocate(struct sim *sim)
{
	sim->n_containers = 1;
	for (unsigned g = 0; g < sim->scenario.n_groups; g++)
		sim->n_containers += sim->scenario.groups[g].count;
	sim->containers = calloc(sim->n_containers, sizeof(*sim->containers));
	sim->accounts = calloc((size_t)sim->n_containers * sim->scenario.sockets, sizeof(*sim->accounts));
	sim->active = calloc(sim->n_containers, sizeof(*sim->active));
	sim->due_s = calloc(sim->n_containers, sizeof(*sim->due_s));
	return sim->containers && sim->accounts && sim->active && sim->due_s ? 0 : -ENOMEM;
}

int sim_new(const struct sim_options *options, struct sim **ret_sim, struct reason *why)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	int r;

	if (!sim)
		return -ENOMEM;
	r = sim_scenario_read(&sim->scenario, options->scenario, why);
	if (r >= 0)
		r = allocate(sim);
	if (r < 0) {
		sim_free(sim);
		return r;
	}
	sim->seed = options->seed;
	sim->law = options->law ? options->law : sim->scenario.law;
	sim->ticks = options->ticks ? options->ticks : sim->scenario.ticks;
	sim->interval_ms = options->interval_ms ? options->interval_ms : sim->scenario.interval_ms;
	sim->step_is_static = !options->step_is_shared;
	sim->random = sim_random_stream(sim->seed, 2);
	sim->n_cpus = sim->scenario.sockets * sim->scenario.cores * sim->scenario.threads;
	sim_machine_draw(&sim->machine, &sim->scenario, sim->law, sim->seed);
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		sim->sockets[k].cap = 1;
		sim->sockets[k].kelvin = 10;
	}
	set_containers(sim);
	set_system(sim);
	*ret_sim = sim;
	return 0;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	sim_scenario_done(&sim->scenario);
	free(sim->containers);
	free(sim->accounts);
	free(sim->active);
	free(sim->due_s);
	free(sim);
}

static void clear_tick(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_containers; i++) {
		struct sim_container *container = &sim->containers[i];

		if (container->ending) {
			memset(container->accounts, 0, sim->scenario.sockets * sizeof(*container->accounts));
			container->ending = container->touched = false;
		}
		container->partial = false;
		if (!container->touched)
			continue;
		container->touched = false;
		for (unsigned k = 0; k < sim->scenario.sockets; k++) {
			struct sim_account *account = &container->accounts[k];

			memset(account->counts, 0, sizeof(account->counts));
			memset(account->last, 0, sizeof(account->last));
			memset(account->read, 0, sizeof(account->read));
			memset(account->energy_j, 0, sizeof(account->energy_j));
			for (unsigned e = 0; e < SIM_COUNTS; e++)
				container->touched |= account->carry[e] > 0;
		}
	}
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		memset(sim->sockets[k].static_j, 0, sizeof(sim->sockets[k].static_j));
		memset(sim->sockets[k].counts, 0, sizeof(sim->sockets[k].counts));
	}
	for (unsigned i = 0; i < sim->n_cpus; i++)
		sim->cpus[i].tick_busy_s = sim->cpus[i].tick_busy_cycles = 0;
}

int sim_step(struct sim *sim)
{
	double nominal_s = (double)sim->interval_ms / 1000;
	unsigned steps = (unsigned)(nominal_s / sim->scenario.step_s + .5);
	double step_s;

	if (sim->ticks && sim->seq >= sim->ticks)
		return 0;
	steps = steps ? steps : 1;
	/* The reading is never exactly on time. */
	sim->interval_s = nominal_s * (1 + .002 * sim_random_normal(&sim->random));
	step_s = sim->interval_s / steps;
	sim->seq++;
	clear_tick(sim);
	for (unsigned i = 0; i < steps; i++) {
		if (i + 1 == steps)
			sim_read_begin(sim);
		sim_life_step(sim);
		sim_power_step(sim, step_s);
		sim->now_s += step_s;
	}
	sim_read_end(sim, step_s);
	return 1;
}

unsigned sim_sockets(const struct sim *sim)
{
	return sim->scenario.sockets;
}

unsigned sim_cores(const struct sim *sim)
{
	return sim->scenario.cores;
}

unsigned sim_cpus(const struct sim *sim)
{
	return sim->n_cpus;
}

unsigned sim_cpu_socket(const struct sim *sim, unsigned cpu)
{
	return cpu % (sim->scenario.sockets * sim->scenario.cores) / sim->scenario.cores;
}

double sim_base_mhz(const struct sim *sim)
{
	return sim->machine.base_ghz * 1000;
}

bool sim_has_dram(const struct sim *sim)
{
	return sim->scenario.dram;
}

bool sim_has_msr(const struct sim *sim)
{
	return sim->scenario.msr;
}

bool sim_has_count(const struct sim *sim, enum sim_count count)
{
	return sim->scenario.count[count];
}

bool sim_is_cpu_time(const struct sim *sim)
{
	return sim->scenario.cpu_time;
}

uint64_t sim_ticks(const struct sim *sim)
{
	return sim->ticks;
}

const char *sim_scenario_name(const struct sim *sim)
{
	return sim->scenario.name;
}

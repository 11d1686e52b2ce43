/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of the simulated machine: creates one from a scenario, steps it tick by tick, reads it. See
 * sim.h for its users; sim_power.c has the physics, sim_life.c the containers' lives, sim_read.c the errors.
 */
#include "sim/sim.h"

#include "sim/sim_machine.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIM_EPOCH_MS INT64_C(1700000000000)

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

static void set_shape(struct sim *sim)
{
	const struct sim_scenario *scenario = &sim->scenario;
	const double design_w = sim_power_design_w(sim);

	sim->shape = (struct sim_shape){
		.sockets = scenario->sockets,
		.cores = scenario->cores,
		.cpus = sim->n_cpus,
		.base_mhz = sim->machine.base_ghz * 1000,
		.design_w = design_w,
		.limit_w = scenario->power_cap_w > 0 ? scenario->power_cap_w : SIM_PEAK_PART * design_w,
		.idle_latency_us = sim_power_idle_latency_us(sim),
		.dram = scenario->dram,
		.msr = scenario->msr,
		.cpu_time = scenario->cpu_time,
		.ticks = sim->ticks,
		.scenario = scenario->name,
	};
	memcpy(sim->shape.count, scenario->count, sizeof(sim->shape.count));
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
	set_shape(sim);
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

const struct sim_shape *sim_shape(const struct sim *sim)
{
	return &sim->shape;
}

unsigned sim_cpu_socket(const struct sim *sim, unsigned cpu)
{
	return cpu % (sim->scenario.sockets * sim->scenario.cores) / sim->scenario.cores;
}

uint64_t sim_seq(const struct sim *sim)
{
	return sim->seq;
}

int64_t sim_time_ms(const struct sim *sim)
{
	return SIM_EPOCH_MS + (int64_t)(sim->now_s * 1000 + .5);
}

uint64_t sim_monotonic_ns(const struct sim *sim)
{
	return UINT64_C(1000000000) + (uint64_t)(sim->now_s * 1e9 + .5);
}

double sim_interval_s(const struct sim *sim)
{
	return sim->interval_s;
}

uint64_t sim_energy(const struct sim *sim, unsigned socket, enum report_scope scope)
{
	return sim->sockets[socket].read[scope];
}

void sim_msr(const struct sim *sim, unsigned cpu, uint64_t ret_tsc_aperf_mperf[3])
{
	double base = sim->machine.base_ghz * 1e9;

	ret_tsc_aperf_mperf[0] = (uint64_t)(base * sim->interval_s);
	ret_tsc_aperf_mperf[1] = (uint64_t)sim->cpus[cpu].tick_busy_cycles;
	ret_tsc_aperf_mperf[2] = (uint64_t)(base * sim->cpus[cpu].tick_busy_s);
}

void sim_machine_counts(const struct sim *sim, unsigned socket, uint64_t ret_counts[SIM_COUNTS])
{
	for (unsigned e = 0; e < SIM_COUNTS; e++)
		ret_counts[e] = (uint64_t)sim->sockets[socket].counts[e];
}

unsigned sim_slots(const struct sim *sim)
{
	return sim->n_containers;
}

bool sim_alive(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].alive || sim->containers[slot].ending;
}

bool sim_partial(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].partial;
}

bool sim_ran(const struct sim *sim, unsigned slot)
{
	const struct sim_container *container = &sim->containers[slot];

	for (unsigned k = 0; container->touched && k < sim->scenario.sockets; k++) {
		if (container->accounts[k].read[SIM_REF] > 0)
			return true;
	}
	return false;
}

unsigned sim_generation(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].generation;
}

const char *sim_name(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].name;
}

const char *sim_container_id(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].id;
}

const char *sim_kind(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].group->name;
}

uint64_t sim_cgroup_id(const struct sim *sim, unsigned slot)
{
	return (uint64_t)sim->containers[slot].generation << 32 | slot;
}

unsigned sim_find(const struct sim *sim, uint64_t cgroup_id)
{
	unsigned slot = (unsigned)(cgroup_id & UINT32_MAX);

	if (slot >= sim->n_containers || !sim_alive(sim, slot) || sim_cgroup_id(sim, slot) != cgroup_id)
		return SIM_SYSTEM;
	return slot;
}

void sim_counts(const struct sim *sim, unsigned slot, unsigned socket, uint64_t ret_counts[SIM_COUNTS])
{
	memcpy(ret_counts, sim->containers[slot].accounts[socket].read, SIM_COUNTS * sizeof(*ret_counts));
}

double sim_running_ratio(const struct sim *sim, unsigned slot)
{
	return sim->containers[slot].running;
}

double sim_true_dynamic_j(const struct sim *sim, unsigned slot, unsigned socket, enum report_scope scope)
{
	return sim->containers[slot].accounts[socket].energy_j[scope];
}

double sim_true_static_j(const struct sim *sim, unsigned socket, enum report_scope scope)
{
	return sim->sockets[socket].static_j[scope];
}

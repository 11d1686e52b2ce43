/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the simulated machine's last tick: counters, energies, containers, and their true values. The
 * accessors of sim.h; nothing here changes the machine.
 */
#include "sim/sim.h"

#include "sim/sim_machine.h"

#include <string.h>

#define SIM_EPOCH_MS INT64_C(1700000000000)

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

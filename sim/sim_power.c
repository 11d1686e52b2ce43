/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the simulated machine's physics: which threads run where, at which frequency, their progress,
 * its cost, and the container that the cost belongs to. Knows nothing about counter errors or documents.
 *
 * Truth: a thread's core energy is its own; power shared by two siblings is halved; the uncore's step is
 * shared by the time that each container was running; a moved line belongs to the container that it is moved
 * for, on the sockets it touches.
 */
#include "sim/sim_machine.h"

#include <math.h>
#include <string.h>

#define USUAL_IPC  1.6
#define DEEP_STEP  0.12 /* of the idle power: a package that wakes by more was in a deep state */
#define DEEP_US    133
#define SHALLOW_US 2

static void ask_for_time(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_cpus; i++) {
		sim->cpus[i].load = 0;
		sim->cpus[i].width = 0;
	}
	for (unsigned i = 0; i < sim->n_active; i++) {
		const struct sim_container *container = &sim->containers[sim->active[i]];
		double width = container->characters[container->phase].width;

		for (unsigned j = 0; j < container->n_placed; j++) {
			struct sim_cpu *cpu = &sim->cpus[container->cpus[j]];

			cpu->load += container->load;
			if (width > cpu->width)
				cpu->width = width;
		}
	}
	for (unsigned i = 0; i < sim->n_cpus; i++) {
		struct sim_cpu *cpu = &sim->cpus[i];

		cpu->share = cpu->load > 1 ? 1 / cpu->load : 1;
		cpu->busy = cpu->load > 1 ? 1 : cpu->load;
	}
}

static double licence(const struct sim_machine *machine, double width)
{
	if (width <= 1)
		return machine->licence[0] + (machine->licence[1] - machine->licence[0]) * width;
	return machine->licence[1] + (machine->licence[2] - machine->licence[1]) * (width - 1);
}

/* Frequency of a core: turbo by the number of busy cores, licence, limit of power, governor. */
static double core_ghz(const struct sim *sim, const struct sim_socket *socket, unsigned core, double busy,
		       double width)
{
	const struct sim_machine *machine = &sim->machine;
	double cores = sim->scenario.cores;
	double part = cores > 1 ? (socket->active_cores - 1) / (cores - 1) : 0;
	double ghz;

	part = part < 0 ? 0 : part;
	ghz = machine->turbo_ghz[0] + (machine->turbo_ghz[1] - machine->turbo_ghz[0]) * part;
	ghz *= licence(machine, width);
	if (machine->on_demand) {
		double asked = machine->min_ghz + (ghz - machine->min_ghz) * 1.4 * busy;

		ghz = asked < ghz ? asked : ghz;
	}
	if (sim->scenario.slow_core[core])
		ghz *= sim->scenario.slow_factor;
	ghz *= socket->cap;
	return ghz < machine->min_ghz ? machine->min_ghz : ghz;
}

/* Overlap of siblings and the number of busy cores; then each core's frequency and voltage. */
static void set_frequencies(struct sim *sim)
{
	unsigned cores = sim->scenario.sockets * sim->scenario.cores;
	bool smt = sim->scenario.threads > 1;

	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		struct sim_socket *socket = &sim->sockets[k];
		double asleep = 1;

		socket->active_cores = 0;
		for (unsigned c = k * sim->scenario.cores; c < (k + 1) * sim->scenario.cores; c++) {
			double other = smt ? sim->cpus[c + cores].busy : 0;
			double active = 1 - (1 - sim->cpus[c].busy) * (1 - other);

			sim->cpus[c].beside = other;
			if (smt)
				sim->cpus[c + cores].beside = sim->cpus[c].busy;
			socket->active_cores += active;
			asleep *= 1 - active;
		}
		socket->awake = 1 - asleep;
	}
	for (unsigned c = 0; c < cores; c++) {
		const struct sim_socket *socket = &sim->sockets[c / sim->scenario.cores];
		struct sim_cpu *one = &sim->cpus[c], *two = smt ? &sim->cpus[c + cores] : one;
		double busy = one->busy > two->busy ? one->busy : two->busy;
		double width = one->width > two->width ? one->width : two->width;
		double volt;

		if (busy <= 0)
			continue;
		one->ghz = two->ghz = core_ghz(sim, socket, c, busy, width);
		volt = sim->machine.volt0 + sim->machine.volt1 * one->ghz;
		one->volt2 = two->volt2 = volt * volt;
	}
}

/* Power of a busy thread on its core, W; siblings split their shared power equally. */
static double thread_power_w(const struct sim *sim, const struct sim_cpu *cpu,
			     const struct sim_character *character, double ipc)
{
	const struct sim_machine *machine = &sim->machine;
	const double core_w = machine->core_w * character->cost;
	double work;

	if (sim->law == 2) {
		work = character->energy * sqrt(ipc) *
		       (1 + machine->width_part * character->width * character->width);
		return core_w * cpu->ghz * cpu->ghz * cpu->ghz *
		       (machine->clock_part + machine->work_part * work) *
		       (1 - (1 - machine->smt_power) * cpu->beside);
	}
	work = character->energy * ipc * (1 + machine->width_part * character->width);
	return core_w * cpu->volt2 * cpu->ghz *
	       (machine->clock_part * (1 - .5 * cpu->beside) + machine->work_part * work);
}

struct slice {
	const struct sim_character *character;
	unsigned socket, home;
	double time_s; /* of the CPU */
	double energy; /* factor by drift */
};

/* Progress of a thread, and its cost. */
static void run_slice(struct sim *sim, struct sim_cpu *cpu, const struct slice *slice,
		      struct sim_account *accounts)
{
	const struct sim_machine *machine = &sim->machine;
	const struct sim_character *character = slice->character;
	struct sim_socket *here = &sim->sockets[slice->socket], *home = &sim->sockets[slice->home];
	struct sim_account *account = &accounts[slice->socket];
	double crowd = here->pressure > 1 ? here->pressure - 1 : 0;
	double use = home->lines / machine->lines_max;
	double misses_each = character->misses * (1 + (crowd < 1.5 ? crowd : 1.5) * .8);
	double latency = machine->latency_ns * (1 + 1.5 * use * use);
	double ipc, cycles, lines, line_j, core_j;

	if (use > .9)
		latency *= 1 + 6 * (use - .9);
	if (slice->home != slice->socket)
		latency *= machine->remote_latency;
	ipc = 1 / (1 / (character->ipc * (1 - machine->smt_ipc * cpu->beside)) +
		   misses_each * (1 - character->overlap) * latency * cpu->ghz);
	cycles = slice->time_s * cpu->ghz * 1e9;
	account->counts[SIM_REF] += slice->time_s * machine->base_ghz * 1e9;
	account->counts[SIM_CYCLES] += cycles;
	account->counts[SIM_INSTRUCTIONS] += cycles * ipc;
	account->counts[SIM_MISSES] += cycles * ipc * misses_each;
	account->counts[SIM_PACKED] += cycles * ipc * character->packed;
	account->awake += slice->time_s;
	cpu->tick_busy_s += slice->time_s;
	cpu->tick_busy_cycles += cycles;

	core_j = thread_power_w(sim, cpu, character, ipc) * slice->energy * slice->time_s;
	lines = cycles * ipc * misses_each * character->hidden;
	line_j = lines * machine->line_nj * 1e-9;
	account->energy_j[REPORT_SCOPE_CPU] += core_j + .5 * line_j;
	accounts[slice->home].energy_j[REPORT_SCOPE_CPU] += .5 * line_j;
	here->core_j += core_j + .5 * line_j;
	home->core_j += .5 * line_j;
	if (sim->scenario.dram) {
		double dram_j = lines * machine->dram_line_nj * 1e-9;

		accounts[slice->home].energy_j[REPORT_SCOPE_DRAM] += dram_j;
		home->dram_j += dram_j;
	}
	home->next_lines += lines;
}

static void run_container(struct sim *sim, unsigned slot, double step_s)
{
	struct sim_container *container = &sim->containers[slot];
	const struct sim_group *group = container->group;
	struct slice slice = {.character = &container->characters[container->phase], .energy = 1};

	container->touched = true;
	if (group->drift != 0)
		slice.energy += group->drift * (double)sim->seq / (double)(sim->ticks ? sim->ticks : 1);
	for (unsigned j = 0; j < container->n_placed; j++) {
		struct sim_cpu *cpu = &sim->cpus[container->cpus[j]];

		slice.socket = sim_cpu_socket(sim, container->cpus[j]);
		slice.home = group->memory >= 0 ? (unsigned)group->memory : slice.socket;
		slice.time_s = container->load * cpu->share * step_s;
		run_slice(sim, cpu, &slice, container->accounts);
	}
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		struct sim_account *account = &container->accounts[k];

		if (account->awake <= 0)
			continue;
		if (account->awake > step_s)
			account->awake = step_s;
		sim->sockets[k].awake_sum += account->awake;
		sim->sockets[k].next_pressure += slice.character->footprint * account->awake / step_s;
	}
}

/* The energy of waking the uncore and the memory, shared by the time that each container ran. */
static void share_steps(struct sim *sim, double step_s)
{
	const struct sim_machine *machine = &sim->machine;
	double step_j[SIM_SOCKETS_MAX], dram_j[SIM_SOCKETS_MAX];

	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		struct sim_socket *socket = &sim->sockets[k];

		step_j[k] = machine->step_w * socket->awake * step_s;
		dram_j[k] = sim->scenario.dram ? machine->dram_step_w * socket->awake * step_s : 0;
		socket->step_static_j[REPORT_SCOPE_CPU] = sim->step_is_static ? step_j[k] : 0;
		socket->step_static_j[REPORT_SCOPE_DRAM] = sim->step_is_static ? dram_j[k] : 0;
		if (!sim->step_is_static) {
			socket->core_j += step_j[k];
			socket->dram_j += dram_j[k];
		}
	}
	for (unsigned i = 0; i < sim->n_active; i++) {
		struct sim_account *accounts = sim->containers[sim->active[i]].accounts;

		for (unsigned k = 0; k < sim->scenario.sockets; k++) {
			double part;

			if (accounts[k].awake <= 0)
				continue;
			part = accounts[k].awake / sim->sockets[k].awake_sum;
			accounts[k].awake = 0;
			if (sim->step_is_static)
				continue;
			accounts[k].energy_j[REPORT_SCOPE_CPU] += step_j[k] * part;
			accounts[k].energy_j[REPORT_SCOPE_DRAM] += dram_j[k] * part;
		}
	}
}

/* Static power, temperature, power limit, and the state passed on to the next step. */
static void settle_socket(struct sim *sim, struct sim_socket *socket, double step_s)
{
	const struct sim_machine *machine = &sim->machine;
	double idle_cores = sim->scenario.cores - socket->active_cores;
	double ambient =
		sim->scenario.ambient_drift_k * (double)sim->seq / (double)(sim->ticks ? sim->ticks : 1);
	double fixed_w = machine->idle_w +
			 machine->leak_w * (1 + machine->leak_per_k * (socket->kelvin + ambient)) +
			 machine->c1_w * idle_cores * socket->awake;
	double fixed_j[REPORT_SCOPES], total_j[REPORT_SCOPES];

	fixed_j[REPORT_SCOPE_CPU] = fixed_w * step_s + socket->step_static_j[REPORT_SCOPE_CPU];
	fixed_j[REPORT_SCOPE_DRAM] = 0;
	if (sim->scenario.dram)
		fixed_j[REPORT_SCOPE_DRAM] =
			machine->dram_w * step_s + socket->step_static_j[REPORT_SCOPE_DRAM];
	total_j[REPORT_SCOPE_CPU] = fixed_j[REPORT_SCOPE_CPU] + socket->core_j;
	total_j[REPORT_SCOPE_DRAM] = fixed_j[REPORT_SCOPE_DRAM] + socket->dram_j;
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		socket->static_j[s] += fixed_j[s];
		socket->energy_j[s] += total_j[s];
		socket->power_w[s] = total_j[s] / step_s;
	}
	socket->kelvin += (socket->power_w[REPORT_SCOPE_CPU] * machine->thermal_k_per_w - socket->kelvin) *
			  step_s / machine->thermal_s;
	socket->average_w += (socket->power_w[REPORT_SCOPE_CPU] - socket->average_w) * step_s;
	if (sim->scenario.power_cap_w > 0) {
		socket->cap += 2 * step_s * (sim->scenario.power_cap_w - socket->average_w) /
			       sim->scenario.power_cap_w;
		socket->cap = socket->cap > 1 ? 1 : socket->cap < .3 ? .3 : socket->cap;
	}
	socket->lines = socket->next_lines / step_s;
	socket->pressure = socket->next_pressure;
}

void sim_power_step(struct sim *sim, double step_s)
{
	for (unsigned k = 0; k < sim->scenario.sockets; k++) {
		struct sim_socket *socket = &sim->sockets[k];

		socket->core_j = socket->dram_j = 0;
		socket->awake_sum = socket->next_lines = socket->next_pressure = 0;
	}
	ask_for_time(sim);
	set_frequencies(sim);
	for (unsigned i = 0; i < sim->n_active; i++)
		run_container(sim, sim->active[i], step_s);
	share_steps(sim, step_s);
	for (unsigned k = 0; k < sim->scenario.sockets; k++)
		settle_socket(sim, &sim->sockets[k], step_s);
}

/*
 * Power with every thread running usual code at the base clock, within a margin that differs between models,
 * in steps of 5 W.
 */
double sim_power_design_w(const struct sim *sim)
{
	const struct sim_machine *machine = &sim->machine;
	const struct sim_character usual = {.energy = 1, .cost = 1};
	double volt = machine->volt0 + machine->volt1 * machine->base_ghz;
	struct sim_cpu cpu = {
		.beside = sim->scenario.threads > 1, .ghz = machine->base_ghz, .volt2 = volt * volt};
	double threads = sim->scenario.cores * sim->scenario.threads;
	double watts =
		threads * thread_power_w(sim, &cpu, &usual, USUAL_IPC * (1 - machine->smt_ipc * cpu.beside));
	uint64_t random = sim_random_stream(sim->seed, 0x746470);

	watts += machine->idle_w + machine->leak_w + machine->step_w;
	return 5 * round(watts * sim_random_range(&random, .9, 1.4) / 5);
}

double sim_power_idle_latency_us(const struct sim *sim)
{
	const struct sim_machine *machine = &sim->machine;

	return machine->step_w > DEEP_STEP * (machine->idle_w + machine->leak_w) ? DEEP_US : SHALLOW_US;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The random part: the character of each container and the constants of the machine. Ranges are those of a
 * two-socket server of about 2 x 12 cores: 25-40 W a socket at idle, 110-150 W at full load.
 */
#include "sim/sim_machine.h"
#include "base/cleanup.h"

const char *const sim_character_names[SIM_CHARACTERS] = {
	[SIM_SCALAR] = "scalar", [SIM_VECTOR] = "vector", [SIM_MEMORY] = "memory",
	[SIM_WEB] = "web",       [SIM_BATCH] = "batch",   [SIM_IDLE] = "idle",
};

struct character_ranges {
	struct sim_interval ipc, energy, width, misses_per_1000, hidden, footprint, overlap;
};

static const struct character_ranges ranges[SIM_CHARACTERS] = {
	[SIM_SCALAR] = {{1.4, 3.0}, {.7, 1.25}, {0, 0}, {.02, .4}, {1.2, 2.0}, {.02, .2}, {.5, .8}},
	[SIM_VECTOR] = {{1.2, 2.4}, {.9, 1.4}, {.7, 2.0}, {.2, 6}, {1.5, 3.0}, {.1, .4}, {.75, .93}},
	[SIM_MEMORY] = {{.9, 1.8}, {.6, 1.1}, {0, .4}, {8, 32}, {1.3, 2.4}, {.4, 1.1}, {.85, .95}},
	[SIM_WEB] = {{.8, 1.5}, {.8, 1.2}, {0, .1}, {1, 6}, {1.1, 1.8}, {.1, .3}, {.3, .6}},
	[SIM_BATCH] = {{1.0, 2.4}, {.7, 1.3}, {0, .8}, {.3, 8}, {1.2, 2.4}, {.1, .5}, {.6, .9}},
	[SIM_IDLE] = {{.5, 1.1}, {.8, 1.3}, {0, 0}, {1, 5}, {1.0, 1.6}, {.01, .05}, {.3, .5}},
};

void sim_character_draw(struct sim_character *character, enum sim_character_kind kind, uint64_t *random)
{
	const struct character_ranges *range = &ranges[kind];
	uint64_t apart;

	character->cost = 1;
	character->ipc = sim_draw(random, range->ipc);
	character->energy = sim_draw(random, range->energy);
	character->width = sim_draw(random, range->width);
	/* A separate stream, so that everything else is drawn as before this counter was added. */
	apart = sim_random_stream(*random, 0x7061636b);
	character->packed = .5 * character->width * sim_random_range(&apart, .7, 1.3);
	character->misses = sim_draw(random, range->misses_per_1000) * 1e-3;
	character->hidden = sim_draw(random, range->hidden);
	character->footprint = sim_draw(random, range->footprint);
	character->overlap = sim_draw(random, range->overlap);
}

/* Law 1: energy of an instruction and of a clock, each with the square of a voltage that rises with
 * frequency. */
static const struct sim_machine law_1 = {
	.base_ghz = 2.2,
	.min_ghz = 1.2,
	.turbo_ghz = {3.3, 2.7},
	.licence = {1, .93, .84},
	.volt0 = .52,
	.volt1 = .155,
	.core_w = 1.75,
	.clock_part = .85,
	.work_part = .42,
	.width_part = .55,
	.smt_ipc = .38,
	.c1_w = .12,
	.idle_w = 15,
	.leak_w = 14,
	.leak_per_k = .006,
	.thermal_k_per_w = .32,
	.thermal_s = 35,
	.step_w = 8,
	.line_nj = 9,
	.dram_w = 14,
	.dram_step_w = 4.5,
	.dram_line_nj = 26,
	.lines_max = 9e8,
	.latency_ns = 85,
	.remote_latency = 1.55,
	.counter_noise = .012,
	.machine_noise = .003,
	.rapl_noise = {.004, .006},
	.skew_s = .004,
	.jitter_s = .001,
};

/* Law 2: cubes of frequency, power that grows with the root of IPC, slow noisy counters, a flat uncore. */
static const struct sim_machine law_2 = {
	.base_ghz = 2.4,
	.min_ghz = 1.0,
	.turbo_ghz = {3.6, 2.9},
	.licence = {1, .96, .9},
	.volt0 = .9,
	.volt1 = 0,
	.core_w = .145,
	.clock_part = .55,
	.work_part = .75,
	.width_part = .4,
	.smt_ipc = .3,
	.smt_power = .64,
	.c1_w = .3,
	.idle_w = 21,
	.leak_w = 7,
	.leak_per_k = .009,
	.thermal_k_per_w = .25,
	.thermal_s = 55,
	.step_w = 5,
	.line_nj = 15,
	.dram_w = 9,
	.dram_step_w = 2.5,
	.dram_line_nj = 38,
	.lines_max = 6e8,
	.latency_ns = 75,
	.remote_latency = 1.8,
	.counter_noise = .04,
	.machine_noise = .01,
	.rapl_noise = {.005, .01},
	.skew_s = .02,
	.jitter_s = .002,
	.on_demand = true,
};

/*
 * Applies the scenario's values for the machine's power, from a separate stream, so that everything else is
 * drawn as without them.
 */
static void apply_scenario(struct sim_machine *machine, const struct sim_scenario *scenario, uint64_t seed)
{
	uint64_t random = sim_random_stream(seed, 0x706f776572);

	if (scenario->idle_w.high > 0) {
		double part = sim_draw(&random, scenario->idle_w) / (machine->idle_w + machine->leak_w);

		machine->idle_w *= part;
		machine->leak_w *= part;
		machine->c1_w *= part;
	}
	if (scenario->step_part.high > 0)
		machine->step_w =
			sim_draw(&random, scenario->step_part) * (machine->idle_w + machine->leak_w);
	if (scenario->turbo_ghz.high > 0) {
		machine->turbo_ghz[0] = scenario->turbo_ghz.high;
		machine->turbo_ghz[1] = scenario->turbo_ghz.low;
	}
	if (scenario->core_part.high > 0)
		machine->core_w *= sim_draw(&random, scenario->core_part);
}

void sim_machine_draw(struct sim_machine *machine, const struct sim_scenario *scenario, unsigned law,
		      uint64_t seed)
{
	uint64_t random = sim_random_stream(seed, 0x6d616368);
	double *spread[] = {&machine->core_w,      &machine->idle_w,        &machine->leak_w,
			    &machine->step_w,      &machine->line_nj,       &machine->dram_w,
			    &machine->dram_step_w, &machine->dram_line_nj,  &machine->clock_part,
			    &machine->work_part,   &machine->width_part,    &machine->thermal_s,
			    &machine->latency_ns,  &machine->counter_noise, &machine->skew_s};

	*machine = law == 2 ? law_2 : law_1;
	for (unsigned i = 0; i < ARRAY_SIZE(spread); i++)
		*spread[i] *= sim_random_range(&random, .85, 1.15);
	machine->turbo_ghz[1] *= sim_random_range(&random, .96, 1.04);
	machine->turbo_ghz[0] *= sim_random_range(&random, .97, 1.05);
	apply_scenario(machine, scenario, seed);
}

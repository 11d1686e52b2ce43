/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine's last tick as the sensor would write it. For simgen and unit tests, which run no
 * sensor; wattribute-sim's sensor reads the machine through sim/sensor/source_sim.c.
 */
#include "sim/sim_stream.h"

#include "sim/sim_machine.h"

#include "document/report_bson.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const core_events[SIM_COUNTS] = {
	"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P",
	"INSTRUCTIONS_RETIRED",          "LLC_MISSES",
	"FP_ARITH_INST_RETIRED:VECTOR",
};
static const char *const msr_events[] = {"TSC", "APERF", "MPERF"};
static const char *const rapl_events[] = {REPORT_EVENT_PKG, REPORT_EVENT_DRAM};
static const char *const time_events[] = {REPORT_EVENT_CPU_TIME};

/* The container group: reported on the sockets' lowest CPUs. */
struct core_group {
	struct report_group group;
	struct report_place places[SIM_SOCKETS_MAX];
	const char *events[SIM_COUNTS];
	unsigned which[SIM_COUNTS];
	uint64_t values[SIM_SOCKETS_MAX * SIM_COUNTS];
	uint64_t enabled_ns[SIM_SOCKETS_MAX], running_ns[SIM_SOCKETS_MAX];
};

static void make_core_group(const struct sim *sim, struct core_group *core, bool vector)
{
	core->group = (struct report_group){.name = "core",
					    .n_places = sim_shape(sim)->sockets,
					    .places = core->places,
					    .events = core->events};
	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++)
		core->places[k] = (struct report_place){k, k * sim_shape(sim)->cores};
	for (unsigned e = 0; e < SIM_COUNTS; e++) {
		if (!sim_shape(sim)->count[(enum sim_count)e] || (e == SIM_PACKED && !vector))
			continue;
		core->which[core->group.n_events] = e;
		core->events[core->group.n_events++] = core_events[e];
	}
	if (sim_shape(sim)->cpu_time) {
		core->group.name = REPORT_GROUP_CPUSTAT;
		core->group.events = time_events;
	}
}

static struct report_counts take_counts(const struct sim *sim, struct core_group *core, unsigned slot,
					bool machine)
{
	double running = machine ? 1 : sim_running_ratio(sim, slot);

	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
		uint64_t counts[SIM_COUNTS];

		if (machine)
			sim_machine_counts(sim, k, counts);
		else
			sim_counts(sim, slot, k, counts);
		for (unsigned e = 0; e < core->group.n_events; e++)
			core->values[k * core->group.n_events + e] = counts[core->which[e]];
		core->enabled_ns[k] = (uint64_t)(sim_interval_s(sim) * 1e9);
		core->running_ns[k] = (uint64_t)(sim_interval_s(sim) * running * 1e9);
	}
	return (struct report_counts){&core->group, core->values, core->enabled_ns, core->running_ns};
}

static int add_targets(const struct sim *sim, struct core_group *core, struct report_head *head,
		       struct batch *batch, unsigned *ret_n)
{
	*ret_n = 0;
	for (unsigned i = 1; i < sim_slots(sim); i++) {
		struct report_target_metadata metadata = {.partial = sim_partial(sim, i),
							  .scaled = sim_running_ratio(sim, i)};
		struct report_counts counts;
		char short_id[13];
		int r;

		if (!sim_alive(sim, i) || !sim_ran(sim, i))
			continue;
		snprintf(short_id, sizeof(short_id), "%.12s", sim_container_id(sim, i));
		metadata.container_id = short_id;
		head->target = sim_name(sim, i);
		counts = take_counts(sim, core, i, false);
		r = report_bson_add_target_counts(batch, head, &counts, 1, &metadata);
		if (r < 0)
			return r;
		(*ret_n)++;
	}
	return 0;
}

static int add_all(const struct sim *sim, struct core_group *core, const struct report_head *head,
		   unsigned n_targets, struct batch *batch)
{
	const struct report_machine machine = {.design_w = sim_shape(sim)->design_w,
					       .limit_w = sim_shape(sim)->limit_w,
					       .idle_latency_us = sim_shape(sim)->idle_latency_us};
	struct report_tick_metadata metadata = {.seq = sim_seq(sim),
						.interval_s = sim_interval_s(sim),
						.n_targets = n_targets,
						.energy_source = "sim",
						.activity_source = "sim",
						.base_frequency_mhz = sim_shape(sim)->base_mhz,
						.n_cores = sim_shape(sim)->cores,
						.machine = &machine,
						.skew_s = -1,
						.boot_id = "simulated"};
	struct report_place places[SIM_CPUS_MAX];
	uint64_t energy[SIM_SOCKETS_MAX * REPORT_SCOPES], msr[SIM_CPUS_MAX * 3];
	unsigned n_scopes = sim_shape(sim)->dram ? 2 : 1, n_cpus = 0, n = 0;
	struct report_group rapl = {"rapl", n_scopes, rapl_events, sim_shape(sim)->sockets, core->places};
	struct report_group speeds = {"msr", 3, msr_events, sim_shape(sim)->cpus, places};
	struct report_counts counts[3];

	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
		for (unsigned s = 0; s < n_scopes; s++)
			energy[k * n_scopes + s] = sim_energy(sim, k, (enum report_scope)s);
		for (unsigned cpu = 0; cpu < sim_shape(sim)->cpus; cpu++) {
			if (sim_cpu_socket(sim, cpu) != k)
				continue;
			places[n_cpus] = (struct report_place){k, cpu};
			sim_msr(sim, cpu, msr + 3 * n_cpus++);
		}
	}
	counts[n++] = (struct report_counts){.group = &rapl, .values = energy};
	if (sim_shape(sim)->msr)
		counts[n++] = (struct report_counts){.group = &speeds, .values = msr};
	counts[n++] = take_counts(sim, core, SIM_SYSTEM, true);
	return report_bson_add_all_counts(batch, head, counts, n, &metadata);
}

static int add_reports(const struct sim *sim, const char *sensor, bool vector, struct batch *batch)
{
	struct report_head head = {sim_time_ms(sim), sensor, NULL};
	struct core_group core = {0};
	unsigned n_targets;
	int r;

	make_core_group(sim, &core, vector);
	r = add_targets(sim, &core, &head, batch, &n_targets);
	if (r < 0)
		return r;
	head.target = REPORT_TARGET_ALL;
	return add_all(sim, &core, &head, n_targets, batch);
}

int sim_add_reports(const struct sim *sim, const char *sensor, struct batch *batch)
{
	return add_reports(sim, sensor, false, batch);
}

int sim_add_reports_vector(const struct sim *sim, const char *sensor, struct batch *batch)
{
	return add_reports(sim, sensor, true, batch);
}

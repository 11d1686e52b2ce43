/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a scenario of the simulated machine (JSON, docs/simulation.md): the machine, and groups of
 * containers. Anything unknown or out of range is rejected with the file, the position and what is allowed.
 */
#include "sim/sim_json.h"

#include "base/cleanup.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void get_counters(struct sim_reader *reader, json_t *object)
{
	static const char *const names[SIM_COUNTS] = {"ref", "cycles", "instructions", "misses", "vector"};
	struct sim_scenario *scenario = reader->scenario;
	json_t *item = json_object_get(object, "counters");

	for (unsigned e = 0; e < SIM_COUNTS; e++)
		scenario->count[e] = !item;
	for (size_t i = 0; i < json_array_size(item); i++) {
		const char *name = json_string_value(json_array_get(item, i));
		unsigned e = 0;

		while (e < SIM_COUNTS && (!name || strcmp(name, names[e]) != 0))
			e++;
		if (e == SIM_COUNTS)
			return sim_json_refuse(
				reader, "'counters' may hold ref, cycles, instructions, misses, vector");
		scenario->count[e] = true;
	}
	sim_json_get_bool(reader, object, "cpu_time", &scenario->cpu_time);
	for (unsigned e = 0; scenario->cpu_time && e < SIM_COUNTS; e++)
		scenario->count[e] = e == SIM_REF;
}

static void get_slow_cores(struct sim_reader *reader, json_t *object)
{
	struct sim_scenario *scenario = reader->scenario;
	json_t *item = json_object_get(object, "slow_cores");
	struct sim_cpu_list list;

	if (!item || !sim_json_cpus(reader, item, scenario->sockets * scenario->cores, &list))
		return;
	for (unsigned i = 0; i < list.n; i++)
		scenario->slow_core[list.cpus[i]] = 1;
}

static void read_machine(struct sim_reader *reader, json_t *object)
{
	static const char *const known[] = {
		"sockets",     "cores",       "threads",   "power_cap_w",    "dram",
		"msr",         "counters",    "cpu_time",  "system_load",    "slow_cores",
		"slow_factor", "multiplexed", "noise",     "warming_kelvin", "step_ms",
		"idle_w",      "step_part",   "core_part", "turbo_ghz"};
	struct sim_scenario *scenario = reader->scenario;
	double step_ms = 50;

	reader->where = "machine";
	sim_json_check_keys(reader, object, known, ARRAY_SIZE(known));
	sim_json_get_unsigned(reader, object, "sockets", (struct sim_interval){1, SIM_SOCKETS_MAX},
			      &scenario->sockets);
	sim_json_get_unsigned(reader, object, "cores", (struct sim_interval){1, 128}, &scenario->cores);
	sim_json_get_unsigned(reader, object, "threads", (struct sim_interval){1, 2}, &scenario->threads);
	if (scenario->sockets * scenario->cores * scenario->threads > SIM_CPUS_MAX)
		sim_json_refuse(reader, "at most %d CPUs", SIM_CPUS_MAX);
	sim_json_get_number(reader, object, "power_cap_w", (struct sim_interval){0, 1000},
			    &scenario->power_cap_w);
	sim_json_get_bool(reader, object, "dram", &scenario->dram);
	sim_json_get_bool(reader, object, "msr", &scenario->msr);
	sim_json_get_number(reader, object, "system_load", (struct sim_interval){1e-4, .5},
			    &scenario->system_load);
	sim_json_get_number(reader, object, "slow_factor", (struct sim_interval){.2, 1},
			    &scenario->slow_factor);
	sim_json_get_number(reader, object, "multiplexed", (struct sim_interval){.05, 1},
			    &scenario->multiplexed);
	sim_json_get_number(reader, object, "noise", (struct sim_interval){0, 20}, &scenario->noise);
	sim_json_get_number(reader, object, "warming_kelvin", (struct sim_interval){-50, 100},
			    &scenario->ambient_drift_k);
	sim_json_get_interval(reader, object, "idle_w", &scenario->idle_w);
	sim_json_get_interval(reader, object, "step_part", &scenario->step_part);
	sim_json_get_interval(reader, object, "core_part", &scenario->core_part);
	sim_json_get_interval(reader, object, "turbo_ghz", &scenario->turbo_ghz);
	sim_json_get_number(reader, object, "step_ms", (struct sim_interval){1, 1000}, &step_ms);
	scenario->step_s = step_ms / 1000;
	get_counters(reader, object);
	get_slow_cores(reader, object);
}

static void read_groups(struct sim_reader *reader, json_t *containers)
{
	struct sim_scenario *scenario = reader->scenario;
	size_t n = json_array_size(containers);

	if (!n)
		return sim_json_refuse(reader, "'containers' must be a list of groups");
	scenario->groups = calloc(n, sizeof(*scenario->groups));
	if (!scenario->groups) {
		reader->error = -ENOMEM;
		return;
	}
	scenario->n_groups = (unsigned)n;
	for (size_t i = 0; i < n && !reader->error; i++)
		sim_group_read(reader, json_array_get(containers, i), &scenario->groups[i]);
}

static void set_name(struct sim_scenario *scenario, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(scenario->name, sizeof(scenario->name), "%.40s", slash ? slash + 1 : path);
	scenario->name[strcspn(scenario->name, ".")] = 0;
}

static void read_scenario(struct sim_reader *reader, json_t *root)
{
	static const char *const known[] = {"about", "ticks", "interval_ms", "law", "machine", "containers"};
	struct sim_scenario *scenario = reader->scenario;
	double ticks = (double)scenario->ticks, interval_ms = (double)scenario->interval_ms;

	sim_json_check_keys(reader, root, known, ARRAY_SIZE(known));
	sim_json_get_number(reader, root, "ticks", (struct sim_interval){0, 1e9}, &ticks);
	sim_json_get_number(reader, root, "interval_ms", (struct sim_interval){10, 60000}, &interval_ms);
	sim_json_get_unsigned(reader, root, "law", (struct sim_interval){1, 2}, &scenario->law);
	scenario->ticks = (uint64_t)ticks;
	scenario->interval_ms = (uint64_t)interval_ms;
	read_machine(reader, json_object_get(root, "machine"));
	if (!reader->error)
		read_groups(reader, json_object_get(root, "containers"));
}

int sim_scenario_read(struct sim_scenario *scenario, const char *path, struct reason *why)
{
	struct sim_reader reader = {path, "top", why, scenario, 0};
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (!root) {
		reason_set(why, 0, "scenario '%s', line %d: %s", path, error.line, error.text);
		return -EINVAL;
	}
	*scenario = (struct sim_scenario){.law = 1,
					  .ticks = 900,
					  .interval_ms = 1000,
					  .sockets = 2,
					  .cores = 12,
					  .threads = 2,
					  .dram = true,
					  .msr = true,
					  .system_load = .012,
					  .slow_factor = .7,
					  .multiplexed = 1,
					  .noise = 1};
	set_name(scenario, path);
	read_scenario(&reader, root);
	json_decref(root);
	if (reader.error)
		sim_scenario_done(scenario);
	return reader.error;
}

void sim_scenario_done(struct sim_scenario *scenario)
{
	for (unsigned i = 0; i < scenario->n_groups; i++) {
		free(scenario->groups[i].cpus);
		free(scenario->groups[i].own_cpus);
	}
	free(scenario->groups);
	scenario->groups = NULL;
	scenario->n_groups = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a scenario of the simulated machine (JSON, docs/simulation.md): the machine, and groups of
 * containers. Anything unknown or out of range is rejected with the file, the position and the allowed
 * values. A missing value keeps its default.
 */
#include "sim/sim_machine.h"

#include "base/cleanup.h"
#include "base/reason.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 32

struct reader {
	const char *path;
	const char *where; /* group, or "machine" */
	struct reason *why;
	struct sim_scenario *scenario;
	int error; /* the first error; nothing is read after it */
};

enum row_kind {
	ROW_NUMBER,
	ROW_UNSIGNED,
	ROW_LONG, /* uint64_t */
	ROW_SOCKET,
	ROW_BOOL,
	ROW_INTERVAL,
	ROW_APART, /* read by a function of its own */
};

/* A key, the destination of its value, and the range of a number. */
struct row {
	const char *key;
	enum row_kind kind;
	size_t offset;
	struct sim_interval range;
};
#define OF_SCENARIO(member) offsetof(struct sim_scenario, member)
#define OF_GROUP(member)    offsetof(struct sim_group, member)

static const struct row top_rows[] = {
	{.key = "about", .kind = ROW_APART},
	{.key = "ticks", .kind = ROW_LONG, .offset = OF_SCENARIO(ticks), .range = {0, 1e9}},
	{.key = "interval_ms", .kind = ROW_LONG, .offset = OF_SCENARIO(interval_ms), .range = {10, 60000}},
	{.key = "law", .kind = ROW_UNSIGNED, .offset = OF_SCENARIO(law), .range = {1, 2}},
	{.key = "machine", .kind = ROW_APART},
	{.key = "containers", .kind = ROW_APART},
};

static const struct row machine_rows[] = {
	{.key = "sockets",
	 .kind = ROW_UNSIGNED,
	 .offset = OF_SCENARIO(sockets),
	 .range = {1, SIM_SOCKETS_MAX}},
	{.key = "cores", .kind = ROW_UNSIGNED, .offset = OF_SCENARIO(cores), .range = {1, 128}},
	{.key = "threads", .kind = ROW_UNSIGNED, .offset = OF_SCENARIO(threads), .range = {1, 2}},
	{.key = "power_cap_w", .kind = ROW_NUMBER, .offset = OF_SCENARIO(power_cap_w), .range = {0, 1000}},
	{.key = "dram", .kind = ROW_BOOL, .offset = OF_SCENARIO(dram)},
	{.key = "msr", .kind = ROW_BOOL, .offset = OF_SCENARIO(msr)},
	{.key = "counters", .kind = ROW_APART},
	{.key = "cpu_time", .kind = ROW_BOOL, .offset = OF_SCENARIO(cpu_time)},
	{.key = "system_load", .kind = ROW_NUMBER, .offset = OF_SCENARIO(system_load), .range = {1e-4, .5}},
	{.key = "slow_cores", .kind = ROW_APART},
	{.key = "slow_factor", .kind = ROW_NUMBER, .offset = OF_SCENARIO(slow_factor), .range = {.2, 1}},
	{.key = "multiplexed", .kind = ROW_NUMBER, .offset = OF_SCENARIO(multiplexed), .range = {.05, 1}},
	{.key = "noise", .kind = ROW_NUMBER, .offset = OF_SCENARIO(noise), .range = {0, 20}},
	{.key = "warming_kelvin",
	 .kind = ROW_NUMBER,
	 .offset = OF_SCENARIO(ambient_drift_k),
	 .range = {-50, 100}},
	{.key = "step_ms", .kind = ROW_NUMBER, .offset = OF_SCENARIO(step_ms), .range = {1, 1000}},
	{.key = "idle_w", .kind = ROW_INTERVAL, .offset = OF_SCENARIO(idle_w)},
	{.key = "step_part", .kind = ROW_INTERVAL, .offset = OF_SCENARIO(step_part)},
	{.key = "core_part", .kind = ROW_INTERVAL, .offset = OF_SCENARIO(core_part)},
	{.key = "turbo_ghz", .kind = ROW_INTERVAL, .offset = OF_SCENARIO(turbo_ghz)},
};

static const struct row group_rows[] = {
	{.key = "about", .kind = ROW_APART},
	{.key = "name", .kind = ROW_APART},
	{.key = "character", .kind = ROW_APART},
	{.key = "windows", .kind = ROW_APART},
	{.key = "cpus", .kind = ROW_APART},
	{.key = "count", .kind = ROW_UNSIGNED, .offset = OF_GROUP(count), .range = {1, 100000}},
	{.key = "phase_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(phase_s)},
	{.key = "threads", .kind = ROW_INTERVAL, .offset = OF_GROUP(threads)},
	{.key = "load", .kind = ROW_INTERVAL, .offset = OF_GROUP(load)},
	{.key = "on_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(on_s)},
	{.key = "off_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(off_s)},
	{.key = "start_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(start_s)},
	{.key = "life_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(life_s)},
	{.key = "gap_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(gap_s)},
	{.key = "relabel_s", .kind = ROW_INTERVAL, .offset = OF_GROUP(relabel_s)},
	{.key = "energy", .kind = ROW_INTERVAL, .offset = OF_GROUP(energy)},
	{.key = "vary", .kind = ROW_NUMBER, .offset = OF_GROUP(vary), .range = {0, 1}},
	{.key = "drift", .kind = ROW_NUMBER, .offset = OF_GROUP(drift), .range = {-.9, 10}},
	{.key = "socket", .kind = ROW_SOCKET, .offset = OF_GROUP(socket)},
	{.key = "memory", .kind = ROW_SOCKET, .offset = OF_GROUP(memory)},
	{.key = "rename", .kind = ROW_BOOL, .offset = OF_GROUP(rename)},
	{.key = "same", .kind = ROW_BOOL, .offset = OF_GROUP(same)},
	{.key = "twins", .kind = ROW_BOOL, .offset = OF_GROUP(twins)},
};

static void refuse(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct reader *reader, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (reader->error)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	reader->error =
		reason_set(reader->why, -EINVAL, "scenario '%s', %s: %s", reader->path, reader->where, text);
}

/* [low, high], or one number for both; false for anything else. */
static bool get_interval(const json_t *item, struct sim_interval *ret)
{
	const bool both = json_is_number(item);
	const json_t *low = both ? item : json_array_get(item, 0),
		     *high = both ? item : json_array_get(item, 1);

	if ((!both && json_array_size(item) != 2) || !json_is_number(low) || !json_is_number(high))
		return false;
	*ret = (struct sim_interval){json_number_value(low), json_number_value(high)};
	return ret->low >= 0 && (both || (ret->low <= ret->high && ret->high < 1e9));
}

static void get_number(struct reader *reader, const json_t *item, const struct row *row, void *at)
{
	const struct sim_interval sockets = {0, reader->scenario->sockets - 1};
	const struct sim_interval range = row->kind == ROW_SOCKET ? sockets : row->range;
	const double number = json_number_value(item);

	if (!json_is_number(item) || number < range.low || number > range.high)
		refuse(reader, "'%s' must be a number from %g to %g", row->key, range.low, range.high);
	else if (row->kind == ROW_UNSIGNED)
		*(unsigned *)at = (unsigned)number;
	else if (row->kind == ROW_LONG)
		*(uint64_t *)at = (uint64_t)number;
	else if (row->kind == ROW_SOCKET)
		*(int *)at = (int)number;
	else
		*(double *)at = number;
}

static void get_value(struct reader *reader, const json_t *item, const struct row *row, void *at)
{
	if (!item || row->kind == ROW_APART)
		return;
	if (row->kind == ROW_INTERVAL) {
		if (!get_interval(item, at))
			refuse(reader, "'%s' must be a number or [low, high] with 0 <= low <= high",
			       row->key);
	} else if (row->kind == ROW_BOOL) {
		if (!json_is_boolean(item))
			refuse(reader, "'%s' must be true or false", row->key);
		*(bool *)at = json_is_true(item);
	} else {
		get_number(reader, item, row, at);
	}
}

/* Reads the values of an object's keys into `target`, after a check for unknown ones. */
static void read_rows(struct reader *reader, json_t *object, const struct row *rows, size_t n, void *target)
{
	const char *known[ROWS_MAX], *key;
	json_t *item;

	for (size_t i = 0; i < n; i++)
		known[i] = rows[i].key;
	json_object_foreach(object, key, item)
	{
		size_t i = 0;

		while (i < n && strcmp(known[i], key) != 0)
			i++;
		if (i == n) {
			const char *near = text_nearest(key, known, n);

			refuse(reader, near ? "unknown key '%s'; did you mean '%s'?" : "unknown key '%s'",
			       key, near);
		}
	}
	for (size_t i = 0; i < n && !reader->error; i++)
		get_value(reader, json_object_get(object, rows[i].key), &rows[i],
			  (char *)target + rows[i].offset);
}

struct cpu_list {
	unsigned n;
	uint16_t cpus[SIM_CPUS_MAX];
	unsigned limit;
	bool bad;
};

static void add_cpu(void *data, unsigned cpu)
{
	struct cpu_list *list = data;

	if (cpu >= list->limit || list->n == SIM_CPUS_MAX)
		list->bad = true;
	else
		list->cpus[list->n++] = (uint16_t)cpu;
}

/* A list of CPUs below `limit` ("0-3,8"); false and an error for anything else. */
static bool get_cpu_list(struct reader *reader, const json_t *item, unsigned limit, struct cpu_list *list)
{
	*list = (struct cpu_list){.limit = limit};
	if (!json_is_string(item) || text_parse_cpulist(json_string_value(item), add_cpu, list) < 0 ||
	    list->bad || !list->n)
		refuse(reader, "CPUs must be a list like \"0-3,8\" below %u", limit);
	return !reader->error;
}

/* "cpus": one list for all members, or one list for each. */
static void get_cpus(struct reader *reader, const json_t *object, struct sim_group *group)
{
	const struct sim_scenario *scenario = reader->scenario;
	const unsigned limit = scenario->sockets * scenario->cores * scenario->threads;
	const json_t *item = json_object_get(object, "cpus");
	struct cpu_list list;

	group->has_own_cpus = json_is_array(item);
	if (group->has_own_cpus && json_array_size(item) != group->count)
		return refuse(reader, "'cpus' needs one list for each of the %u containers", group->count);
	for (unsigned i = 0; item && i < (group->has_own_cpus ? group->count : 1); i++) {
		if (!get_cpu_list(reader, group->has_own_cpus ? json_array_get(item, i) : item, limit, &list))
			return;
		if (i == 0) {
			group->n_cpus = list.n;
			group->cpus = calloc((size_t)list.n * group->count, sizeof(*group->cpus));
		}
		if (!group->cpus) {
			reader->error = -ENOMEM;
			return;
		}
		if (list.n != group->n_cpus)
			return refuse(reader, "the lists of 'cpus' must have the same length");
		memcpy(group->cpus + (size_t)i * list.n, list.cpus, list.n * sizeof(*list.cpus));
	}
}

static void add_kind(struct reader *reader, const char *name, struct sim_group *group)
{
	for (unsigned i = 0; name && i < SIM_CHARACTERS; i++) {
		if (strcmp(name, sim_character_names[i]) == 0 && group->n_kinds < SIM_PHASES_MAX) {
			group->kinds[group->n_kinds++] = (enum sim_character_kind)i;
			return;
		}
	}
	refuse(reader,
	       "'character' must be scalar, vector, memory, web, batch or idle, or a list of at most %d",
	       SIM_PHASES_MAX);
}

static void get_kinds(struct reader *reader, const json_t *object, struct sim_group *group)
{
	const json_t *item = json_object_get(object, "character");

	for (size_t i = 0; i < json_array_size(item); i++)
		add_kind(reader, json_string_value(json_array_get(item, i)), group);
	if (!group->n_kinds)
		add_kind(reader, json_string_value(item), group);
}

static void get_windows(struct reader *reader, const json_t *object, struct sim_group *group)
{
	const json_t *item = json_object_get(object, "windows");

	for (size_t i = 0; i < json_array_size(item); i++) {
		if (i == SIM_WINDOWS_MAX || !get_interval(json_array_get(item, i), &group->windows[i]))
			return refuse(reader, "'windows' must be at most %d pairs [begin, end]",
				      SIM_WINDOWS_MAX);
		group->n_windows++;
	}
}

/* Defaults for each kind of container. */
static void set_usual(struct sim_group *group)
{
	static const struct sim_group usual[SIM_CHARACTERS] = {
		[SIM_SCALAR] =
			{.threads = {1, 5}, .load = {.5, 1}, .on_s = {8, 60}, .off_s = {4, 40}, .vary = .08},
		[SIM_VECTOR] =
			{.threads = {1, 5}, .load = {.6, 1}, .on_s = {8, 60}, .off_s = {4, 40}, .vary = .08},
		[SIM_MEMORY] =
			{.threads = {1, 4}, .load = {.5, 1}, .on_s = {8, 60}, .off_s = {4, 40}, .vary = .1},
		[SIM_WEB] =
			{.threads = {2, 8}, .load = {.1, .45}, .on_s = {5, 90}, .off_s = {.5, 8}, .vary = .5},
		[SIM_BATCH] = {.threads = {2, 8},
			       .load = {.8, 1},
			       .on_s = {20, 120},
			       .off_s = {15, 60},
			       .vary = .05},
		[SIM_IDLE] = {.threads = {1, 1}, .load = {.02, .16}, .on_s = {.01, .04}, .off_s = {.6, 3}},
	};
	const struct sim_group *like = &usual[group->kinds[0]];

	group->threads = like->threads;
	group->load = like->load;
	group->on_s = like->on_s;
	group->off_s = like->off_s;
	group->vary = like->vary;
	group->phase_s = (struct sim_interval){15, 60};
	group->socket = group->memory = -1;
	group->count = 1;
}

static void read_group(struct reader *reader, json_t *object, struct sim_group *group)
{
	const char *name = json_string_value(json_object_get(object, "name"));

	if (!name || strlen(name) > 30)
		return refuse(reader, "each container group needs a 'name' of at most 30 characters");
	reader->where = name;
	snprintf(group->name, sizeof(group->name), "%s", name);
	get_kinds(reader, object, group);
	if (reader->error)
		return;
	set_usual(group);
	read_rows(reader, object, group_rows, ARRAY_SIZE(group_rows), group);
	if (reader->error)
		return;
	get_windows(reader, object, group);
	get_cpus(reader, object, group);
	if (group->energy.high > 0 && group->energy.low <= 0)
		refuse(reader, "'energy' must be greater than 0");
	if (group->load.low <= 0 || group->load.high > 1)
		refuse(reader, "'load' must be between 0 and 1");
}

static void get_counters(struct reader *reader, const json_t *object)
{
	static const char *const names[SIM_COUNTS] = {"ref", "cycles", "instructions", "misses", "vector"};
	struct sim_scenario *scenario = reader->scenario;
	const json_t *item = json_object_get(object, "counters");

	for (unsigned e = 0; e < SIM_COUNTS; e++)
		scenario->count[e] = !item;
	for (size_t i = 0; i < json_array_size(item); i++) {
		const char *name = json_string_value(json_array_get(item, i));
		unsigned e = 0;

		while (e < SIM_COUNTS && (!name || strcmp(name, names[e]) != 0))
			e++;
		if (e == SIM_COUNTS)
			return refuse(reader,
				      "'counters' may contain ref, cycles, instructions, misses, vector");
		scenario->count[e] = true;
	}
	for (unsigned e = 0; scenario->cpu_time && e < SIM_COUNTS; e++)
		scenario->count[e] = e == SIM_REF;
}

static void get_slow_cores(struct reader *reader, const json_t *object)
{
	struct sim_scenario *scenario = reader->scenario;
	const json_t *item = json_object_get(object, "slow_cores");
	struct cpu_list list;

	if (!item || !get_cpu_list(reader, item, scenario->sockets * scenario->cores, &list))
		return;
	for (unsigned i = 0; i < list.n; i++)
		scenario->slow_core[list.cpus[i]] = 1;
}

static void read_machine(struct reader *reader, json_t *object)
{
	struct sim_scenario *scenario = reader->scenario;

	reader->where = "machine";
	read_rows(reader, object, machine_rows, ARRAY_SIZE(machine_rows), scenario);
	if (scenario->sockets * scenario->cores * scenario->threads > SIM_CPUS_MAX)
		refuse(reader, "at most %d CPUs", SIM_CPUS_MAX);
	if (reader->error)
		return;
	scenario->step_s = scenario->step_ms / 1000;
	get_counters(reader, object);
	get_slow_cores(reader, object);
}

static void read_groups(struct reader *reader, json_t *containers)
{
	struct sim_scenario *scenario = reader->scenario;
	size_t n = json_array_size(containers);

	if (!n)
		return refuse(reader, "'containers' must be a list of groups");
	scenario->groups = calloc(n, sizeof(*scenario->groups));
	if (!scenario->groups) {
		reader->error = -ENOMEM;
		return;
	}
	scenario->n_groups = (unsigned)n;
	for (size_t i = 0; i < n && !reader->error; i++)
		read_group(reader, json_array_get(containers, i), &scenario->groups[i]);
}

static void set_name(struct sim_scenario *scenario, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(scenario->name, sizeof(scenario->name), "%.40s", slash ? slash + 1 : path);
	scenario->name[strcspn(scenario->name, ".")] = 0;
}

int sim_scenario_read(struct sim_scenario *scenario, const char *path, struct reason *why)
{
	struct reader reader = {path, "top", why, scenario, 0};
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		return reason_set(why, -EINVAL, "scenario '%s', line %d: %s", path, error.line, error.text);
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
					  .noise = 1,
					  .step_ms = 50};
	set_name(scenario, path);
	read_rows(&reader, root, top_rows, ARRAY_SIZE(top_rows), scenario);
	if (!reader.error)
		read_machine(&reader, json_object_get(root, "machine"));
	if (!reader.error)
		read_groups(&reader, json_object_get(root, "containers"));
	json_decref(root);
	if (reader.error)
		sim_scenario_done(scenario);
	return reader.error;
}

void sim_scenario_done(struct sim_scenario *scenario)
{
	for (unsigned i = 0; i < scenario->n_groups; i++)
		free(scenario->groups[i].cpus);
	free(scenario->groups);
	scenario->groups = NULL;
	scenario->n_groups = 0;
}

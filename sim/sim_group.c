/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One group of containers of a scenario: the file's values, and the character's defaults for missing ones.
 */
#include "sim/sim_json.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "cpus": one list for all members, or one list for each. */
static void get_cpus(struct sim_reader *reader, json_t *object, struct sim_group *group)
{
	const struct sim_scenario *scenario = reader->scenario;
	unsigned limit = scenario->sockets * scenario->cores * scenario->threads;
	json_t *item = json_object_get(object, "cpus");
	struct sim_cpu_list list;

	if (!item)
		return;
	if (!json_is_array(item)) {
		if (!sim_json_cpus(reader, item, limit, &list))
			return;
		group->n_cpus = list.n;
		group->cpus = calloc(list.n, sizeof(*group->cpus));
		if (group->cpus)
			memcpy(group->cpus, list.cpus, list.n * sizeof(*list.cpus));
		else
			reader->error = -ENOMEM;
		return;
	}
	if (json_array_size(item) != group->count)
		return sim_json_refuse(reader, "'cpus' needs one list for each of the %u containers",
				       group->count);
	for (unsigned i = 0; i < group->count; i++) {
		if (!sim_json_cpus(reader, json_array_get(item, i), limit, &list))
			return;
		if (!i) {
			group->n_cpus = list.n;
			group->own_cpus = calloc((size_t)list.n * group->count, sizeof(*group->own_cpus));
		}
		if (list.n != group->n_cpus || !group->own_cpus)
			return sim_json_refuse(reader, "the lists of 'cpus' must have the same length");
		memcpy(group->own_cpus + (size_t)i * list.n, list.cpus, list.n * sizeof(*list.cpus));
	}
}

static void add_kind(struct sim_reader *reader, const char *name, struct sim_group *group)
{
	for (unsigned i = 0; name && i < SIM_CHARACTERS; i++) {
		if (strcmp(name, sim_character_names[i]) == 0 && group->n_kinds < SIM_PHASES_MAX) {
			group->kinds[group->n_kinds++] = (enum sim_character_kind)i;
			return;
		}
	}
	sim_json_refuse(
		reader,
		"'character' must be scalar, vector, memory, web, batch or idle, or a list of at most %d",
		SIM_PHASES_MAX);
}

static void get_kinds(struct sim_reader *reader, json_t *object, struct sim_group *group)
{
	json_t *item = json_object_get(object, "character");

	if (!json_is_array(item)) {
		add_kind(reader, json_string_value(item), group);
		return;
	}
	for (size_t i = 0; i < json_array_size(item); i++)
		add_kind(reader, json_string_value(json_array_get(item, i)), group);
	if (!group->n_kinds)
		add_kind(reader, NULL, group);
}

static void get_windows(struct sim_reader *reader, json_t *object, struct sim_group *group)
{
	json_t *item = json_object_get(object, "windows");

	for (size_t i = 0; i < json_array_size(item); i++) {
		if (i == SIM_WINDOWS_MAX || !sim_json_interval(json_array_get(item, i), &group->windows[i]))
			return sim_json_refuse(reader, "'windows' must be at most %d pairs [begin, end]",
					       SIM_WINDOWS_MAX);
		group->n_windows++;
	}
}

/* How each kind of container works if the scenario does not say. */
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

static void get_socket(struct sim_reader *reader, json_t *object, const char *key, int *value)
{
	double number = *value;

	sim_json_get_number(reader, object, key, (struct sim_interval){0, reader->scenario->sockets - 1},
			    &number);
	*value = (int)number;
}

void sim_group_read(struct sim_reader *reader, json_t *object, struct sim_group *group)
{
	static const char *const known[] = {
		"name",   "count", "character", "phase_s", "threads", "load",    "on_s",     "off_s",
		"vary",   "drift", "socket",    "memory",  "cpus",    "start_s", "life_s",   "gap_s",
		"rename", "twins", "windows",   "about",   "energy",  "same",    "relabel_s"};
	const char *name = json_string_value(json_object_get(object, "name"));

	if (!name || strlen(name) > 30)
		return sim_json_refuse(reader,
				       "each container group needs a 'name' of at most 30 characters");
	reader->where = name;
	sim_json_check_keys(reader, object, known, ARRAY_SIZE(known));
	snprintf(group->name, sizeof(group->name), "%s", name);
	get_kinds(reader, object, group);
	if (reader->error)
		return;
	set_usual(group);
	sim_json_get_unsigned(reader, object, "count", (struct sim_interval){1, 100000}, &group->count);
	sim_json_get_interval(reader, object, "phase_s", &group->phase_s);
	sim_json_get_interval(reader, object, "threads", &group->threads);
	sim_json_get_interval(reader, object, "load", &group->load);
	sim_json_get_interval(reader, object, "on_s", &group->on_s);
	sim_json_get_interval(reader, object, "off_s", &group->off_s);
	sim_json_get_interval(reader, object, "start_s", &group->start_s);
	sim_json_get_interval(reader, object, "life_s", &group->life_s);
	sim_json_get_interval(reader, object, "gap_s", &group->gap_s);
	sim_json_get_number(reader, object, "vary", (struct sim_interval){0, 1}, &group->vary);
	sim_json_get_number(reader, object, "drift", (struct sim_interval){-.9, 10}, &group->drift);
	get_socket(reader, object, "socket", &group->socket);
	get_socket(reader, object, "memory", &group->memory);
	sim_json_get_interval(reader, object, "energy", &group->energy);
	sim_json_get_bool(reader, object, "rename", &group->rename);
	sim_json_get_bool(reader, object, "same", &group->same);
	sim_json_get_interval(reader, object, "relabel_s", &group->relabel_s);
	sim_json_get_bool(reader, object, "twins", &group->twins);
	get_windows(reader, object, group);
	get_cpus(reader, object, group);
	if (!reader->error && group->energy.high > 0 && group->energy.low <= 0)
		sim_json_refuse(reader, "'energy' must be greater than 0");
	if (!reader->error && (group->load.low <= 0 || group->load.high > 1))
		sim_json_refuse(reader, "'load' must be within 0 and 1");
}

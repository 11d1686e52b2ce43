/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event groups from the command line and from JSON. A second group of the same name continues the first, as
 * in hwpc-sensor; names and events must be valid as keys of documents.
 */
#include "config/sensor_groups.h"
#include "base/array.h"

#include "base/cleanup.h"
#include "document/report.h"
#include "event/event.h"
#include "config/sensor_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static struct event_group_request *find_or_add(struct sensor_config *config, const char *name,
					       bool of_containers)
{
	struct event_group_request *group;

	for (unsigned i = 0; i < config->n_groups; i++)
		if (config->groups[i].of_containers == of_containers &&
		    strcmp(config->groups[i].name, name) == 0)
			return &config->groups[i];
	if (config->n_groups == SENSOR_GROUPS_MAX)
		return NULL;
	group = &config->groups[config->n_groups];
	*group = (struct event_group_request){.name = strdup(name), .of_containers = of_containers};
	if (!group->name)
		return NULL;
	config->n_groups++;
	return group;
}

static int begin(struct sensor_config *config, const char *name, bool of_containers, struct reason *why)
{
	struct event_group_request *group;
	struct event_group_request last;
	int r = report_check_key(name, why);

	if (r < 0)
		return r;
	group = find_or_add(config, name, of_containers);
	if (!group) {
		reason_set(why, 0, "too many groups: '%s' exceeds the limit of %d", name, SENSOR_GROUPS_MAX);
		return -E2BIG;
	}
	/* -o and -e apply to the last group. */
	last = *group;
	memmove(group, group + 1, (size_t)(&config->groups[config->n_groups] - group - 1) * sizeof(*group));
	config->groups[config->n_groups - 1] = last;
	return 0;
}

static struct event_group_request *last_group(struct sensor_config *config, const char *option,
					      struct reason *why)
{
	if (config->n_groups > 0)
		return &config->groups[config->n_groups - 1];
	reason_set(why, 0, "%s belongs to no group; put -s GROUP or -c GROUP before it", option);
	return NULL;
}

int sensor_groups_add(struct event_group_request *group, const char *event)
{
	if (!ARRAY_RESIZE(group->events, group->n_events + 1))
		return -ENOMEM;
	group->events[group->n_events] = strdup(event);
	if (!group->events[group->n_events])
		return -ENOMEM;
	group->n_events++;
	return 0;
}

static int add_event(struct event_group_request *group, const char *event, struct reason *why)
{

	int r = report_check_key(event, why);

	if (r < 0)
		return r;
	event = event_plain_energy(event) ? event_plain_energy(event) : event;
	return event_group_has(group, event) ? 0 : sensor_groups_add(group, event);
}

int sensor_groups_begin(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	return begin(target, value, row->letter == 'c', why);
}

int sensor_groups_one_cpu(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	struct event_group_request *group = last_group(target, "-o", why);

	(void)row, (void)value;
	if (!group)
		return -EINVAL;
	group->one_cpu_per_socket = true;
	return 0;
}

int sensor_groups_event(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	struct event_group_request *group = last_group(target, "-e", why);

	(void)row;
	return group ? add_event(group, value, why) : -EINVAL;
}

/*
 * The machine is also counted in each container group and reported under its name, so a machine group of the
 * same name would be a duplicate. It is accepted if it asks for nothing more.
 */
static int check_double(struct event_group_request *group, const struct event_group_request *of_containers,
			struct reason *why)
{
	for (unsigned e = 0; e < group->n_events; e++)
		if (!event_group_has(of_containers, group->events[e]))
			return reason_set(why, -EINVAL,
					  "group '%s' is given with both -s and -c, but event '%s' only with "
					  "-s: give the -s group another name, such as '%.100s-machine'",
					  group->name, group->events[e], group->name);
	group->is_double = true;
	return 0;
}

/* Mistyped event names that no machine can count, with the intended name. */
static int check_event(const struct event_group_request *group, const char *event, struct reason *why)
{
	const char *meant = event_energy_slip(event);
	const int length = (int)strcspn(event, ",");

	if (event[length] && !strchr(event, '/'))
		return reason_set(why, -EINVAL,
				  "group '%s': '%s' is more than one event: write -e %.*s -e %s", group->name,
				  event, length, event, event + length + 1);
	if (meant)
		return reason_set(why, -EINVAL, "group '%s': there is no event '%s'; did you mean '%s'?",
				  group->name, event, meant);
	if (strcmp(event, "time_enabled") == 0 || strcmp(event, "time_running") == 0)
		return reason_set(why, -EINVAL, "group '%s': '%s' is in each report anyway; leave it out",
				  group->name, event);
	return 0;
}

int sensor_groups_check(struct sensor_config *config, struct reason *why)
{
	for (unsigned i = 0; i < config->n_groups; i++) {
		struct event_group_request *group = &config->groups[i];
		int r = 0;

		if (group->n_events == 0)
			return reason_set(why, -EINVAL, "group '%s' has no event: put -e EVENT after it",
					  group->name);
		if (strcmp(group->name, REPORT_GROUP_CPUSTAT) == 0)
			return reason_set(
				why, -EINVAL,
				"group '%s' needs another name: CPU time by cpu.stat is reported under it",
				group->name);
		for (unsigned e = 0; e < group->n_events && r == 0; e++)
			r = check_event(group, group->events[e], why);
		group->is_double = false;
		for (unsigned k = 0; !group->of_containers && k < config->n_groups && r == 0; k++)
			if (config->groups[k].of_containers &&
			    strcmp(config->groups[k].name, group->name) == 0)
				r = check_double(group, &config->groups[k], why);
		if (r < 0)
			return r;
	}
	return 0;
}

void sensor_groups_reset(void *target)
{
	struct sensor_config *config = target;

	for (unsigned i = 0; i < config->n_groups; i++) {
		struct event_group_request *group = &config->groups[i];

		for (unsigned e = 0; e < group->n_events; e++)
			free(group->events[e]);
		free(group->events);
		free(group->name);
		*group = (struct event_group_request){0};
	}
	config->n_groups = 0;
}

static int read_mode(struct config_json *json, const json_t *value, const char *key,
		     struct event_group_request *group)
{
	const char *mode = json_string_value(config_json_member(value, key));

	if (!mode)
		return config_json_fail(json, value, key, 0,
					"must be a string: ONE_CPU_PER_SOCKET or "
					"ALL_CPU_PER_SOCKET");
	if (strncasecmp(mode, "MONITOR_", 8) == 0)
		mode += 8;
	if (strcasecmp(mode, "ONE_CPU_PER_SOCKET") == 0)
		group->one_cpu_per_socket = true;
	else if (strcasecmp(mode, "ALL_CPU_PER_SOCKET") == 0)
		group->one_cpu_per_socket = false;
	else
		return config_json_fail(json, value, key, 0,
					"unknown mode '%s'; known: ONE_CPU_PER_SOCKET, ALL_CPU_PER_SOCKET",
					mode);
	return 0;
}

static int read_events(struct config_json *json, const json_t *value, struct event_group_request *group)
{
	const json_t *events = config_json_member(value, "events");
	struct reason why = {""};
	size_t index;
	json_t *event;

	if (events && !json_is_array(events))
		return config_json_fail(json, value, "events", 0, "must be a list of events");
	json_array_foreach(events, index, event)
	{
		if (!json_is_string(event))
			return config_json_fail(json, events, NULL, index, "an event must be a string");
		if (add_event(group, json_string_value(event), &why) < 0)
			return config_json_fail(json, events, NULL, index, "%s", why.text);
	}
	return 0;
}

static int read_group(struct sensor_config *config, const struct config_row *row, struct config_json *json,
		      const json_t *parent, const char *name)
{
	static const char *const known[] = {"events", "monitoring_type", "monitoring-type", "mode", NULL};
	const json_t *value = json_object_get(parent, name);
	struct event_group_request *group;
	struct reason why = {""};
	int r;

	if (!json_is_object(value))
		return config_json_fail(json, parent, name, 0, "must be an object with \"events\"");
	r = config_json_known_keys(json, value, known);
	if (r < 0)
		return r;
	if (begin(config, name, strcmp(row->name, "container") == 0, &why) < 0)
		return config_json_fail(json, parent, name, 0, "%s", why.text);
	group = &config->groups[config->n_groups - 1];
	for (size_t i = 1; known[i]; i++) {
		if (!config_json_member(value, known[i]))
			continue;
		r = read_mode(json, value, known[i], group);
		if (r < 0)
			return r;
	}
	r = read_events(json, value, group);
	if (r == 0 && group->n_events == 0) { /* treated as absent */
		free(group->name);
		config->n_groups--;
	}
	return r;
}

int sensor_groups_read_json(void *target, const struct config_row *row, struct config_json *json,
			    const json_t *value)
{
	void *at;

	if (!json_is_object(value))
		return config_json_fail(json, NULL, row->name, 0, "must be an object of groups");
	for (at = json_object_iter((json_t *)(uintptr_t)value); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
		int r = read_group(target, row, json, value, json_object_iter_key(at));

		if (r < 0)
			return r;
	}
	return 0;
}

json_t *sensor_groups_print_json(const void *target, const struct config_row *row)
{
	const struct sensor_config *config = target;
	const bool of_containers = strcmp(row->name, "container") == 0;
	json_t *all = json_object();

	for (unsigned i = 0; i < config->n_groups; i++) {
		const struct event_group_request *group = &config->groups[i];
		json_t *events;

		if (group->of_containers != of_containers)
			continue;
		events = json_array();
		for (unsigned e = 0; e < group->n_events; e++)
			json_array_append_new(events, json_string(group->events[e]));
		json_object_set_new(all, group->name,
				    json_pack("{s:o, s:s}", "events", events, "monitoring_type",
					      group->one_cpu_per_socket ? "MONITOR_ONE_CPU_PER_SOCKET"
									: "MONITOR_ALL_CPU_PER_SOCKET"));
	}
	if (json_object_size(all) > 0)
		return all;
	json_decref(all);
	return NULL;
}

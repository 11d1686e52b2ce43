/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An option table with a row of every type, similar to the sensor's: groups from -s -c -e -o, or from a
 * section of a file. Shared by the configuration's unit test and fuzz target.
 */
#pragma once

#include "config/config.h"
#include "base/reason.h"
#include "store/store.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct example {
	bool quiet, keep;
	unsigned verbose;
	int64_t number;
	double ratio;
	uint64_t frequency_ms;
	uint64_t spool_bytes;
	uint64_t retention_ms;
	char *name;
	char *uri;
	char *port;
	int mode;
	struct config_list include;
	char groups[2048]; /* what the calls reported, in order */
	char arguments[256];
};

static const char *const example_modes[] = {"off", "log", "kill", NULL};
static const char *const example_uri_aliases[] = {"output.uri", "output.host", NULL};
static const char *const example_port_aliases[] = {"output.port", NULL};
static const char *const example_frequency_aliases[] = {"perf-sampling-interval", NULL};
static const char *const example_system_aliases[] = {"global", NULL};

static void example_note(struct example *example, const char *kind, const char *value)
{
	size_t length = strlen(example->groups);

	(void)snprintf(example->groups + length, sizeof(example->groups) - length, "%s%s%s ", kind,
		       value ? "=" : "", value ? value : "");
}

static void example_reset(void *target)
{
	((struct example *)target)->groups[0] = '\0';
}

static int example_apply(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	if (value && strcmp(value, "BAD") == 0)
		return reason_set(why, -EINVAL, "'%s' will not do", value);
	example_note(target, row->name, value);
	return 0;
}

static int example_section(void *target, const struct config_row *row, struct config_json *json,
			   const json_t *value)
{
	static const char *const known[] = {"events", "monitoring_type", NULL};
	const char *group;
	json_t *body;
	int r;

	(void)row;
	if (!json_is_object(value))
		return -EINVAL;
	json_object_foreach((json_t *)(uintptr_t)value, group, body)
	{
		if (!json_is_object(body))
			return config_json_fail(json, value, group, 0, "group '%s' must be an object", group);
		r = config_json_known_keys(json, body, known);
		if (r < 0)
			return r;
		example_note(target, "group", group);
		const json_t *events = json_object_get(body, "events");
		for (size_t i = 0; i < json_array_size(events); i++) {
			const char *event = json_string_value(json_array_get(events, i));
			if (!event)
				return config_json_fail(json, events, NULL, i, "an event is a text");
			example_note(target, "event", event);
		}
	}
	return 0;
}

static json_t *example_print(const void *target, const struct config_row *row)
{
	(void)target;
	(void)row;
	return json_object();
}

static int example_argument(void *target, const char *argument, struct reason *why)
{
	struct example *example = target;
	size_t length = strlen(example->arguments);

	(void)why->text;
	(void)snprintf(example->arguments + length, sizeof(example->arguments) - length, "%s ", argument);
	return 0;
}

#define AT(member) offsetof(struct example, member)

static const struct config_row example_rows[] = {
	{.type = CONFIG_TITLE, .help = "What to measure"},
	{.name = "system",
	 .letter = 's',
	 .type = CONFIG_CALL,
	 .flags = CONFIG_NO_FILE,
	 .placeholder = "GROUP",
	 .apply = example_apply,
	 .reset = example_reset,
	 .help = "start a group of system events"},
	{.name = "container",
	 .letter = 'c',
	 .type = CONFIG_CALL,
	 .flags = CONFIG_NO_FILE,
	 .placeholder = "GROUP",
	 .apply = example_apply,
	 .reset = example_reset,
	 .help = "start a group of container events"},
	{.name = "event",
	 .letter = 'e',
	 .type = CONFIG_CALL,
	 .flags = CONFIG_NO_FILE,
	 .placeholder = "EVENT",
	 .apply = example_apply,
	 .reset = example_reset,
	 .help = "add an event to the last group"},
	{.name = "one-cpu",
	 .letter = 'o',
	 .type = CONFIG_CALL,
	 .flags = CONFIG_NO_FILE,
	 .apply = example_apply,
	 .reset = example_reset,
	 .help = "read the last group on one CPU of each socket"},
	{.name = "system",
	 .type = CONFIG_SECTION,
	 .section = example_section,
	 .print = example_print,
	 .reset = example_reset,
	 .aliases = example_system_aliases},
	{.name = "frequency",
	 .letter = 'f',
	 .type = CONFIG_DURATION_MS,
	 .fallback = "1s",
	 .min = 10,
	 .max = 3600000,
	 .flags = CONFIG_BARE,
	 .offset = AT(frequency_ms),
	 .aliases = example_frequency_aliases,
	 .help = "time between two readings"},
	{.type = CONFIG_TITLE, .help = "Where to"},
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_STRING,
	 .fallback = "host",
	 .offset = AT(name),
	 .help = "name of this sensor"},
	{.name = "uri",
	 .letter = 'U',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_URI,
	 .placeholder = "URI",
	 .offset = AT(uri),
	 .aliases = example_uri_aliases,
	 .help = "store"},
	{.name = "port",
	 .letter = 'P',
	 .type = CONFIG_STRING,
	 .offset = AT(port),
	 .aliases = example_port_aliases,
	 .help = "port"},
	{.name = "spool-size",
	 .type = CONFIG_SIZE,
	 .fallback = "64M",
	 .usual_min = 1048576,
	 .offset = AT(spool_bytes),
	 .help = "room on disk"},
	{.name = "retention",
	 .type = CONFIG_DURATION_MS,
	 .flags = CONFIG_OR_ZERO,
	 .fallback = "30d",
	 .min = 1000,
	 .usual_min = 3600000,
	 .offset = AT(retention_ms),
	 .help = "how long to keep it"},
	{.name = "mode",
	 .type = CONFIG_CHOICE,
	 .fallback = "log",
	 .choices = example_modes,
	 .offset = AT(mode),
	 .help = "sandbox"},
	{.name = "include",
	 .type = CONFIG_LIST,
	 .offset = AT(include),
	 .fallback = "a,b",
	 .help = "patterns"},
	{.name = "number", .type = CONFIG_INT, .min = -5, .max = 5, .offset = AT(number), .help = "a number"},
	{.name = "ratio",
	 .type = CONFIG_DOUBLE,
	 .min = 0.5,
	 .usual_min = 0.6,
	 .placeholder = "WATTS",
	 .offset = AT(ratio),
	 .fallback = "0.75",
	 .help = "a ratio"},
	{.name = "quiet", .letter = 'q', .type = CONFIG_BOOL, .offset = AT(quiet), .help = "say less"},
	{.name = "keep", .type = CONFIG_BOOL, .fallback = "true", .offset = AT(keep), .help = "keep it"},
	{.name = "verbose", .letter = 'v', .type = CONFIG_COUNT, .offset = AT(verbose), .help = "say more"},
};

static const struct config_spec example_spec = {
	.program = "example",
	.about = "Shows how options work.",
	.tail = "Goodbye.",
	.rows = example_rows,
	.n_rows = sizeof(example_rows) / sizeof(example_rows[0]),
	.target_size = sizeof(struct example),
	.daemon = true,
	.argument = example_argument,
	.display_uri = store_uri_display,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of --check-machine: one layout for the sensor and for `wattribute check`. If one of several is
 * enough and one works, the others are listed without a fix.
 */
#include "check_parts.h"
#include "base/cleanup.h"

#include "base/reason.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

json_t *check_text_item(const char *key, const char *value, const char *status, const char *text)
{
	size_t length;
	const char *advice = reason_split(text, &length);
	char why[REASON_SIZE];

	(void)snprintf(why, sizeof(why), "%.*s", (int)length, text);
	text_make_utf8(why); /* it may have been truncated within a character */
	return json_pack("{s:s, s:s, s:s, s:s}", key, value, "status", status, "why", why, "remedy", advice);
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The key of an entry's name differs between the parts. */
static const char *entry_name(const json_t *entry)
{
	static const char *const keys[] = {"source", "event", "right", "runtime", "gpu", "name", "version"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (*text_at(entry, keys[i]))
			return text_at(entry, keys[i]);
	return "?";
}

/* "cost at 100 containers: 6 descriptors, 0.25 ms of CPU time per second" */
static void print_costs(FILE *out, const json_t *entry)
{
	const json_t *costs = json_object_get(entry, "cost");

	for (size_t i = 0; i < json_array_size(costs); i++) {
		const json_t *cost = json_array_get(costs, i);
		const int64_t by_cpustat = json_integer_value(json_object_get(cost, "by_cpustat"));

		fprintf(out,
			"           cost at %" PRId64 " containers: %" PRId64
			" descriptors, about %.2f ms of CPU time per second",
			(int64_t)json_integer_value(json_object_get(cost, "containers")),
			(int64_t)json_integer_value(json_object_get(cost, "descriptors")),
			json_real_value(json_object_get(cost, "cpu_ms_per_s")));
		if (by_cpustat > 0)
			fprintf(out, "; %" PRId64 " by CPU time only, because descriptors run out",
				by_cpustat);
		fprintf(out, "\n");
	}
}

/*
 * `is_settled`: another entry of this part does the work, so missing ones need no fix. Working ones can
 * still have advice.
 */
static void print_entry(FILE *out, const json_t *entry, bool is_settled)
{
	const char *status = text_at(entry, "status");
	const char *path = text_at(entry, "path");
	const char *why = text_at(entry, "why");
	bool is_ok = strcmp(status, "ok") == 0, is_missing = strcmp(status, "missing") == 0;

	fprintf(out, "  %-8s %s%s", *status ? status : "-", entry_name(entry),
		json_is_true(json_object_get(entry, "used")) ? " [used]" : "");
	if (*path)
		fprintf(out, " (%s)", path);
	fprintf(out, "%s%s\n", *why ? "  " : "", why);
	if (*text_at(entry, "remedy") && !(is_settled && is_missing))
		fprintf(out, "           %s %s\n", is_ok ? "advice:" : "->", text_at(entry, "remedy"));
	print_costs(out, entry);
}

/* True if an entry works and is not a model. */
static bool is_part_settled(const json_t *part)
{
	for (size_t i = 0; i < json_array_size(part); i++) {
		const json_t *entry = json_array_get(part, i);

		if (strcmp(text_at(entry, "status"), "ok") == 0 && strcmp(entry_name(entry), "estimate") != 0)
			return true;
	}
	return false;
}

/* `one_is_enough`: a single working entry is sufficient. */
static void print_part(FILE *out, const json_t *answer, const char *key, const char *title,
		       bool one_is_enough)
{
	const json_t *part = json_object_get(answer, key);

	if (!part)
		return;
	fprintf(out, "\n%s\n", title);
	if (!json_is_array(part)) {
		print_entry(out, part, false);
		return;
	}
	for (size_t i = 0; i < json_array_size(part); i++)
		print_entry(out, json_array_get(part, i), one_is_enough && is_part_settled(part));
}

static void print_machine(FILE *out, const json_t *machine)
{
	const json_int_t cpus = json_integer_value(json_object_get(machine, "cpus"));
	const json_int_t sockets = json_integer_value(json_object_get(machine, "sockets"));

	fprintf(out, "machine  %s, kernel %s", text_at(machine, "hostname"), text_at(machine, "kernel"));
	if (*text_at(machine, "cpu"))
		fprintf(out, ", %s", text_at(machine, "cpu"));
	fprintf(out, ", %" JSON_INTEGER_FORMAT " CPU%s on %" JSON_INTEGER_FORMAT " socket%s\n", cpus,
		cpus == 1 ? "" : "s", sockets, sockets == 1 ? "" : "s");
}

void check_text_print(FILE *out, const json_t *answer)
{
	const json_t *choice = json_object_get(answer, "choice");

	print_machine(out, json_object_get(answer, "machine"));
	print_part(out, answer, "energy", "energy (the machine's joules)", true);
	print_part(out, answer, "activity", "activity (each container's share)", false);
	print_part(out, answer, "measured",
		   "measured (individual containers, where the processor counts their joules)", false);
	print_part(out, answer, "gpus", "GPUs", false);
	print_part(out, answer, "events", "events", false);
	print_part(out, answer, "perf", "perf events that a sensor would open", false);
	print_part(out, answer, "cgroups", "cgroups", false);
	print_part(out, answer, "rights", "rights", false);
	print_part(out, answer, "runtimes", "container names", true);
	if (!choice)
		return;
	fprintf(out, "\nchosen   energy from %s, activity from %s\n", text_at(choice, "energy"),
		text_at(choice, "activity"));
	if (*text_at(choice, "note"))
		fprintf(out, "note     %s\n", text_at(choice, "note"));
}

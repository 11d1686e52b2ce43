/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values from a scenario's JSON, with errors that name file, position and what is allowed. See sim_json.h.
 */
#include "sim/sim_json.h"

#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sim_json_refuse(struct sim_reader *reader, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (reader->error)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	reason_set(reader->why, 0, "scenario '%s', %s: %s", reader->path, reader->where, text);
	reader->error = -EINVAL;
}

void sim_json_get_number(struct sim_reader *reader, json_t *object, const char *key,
			 struct sim_interval range, double *value)
{
	json_t *item = json_object_get(object, key);

	if (!item)
		return;
	if (!json_is_number(item) || json_number_value(item) < range.low ||
	    json_number_value(item) > range.high) {
		sim_json_refuse(reader, "'%s' must be a number from %g to %g", key, range.low, range.high);
		return;
	}
	*value = json_number_value(item);
}

void sim_json_get_unsigned(struct sim_reader *reader, json_t *object, const char *key,
			   struct sim_interval range, unsigned *value)
{
	double number = *value;

	sim_json_get_number(reader, object, key, range, &number);
	*value = (unsigned)number;
}

void sim_json_get_bool(struct sim_reader *reader, json_t *object, const char *key, bool *value)
{
	json_t *item = json_object_get(object, key);

	if (!item)
		return;
	if (!json_is_boolean(item))
		sim_json_refuse(reader, "'%s' must be true or false", key);
	*value = json_is_true(item);
}

/* [low, high], or one number for both. */
bool sim_json_interval(json_t *item, struct sim_interval *ret)
{
	if (json_is_number(item)) {
		ret->low = ret->high = json_number_value(item);
		return ret->low >= 0;
	}
	if (json_array_size(item) != 2 || !json_is_number(json_array_get(item, 0)) ||
	    !json_is_number(json_array_get(item, 1)))
		return false;
	ret->low = json_number_value(json_array_get(item, 0));
	ret->high = json_number_value(json_array_get(item, 1));
	return ret->low >= 0 && ret->low <= ret->high && ret->high < 1e9;
}

void sim_json_get_interval(struct sim_reader *reader, json_t *object, const char *key,
			   struct sim_interval *value)
{
	json_t *item = json_object_get(object, key);

	if (item && !sim_json_interval(item, value))
		sim_json_refuse(reader, "'%s' must be a number or [low, high] with 0 <= low <= high", key);
}

void sim_json_check_keys(struct sim_reader *reader, json_t *object, const char *const *known, size_t n_known)
{
	const char *key;
	json_t *item;

	json_object_foreach(object, key, item)
	{
		size_t i = 0;

		while (i < n_known && strcmp(known[i], key) != 0)
			i++;
		if (i == n_known) {
			const char *near = text_nearest(key, known, n_known);

			sim_json_refuse(reader,
					near ? "unknown key '%s'; did you mean '%s'?" : "unknown key '%s'",
					key, near);
		}
	}
}

static void add_cpu(void *data, unsigned cpu)
{
	struct sim_cpu_list *list = data;

	if (cpu >= list->limit || list->n == SIM_CPUS_MAX)
		list->bad = true;
	else
		list->cpus[list->n++] = (uint16_t)cpu;
}

bool sim_json_cpus(struct sim_reader *reader, json_t *item, unsigned limit, struct sim_cpu_list *list)
{
	*list = (struct sim_cpu_list){.limit = limit};
	if (!json_is_string(item) || text_parse_cpulist(json_string_value(item), add_cpu, list) < 0 ||
	    list->bad || !list->n) {
		sim_json_refuse(reader, "CPUs must be a list like \"0-3,8\" below %u", limit);
		return false;
	}
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of runs, taken from their recaps. The JSON is untrusted: missing members or other types count
 * as unknown.
 */
#include "compare/group.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/doubt.h"
#include "json_fields.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const scopes[] = {"cpu", "dram", "gpu"}; /* the others overlap these */

/* The sum of the scopes' figures; NAN: none has it. */
static double sum_scopes(const json_t *phase, const char *first, const char *last)
{
	double sum = NAN;

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		const json_t *scope = json_object_get(json_object_get(phase, first), scopes[i]);
		const double value = json_number_at(scope, last);

		if (!isnan(value))
			sum = (isnan(sum) ? 0 : sum) + value;
	}
	return sum;
}

/* The error of the scopes' energy. */
static double sd_of_scopes(const json_t *phase)
{
	struct doubt_total total = {0};

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		const json_t *scope = json_object_get(json_object_get(phase, "energy"), scopes[i]);

		doubt_total_add(&total, json_number_at(scope, "total"), json_number_at(scope, "dynamic"),
				json_number_at(scope, "sd"));
	}
	return doubt_total_sd(&total);
}

/* `wattribute run` writes a number, tester.sh posts text. */
static int exit_status_of(const json_t *recap)
{
	const json_t *value = json_object_get(recap, "exit_status");
	const char *text = json_string_value(value);
	char *end = NULL;
	long number = text ? strtol(text, &end, 10) : -1;

	if (json_is_integer(value))
		return (int)json_integer_value(value);
	return text && end != text && *end == '\0' && number >= 0 && number < 256 ? (int)number : -1;
}

int compare_group_add(struct compare_group *group, const json_t *recap, const char *phase)
{
	const json_t *part = phase ? json_object_get(recap, phase) : recap;
	struct compare_run run;

	if (!json_is_object(part))
		return -ENOENT;
	run = (struct compare_run){
		.figures = {[COMPARE_ENERGY] = sum_scopes(part, "energy", "total"),
			    [COMPARE_DYNAMIC] = sum_scopes(part, "energy", "dynamic"),
			    [COMPARE_SECONDS] = json_number_at(part, "duration"),
			    [COMPARE_WATTS] = sum_scopes(part, "power", "mean")},
		.sd_j = sd_of_scopes(part),
		.begin_ms = json_date_ms(json_object_get(recap, "begin")),
		.exit_status = exit_status_of(recap),
		.is_brief = json_number_at(part, "duration") < json_number_at(part, "tick"),
		.is_partial = json_is_partial_run(recap),
		.is_unfound = json_is_string(json_object_get(recap, "warning")),
		.is_estimated = json_is_true(json_object_get(recap, "estimated")),
	};
	if (run.begin_ms < 0)
		run.begin_ms = NAN;
	if (run.is_unfound)
		run.figures[COMPARE_ENERGY] = run.figures[COMPARE_DYNAMIC] = run.figures[COMPARE_WATTS] = NAN;
	if (!ARRAY_RESIZE(group->runs, group->n_runs + 1))
		return -ENOMEM;
	group->runs[group->n_runs++] = run;
	return 0;
}

void compare_group_done(struct compare_group *group)
{
	free(group->runs);
	group->runs = NULL;
	group->n_runs = 0;
}

void compare_group_summarize(const struct compare_group *group, enum compare_figure figure,
			     struct sample *ret)
{
	double *values = calloc(group->n_runs ? group->n_runs : 1, sizeof(*values));

	for (size_t i = 0; values && i < group->n_runs; i++)
		values[i] = group->runs[i].figures[figure];
	sample_summarize(values, values ? group->n_runs : 0, ret);
	free(values);
}

int compare_parse_export(const char *text, enum compare_format *ret_format, const char **ret_path,
			 struct reason *why)
{
	size_t length = strcspn(text, ":");

	for (int i = COMPARE_CSV; compare_format_names[i]; i++) {
		if (strlen(compare_format_names[i]) != length ||
		    strncmp(text, compare_format_names[i], length) != 0)
			continue;
		*ret_format = (enum compare_format)i;
		*ret_path = text[length] && text[length + 1] ? text + length + 1 : "-";
		return 0;
	}
	return reason_set(
		why, -EINVAL,
		"--export: unknown format '%.*s'; give csv, json or markdown, as in --export csv:runs.csv",
		(int)(length < 64 ? length : 64), text);
}

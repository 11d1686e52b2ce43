/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of targets: a group's row is the sum of its members and comes before them; groups and members are
 * sorted by the same key.
 */
#include "top/top_table.h"
#include "json_fields.h"
#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A target without a report for this many seconds (it has ended or is idle) is not shown. */
#define TOP_SILENT_S 30

const char *const top_sort_names[] = {"watts", "dynamic", "joules", "error", "name", NULL};
const char *const top_group_names[] = {"none", "runtime", "pod", "namespace", "image", "slice", NULL};

/* NAN counts as 0, unless both are NAN. */
static double add(double a, double b)
{
	return isnan(a) ? b : isnan(b) ? a : a + b;
}

static bool matches(const json_t *target, const char *filter)
{
	static const char *const fields[] = {"target",    "image",   "pod",
					     "namespace", "runtime", "container_id"};

	if (!filter || !*filter)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcasestr(json_text_at(target, fields[i]), filter))
			return true;
	return false;
}

static void add_to_sum(struct top_row *sum, const struct top_row *row)
{
	sum->watts = add(sum->watts, row->watts);
	sum->dynamic_w = add(sum->dynamic_w, row->dynamic_w);
	sum->idle_w = add(sum->idle_w, row->idle_w);
	sum->energy_j = add(sum->energy_j, row->energy_j);
	doubt_total_add(&sum->doubt, row->watts, row->dynamic_w, row->error_w);
	sum->error_w = doubt_total_sd(&sum->doubt);
	sum->n_members++;
}

static struct top_row row_of(const json_t *target, int group)
{
	static const char *const keys[TOP_GROUPS] = {NULL, "runtime", "pod", "namespace", "image", "slice"};
	struct top_row row = {.target = json_text_at(target, "target"),
			      .id = json_text_at(target, "container_id"),
			      .watts = json_watts_at(target),
			      .dynamic_w = json_number_at(target, "dynamic"),
			      .idle_w = json_number_at(target, "static"),
			      .error_w = json_number_at(target, "sd"),
			      .energy_j = json_number_at(target, "energy_j")};

	if (group > TOP_UNGROUPED && group < TOP_GROUPS)
		row.group = *json_text_at(target, keys[group]) ? json_text_at(target, keys[group]) : "-";
	return row;
}

static const struct top_settings *order; /* for the comparison below, which has no argument for it */

static double figure_of(const struct top_row *row)
{
	double value = order->sort == TOP_BY_DYNAMIC  ? row->dynamic_w
		       : order->sort == TOP_BY_JOULES ? row->energy_j
		       : order->sort == TOP_BY_ERROR  ? row->error_w
						      : row->watts;

	return isnan(value) ? -INFINITY : value;
}

static int compare_rows(const void *left, const void *right)
{
	const struct top_row *a = left, *b = right;
	double x = order->sort == TOP_BY_NAME ? 0 : figure_of(a);
	double y = order->sort == TOP_BY_NAME ? 0 : figure_of(b);
	int result = (x < y) - (x > y);

	if (result == 0)
		result = strcmp(a->group && a->n_members ? a->group : a->target,
				b->group && b->n_members ? b->group : b->target);
	return order->is_reversed ? -result : result;
}

static int compare_groups(const void *left, const void *right)
{
	return strcmp(((const struct top_row *)left)->group, ((const struct top_row *)right)->group);
}

static void sort_rows(struct top_row *rows, size_t n, const struct top_settings *settings)
{
	order = settings;
	qsort(rows, n, sizeof(*rows), compare_rows);
}

static const struct top_row empty = {.target = "",
				     .id = "",
				     .watts = NAN,
				     .dynamic_w = NAN,
				     .idle_w = NAN,
				     .error_w = NAN,
				     .energy_j = NAN};

/* Members after their group's sum. */
static int group_rows(struct top_table *table, const struct top_settings *settings)
{
	struct top_row *rows = calloc(2 * table->n_rows + 1, sizeof(*rows));
	struct top_row *groups = calloc(table->n_rows + 1, sizeof(*groups));
	size_t n_groups = 0, n = 0;

	if (!rows || !groups) {
		free(rows);
		free(groups);
		return -ENOMEM;
	}
	qsort(table->rows, table->n_rows, sizeof(*table->rows), compare_groups);
	for (size_t i = 0; i < table->n_rows; i++) {
		if (n_groups == 0 || strcmp(groups[n_groups - 1].group, table->rows[i].group) != 0) {
			groups[n_groups] = empty;
			groups[n_groups].group = groups[n_groups].target = table->rows[i].group;
			n_groups++;
		}
		add_to_sum(&groups[n_groups - 1], &table->rows[i]);
	}
	sort_rows(groups, n_groups, settings);
	for (size_t g = 0; g < n_groups; g++) {
		size_t first;

		rows[n++] = groups[g];
		first = n;
		for (size_t i = 0; i < table->n_rows; i++)
			if (strcmp(table->rows[i].group, groups[g].group) == 0)
				rows[n++] = table->rows[i];
		sort_rows(rows + first, n - first, settings);
	}
	free(groups);
	free(table->rows);
	table->rows = rows;
	table->n_rows = n;
	return 0;
}

int top_table_fill(struct top_table *table, const json_t *machine, const struct top_settings *settings)
{
	const json_t *targets = json_object_get(machine, "targets");
	size_t n_targets = json_array_size(targets);

	*table = (struct top_table){.rows = calloc(n_targets + 1, sizeof(*table->rows)), .sum = empty};
	if (!table->rows)
		return -ENOMEM;
	for (size_t i = 0; i < n_targets; i++) {
		const json_t *target = json_array_get(targets, i);
		struct top_row row = row_of(target, settings->group);

		if (json_number_at(target, "age") > TOP_SILENT_S)
			continue;
		add_to_sum(&table->sum, &row);
		if (matches(target, settings->filter))
			table->rows[table->n_rows++] = row;
		else
			table->n_hidden++;
	}
	if (settings->group > TOP_UNGROUPED && settings->group < TOP_GROUPS)
		return group_rows(table, settings);
	sort_rows(table->rows, table->n_rows, settings);
	return 0;
}

void top_table_done(struct top_table *table)
{
	free(table->rows);
	*table = (struct top_table){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of one machine's answer as rows: filtered, grouped and sorted. Pure; the rows' texts belong to
 * the JSON.
 */
#pragma once

#include "base/doubt.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum top_sort { TOP_BY_WATTS, TOP_BY_DYNAMIC, TOP_BY_JOULES, TOP_BY_ERROR, TOP_BY_NAME };
enum top_group {
	TOP_UNGROUPED,
	TOP_BY_RUNTIME,
	TOP_BY_POD,
	TOP_BY_NAMESPACE,
	TOP_BY_IMAGE,
	TOP_BY_SLICE,
	TOP_GROUPS
};
/* In the order of the enums, NULL-terminated. */
extern const char *const top_sort_names[];
extern const char *const top_group_names[];

/* The user's settings. */
struct top_settings {
	int sort;  /* enum top_sort */
	int group; /* enum top_group */
	bool is_reversed;
	const char *filter;  /* part of a name, image, pod, namespace, runtime or id; NULL, "": all */
	const char *machine; /* NULL: all */
	bool is_overview;    /* a line for each machine instead of their tables */
	bool has_unicode;
	size_t width;    /* columns; 0: not a terminal */
	size_t selected; /* machine of the overview */
};

/* NAN: unknown. Watts are of all scopes: dynamic and idle add up to them. */
struct top_row {
	const char *target, *id;
	const char *group; /* its group's name; NULL if rows are not grouped */
	size_t n_members;  /* above 0: this row is a group's sum */
	double watts, dynamic_w, idle_w, error_w, energy_j;
	struct doubt_total doubt; /* of a sum: its error_w so far */
};

struct top_table {
	struct top_row *rows;
	size_t n_rows;
	size_t n_hidden;    /* by the filter */
	struct top_row sum; /* of all targets, hidden ones as well */
};

/* From the machine's JSON. 0 or -ENOMEM; top_table_done() in either case. */
int top_table_fill(struct top_table *table, const json_t *machine, const struct top_settings *settings);
void top_table_done(struct top_table *table);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of cells for each target; a cell is the mean of the figures in its three seconds.
 */
#include "top/top_history.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define KEY_SIZE 512

struct series {
	UT_hash_handle hh;
	int64_t newest; /* number of the newest cell since 1970 */
	double sums[TOP_HISTORY_CELLS];
	unsigned counts[TOP_HISTORY_CELLS];
	char key[KEY_SIZE];
};

struct top_history {
	struct series *series;
};

struct top_history *top_history_new(void)
{
	return calloc(1, sizeof(struct top_history));
}

static void remove_series(struct top_history *history, struct series *series)
{
	HASH_DEL(history->series, series);
	free(series);
}

void top_history_free(struct top_history *history)
{
	struct series *series, *next;

	if (!history)
		return;
	HASH_ITER(hh, history->series, series, next)
	{
		remove_series(history, series);
	}
	free(history);
}

static struct series *find(const struct top_history *history, const char *machine, const char *target,
			   char key[KEY_SIZE])
{
	struct series *series = NULL;

	(void)snprintf(key, KEY_SIZE, "%.200s\n%.300s", machine, target);
	if (history)
		HASH_FIND_STR(history->series, key, series);
	return series;
}

/* Clears the cells between the newest one and `cell`. */
static void advance(struct series *series, int64_t cell)
{
	for (int64_t i = series->newest + 1; i <= cell && i <= series->newest + TOP_HISTORY_CELLS; i++) {
		series->sums[i % TOP_HISTORY_CELLS] = 0;
		series->counts[i % TOP_HISTORY_CELLS] = 0;
	}
	if (cell > series->newest)
		series->newest = cell;
}

void top_history_add(struct top_history *history, const char *machine, const char *target, int64_t time_ms,
		     double watts)
{
	char key[KEY_SIZE];
	struct series *series = find(history, machine, target, key);
	int64_t cell = time_ms / TOP_HISTORY_CELL_MS;

	if (!history || !isfinite(watts) || time_ms < 0)
		return;
	if (!series) {
		series = calloc(1, sizeof(*series));
		if (!series)
			return;
		memcpy(series->key, key, sizeof(series->key));
		series->newest = cell;
		HASH_ADD_STR(history->series, key, series);
	}
	if (cell <= series->newest - TOP_HISTORY_CELLS)
		return;
	advance(series, cell);
	series->sums[cell % TOP_HISTORY_CELLS] += watts;
	series->counts[cell % TOP_HISTORY_CELLS]++;
}

void top_history_read(const struct top_history *history, const char *machine, const char *target,
		      int64_t time_ms, double ret[TOP_HISTORY_CELLS])
{
	char key[KEY_SIZE];
	const struct series *series = find(history, machine, target, key);
	int64_t last = time_ms / TOP_HISTORY_CELL_MS;

	for (int64_t i = 0; i < TOP_HISTORY_CELLS; i++) {
		int64_t cell = last - TOP_HISTORY_CELLS + 1 + i;
		bool there = series && cell >= 0 && cell <= series->newest &&
			     cell > series->newest - TOP_HISTORY_CELLS &&
			     series->counts[cell % TOP_HISTORY_CELLS] > 0;

		ret[i] = there ? series->sums[cell % TOP_HISTORY_CELLS] /
					 series->counts[cell % TOP_HISTORY_CELLS]
			       : NAN;
	}
}

void top_history_expire(struct top_history *history, int64_t time_ms)
{
	struct series *series, *next;

	if (!history)
		return;
	HASH_ITER(hh, history->series, series, next)
	{
		if (series->newest < time_ms / TOP_HISTORY_CELL_MS - TOP_HISTORY_CELLS)
			remove_series(history, series);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of history.h: energy and covered time by step. Energy is kept instead of watts, so that
 * ticks of any length add up.
 */
#include "history/history.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int history_init(struct history *history, int64_t from_ms, int64_t until_ms, int scope, unsigned n_points,
		 double step_min_ms)
{
	double span_ms = (double)(until_ms - from_ms);

	if (n_points < 1)
		n_points = 1;
	if (n_points > HISTORY_POINTS_MAX)
		n_points = HISTORY_POINTS_MAX;
	if (step_min_ms > 0 && span_ms / n_points < step_min_ms)
		n_points = (unsigned)fmax(1, floor(span_ms / step_min_ms));
	*history = (struct history){.from_ms = from_ms,
				    .step_ms = span_ms / n_points,
				    .n_points = n_points,
				    .scope = scope,
				    .last_ms = INT64_MIN};
	history->others_j = calloc(5 * (size_t)n_points, sizeof(float));
	if (!history->others_j)
		return -ENOMEM;
	history->measured_j = history->others_j + n_points;
	history->error_j = history->measured_j + n_points;
	history->covered_s = history->error_j + n_points;
	history->others_sd_j = history->covered_s + n_points;
	error_bar_init(&history->others, scope, history->others_sd_j, n_points);
	return 0;
}

void history_done(struct history *history)
{
	struct history_series *series, *next;

	HASH_ITER(hh, history->series, series, next)
	{
		HASH_DEL(history->series, series);
		free(series->energy_j);
		free(series);
	}
	free(history->others_j);
	*history = (struct history){0};
}

static struct history_series *series_new(struct history *history, const char *name, size_t length)
{
	struct history_series *series = calloc(1, sizeof(*series) + length + 1);

	if (!series)
		return NULL;
	memcpy(series->name, name, length + 1);
	series->last_ms = INT64_MIN;
	series->energy_j = calloc(4 * (size_t)history->n_points, sizeof(float));
	if (!series->energy_j) {
		free(series);
		return NULL;
	}
	series->dynamic_j = series->energy_j + history->n_points;
	series->covered_s = series->dynamic_j + history->n_points;
	error_bar_init(&series->bar, history->scope, series->covered_s + history->n_points,
		       history->n_points);
	HASH_ADD_KEYPTR(hh, history->series, series->name, length, series);
	history->n_series++;
	return series;
}

static int add_target(struct history *history, const struct report_power *row, unsigned point,
		      double interval_s)
{
	size_t length = strlen(row->target);
	struct history_series *series;

	HASH_FIND(hh, history->series, row->target, length, series);
	if (!series && history->n_series >= HISTORY_SERIES_MAX) {
		history->others_j[point] += (float)(row->power * interval_s);
		error_bar_add(&history->others, row, point, interval_s);
		return 0;
	}
	if (!series)
		series = series_new(history, row->target, length);
	if (!series)
		return -ENOMEM;
	series->energy_j[point] += (float)(row->power * interval_s);
	series->total_j += row->power * interval_s;
	if (isfinite(row->dynamic))
		series->dynamic_j[point] += (float)(row->dynamic * interval_s);
	if (series->last_ms != row->time_ms)
		series->covered_s[point] += (float)interval_s;
	series->last_ms = row->time_ms;
	error_bar_add(&series->bar, row, point, interval_s);
	if (row->container_id && row->container_id[0])
		(void)snprintf(series->container_id, sizeof(series->container_id), "%.12s",
			       row->container_id);
	return 0;
}

int history_add(struct history *history, const struct report_power *row, double interval_s)
{
	double at = ((double)row->time_ms - (double)history->from_ms) / history->step_ms;
	unsigned point;

	/* A tick belongs to the step in which it ends; one that ends on a border belongs to the step before
	 * it. */
	at = ceil(at) - 1;
	if (!(at >= 0) || at >= history->n_points || !isfinite(row->power))
		return 0;
	/* Scopes that overlap others are shown only if requested by name. */
	if (history->scope >= 0 ? (int)row->scope != history->scope : row->scope >= REPORT_SCOPES_ADDED)
		return 0;
	point = (unsigned)at;
	if (isfinite(row->interval_s) && row->interval_s > 0)
		interval_s = row->interval_s;
	if (history->last_ms != row->time_ms) {
		history->last_ms = row->time_ms;
		history->covered_s[point] += (float)interval_s;
	}
	if (strcmp(row->target, REPORT_TARGET_RAPL) == 0) {
		history->measured_j[point] += (float)(row->power * interval_s);
		return 0;
	}
	if (strcmp(row->target, REPORT_TARGET_GLOBAL) == 0) {
		if (isfinite(row->error))
			history->error_j[point] += (float)(row->error * interval_s);
		return 0;
	}
	return add_target(history, row, point, interval_s);
}

static int by_energy(struct history_series *a, struct history_series *b)
{
	if (a->total_j != b->total_j)
		return a->total_j < b->total_j ? 1 : -1;
	return strcmp(a->name, b->name);
}

/*
 * Adds what is left after the first `top` series. If all targets were added, their errors cancel out, because
 * their sum is measured: the error of one part of them is that of the other, of which the smaller estimate
 * holds.
 */
static void join_others(struct history *history, unsigned top, bool is_all, unsigned point)
{
	struct doubt_total rest = {0}, first = {0};
	double sd_j, first_sd_j;
	unsigned n = 0;

	doubt_total_add(&rest, (double)history->others_j[point], NAN, (double)history->others_sd_j[point]);
	for (const struct history_series *series = history->series; series; series = series->hh.next)
		doubt_total_add(n++ < top ? &first : &rest, (double)series->energy_j[point],
				(double)series->dynamic_j[point], (double)series->bar.sd_j[point]);
	sd_j = doubt_total_sd(&rest);
	first_sd_j = first.total != 0 ? doubt_total_sd(&first) : 0;
	history->others_j[point] = (float)rest.total;
	history->others_sd_j[point] = (float)(is_all && rest.total != 0 ? fmin(sd_j, first_sd_j) : sd_j);
}

void history_finish(struct history *history, unsigned top, bool is_all)
{
	for (struct history_series *series = history->series; series; series = series->hh.next)
		error_bar_finish(&series->bar);
	error_bar_finish(&history->others);
	HASH_SORT(history->series, by_energy);
	for (unsigned i = 0; i < history->n_points; i++)
		join_others(history, top, is_all, i);
}

double history_watts(const float *energy_j, const float *covered_s, unsigned point)
{
	return covered_s[point] > 0 ? (double)energy_j[point] / (double)covered_s[point] : NAN;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of the present targets. Filled by machine.c once per tick, read by the HTTP answers; knows no store.
 */
#include "machine/live.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_newest(struct live *live, struct live_target *target)
{
	struct live_target *before;

	HASH_FIND(by_name, live->newest, target->name, strlen(target->name), before);
	if (before == target)
		return;
	if (before)
		HASH_DELETE(by_name, live->newest, before);
	HASH_ADD_KEYPTR(by_name, live->newest, target->name, strlen(target->name), target);
}

/* Name and id, each with its end, in memory that is kept; its length without the last end, or 0. */
static size_t make_key(struct live *live, const char *name, const char *container_id)
{
	size_t length = strlen(name), id_length = strnlen(container_id, REPORT_CONTAINER_ID_SIZE - 1);
	size_t needed = length + id_length + 2;
	char *grown;

	if (needed > live->key_size) {
		grown = realloc(live->key, 2 * needed);
		if (!grown)
			return 0;
		live->key = grown;
		live->key_size = 2 * needed;
	}
	memcpy(live->key, name, length + 1);
	memcpy(live->key + length + 1, container_id, id_length);
	live->key[length + 1 + id_length] = '\0';
	return length + 1 + id_length;
}

static struct live_target *get_target(struct live *live, const char *name, const char *container_id)
{
	size_t length = make_key(live, name, container_id);
	struct live_target *target;

	if (!length)
		return NULL;
	HASH_FIND(hh, live->targets, live->key, length, target);
	if (target)
		return target;
	target = calloc(1, sizeof(*target) + length + 1);
	if (!target)
		return NULL;
	memcpy(target->name, live->key, length + 1);
	target->container_id = target->name + strlen(name) + 1;
	target->last_ms = INT64_MIN;
	HASH_ADD_KEYPTR(hh, live->targets, target->name, length, target);
	make_newest(live, target);
	target->number = ++live->n_added;
	return target;
}

static int reserve(struct live_target *target, unsigned n_sockets)
{
	size_t old = (size_t)target->n_sockets * REPORT_SCOPES, new = (size_t)n_sockets *REPORT_SCOPES;
	struct live_row *rows;

	if (new <= old)
		return 0;
	rows = realloc(target->rows, new * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	memset(rows + old, 0, (new - old) * sizeof(*rows));
	target->rows = rows;
	target->n_sockets = n_sockets;
	return 0;
}

/* The first row of a tick makes the rows of the tick before it history. */
static void begin(struct live_target *target, const struct tick *tick)
{
	if (target->last_ms == tick->time_ms)
		return;
	target->last_ms = tick->time_ms;
	for (size_t i = 0; i < (size_t)target->n_sockets * REPORT_SCOPES; i++)
		target->rows[i].present = false;
}

static int add_target(struct live *live, const struct tick *tick, const struct conserve_row *row,
		      double counted)
{
	const char *container_id = row->target >= 0 ? tick->targets[row->target].container_id : "";
	struct live_target *target = get_target(live, conserve_row_name(tick, row), container_id);
	struct live_row *kept;

	if (!target || reserve(target, tick->n_sockets) < 0)
		return -ENOMEM;
	begin(target, tick);
	if (row->target == CONSERVE_GLOBAL)
		live->error_w[row->scope][row->socket] = row->error_w;
	kept = &target->rows[(size_t)row->socket * REPORT_SCOPES + row->scope];
	kept->present = true;
	kept->power_w = row->power_w;
	kept->dynamic_w = row->dynamic_w;
	kept->static_w = row->static_w;
	kept->sd_w = row->sd_w;
	kept->energy_j = row->energy_j;
	if (isfinite(row->energy_j))
		kept->total_j += row->energy_j * counted;
	if (isfinite(row->dynamic_w))
		kept->total_dynamic_j += row->dynamic_w * tick->interval_s * counted;
	return 0;
}

int live_update(struct live *live, const struct tick *tick, const struct conserve_output *conserved,
		double counted)
{
	live->time_ms = tick->time_ms;
	live->interval_s = tick->interval_s;
	live->estimated = tick->said.estimated;
	live->n_sockets = tick->n_sockets;
	for (unsigned i = 0; i < tick->n_sockets; i++) {
		live->packages[i] = tick->sockets[i].package;
		for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
			live->error_w[scope][i] = NAN;
	}
	for (unsigned i = 0; i < conserved->n_rows; i++) {
		if (add_target(live, tick, &conserved->rows[i], counted) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void remove_target(struct live *live, struct live_target *target)
{
	struct live_target *newest;

	HASH_FIND(by_name, live->newest, target->name, strlen(target->name), newest);
	if (newest == target)
		HASH_DELETE(by_name, live->newest, target);
	HASH_DELETE(hh, live->targets, target);
	free(target->rows);
	free(target);
}

void live_expire(struct live *live, int64_t age_ms)
{
	struct live_target *target, *next;

	HASH_ITER(hh, live->targets, target, next)
	{
		if (live->time_ms - target->last_ms > age_ms)
			remove_target(live, target);
	}
}

void live_forget(struct live *live)
{
	struct live_target *target, *next;

	HASH_ITER(hh, live->targets, target, next)
	remove_target(live, target);
	live->time_ms = 0;
	live->n_sockets = 0;
}

void live_done(struct live *live)
{
	live_forget(live);
	free(live->key);
}

const struct live_target *live_find(const struct live *live, const char *name)
{
	struct live_target *target;

	HASH_FIND(by_name, live->newest, name, strlen(name), target);
	return target;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of the present targets. Filled by machine.c once per tick, read by the HTTP answers; knows no store.
 */
#include "machine/live.h"
#include "base/array.h"

#include <errno.h>
#include <math.h>
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

/* Name and ID, each NUL-terminated, in reused memory. Returns the length without the last NUL, or 0. */
static size_t make_key(struct live *live, const char *name, const char *container_id)
{
	size_t length = strlen(name), id_length = strnlen(container_id, REPORT_CONTAINER_ID_SIZE - 1);
	size_t needed = length + id_length + 2;

	if (!ARRAY_RESERVE(live->key, live->key_size, needed))
		return 0;
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

static int reserve(struct live_target *target, unsigned n_places)
{
	size_t old = (size_t)target->n_places * REPORT_SCOPES_ALL, new = (size_t)n_places *REPORT_SCOPES_ALL;

	if (new <= old)
		return 0;
	if (!ARRAY_RESIZE(target->rows, new))
		return -ENOMEM;
	memset(target->rows + old, 0, (new - old) * sizeof(*target->rows));
	target->n_places = n_places;
	return 0;
}

/*
 * Where a package's rows are kept: a tick may contain only some of the machine's packages, so the position in
 * the tick is not enough. TICK_SOCKETS_MAX: there is no room left.
 */
static unsigned find_socket(struct live *live, unsigned package)
{
	for (unsigned i = 0; i < live->n_sockets; i++) {
		if (live->packages[i] == package)
			return i;
	}
	if (live->n_sockets < TICK_SOCKETS_MAX)
		live->packages[live->n_sockets++] = package;
	else
		return TICK_SOCKETS_MAX;
	return live->n_sockets - 1;
}

/* The first row of a tick clears the rows of the previous tick. */
static void begin(struct live_target *target, const struct tick *tick)
{
	if (target->last_ms == tick->time_ms)
		return;
	if (target->last_ms == INT64_MIN)
		target->first_ms = tick->time_ms;
	target->last_ms = tick->time_ms;
	for (size_t i = 0; i < (size_t)target->n_places * REPORT_SCOPES_ALL; i++)
		target->rows[i].present = false;
}

static int add_target(struct live *live, const struct tick *tick, const struct conserve_row *row,
		      double counted)
{
	const char *container_id = row->target >= 0 ? tick->targets[row->target].container_id : "";
	struct live_target *target = get_target(live, conserve_row_name(tick, row), container_id);
	const bool apart = row->scope >= REPORT_SCOPES;
	unsigned socket = apart ? tick->aparts[row->socket].number
				: find_socket(live, tick->sockets[row->socket].package);
	struct live_row *kept;

	if (!target || reserve(target, apart ? socket + 1 : live->n_sockets) < 0)
		return -ENOMEM;
	begin(target, tick);
	if (!apart && socket == TICK_SOCKETS_MAX)
		return 0;
	live->has_gpus |= row->scope == REPORT_SCOPE_GPU;
	if (!apart && row->target == CONSERVE_GLOBAL)
		live->error_w[row->scope][socket] = row->error_w;
	kept = &target->rows[(size_t)socket * REPORT_SCOPES_ALL + row->scope];
	kept->present = true;
	kept->power_w = row->power_w;
	kept->dynamic_w = row->dynamic_w;
	kept->static_w = row->static_w;
	kept->sd_w = row->sd_w;
	if (isfinite(row->energy_j))
		kept->total_j += row->energy_j * counted;
	if (isfinite(row->dynamic_w))
		kept->total_dynamic_j += row->dynamic_w * tick->interval_s * counted;
	if (row->target >= 0 && row->scope < REPORT_SCOPES_ADDED && isfinite(row->energy_j) &&
	    isfinite(row->dynamic_w)) {
		target->unbooked_j[row->scope] += row->energy_j * live->booked_part;
		target->unbooked_dynamic_j[row->scope] +=
			row->dynamic_w * tick->interval_s * live->booked_part;
	}
	return 0;
}

int live_update(struct live *live, const struct tick *tick, const struct conserve_output *conserved,
		double counted)
{
	live->time_ms = tick->time_ms;
	live->interval_s = tick->interval_s;
	live->estimated = tick->said.estimated;
	for (unsigned i = 0; i < tick->n_sockets; i++)
		(void)find_socket(live, tick->sockets[i].package);
	for (unsigned i = 0; i < live->n_sockets; i++) {
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

bool live_is_machine(const struct live_target *target)
{
	return strcmp(target->name, REPORT_TARGET_RAPL) == 0 ||
	       strcmp(target->name, REPORT_TARGET_GLOBAL) == 0;
}

const struct live_target *live_find(const struct live *live, const char *name)
{
	struct live_target *target;

	HASH_FIND(by_name, live->newest, name, strlen(name), target);
	return target;
}

static double add_finite(double sum, double value)
{
	return !isfinite(value) ? sum : isnan(sum) ? value : sum + value;
}

double live_value(const struct live_row *row, size_t member)
{
	double value;

	memcpy(&value, (const uint8_t *)row + member, sizeof(value));
	return value;
}

double live_sum(const struct live_target *target, int scope, bool present, size_t member)
{
	double sum = NAN;

	for (unsigned i = 0; i < target->n_places * REPORT_SCOPES_ALL; i++) {
		const struct live_row *row = &target->rows[i];
		const unsigned row_scope = i % REPORT_SCOPES_ALL;

		if ((!present || row->present) &&
		    (scope < 0 ? row_scope < REPORT_SCOPES_ADDED : row_scope == (unsigned)scope))
			sum = add_finite(sum, live_value(row, member));
	}
	return sum;
}

double live_sum_sd_w(const struct live_target *target)
{
	struct doubt_total total = {0};

	for (unsigned i = 0; i < target->n_places * REPORT_SCOPES_ALL; i++) {
		const struct live_row *row = &target->rows[i];

		if (row->present && i % REPORT_SCOPES_ALL < REPORT_SCOPES_ADDED)
			doubt_total_add(&total, row->power_w, row->dynamic_w, row->sd_w);
	}
	return doubt_total_sd(&total);
}

int live_number(const struct live *live, unsigned row)
{
	const unsigned place = row / REPORT_SCOPES_ALL;

	if (row % REPORT_SCOPES_ALL >= REPORT_SCOPES)
		return (int)place;
	return place < live->n_sockets ? (int)live->packages[place] : -1;
}

double live_sum_errors(const struct live *live, unsigned scope)
{
	double sum = NAN;

	for (unsigned i = 0; i < live->n_sockets; i++)
		sum = add_finite(sum, live->error_w[scope][i]);
	return sum;
}

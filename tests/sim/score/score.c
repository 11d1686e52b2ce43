/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects truth and reports for score_compute.c, names each target and its kind, and checks sums against
 * RAPL. Pure.
 */
#include "sim/score/score.h"

#include "sim/score/score_data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct score *score_new(void)
{
	return calloc(1, sizeof(struct score));
}

static void free_names(struct score_name **names)
{
	struct score_name *name, *next;

	HASH_ITER(hh, *names, name, next)
	{
		HASH_DEL(*names, name);
		free(name);
	}
}

void score_free(struct score *score)
{
	struct score_sum *sum, *next;

	if (!score)
		return;
	free_names(&score->names);
	free_names(&score->kinds);
	HASH_ITER(hh, score->sums, sum, next)
	{
		HASH_DEL(score->sums, sum);
		free(sum);
	}
	free(score->by_index);
	free(score->kind_by_index);
	free(score->entries);
	free(score);
}

static struct score_name *intern(struct score_name **names, struct score_name ***by_index, uint32_t *n,
				 uint32_t *capacity, const char *text)
{
	size_t length = strlen(text);
	struct score_name *name;

	HASH_FIND(hh, *names, text, length, name);
	if (name)
		return name;
	if (*n == *capacity) {
		uint32_t more = *capacity ? *capacity * 2 : 256;
		struct score_name **grown = realloc(*by_index, more * sizeof(*grown));

		if (!grown)
			return NULL;
		*by_index = grown;
		*capacity = more;
	}
	name = calloc(1, sizeof(*name) + length + 1);
	if (!name)
		return NULL;
	memcpy(name->text, text, length + 1);
	name->index = (*n)++;
	(*by_index)[name->index] = name;
	HASH_ADD_KEYPTR(hh, *names, name->text, length, name);
	return name;
}

/* "web-12" has the kind "web". */
static struct score_name *intern_target(struct score *score, const char *text)
{
	uint32_t before = score->n_names;
	struct score_name *name, *kind;
	char base[64];
	size_t length;

	name = intern(&score->names, &score->by_index, &score->n_names, &score->name_capacity, text);
	if (!name || score->n_names == before)
		return name;
	snprintf(base, sizeof(base), "%s", text);
	length = strlen(base);
	while (length && strchr("0123456789", base[length - 1]))
		length--;
	if (length > 1 && length < strlen(base) && base[length - 1] == '-')
		base[length - 1] = 0;
	kind = intern(&score->kinds, &score->kind_by_index, &score->n_kinds, &score->kind_capacity, base);
	if (!kind)
		return NULL;
	name->kind = kind->index;
	name->twin = strncmp(text, "twin-", 5) == 0;
	name->counted = strcmp(text, REPORT_TARGET_SYSTEM) != 0 && strcmp(text, REPORT_TARGET_IDLE) != 0 &&
			strcmp(text, REPORT_TARGET_RAPL) != 0;
	return name;
}

/* A report of 0 W is certain and has no error bar. */
static double known_sd(const struct report_power *power)
{
	return isnan(power->sd) && !(power->power > 0) ? 0 : power->sd;
}

static int add_entry(struct score *score, const struct report_power *power, bool truth)
{
	struct score_name *name = intern_target(score, power->target);

	if (!name)
		return -ENOMEM;
	if (score->n_entries == score->capacity) {
		size_t more = score->capacity ? score->capacity * 2 : 4096;
		struct score_entry *grown = realloc(score->entries, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		score->entries = grown;
		score->capacity = more;
	}
	score->entries[score->n_entries++] =
		(struct score_entry){power->time_ms, name->index,    (uint8_t)power->scope, truth,
				     power->power,   power->dynamic, known_sd(power)};
	return 0;
}

/* The sum of that tick, socket and scope; NULL: no memory. */
static struct score_sum *sum_of(struct score *score, int64_t time_ms, uint32_t socket, uint32_t scope)
{
	struct score_sum_key key;
	struct score_sum *sum;

	memset(&key, 0, sizeof(key));
	key.time_ms = time_ms;
	key.socket = socket;
	key.scope = scope;
	HASH_FIND(hh, score->sums, &key, sizeof(key), sum);
	if (sum)
		return sum;
	sum = calloc(1, sizeof(*sum));
	if (!sum)
		return NULL;
	sum->key = key;
	HASH_ADD(hh, score->sums, key, sizeof(sum->key), sum);
	return sum;
}

static uint32_t socket_of(const struct report_power *power)
{
	return (uint32_t)strtoul(power->socket ? power->socket : "0", NULL, 10);
}

int score_add_truth(struct score *score, const struct report_power *power)
{
	struct score_sum *sum;
	int r;

	if (strcmp(power->target, REPORT_TARGET_GLOBAL) == 0 || power->scope >= REPORT_SCOPES)
		return 0;
	r = add_entry(score, power, true);
	if (r < 0)
		return r;
	if (strcmp(power->target, REPORT_TARGET_RAPL) != 0) {
		if (power->scope == REPORT_SCOPE_CPU)
			intern_target(score, power->target)->dynamic_w += power->dynamic;
		return 0;
	}
	sum = sum_of(score, power->time_ms, socket_of(power), power->scope);
	if (!sum)
		return -ENOMEM;
	sum->true_w = power->power;
	sum->true_static_w = power->power - power->dynamic;
	return 0;
}

int score_add_load(struct score *score, int64_t time_ms, const char *target, unsigned socket, double load)
{
	struct score_name *name;
	struct score_sum *sum;

	if (strcmp(target, REPORT_TARGET_ALL) != 0) {
		name = intern_target(score, target);
		if (!name)
			return -ENOMEM;
		name->load += load;
		return 0;
	}
	sum = sum_of(score, time_ms, socket, REPORT_SCOPE_CPU);
	if (!sum)
		return -ENOMEM;
	sum->load += load;
	sum->has_load = true;
	return 0;
}

static int add_to_sum(struct score *score, const struct report_power *power)
{
	struct score_sum *sum = sum_of(score, power->time_ms, socket_of(power), power->scope);

	if (!sum)
		return -ENOMEM;
	if (strcmp(power->target, REPORT_TARGET_RAPL) == 0) {
		score->repeated += sum->has_rapl;
		sum->rapl = power->power;
		sum->has_rapl = true;
	} else if (strcmp(power->target, REPORT_TARGET_GLOBAL) == 0) {
		sum->predicted = power->power;
		sum->has_predicted = true;
	} else {
		sum->rows += power->power;
		sum->has_rows = true;
	}
	return 0;
}

uint64_t score_repeated(const struct score *score)
{
	return score->repeated;
}

int score_add_report(struct score *score, const struct report_power *power)
{
	int r;

	/* A simulated machine has the scopes of the formulas. */
	if (power->scope >= REPORT_SCOPES)
		return 0;
	r = add_to_sum(score, power);
	if (r < 0 || strcmp(power->target, REPORT_TARGET_RAPL) == 0 ||
	    strcmp(power->target, REPORT_TARGET_GLOBAL) == 0)
		return r;
	return add_entry(score, power, false);
}

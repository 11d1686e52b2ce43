/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a scenario's JSON, value by value: each reader uses the value if present, keeps the old one if not,
 * and rejects an invalid one with file, position and what is allowed. Only sim_scenario.c and sim_group.c use
 * it.
 */
#pragma once

#include "sim/sim_machine.h"
#include "base/reason.h"

#include <jansson.h>

struct sim_reader {
	const char *path;
	const char *where; /* group, or "machine" */
	struct reason *why;
	struct sim_scenario *scenario;
	int error; /* the first error; nothing is read after it */
};

struct sim_cpu_list {
	unsigned n;
	uint16_t cpus[SIM_CPUS_MAX];
	unsigned limit;
	bool bad;
};

void sim_json_refuse(struct sim_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sim_json_get_number(struct sim_reader *reader, json_t *object, const char *key,
			 struct sim_interval range, double *value);
void sim_json_get_unsigned(struct sim_reader *reader, json_t *object, const char *key,
			   struct sim_interval range, unsigned *value);
void sim_json_get_bool(struct sim_reader *reader, json_t *object, const char *key, bool *value);
/* [low, high], or one number for both; false for anything else. */
bool sim_json_interval(json_t *item, struct sim_interval *ret);
void sim_json_get_interval(struct sim_reader *reader, json_t *object, const char *key,
			   struct sim_interval *value);
void sim_json_check_keys(struct sim_reader *reader, json_t *object, const char *const *known, size_t n_known);
/* A list of CPUs below `limit` ("0-3,8"); false and an error for anything else. */
bool sim_json_cpus(struct sim_reader *reader, json_t *item, unsigned limit, struct sim_cpu_list *list);

/* sim_group.c: one entry of `containers` */
void sim_group_read(struct sim_reader *reader, json_t *object, struct sim_group *group);

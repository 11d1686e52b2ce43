/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event groups as configured: the -s -c -o -e sequence of the command line and hwpc-sensor's JSON objects.
 * Used by the option table and by the defaults.
 */
#pragma once

#include "config/config.h"
#include "base/reason.h"

struct event_group_request;
struct sensor_config;

/*
 * Row callbacks: -s and -c start a group (or continue with one of that name), -o and -e concern the last one.
 */
int sensor_groups_begin(void *target, const struct config_row *row, const char *value, struct reason *why);
int sensor_groups_one_cpu(void *target, const struct config_row *row, const char *value, struct reason *why);
int sensor_groups_event(void *target, const struct config_row *row, const char *value, struct reason *why);
/*
 * After all options: checks for groups without events and for names that would occur twice in a document. 0,
 * or -EINVAL with the reason. A machine group whose events are all in the container group of its name is
 * marked as its double.
 */
int sensor_groups_check(struct sensor_config *config, struct reason *why);
/* 0 or -ENOMEM. */
int sensor_groups_add(struct event_group_request *group, const char *event);
void sensor_groups_reset(void *target);
/* {"name": {"events": ["…"], "monitoring_type": "…"}}; row->name says which kind ("system" or "container").
 */
int sensor_groups_read_json(void *target, const struct config_row *row, struct config_json *json,
			    const json_t *value);
json_t *sensor_groups_print_json(const void *target, const struct config_row *row);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The perf events that a sensor would open on a machine of which only files are here: which attributes, on
 * which CPUs. Called by check_machine.c; opens nothing.
 */
#pragma once

#include "config/sensor_config.h"
#include "source/source.h"

#include <jansson.h>

/* Adds a list `perf` to the object: an entry for each event and PMU. */
void check_perf_list(const struct sensor_config *config, struct source_context *context, json_t *object);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duty `write` of the sensor: the process that owns the store's connection. Called by sensor.c.
 */
#pragma once

#include "config/sensor_config.h"

#define WRITE_DUTY       "write"
#define WRITE_DUTY_SPOOL "spool" /* the same at the end, if the store hangs: the store is not used */

/* Returns the process's exit code, when collect has closed the link. */
int write_main(struct sensor_config *config);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups that are counted by default: energy, clocks, and for containers those of reference cycles,
 * cycles, instructions and last-level misses that this processor has.
 */
#pragma once

#include "config/sensor_config.h"

/* Adds default groups if neither -s nor -c was given. 0 or -ENOMEM. Logs the choice. */
int defaults_apply(struct sensor_config *config);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default groups: energy, clocks, and for containers reference cycles, cycles, instructions and
 * last-level misses, as far as this processor has them.
 */
#pragma once

#include "config/sensor_config.h"

/* Adds default groups if neither -s nor -c was given. 0 or -ENOMEM. Logs the choice. */
int defaults_apply(struct sensor_config *config);

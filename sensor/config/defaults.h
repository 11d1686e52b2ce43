/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups that are counted when none was asked for: energy, clocks, and of the containers whatever this
 * processor has of reference cycles, cycles, instructions and last-level misses.
 */
#pragma once

#include "config/sensor_config.h"

/* Adds default groups where neither -s nor -c was given. 0 or -ENOMEM. Says what it chose. */
int defaults_apply(struct sensor_config *config);

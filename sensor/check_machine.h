/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --check-machine: what this machine can measure and cannot, why, and the fix; as text or JSON. Tries
 * every source in this process; leaves nothing open.
 */
#pragma once

#include "config/sensor_config.h"

/* Prints to stdout. 0 if anything can be measured (an estimate counts), else 1. */
int check_machine_main(struct sensor_config *config);

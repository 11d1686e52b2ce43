/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's first process: starts `write` and `collect`, serves collect's requests for rights, passes
 * signals on, and ends with them. It parses nothing that comes from outside.
 */
#pragma once

#include "config/sensor_config.h"

/* Returns the daemon's exit code. */
int supervise_main(struct sensor_config *config, char *argv[]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's first process: starts `write` and `collect`, serves collect's privileged requests, passes
 * signals on, and exits with them. It parses nothing foreign.
 */
#pragma once

#include "config/sensor_config.h"

/* Returns the daemon's exit code. */
int supervise_main(struct sensor_config *config, char *argv[]);

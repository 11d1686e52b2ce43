/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's first process: starts `write` and `collect`, serves collect's privileged requests, forwards
 * signals, and exits with them. It parses no untrusted data.
 */
#pragma once

#include "config/sensor_config.h"

/* Returns the daemon's exit code. */
int supervise_main(struct sensor_config *config, char *argv[]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor as a program, for the main.c of each machine that it can measure.
 */
#pragma once

#define SENSOR_SIMULATOR "wattribute-sim" /* the program that --sim starts */

struct collect_machine;

/* simulated: NULL for this machine. Returns the exit code. */
int sensor_main(int argc, char *argv[], const struct collect_machine *simulated);

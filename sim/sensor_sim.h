/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor on a simulated machine: its targets instead of cgroups, its clock instead of the machine's,
 * ticks as fast as the writer takes them. Used by collect when --sim is given.
 */
#pragma once

struct collect;

/* Reads the scenario of --sim. 0, or a negative errno after a message. */
int sensor_sim_open(struct collect *collect);
/* Starts the ticks; they end with the scenario. */
int sensor_sim_start(struct collect *collect);
/* The writer has caught up: the simulation goes on, if there is one. */
void sensor_sim_resume(struct collect *collect);
void sensor_sim_close(struct collect *collect);

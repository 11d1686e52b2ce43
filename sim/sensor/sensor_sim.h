/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor on a simulated machine: its targets instead of cgroups, its clock instead of the machine's, and
 * ticks as fast as the writer accepts them. Passed to the sensor by main.c.
 */
#pragma once

struct collect_machine;

extern const struct collect_machine sensor_sim;

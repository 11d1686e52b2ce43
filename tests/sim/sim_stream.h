/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports from a simulated machine's last tick without a sensor, for tools and tests.
 */
#pragma once

#include "sim/sim.h"

/*
 * The tick as the sensor would write it, with the four events that PowerAPI's users count, or with vector
 * instructions as well. 0 or -ENOMEM.
 */
int sim_add_reports(const struct sim *sim, const char *sensor, struct batch *batch);
int sim_add_reports_vector(const struct sim *sim, const char *sensor, struct batch *batch);
/*
 * sim_floor.c: the best result that the noisy readings allow, as power reports: each container's true cost at
 * its true work, applied to the work in its counters, scaled to the energy in RAPL.
 */
int sim_add_floor(const struct sim *sim, const char *sensor, struct batch *batch);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tools and tests make of a simulated machine's last tick without running a sensor.
 */
#pragma once

#include "sim/sim.h"

/*
 * The tick as the sensor would write it, with the four events that PowerAPI's users count, or with the vector
 * instructions beside them. 0 or -ENOMEM.
 */
int sim_add_reports(const struct sim *sim, const char *sensor, struct batch *batch);
int sim_add_reports_vector(const struct sim *sim, const char *sensor, struct batch *batch);
/*
 * sim_floor.c: the best that the noisy readings allow, as power reports: each container's true cost at its
 * true work, applied to the work that its counters showed, scaled to the energy that RAPL showed.
 */
int sim_add_floor(const struct sim *sim, const char *sensor, struct batch *batch);

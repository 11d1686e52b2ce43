/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-sim: the sensor's program on a simulated machine, started by `wattribute-sensor --sim`. Needs no
 * privileges, and accesses nothing on this machine except the store.
 */
#include "sensor.h"
#include "sim/sensor/sensor_sim.h"

int main(int argc, char *argv[])
{
	return sensor_main(argc, argv, &sensor_sim);
}

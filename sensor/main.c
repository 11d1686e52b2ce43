/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-sensor: the sensor on this machine.
 */
#include "sensor.h"

#include <stddef.h>

int main(int argc, char *argv[])
{
	return sensor_main(argc, argv, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs of this machine for --check-machine: which a sensor would read, by what, and why not the others.
 * NVIDIA's library is loaded in a process of its own, without rights, as the sensor does it. Called by
 * check_machine.c.
 */
#pragma once

#include "base/reason.h"
#include "config/sensor_config.h"
#include "gpu/gpu_message.h"
#include "gpu/gpu_reader.h"

#include <jansson.h>
#include <stdbool.h>

#define CHECK_GPU_PATIENCE_MS 30000 /* a driver that is not kept loaded takes seconds for each GPU */

/* What NVIDIA's library tells. */
struct check_gpu_answer {
	int result; /* 0, or a negative errno with `why` */
	unsigned n;
	struct gpu_description gpus[GPU_DEVICES_MAX];
	struct reason why;
};

/* Asks the library, for at most patience_ms. */
void check_gpu_ask(const struct sensor_config *config, int patience_ms, struct check_gpu_answer *ret_answer);
/*
 * Adds a list `gpus` to the object, if there is a GPU or one was asked for. described: the machine is another
 * one, of which only files are here.
 */
void check_gpu_list(const struct sensor_config *config, bool described, json_t *object);

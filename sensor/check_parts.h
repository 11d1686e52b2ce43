/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of --check-machine, for check_machine.c: costs, GPUs, perf events, and the text output.
 */
#pragma once

#include "config/sensor_config.h"
#include "gpu/gpu_reader.h"

#include <jansson.h>
#include <stdio.h>

struct check_cost {
	unsigned containers;
	unsigned fds;        /* counters, or files that are kept open */
	unsigned by_cpustat; /* containers without a descriptor left */
	double cpu_ms_per_s;
};

/*
 * The cost of counting a number of containers: descriptors exactly, CPU time from the measurements in
 * docs/performance.md. fds_each: events times CPUs. budget: descriptors that may be opened. source: its name;
 * for an unknown one, the cost is unknown (all 0). Pure.
 */
struct check_cost check_cost_estimate(const char *source, unsigned fds_each, unsigned budget,
				      double ticks_per_s, unsigned containers);

#define CHECK_GPU_PATIENCE_MS 30000 /* a driver without persistence takes seconds for each GPU */

/* Answer of NVIDIA's library. */
struct check_gpu_answer {
	int result; /* 0, or a negative errno with `why` */
	unsigned n;
	struct gpu_description gpus[GPU_DEVICES_MAX];
	struct reason why;
};

/* Asks the library in an unprivileged process of its own, for at most patience_ms. */
void check_gpu_ask(const struct sensor_config *config, int patience_ms, struct check_gpu_answer *ret_answer);
/*
 * Adds a list `gpus` to the object if there is a GPU or one was requested: the GPUs that a sensor would read,
 * by which method, and why not the others. described: another machine, of which only the files are here.
 */
void check_gpu_list(const struct sensor_config *config, bool described, json_t *object);

/*
 * Adds a list `perf` to the object: each event and PMU that a sensor would open on a machine of which only
 * the files are here, with attributes and CPUs.
 */
void check_perf_list(const struct sensor_config *config, struct source_context *context, json_t *object);

/* An entry named `value`. `text`: a reason with its advice, as reason_advise() joins them. */
json_t *check_text_item(const char *key, const char *value, const char *status, const char *text);
void check_text_print(FILE *out, const json_t *answer);

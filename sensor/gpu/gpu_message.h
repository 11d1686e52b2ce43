/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from the process `gpu` to `collect`: first the number of GPUs, or why there are none; then the
 * energy of each in a stretch of time, and the processes that it worked for. Both ends use these structures.
 */
#pragma once

#include "document/batch.h"

#include <stdint.h>

#define GPU_DEVICES_MAX 32
#define GPU_WORKS_MAX   1024 /* entries in a message; further work is not attributed */
#define GPU_PERIOD_MS   250
#define GPU_CGROUP_MAX  1024

enum gpu_message_type {
	GPU_MESSAGE_HELLO = 1,  /* n, a sentence */
	GPU_MESSAGE_SAMPLE = 2, /* a struct gpu_sample */
};

/* Time that a GPU worked for a process in the stretch. */
struct gpu_work {
	unsigned gpu;
	uint64_t time_ns;
	/* of the process, in the unified hierarchy and in v1's; "": no longer known */
	const char *cgroup, *cgroup_v1;
};

struct gpu_sample {
	uint64_t from_ns, to_ns; /* monotonic */
	unsigned n_gpus;
	double energy_j[GPU_DEVICES_MAX]; /* NAN: not read */
	unsigned n_works;
	struct gpu_work works[GPU_WORKS_MAX]; /* strings point into the message */
};

int gpu_message_put(struct batch *payload, const struct gpu_sample *sample);
/* 0 or -EBADMSG. */
int gpu_message_get(const void *payload, size_t length, struct gpu_sample *ret_sample);

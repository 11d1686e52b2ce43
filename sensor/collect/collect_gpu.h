/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs in the ticks: samples of the process `gpu` are kept for half a second and cut at the tick's end, so
 * that stretches that cross it are divided in proportion. A system source for `all`, and work by target. Used
 * by collect.
 */
#pragma once

#include "source/source.h"

struct collect_gpu;

/* Returns the slot that a process's cgroup is counted for; 0: none. */
typedef unsigned collect_gpu_finder(void *data, const char *cgroup);

/*
 * Takes over the socket to the process and waits for its first message. 0, or a negative errno with the
 * reason.
 */
int collect_gpu_open(int socket, collect_gpu_finder *find, void *data, struct collect_gpu **ret_gpu,
		     struct reason *why);
void collect_gpu_close(struct collect_gpu *gpu);
/* For the tick's systems; it is owned by `gpu`, and its close() does nothing. */
struct system_source *collect_gpu_source(struct collect_gpu *gpu);

/* Work of targets in the last tick read: one event; a place is a GPU. */
const struct target_counts *collect_gpu_targets(const struct collect_gpu *gpu);

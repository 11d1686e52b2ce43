/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading GPUs by NVML, or by the kernel's files of amdgpu, i915 and xe. NVML: energy by the GPU's counter,
 * else by its power over time; work by the utilization of each process, by the size of MIG instances, or
 * equally if the driver reports neither. Used by the process `gpu`.
 */
#pragma once

#include "gpu/gpu_message.h"
#include "gpu/nvml.h"

#include <stdbool.h>

struct gpu_reader;

struct gpu_description {
	char name[96];
	bool has_counter; /* else its power over time */
	bool is_split;    /* into MIG instances */
};

/* 0, or a negative errno with a reason. procfs_root: where processes' cgroups are ("/proc"). */
int gpu_reader_new(const char *library, const char *procfs_root, struct gpu_reader **ret_reader,
		   struct reason *why);
/* For GPUs with a DRM driver that has a meter. Nothing is loaded. */
int gpu_reader_new_drm(const char *sysfs_root, const char *procfs_root, struct gpu_reader **ret_reader,
		       struct reason *why);
void gpu_reader_free(struct gpu_reader *reader);
unsigned gpu_reader_count(const struct gpu_reader *reader);
/* With NVML: the GPU's name, and how its energy and its processes are measured. */
void gpu_reader_describe(const struct gpu_reader *reader, unsigned gpu,
			 struct gpu_description *ret_description);
/*
 * Returns everything since the last call that was followed by gpu_reader_taken(). The first call sets the
 * baselines and returns -EAGAIN. The sample's strings belong to the reader and are valid until its next call.
 */
int gpu_reader_read(struct gpu_reader *reader, uint64_t now_ns, struct gpu_sample *ret_sample);
void gpu_reader_taken(struct gpu_reader *reader);

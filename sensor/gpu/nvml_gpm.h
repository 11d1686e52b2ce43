/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How busy the processors of a MIG instance are, by NVML's performance monitoring (GPM: Hopper and later,
 * driver 525). Called by gpu_reader.c; not available on older GPUs and drivers.
 */
#pragma once

#include "gpu/nvml.h"

struct nvml_gpm;

/* NULL: the library lacks it, or out of memory. */
struct nvml_gpm *nvml_gpm_new(const struct nvml *nvml);
void nvml_gpm_free(struct nvml_gpm *gpm);
/*
 * The part of the instance's processors that was busy since the last call for it, 0..1; NAN: unknown, as in
 * the first call. whole: the GPU of the instance.
 */
double nvml_gpm_busy(struct nvml_gpm *gpm, nvml_device whole, nvml_device instance);

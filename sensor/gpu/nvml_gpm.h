/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How busy the processors of a MIG instance are, by NVML's performance monitoring (GPM: Hopper and later,
 * driver 525). Called by gpu_reader.c; older GPUs and drivers have no such thing.
 */
#pragma once

#include "gpu/nvml.h"

struct nvml_gpm;

/* NULL: the library lacks it, or no memory is left. */
struct nvml_gpm *nvml_gpm_new(const struct nvml *nvml);
void nvml_gpm_free(struct nvml_gpm *gpm);
/*
 * The part of the instance's processors that was busy since the last call for it, 0..1; NAN: not known, as in
 * the first one. whole: the GPU that the instance is of.
 */
double nvml_gpm_busy(struct nvml_gpm *gpm, nvml_device whole, nvml_device instance);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's management library, loaded at run time: the part of its ABI that is used here, from its public
 * documentation. Used by gpu_reader.c in the process `gpu` and in that of check_gpu.c; not needed for the
 * build.
 */
#pragma once

#include "base/reason.h"

#include <stdint.h>

#define NVML_SUCCESS       0
#define NVML_NOT_SUPPORTED 3

struct nvml_utilization {
	unsigned pid;
	unsigned long long time_us;
	unsigned sm, memory, encoder, decoder; /* per cent */
};

struct nvml_process {
	unsigned pid;
	unsigned long long memory; /* bytes; all ones: not known */
	unsigned gpu_instance, compute_instance;
};

struct nvml_attributes {
	unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
	unsigned long long memory_mb;
};

typedef void *nvml_device;

/* The functions; those marked may be NULL because older drivers lack them. */
struct nvml {
	void *object;
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int error);
	int (*count)(unsigned *ret_n);
	int (*handle)(unsigned index, nvml_device *ret_device);
	int (*name)(nvml_device device, char *ret, unsigned size);        /* may be NULL */
	int (*energy_mj)(nvml_device device, unsigned long long *ret_mj); /* may be NULL */
	int (*power_mw)(nvml_device device, unsigned *ret_mw);
	int (*utilization)(nvml_device device, struct nvml_utilization *ret, unsigned *n,
			   unsigned long long since_us); /* may be NULL */
	int (*processes)(nvml_device device, unsigned *n, struct nvml_process *ret);
	int (*mig_mode)(nvml_device device, unsigned *ret_now, unsigned *ret_pending);  /* may be NULL */
	int (*mig_most)(nvml_device device, unsigned *ret_n);                           /* may be NULL */
	int (*mig_handle)(nvml_device device, unsigned index, nvml_device *ret_device); /* may be NULL */
	int (*attributes)(nvml_device device, struct nvml_attributes *ret);             /* may be NULL */
	/* Of MIG instances; all of them may be NULL, see nvml_gpm.c. */
	int (*instance_id)(nvml_device instance, unsigned *ret_id);
	int (*gpm_alloc)(void **ret_sample);
	int (*gpm_free)(void *sample);
	int (*gpm_sample)(nvml_device device, unsigned instance_id, void *sample);
	int (*gpm_metrics)(void *request);
};

/* Loads and initialises the library. 0, or a negative errno with the reason and the fix. */
int nvml_open(const char *path, struct nvml *ret_nvml, struct reason *why);
void nvml_close(struct nvml *nvml);

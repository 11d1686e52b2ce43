/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads NVIDIA's library by a table of names. Called by the process `gpu` after it has dropped its
 * privileges: the library is foreign code.
 */
#include "gpu/nvml.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t offset;
	bool needed;
} functions[] = {
	{"nvmlInit_v2", offsetof(struct nvml, init), true},
	{"nvmlShutdown", offsetof(struct nvml, shutdown), true},
	{"nvmlErrorString", offsetof(struct nvml, error_string), true},
	{"nvmlDeviceGetCount_v2", offsetof(struct nvml, count), true},
	{"nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, handle), true},
	{"nvmlDeviceGetPowerUsage", offsetof(struct nvml, power_mw), true},
	/* The third version has the layout of the second one, which drivers since 450 have. */
	{"nvmlDeviceGetComputeRunningProcesses_v2", offsetof(struct nvml, processes), false},
	{"nvmlDeviceGetComputeRunningProcesses_v3", offsetof(struct nvml, processes), false},
	{"nvmlDeviceGetName", offsetof(struct nvml, name), false},
	{"nvmlDeviceGetTotalEnergyConsumption", offsetof(struct nvml, energy_mj), false},
	{"nvmlDeviceGetProcessUtilization", offsetof(struct nvml, utilization), false},
	{"nvmlDeviceGetMigMode", offsetof(struct nvml, mig_mode), false},
	{"nvmlDeviceGetMaxMigDeviceCount", offsetof(struct nvml, mig_most), false},
	{"nvmlDeviceGetMigDeviceHandleByIndex", offsetof(struct nvml, mig_handle), false},
	{"nvmlDeviceGetAttributes_v2", offsetof(struct nvml, attributes), false},
	{"nvmlDeviceGetGpuInstanceId", offsetof(struct nvml, instance_id), false},
	{"nvmlGpmSampleAlloc", offsetof(struct nvml, gpm_alloc), false},
	{"nvmlGpmSampleFree", offsetof(struct nvml, gpm_free), false},
	{"nvmlGpmMigSampleGet", offsetof(struct nvml, gpm_sample), false},
	{"nvmlGpmMetricsGet", offsetof(struct nvml, gpm_metrics), false},
};

static int load(struct nvml *nvml, const char *path, struct reason *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void *function = dlsym(nvml->object, functions[i].name);

		if (!function && functions[i].needed)
			return reason_set(why, -ELIBBAD, "%s has no function %s", path, functions[i].name);
		if (function)
			memcpy((char *)nvml + functions[i].offset, &function, sizeof(function));
	}
	return 0;
}

int nvml_open(const char *path, struct nvml *ret_nvml, struct reason *why)
{
	struct nvml nvml = {.object = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
	int r;

	if (!nvml.object) {
		reason_set(why, 0, "%s", dlerror());
		reason_advise(why, "install NVIDIA's driver with its management library, name it with "
				   "--gpu-library, or in a container use the NVIDIA runtime");
		return -ELIBACC;
	}
	r = load(&nvml, path, why);
	if (r == 0) {
		const int error = nvml.init();

		if (error != NVML_SUCCESS) {
			reason_set(why, 0, "%s does not start: %s", path, nvml.error_string(error));
			reason_advise(why, "the user of --user needs access to /dev/nvidiactl and "
					   "/dev/nvidia*; nvidia-smi shows whether the driver works");
			r = -ENODEV;
		}
	}
	if (r < 0) {
		(void)dlclose(nvml.object);
		return r;
	}
	*ret_nvml = nvml;
	return 0;
}

void nvml_close(struct nvml *nvml)
{
	if (!nvml->object)
		return;
	(void)nvml->shutdown();
	(void)dlclose(nvml->object);
	*nvml = (struct nvml){0};
}

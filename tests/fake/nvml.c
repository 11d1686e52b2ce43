/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared library with the part of NVML's ABI that the sensor uses, for GPUs described in the file
 * $FAKE_NVML, which is reread at each call. Energy is power times the time, so that a test knows the truth.
 * Lines: "gpu POWER_MW [noenergy] [noutilization] [mig] [flaky]", then those of the GPU before it:
 * "process PID SM_PERCENT", "instance MULTIPROCESSORS [BUSY_PERCENT]" and its "process PID 0". "hang" sleeps,
 * "broken" fails.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 8

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, UNKNOWN = 999 };

struct process {
	unsigned pid, sm;
	int instance; /* -1: of the whole GPU */
};

struct gpu {
	unsigned power_mw, n_processes, n_instances, multiprocessors[MOST];
	int busy[MOST]; /* per cent; -1: unknown */
	struct process processes[64];
	int no_energy, no_utilization, mig, flaky;
	double energy_mj;
	uint64_t last_ns;
};

/* A device handle: of a GPU, or of an instance of it. */
struct handle {
	int gpu, instance;
};

static struct gpu gpus[MOST];
static struct handle handles[MOST][MOST + 1];
static unsigned n_gpus;
static int broken;

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void read_gpu(const char *line, int *instance)
{
	struct gpu *gpu = &gpus[n_gpus++];
	const double energy_mj = gpu->energy_mj;
	const uint64_t last_ns = gpu->last_ns;

	memset(gpu, 0, sizeof(*gpu));
	gpu->energy_mj = energy_mj;
	gpu->last_ns = last_ns;
	(void)sscanf(line, "gpu %u", &gpu->power_mw);
	gpu->no_energy = strstr(line, "noenergy") != NULL;
	gpu->no_utilization = strstr(line, "noutilization") != NULL;
	gpu->mig = strstr(line, "mig") != NULL;
	gpu->flaky = strstr(line, "flaky") != NULL;
	*instance = -1;
}

static void refresh(void)
{
	const char *path = getenv("FAKE_NVML");
	FILE *file = path ? fopen(path, "re") : NULL;
	char line[256];
	int instance = -1;

	n_gpus = 0;
	broken = !file;
	while (file && fgets(line, sizeof(line), file)) {
		struct gpu *gpu = &gpus[n_gpus ? n_gpus - 1 : 0];
		struct process process = {0};

		if (strncmp(line, "gpu", 3) == 0 && n_gpus < MOST) {
			read_gpu(line, &instance);
		} else if (sscanf(line, "process %u %u", &process.pid, &process.sm) == 2) {
			process.instance = instance;
			gpu->processes[gpu->n_processes++ % 64] = process;
		} else if (sscanf(line, "instance %u", &gpu->multiprocessors[gpu->n_instances]) == 1) {
			gpu->busy[gpu->n_instances] = -1;
			(void)sscanf(line, "instance %*u %d", &gpu->busy[gpu->n_instances]);
			instance = (int)gpu->n_instances++;
		} else if (strncmp(line, "hang", 4) == 0) {
			sleep(3600);
		} else if (strncmp(line, "broken", 6) == 0) {
			broken = 1;
		}
	}
	if (file)
		(void)fclose(file);
	for (unsigned i = 0; i < n_gpus; i++) {
		const uint64_t now = now_ns();

		if (gpus[i].last_ns)
			gpus[i].energy_mj += gpus[i].power_mw * ((double)(now - gpus[i].last_ns) * 1e-9);
		gpus[i].last_ns = now;
	}
}

static struct gpu *gpu_of(void *device)
{
	const struct handle *handle = device;

	refresh();
	return !broken && handle && handle->gpu < (int)n_gpus ? &gpus[handle->gpu] : NULL;
}

int nvmlInit_v2(void)
{
	refresh();
	return broken ? UNKNOWN : OK;
}

int nvmlShutdown(void)
{
	return OK;
}

const char *nvmlErrorString(int error)
{
	return error == OK ? "Success" : "Driver Not Loaded";
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
	refresh();
	*n = n_gpus;
	return broken ? UNKNOWN : OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
	if (index >= n_gpus)
		return INVALID;
	handles[index][0] = (struct handle){(int)index, -1};
	*device = &handles[index][0];
	return OK;
}

int nvmlDeviceGetName(void *device, char *ret, unsigned size)
{
	const struct handle *handle = device;

	(void)snprintf(ret, size, "NVIDIA Made-up %d", handle->gpu);
	return OK;
}

/* A counter that fails, restarts at 0, or jumps, at random ($WATTRIBUTE_SEED). */
static int spoil(unsigned long long *mj)
{
	static unsigned seed;
	static unsigned long long offset;
	const char *given = getenv("WATTRIBUTE_SEED");

	if (!seed)
		seed = given ? (unsigned)strtoul(given, NULL, 10) : 1;
	switch (rand_r(&seed) % 12) {
	case 0:
		*mj = 7;
		return UNKNOWN;
	case 1:
		offset = 0 - *mj;
		break;
	case 2:
		offset += 100000000;
		break;
	default:
		break;
	}
	*mj += offset;
	return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj)
{
	const struct gpu *gpu = gpu_of(device);

	if (!gpu)
		return UNKNOWN;
	*mj = (unsigned long long)gpu->energy_mj;
	if (gpu->flaky)
		return spoil(mj);
	return gpu->no_energy ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *mw)
{
	const struct gpu *gpu = gpu_of(device);

	if (!gpu)
		return UNKNOWN;
	*mw = gpu->power_mw;
	return OK;
}

struct sample {
	unsigned pid;
	unsigned long long time_us;
	unsigned sm, memory, encoder, decoder;
};

int nvmlDeviceGetProcessUtilization(void *device, struct sample *samples, unsigned *n,
				    unsigned long long since_us)
{
	const struct gpu *gpu = gpu_of(device);
	const unsigned room = *n;

	if (!gpu || gpu->no_utilization || gpu->mig)
		return gpu ? NOT_SUPPORTED : UNKNOWN;
	*n = gpu->n_processes;
	if (!*n)
		return NOT_FOUND;
	if (room < *n)
		return TOO_SMALL;
	for (unsigned i = 0; i < *n; i++)
		samples[i] = (struct sample){
			.pid = gpu->processes[i].pid, .time_us = now_ns() / 1000, .sm = gpu->processes[i].sm};
	(void)since_us;
	return OK;
}

struct running {
	unsigned pid;
	unsigned long long memory;
	unsigned gpu_instance, compute_instance;
};

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, struct running *ret)
{
	const struct gpu *gpu = gpu_of(device);
	const struct handle *handle = device;
	unsigned found = 0;

	if (!gpu)
		return UNKNOWN;
	for (unsigned i = 0; i < gpu->n_processes; i++)
		if ((handle->instance < 0 || gpu->processes[i].instance == handle->instance) && found < *n)
			ret[found++] = (struct running){.pid = gpu->processes[i].pid, .memory = 1 << 20};
	*n = found;
	return OK;
}

int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending)
{
	const struct gpu *gpu = gpu_of(device);

	if (!gpu)
		return UNKNOWN;
	*now = *pending = gpu->mig != 0;
	return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *n)
{
	*n = 7;
	return device ? OK : INVALID;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **ret_device)
{
	const struct gpu *gpu = gpu_of(device);
	const struct handle *handle = device;

	if (!gpu || index >= gpu->n_instances)
		return NOT_FOUND;
	handles[handle->gpu][index + 1] = (struct handle){handle->gpu, (int)index};
	*ret_device = &handles[handle->gpu][index + 1];
	return OK;
}

struct attributes {
	unsigned multiprocessors, others[7];
	unsigned long long memory_mb;
};

int nvmlDeviceGetAttributes_v2(void *device, struct attributes *ret)
{
	const struct gpu *gpu = gpu_of(device);
	const struct handle *handle = device;

	if (!gpu || handle->instance < 0)
		return NOT_SUPPORTED;
	*ret = (struct attributes){.multiprocessors = gpu->multiprocessors[handle->instance]};
	return OK;
}

int nvmlDeviceGetGpuInstanceId(void *device, unsigned *ret_id)
{
	const struct gpu *gpu = gpu_of(device);
	const struct handle *handle = device;

	if (!gpu || handle->instance < 0)
		return NOT_SUPPORTED;
	*ret_id = (unsigned)handle->instance + 3; /* no index */
	return OK;
}

/* GPM: a sample has the busy time so far, so that two of them give the mean between them. */
struct gpm_sample {
	double busy_s, time_s;
};

struct gpm_request {
	unsigned version, n;
	struct gpm_sample *from, *to;
	struct {
		unsigned id;
		int result;
		double value;
		const char *names[3];
	} metrics[1];
};

int nvmlGpmSampleAlloc(struct gpm_sample **ret_sample)
{
	*ret_sample = calloc(1, sizeof(**ret_sample));
	return *ret_sample ? OK : UNKNOWN;
}

int nvmlGpmSampleFree(struct gpm_sample *sample)
{
	free(sample);
	return OK;
}

int nvmlGpmMigSampleGet(void *device, unsigned id, struct gpm_sample *sample)
{
	static double busy_s[MOST][MOST], last_s[MOST][MOST];
	const struct gpu *gpu = gpu_of(device);
	const struct handle *handle = device;
	const unsigned i = id - 3;
	const double time_s = (double)now_ns() * 1e-9;

	if (!gpu || handle->instance >= 0 || i >= gpu->n_instances)
		return INVALID;
	if (gpu->busy[i] < 0)
		return NOT_SUPPORTED;
	if (last_s[handle->gpu][i] > 0)
		busy_s[handle->gpu][i] += gpu->busy[i] / 100.0 * (time_s - last_s[handle->gpu][i]);
	last_s[handle->gpu][i] = time_s;
	*sample = (struct gpm_sample){busy_s[handle->gpu][i], time_s};
	return OK;
}

int nvmlGpmMetricsGet(struct gpm_request *request)
{
	const double time_s = request->to->time_s - request->from->time_s;

	if (request->version != 1 || request->n != 1 || request->metrics[0].id != 2 || !(time_s > 0))
		return INVALID;
	request->metrics[0].result = OK;
	request->metrics[0].value = 100 * (request->to->busy_s - request->from->busy_s) / time_s;
	return OK;
}

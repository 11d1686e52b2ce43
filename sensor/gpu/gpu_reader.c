/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads each GPU by NVML or by the kernel's DRM drivers: its energy since the last look, and the processes
 * that it worked for, with their cgroups. Unsent data is kept for the next message. Called by gpu_main.c.
 */
#include "gpu/gpu_reader.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "gpu/drm_clients.h"
#include "gpu/drm_meter.h"
#include "gpu/nvml_gpm.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 512
#define OWNERS_MAX    1024
#define GPU_MOST_W    3000.0 /* more than any GPU takes: a reset counter, or nonsense */

/* The cgroup of a process: kept for a while after its end because the driver reports its last work late. */
struct owner {
	unsigned pid;
	uint64_t used_ns;
	char cgroup[GPU_CGROUP_MAX], cgroup_v1[GPU_CGROUP_MAX];
};

struct device {
	nvml_device handle;
	bool started;
	bool counts; /* it has a counter: if a read fails, using its power would count the energy twice */
	unsigned long long energy_mj; /* last count */
	double power_w;
	unsigned long long seen_us; /* time of the last utilization sample */
	double sum_j;               /* not sent yet */
	bool failed;                /* a part of the stretch was not read */
};

struct work {
	unsigned gpu, pid;
	uint64_t time_ns;
};

struct gpu_reader {
	struct nvml nvml;     /* not loaded with DRM devices */
	struct nvml_gpm *gpm; /* NULL: not available */
	struct drm_meter meters[GPU_DEVICES_MAX];
	struct drm_clients *clients; /* NULL with NVML */
	const char *sysfs_root, *procfs_root;
	unsigned n_devices;
	struct device devices[GPU_DEVICES_MAX];
	uint64_t from_ns, last_ns; /* start of the unsent stretch; last look */
	unsigned n_works;
	struct work works[GPU_WORKS_MAX];
	unsigned n_owners;
	struct owner owners[OWNERS_MAX];
};

int gpu_reader_new(const char *library, const char *procfs_root, struct gpu_reader **ret_reader,
		   struct reason *why)
{
	struct gpu_reader *reader = calloc(1, sizeof(*reader));
	unsigned n = 0;
	int r;

	if (!reader)
		return reason_set(why, -ENOMEM, "out of memory");
	reader->procfs_root = procfs_root;
	r = nvml_open(library, &reader->nvml, why);
	if (r == 0 && (reader->nvml.count(&n) != NVML_SUCCESS || n == 0))
		r = reason_set(why, -ENODEV, "the driver reports no GPU");
	for (unsigned i = 0; r == 0 && i < n && i < GPU_DEVICES_MAX; i++)
		if (reader->nvml.handle(i, &reader->devices[i].handle) == NVML_SUCCESS)
			reader->n_devices = i + 1;
	if (r == 0 && reader->n_devices == 0)
		r = reason_set(why, -ENODEV, "no GPU can be opened");
	if (r < 0) {
		gpu_reader_free(reader);
		return r;
	}
	reader->gpm = nvml_gpm_new(&reader->nvml);
	*ret_reader = reader;
	return 0;
}

int gpu_reader_new_drm(const char *sysfs_root, const char *procfs_root, struct gpu_reader **ret_reader,
		       struct reason *why)
{
	struct gpu_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return reason_set(why, -ENOMEM, "out of memory");
	reader->sysfs_root = sysfs_root;
	reader->procfs_root = procfs_root;
	reader->n_devices = drm_meter_list(sysfs_root, reader->meters, GPU_DEVICES_MAX);
	if (reader->n_devices > 0)
		reader->clients = drm_clients_new(procfs_root, reader->meters, reader->n_devices);
	if (!reader->clients) {
		gpu_reader_free(reader);
		return reason_set(why, -ENODEV,
				  "no amdgpu, i915 or xe GPU below %s/class/drm has a meter of its own",
				  sysfs_root);
	}
	*ret_reader = reader;
	return 0;
}

void gpu_reader_free(struct gpu_reader *reader)
{
	if (!reader)
		return;
	drm_clients_free(reader->clients);
	nvml_gpm_free(reader->gpm);
	nvml_close(&reader->nvml);
	free(reader);
}

unsigned gpu_reader_count(const struct gpu_reader *reader)
{
	return reader->n_devices;
}

void gpu_reader_describe(const struct gpu_reader *reader, unsigned gpu,
			 struct gpu_description *ret_description)
{
	const struct nvml *nvml = &reader->nvml;
	nvml_device device = reader->devices[gpu].handle;
	unsigned long long energy_mj;
	unsigned now = 0, pending = 0;

	*ret_description = (struct gpu_description){.name = "NVIDIA GPU"};
	if (nvml->name)
		(void)nvml->name(device, ret_description->name, sizeof(ret_description->name));
	ret_description->name[sizeof(ret_description->name) - 1] = '\0';
	ret_description->has_counter = nvml->energy_mj && nvml->energy_mj(device, &energy_mj) == NVML_SUCCESS;
	ret_description->is_split =
		nvml->mig_mode && nvml->mig_mode(device, &now, &pending) == NVML_SUCCESS && now != 0;
}

/* Joules since the last look; NAN: not known. */
static double read_energy(struct gpu_reader *reader, unsigned gpu, double seconds)
{
	const struct nvml *nvml = &reader->nvml;
	struct device *device = &reader->devices[gpu];
	const double power_before_w = device->power_w;
	const unsigned long long before_mj = device->energy_mj;
	const bool started = device->started;
	unsigned long long energy_mj;
	unsigned power_mw = 0;
	double joules;

	if (reader->clients)
		return drm_meter_read(&reader->meters[gpu], reader->sysfs_root, seconds);
	device->started = true;
	if (nvml->energy_mj && nvml->energy_mj(device->handle, &energy_mj) == NVML_SUCCESS) {
		joules = started && device->counts && energy_mj >= before_mj
				 ? (double)(energy_mj - before_mj) * 1e-3
				 : NAN;
		device->energy_mj = energy_mj;
		device->counts = true;
	} else if (!device->counts && nvml->power_mw(device->handle, &power_mw) == NVML_SUCCESS) {
		device->power_w = power_mw * 1e-3;
		joules = started ? (power_before_w + device->power_w) / 2 * seconds : NAN;
	} else {
		device->started = false;
		joules = NAN;
	}
	return joules <= GPU_MOST_W * (seconds + 1) ? joules : NAN;
}

static void add_work(struct gpu_reader *reader, unsigned gpu, unsigned pid, double time_ns)
{
	struct work *work = NULL;

	if (!(time_ns >= 1))
		return;
	for (unsigned i = 0; i < reader->n_works && !work; i++)
		if (reader->works[i].gpu == gpu && reader->works[i].pid == pid)
			work = &reader->works[i];
	if (!work && reader->n_works == GPU_WORKS_MAX)
		return;
	if (!work) {
		work = &reader->works[reader->n_works++];
		*work = (struct work){.gpu = gpu, .pid = pid};
	}
	work->time_ns += (uint64_t)time_ns;
}

/* Equal parts of `time_ns` for all processes that compute on the device; the driver reports no more than
 * these. */
static void add_running(struct gpu_reader *reader, unsigned gpu, nvml_device handle, double time_ns)
{
	static struct nvml_process processes[PROCESSES_MAX];
	unsigned n = PROCESSES_MAX;

	if (!reader->nvml.processes || reader->nvml.processes(handle, &n, processes) != NVML_SUCCESS)
		return;
	for (unsigned i = 0; i < n && i < PROCESSES_MAX; i++)
		add_work(reader, gpu, processes[i].pid, time_ns / n);
}

static double busy_part(struct gpu_reader *reader, nvml_device whole, nvml_device instance)
{
	const double part = reader->gpm ? nvml_gpm_busy(reader->gpm, whole, instance) : NAN;

	return isnan(part) ? 1 : part;
}

/*
 * MIG: the driver does not report the utilization of processes. An instance's processes share its part of the
 * processors, for the time that these were busy; if that is unknown, an instance with processes counts as
 * busy.
 */
static bool add_instances(struct gpu_reader *reader, unsigned gpu, double time_ns)
{
	const struct nvml *nvml = &reader->nvml;
	nvml_device whole = reader->devices[gpu].handle;
	unsigned now = 0, pending = 0, most = 0;
	double all = 0;

	if (!nvml->mig_mode || !nvml->mig_most || !nvml->mig_handle || !nvml->attributes ||
	    nvml->mig_mode(whole, &now, &pending) != NVML_SUCCESS || now == 0 ||
	    nvml->mig_most(whole, &most) != NVML_SUCCESS)
		return false;
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < most; i++) {
			struct nvml_attributes attributes = {0};
			nvml_device instance;

			if (nvml->mig_handle(whole, i, &instance) != NVML_SUCCESS ||
			    nvml->attributes(instance, &attributes) != NVML_SUCCESS)
				continue;
			if (pass == 0)
				all += attributes.multiprocessors;
			else if (all > 0)
				add_running(reader, gpu, instance,
					    busy_part(reader, whole, instance) * time_ns *
						    attributes.multiprocessors / all);
		}
	return true;
}

static void add_utilization(struct gpu_reader *reader, unsigned gpu, double time_ns)
{
	static struct nvml_utilization samples[PROCESSES_MAX];
	struct device *device = &reader->devices[gpu];
	const unsigned long long since_us = device->seen_us;
	unsigned n = PROCESSES_MAX;
	int r = reader->nvml.utilization ? reader->nvml.utilization(device->handle, samples, &n, since_us)
					 : NVML_NOT_SUPPORTED;

	if (r == NVML_NOT_SUPPORTED)
		add_running(reader, gpu, device->handle, time_ns);
	for (unsigned i = 0; r == NVML_SUCCESS && i < n && i < PROCESSES_MAX; i++) {
		const unsigned sm = samples[i].sm <= 100 ? samples[i].sm : 0;

		if (samples[i].time_us > device->seen_us)
			device->seen_us = samples[i].time_us;
		if (samples[i].time_us > since_us)
			add_work(reader, gpu, samples[i].pid, time_ns * sm / 100);
	}
}

/* "0::/path" of the unified hierarchy, "4:perf_event:/path" of v1's. */
static void read_cgroups(const struct gpu_reader *reader, struct owner *owner)
{
	char text[8192], *rest = text;

	if (text_read_file(text, sizeof(text), "%s/%u/cgroup", reader->procfs_root, owner->pid) <= 0)
		return; /* it has ended: keep the known cgroups */
	owner->cgroup[0] = owner->cgroup_v1[0] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *controllers = strchr(line, ':'),
		     *at = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!at)
			continue;
		if (controllers + 1 == at)
			(void)snprintf(owner->cgroup, sizeof(owner->cgroup), "%s", at + 1);
		else if (strstr(controllers, "perf_event"))
			(void)snprintf(owner->cgroup_v1, sizeof(owner->cgroup_v1), "%s", at + 1);
	}
}

static const struct owner *find_owner(struct gpu_reader *reader, unsigned pid, uint64_t now_ns)
{
	struct owner *owner = NULL, *oldest = &reader->owners[0];

	for (unsigned i = 0; i < reader->n_owners && !owner; i++) {
		if (reader->owners[i].pid == pid)
			owner = &reader->owners[i];
		if (reader->owners[i].used_ns < oldest->used_ns)
			oldest = &reader->owners[i];
	}
	if (!owner) {
		owner = reader->n_owners < OWNERS_MAX ? &reader->owners[reader->n_owners++] : oldest;
		*owner = (struct owner){.pid = pid};
	}
	owner->used_ns = now_ns;
	read_cgroups(reader, owner);
	return owner;
}

static void take_work(void *data, unsigned gpu, unsigned pid, double time_ns)
{
	add_work(data, gpu, pid, time_ns);
}

static void look(struct gpu_reader *reader, uint64_t now_ns)
{
	const double time_ns = (double)(now_ns - reader->last_ns);
	const bool first = reader->last_ns == 0;

	if (reader->clients)
		drm_clients_look(reader->clients, first ? 0 : time_ns, take_work, reader);

	for (unsigned i = 0; i < reader->n_devices; i++) {
		struct device *device = &reader->devices[i];
		const double joules = read_energy(reader, i, time_ns * 1e-9);

		if (isnan(joules))
			device->failed = !first;
		else
			device->sum_j += joules;
		if (!reader->clients && !add_instances(reader, i, first ? 0 : time_ns))
			add_utilization(reader, i, first ? 0 : time_ns);
	}
	reader->last_ns = now_ns;
}

int gpu_reader_read(struct gpu_reader *reader, uint64_t now_ns, struct gpu_sample *ret_sample)
{
	struct gpu_sample *sample = ret_sample;
	const bool first = reader->last_ns == 0;

	look(reader, now_ns);
	if (first) {
		reader->from_ns = now_ns;
		return -EAGAIN;
	}
	sample->from_ns = reader->from_ns;
	sample->to_ns = now_ns;
	sample->n_gpus = reader->n_devices;
	for (unsigned i = 0; i < reader->n_devices; i++)
		sample->energy_j[i] = reader->devices[i].failed ? NAN : reader->devices[i].sum_j;
	sample->n_works = reader->n_works;
	for (unsigned i = 0; i < reader->n_works; i++) {
		const struct owner *owner = find_owner(reader, reader->works[i].pid, now_ns);

		sample->works[i] = (struct gpu_work){.gpu = reader->works[i].gpu,
						     .time_ns = reader->works[i].time_ns,
						     .cgroup = owner->cgroup,
						     .cgroup_v1 = owner->cgroup_v1};
	}
	return 0;
}

void gpu_reader_taken(struct gpu_reader *reader)
{
	reader->from_ns = reader->last_ns;
	reader->n_works = 0;
	for (unsigned i = 0; i < reader->n_devices; i++) {
		reader->devices[i].sum_j = 0;
		reader->devices[i].failed = false;
	}
}

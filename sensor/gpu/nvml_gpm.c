/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two samples for each instance, the last and the present one: NVML reports how busy its processors were
 * between them.
 */
#include "gpu/nvml_gpm.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define INSTANCES_MAX    64
#define GPM_VERSION      1
#define GPM_METRIC_SM    2   /* per cent of the multiprocessors that were busy */
#define GPM_METRICS_ROOM 512 /* the library's structure grows with its versions */

struct metric {
	unsigned id;
	int result;
	double value;
	const char *names[3];
};

struct request {
	unsigned version, n_metrics;
	void *from, *to;
	struct metric metrics[GPM_METRICS_ROOM];
};

struct instance {
	nvml_device whole;
	unsigned id;
	void *last, *now; /* samples */
	bool started;
};

struct nvml_gpm {
	const struct nvml *nvml;
	unsigned n;
	struct instance instances[INSTANCES_MAX];
	struct request request;
};

struct nvml_gpm *nvml_gpm_new(const struct nvml *nvml)
{
	struct nvml_gpm *gpm = NULL;

	if (nvml->instance_id && nvml->gpm_alloc && nvml->gpm_free && nvml->gpm_sample && nvml->gpm_metrics)
		gpm = calloc(1, sizeof(*gpm));
	if (gpm)
		gpm->nvml = nvml;
	return gpm;
}

void nvml_gpm_free(struct nvml_gpm *gpm)
{
	for (unsigned i = 0; gpm && i < gpm->n; i++) {
		(void)gpm->nvml->gpm_free(gpm->instances[i].last);
		(void)gpm->nvml->gpm_free(gpm->instances[i].now);
	}
	free(gpm);
}

/* NULL: there is no room, or no sample. */
static struct instance *find(struct nvml_gpm *gpm, nvml_device whole, unsigned id)
{
	struct instance *instance = &gpm->instances[gpm->n];

	for (unsigned i = 0; i < gpm->n; i++)
		if (gpm->instances[i].whole == whole && gpm->instances[i].id == id)
			return &gpm->instances[i];
	if (gpm->n == INSTANCES_MAX)
		return NULL;
	*instance = (struct instance){.whole = whole, .id = id};
	if (gpm->nvml->gpm_alloc(&instance->last) != NVML_SUCCESS)
		return NULL;
	if (gpm->nvml->gpm_alloc(&instance->now) != NVML_SUCCESS) {
		(void)gpm->nvml->gpm_free(instance->last);
		return NULL;
	}
	gpm->n++;
	return instance;
}

double nvml_gpm_busy(struct nvml_gpm *gpm, nvml_device whole, nvml_device handle)
{
	struct request *request = &gpm->request;
	struct instance *instance;
	unsigned id = 0;
	void *sample;
	double part;

	if (gpm->nvml->instance_id(handle, &id) != NVML_SUCCESS)
		return NAN;
	instance = find(gpm, whole, id);
	if (!instance)
		return NAN;
	sample = instance->last;
	instance->last = instance->now;
	instance->now = sample;
	/* Drivers differ in which of the two devices they accept. */
	if (gpm->nvml->gpm_sample(whole, id, instance->now) != NVML_SUCCESS &&
	    gpm->nvml->gpm_sample(handle, id, instance->now) != NVML_SUCCESS) {
		instance->started = false;
		return NAN;
	}
	request->version = GPM_VERSION;
	request->n_metrics = 1;
	request->from = instance->last;
	request->to = instance->now;
	request->metrics[0] = (struct metric){.id = GPM_METRIC_SM};
	part = instance->started && gpm->nvml->gpm_metrics(request) == NVML_SUCCESS &&
			       request->metrics[0].result == NVML_SUCCESS
		       ? request->metrics[0].value / 100
		       : NAN;
	instance->started = true;
	return part >= 0 && part <= 1 ? part : NAN;
}

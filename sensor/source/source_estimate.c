/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy on machines without a counter: TDP x (idle share + the rest x utilization), by package, from
 * /proc/stat. A model, marked as such; provides only RAPL_ENERGY_PKG. Called by the sensor if rapl and
 * powercap are missing.
 */
#include "source/source.h"

#include "base/log.h"
#include "machine/procstat.h"
#include "base/reason.h"
#include "base/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TOKEN "estimate"
/* An idle package's part of its TDP; for measured servers it is between a fifth and a half. */
#define ESTIMATE_IDLE_SHARE 0.3
/* Used without a TDP: close to the data sheets of common processors with 2 to 64 cores, within a factor of
 * two. */
#define ESTIMATE_TDP_BASE_W     15.0
#define ESTIMATE_TDP_PER_CORE_W 5.0

struct source_estimate {
	struct system_source source; /* first: the sensor sees only this */
	struct procstat stat;
	const char *event;
	double tdp_w;
	bool read_before;
};

static int estimate_probe(struct source_context *context, const struct event_group_request *request,
			  struct reason *why)
{
	struct procstat stat;
	int r;

	if (!event_group_has(request, REPORT_EVENT_PKG))
		return reason_set(why, -ENOENT, "only " REPORT_EVENT_PKG " can be estimated");
	r = procstat_open(context->procfs_root, context->topology, &stat);
	if (r < 0)
		reason_set(why, 0, "cannot read %s/stat: %s", context->procfs_root, strerror(-r));
	else
		procstat_close(&stat);
	return r;
}

static void estimate_close(struct system_source *source)
{
	struct source_estimate *estimate = (struct source_estimate *)source;

	if (!estimate)
		return;
	procstat_close(&estimate->stat);
	free((struct report_place *)(uintptr_t)source->group.places);
	free(source->values);
	free(estimate);
}

static int make_group(struct source_estimate *estimate, const struct topology *topology, const char *name)
{
	struct report_place *places = calloc(topology->n_packages, sizeof(*places));
	struct system_source *source = &estimate->source;

	estimate->event = REPORT_EVENT_PKG;
	source->values = calloc(topology->n_packages, sizeof(*source->values));
	source->group = (struct report_group){.name = name,
					      .n_events = 1,
					      .events = &estimate->event,
					      .n_places = topology->n_packages,
					      .places = places};
	if (!places || !source->values)
		return -ENOMEM;
	for (unsigned i = 0; i < topology->n_packages; i++)
		places[i] = (struct report_place){.package = topology->packages[i].id,
						  .cpu = topology->packages[i].first_cpu};
	return 0;
}

static void say_what_it_is(const struct source_context *context, const struct event_group_request *request,
			   double tdp_w)
{
	for (unsigned i = 0; i < request->n_events && !request->by_default; i++)
		if (strcmp(request->events[i], REPORT_EVENT_PKG) != 0)
			log_warning(LOG_TOKEN, 0,
				    "group %s is measured without event %s: it cannot be estimated",
				    request->name, request->events[i]);
	if (context->tdp_w > 0)
		log_notice(LOG_TOKEN, 0,
			   "watts are estimated from the CPU's utilization and a TDP of %.0f W per socket",
			   tdp_w);
	else
		log_notice(LOG_TOKEN, 0,
			   "watts are estimated from the CPU's utilization and a guessed TDP of %.0f W per "
			   "socket (%u cores); set the right one with --tdp",
			   tdp_w, topology_cores_per_package(context->topology));
}

/* A virtual machine's sockets are configured by its owner, often one per CPU: they are parts of one real
 * socket. */
static double find_tdp(const struct source_context *context)
{
	const struct topology *topology = context->topology;
	const double base_w =
		topology->virtual_machine ? ESTIMATE_TDP_BASE_W / topology->n_packages : ESTIMATE_TDP_BASE_W;

	if (context->tdp_w > 0 && isfinite(context->tdp_w))
		return context->tdp_w;
	return base_w + ESTIMATE_TDP_PER_CORE_W * topology_cores_per_package(topology);
}

static int estimate_open(struct source_context *context, const struct event_group_request *request,
			 struct system_source **ret_source)
{
	struct source_estimate *estimate;
	int r;

	if (context->strict && request->n_events > 1 && !request->by_default)
		return -ENOENT;
	estimate = calloc(1, sizeof(*estimate));
	if (!estimate)
		return -ENOMEM;
	estimate->stat.fd = -1;
	estimate->source.ops = &source_estimate;
	estimate->tdp_w = find_tdp(context);
	r = make_group(estimate, context->topology, request->name);
	if (r == 0)
		r = procstat_open(context->procfs_root, context->topology, &estimate->stat);
	if (r < 0) {
		estimate_close(&estimate->source);
		return r;
	}
	say_what_it_is(context, request, estimate->tdp_w);
	*ret_source = &estimate->source;
	return 0;
}

/* Energy of a step in 2^-32 J. */
static uint64_t energy_of(double tdp_w, const struct procstat_times *times, uint64_t interval_ns)
{
	double busy = times->all_ns ? (double)times->busy_ns / (double)times->all_ns : 0;
	double power_w = tdp_w * (ESTIMATE_IDLE_SHARE + (1 - ESTIMATE_IDLE_SHARE) * fmin(busy, 1));
	double units = ldexp(power_w * UNIT_S_OF_NS(interval_ns), -REPORT_RAPL_EXPONENT);

	return units < ldexp(1, 63) ? (uint64_t)units : 0;
}

static int estimate_read(struct system_source *source, uint64_t interval_ns)
{
	struct source_estimate *estimate = (struct source_estimate *)source;
	int r = procstat_read(&estimate->stat);

	for (unsigned i = 0; i < source->group.n_places; i++) {
		if (r < 0)
			source->values[i] = REPORT_COUNT_MISSING;
		else
			source->values[i] =
				estimate->read_before
					? energy_of(estimate->tdp_w, &estimate->stat.packages[i], interval_ns)
					: 0;
	}
	if (r < 0) {
		if (source->read_failures++ == 0)
			log_warning(LOG_TOKEN, r,
				    "/proc/stat cannot be read: the estimated energy is missing "
				    "(further failures only in metadata.lost)");
		return r;
	}
	estimate->read_before = true;
	return 0;
}

const struct system_source_ops source_estimate = {
	.name = REPORT_SOURCE_ESTIMATE,
	.energy = true,
	.estimated = true,
	.probe = estimate_probe,
	.open = estimate_open,
	.read = estimate_read,
	.close = estimate_close,
};

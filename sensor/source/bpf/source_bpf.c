/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity by BPF: one descriptor per CPU and event, counts per cgroup added up in the kernel at each switch,
 * read from mapped memory (source_bpf_read.c). This file probes, opens and closes it. If no event can be
 * counted, it counts CPU time only. Everything privileged goes through priv_client.
 */
#include "source/bpf/source_bpf.h"

#include "base/cleanup.h"
#include "source/frame.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SOURCE_BPF_SLOTS  16384 /* targets at a time, each with a cell per place */
#define SOURCE_BPF_BIRTHS 1024  /* cgroups created in a tick that are counted before the sensor knows them */

static const char *const time_events[] = {REPORT_EVENT_CPU_TIME};

static void unmap_arrays(struct source_bpf *bpf)
{
	for (unsigned i = 0; i < PRIV_BPF_MAPS; i++)
		if (bpf->maps[i])
			(void)munmap(bpf->maps[i], bpf->map_sizes[i]);
	free(bpf->time_places);
	free(bpf->place_of_cpu);
	free(bpf->before);
	free(bpf->touched_before);
	free(bpf->pulses_before);
	free(bpf->totals_before);
	free(bpf->fresh);
	free(bpf->changes);
	free(bpf->adopted);
}

static void close_source(struct activity_source *source)
{
	struct source_bpf *bpf = (struct source_bpf *)source;

	if (!bpf)
		return;
	unmap_arrays(bpf);
	frame_done(&bpf->source.frame);
	perf_plan_free(bpf->plan);
	free(bpf);
}

/* Sets up places by socket or by CPU if only time is counted; a plan has its own. */
static int make_time_group(struct source_bpf *bpf)
{
	const struct topology *topology = bpf->context->topology;
	const unsigned n = bpf->context->per_cpu ? topology->n_cpus : topology->n_packages;

	bpf->time_places = calloc(n, sizeof(*bpf->time_places));
	if (!bpf->time_places)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (bpf->context->per_cpu)
			bpf->time_places[i] =
				(struct report_place){topology->cpus[i].package, topology->cpus[i].id};
		else
			bpf->time_places[i] = (struct report_place){topology->packages[i].id,
								    topology->packages[i].first_cpu};
	}
	bpf->time_group = (struct report_group){.name = REPORT_GROUP_CPUSTAT,
						.n_events = 1,
						.events = time_events,
						.n_places = n,
						.places = bpf->time_places};
	return 0;
}

static int shape_frame(struct source_bpf *bpf)
{
	struct activity_frame *frame = &bpf->source.frame;
	const struct topology *topology = bpf->context->topology;
	const struct report_place *places;
	int r = bpf->plan ? 0 : make_time_group(bpf);

	if (r < 0)
		return r;
	frame->n_groups = bpf->plan ? bpf->plan->n_groups : 1;
	frame->groups = bpf->plan ? bpf->plan->groups : &bpf->time_group;
	frame->n_events = bpf->plan ? bpf->plan->n_events : 1;
	frame->n_places = bpf->plan ? bpf->plan->n_places : bpf->time_group.n_places;
	bpf->n_cpus = topology->cpus[topology->n_cpus - 1].id + 1;
	bpf->place_of_cpu = calloc(bpf->n_cpus, sizeof(*bpf->place_of_cpu));
	if (!bpf->place_of_cpu)
		return -ENOMEM;
	places = frame->groups[0].places;
	for (unsigned i = 0; i < topology->n_cpus; i++)
		for (unsigned p = 0; p < frame->n_places; p++)
			if (bpf->context->per_cpu ? places[p].cpu == topology->cpus[i].id
						  : places[p].package == topology->cpus[i].package)
				bpf->place_of_cpu[topology->cpus[i].id] = p;
	return 0;
}

static int map_arrays(struct source_bpf *bpf, const int fds[PRIV_BPF_MAPS])
{
	const size_t cell_size = COUNT_CELL_SIZE(source_bpf_n_events(bpf));
	const struct {
		size_t n, each;
		int protection;
	} shapes[PRIV_BPF_MAPS] = {
		{(size_t)(bpf->n_slots + bpf->n_births) * bpf->source.frame.n_places, cell_size, PROT_READ},
		{(size_t)bpf->n_cpus * 2, cell_size, PROT_READ},
		{bpf->n_slots / COUNT_TOUCHED_SLOTS + 1, sizeof(struct count_touched),
		 PROT_READ | PROT_WRITE},
		{bpf->n_births + 1, sizeof(*bpf->births), PROT_READ},
		{bpf->n_cpus, sizeof(*bpf->pulses), PROT_READ},
	};
	int r = 0;

	for (unsigned i = 0; i < PRIV_BPF_MAPS; i++) {
		void *array;

		bpf->map_sizes[i] = shapes[i].n * shapes[i].each;
		array = mmap(NULL, bpf->map_sizes[i], shapes[i].protection, MAP_SHARED, fds[i], 0);
		(void)close(fds[i]);
		bpf->maps[i] = array == MAP_FAILED ? NULL : array;
		r = bpf->maps[i] ? r : -ENOMEM;
	}
	bpf->cells = bpf->maps[0];
	bpf->totals = bpf->maps[1];
	bpf->touched = bpf->maps[2];
	bpf->births = bpf->maps[3];
	bpf->pulses = bpf->maps[4];
	return r;
}

static int make_arrays(struct source_bpf *bpf)
{
	bpf->before = calloc((size_t)bpf->n_slots * bpf->source.frame.n_places, source_bpf_seen_size(bpf));
	bpf->touched_before = calloc(1, bpf->map_sizes[2]);
	bpf->pulses_before = calloc(bpf->n_cpus, sizeof(*bpf->pulses_before));
	bpf->totals_before = calloc((size_t)bpf->n_cpus * 2, source_bpf_seen_size(bpf));
	bpf->fresh = calloc(bpf->n_slots, sizeof(*bpf->fresh));
	bpf->changes = calloc(PRIV_BPF_CHANGES_MAX, sizeof(*bpf->changes));
	bpf->adopted = calloc(bpf->n_births + 1, sizeof(*bpf->adopted));
	if (!bpf->before || !bpf->touched_before || !bpf->pulses_before || !bpf->totals_before ||
	    !bpf->fresh || !bpf->changes || !bpf->adopted)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)bpf->n_cpus * 2; i++)
		source_bpf_see(bpf, source_bpf_cell(bpf, bpf->totals, i),
			       source_bpf_seen(bpf, bpf->totals_before, i));
	memcpy(bpf->pulses_before, bpf->pulses, bpf->map_sizes[4]);
	bpf->births_told = bpf->births[bpf->n_births].seq != 0;
	return 0;
}

static int start_program(struct source_bpf *bpf)
{
	const unsigned n_places = bpf->source.frame.n_places;
	const struct priv_bpf_shape shape = {.n_events = bpf->plan ? bpf->plan->n_events : 0,
					     .n_cpus = bpf->n_cpus,
					     .n_places = n_places,
					     .n_slots = bpf->n_slots,
					     .n_births = bpf->n_births,
					     .place_of_cpu = bpf->place_of_cpu};
	int fds[PRIV_BPF_MAPS];
	int r = priv_client_bpf_load(bpf->context->priv, &shape);

	if (r == 0)
		r = source_bpf_open_events(bpf, SOURCE_BPF_ALL_CPUS);
	if (r == 0)
		r = priv_client_bpf_attach(bpf->context->priv, fds);
	if (r < 0)
		return r;
	r = map_arrays(bpf, fds);
	return r < 0 ? r : make_arrays(bpf);
}

static unsigned cell_size_for(const struct source_bpf *bpf)
{
	return (unsigned)COUNT_CELL_SIZE(source_bpf_n_events(bpf));
}

/* Fewer slots if the cells would take much memory: with one place per CPU on a machine with many CPUs. */
static unsigned slots_for(const struct source_bpf *bpf, unsigned wanted)
{
	const unsigned fit = (64u << 20) / cell_size_for(bpf) / bpf->source.frame.n_places;
	unsigned n = wanted > SOURCE_BPF_SLOTS ? wanted : SOURCE_BPF_SLOTS;

	n = n > PRIV_BPF_SLOTS_MAX ? PRIV_BPF_SLOTS_MAX : n;
	return n > fit && fit > 64 ? fit : n;
}

static unsigned births_for(const struct source_bpf *bpf)
{
	const unsigned fit = (8u << 20) / cell_size_for(bpf) / bpf->source.frame.n_places;

	return fit < SOURCE_BPF_BIRTHS ? fit : SOURCE_BPF_BIRTHS;
}

static int open_source(struct source_context *context, const struct event_group_request *requests,
		       unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_bpf *bpf = calloc(1, sizeof(*bpf));
	struct reason why;
	int r = 0;

	if (!bpf)
		return -ENOMEM;
	bpf->source.ops = &source_bpf;
	bpf->context = context;
	if (perf_plan_probe(context, PERF_PLAN_CGROUPS, requests, n_requests, &why) == 0)
		r = perf_plan_new(context, PERF_PLAN_CGROUPS, requests, n_requests, &bpf->plan);
	else if (context->strict && !requests[0].by_default)
		r = log_error("source", -ENOENT, "no event can be counted: %s", why.text);
	else
		log_notice("source", 0, "no event can be counted (%s); CPU time is counted instead",
			   why.text);
	if (r == 0 && bpf->plan && bpf->plan->n_events > COUNT_EVENTS_MAX)
		r = -E2BIG;
	if (r == 0)
		r = shape_frame(bpf);
	if (r == 0) {
		bpf->n_slots = slots_for(bpf, n_slots);
		bpf->n_births = births_for(bpf);
		r = frame_reserve(&bpf->source.frame, n_slots ? n_slots : 1, bpf->plan != NULL);
	}
	if (r == 0)
		r = start_program(bpf);
	if (r < 0) {
		close_source(&bpf->source);
		return r;
	}
	bpf->source.frame.flags[ACTIVITY_SLOT_MACHINE] = ACTIVITY_OPEN;
	*ret_source = &bpf->source;
	return 0;
}

/* Checks that the program works here: loads it, attaches it, runs it once on every CPU and checks that time
 * was counted. */
static int probe(struct source_context *context, const struct event_group_request *requests,
		 unsigned n_requests, struct reason *why)
{
	struct source_bpf bpf = {.context = context, .n_slots = 1};
	uint64_t ns = 0;
	int r;

	(void)requests, (void)n_requests;
	if (context->cgroups_without_perf) {
		reason_set(why, 0, "the watched hierarchy (-p) is not that of perf events, which BPF uses");
		reason_advise(why, "omit -p, or give the perf_event hierarchy");
		return -EOPNOTSUPP;
	}
	r = shape_frame(&bpf);
	if (r == 0)
		r = start_program(&bpf);
	if (r == 0)
		r = priv_client_bpf_update(context->priv, NULL, 0, true);
	for (unsigned cpu = 0; r == 0 && cpu < bpf.n_cpus; cpu++)
		ns += source_bpf_cell(&bpf, bpf.totals, cpu)->ns +
		      source_bpf_cell(&bpf, bpf.totals, bpf.n_cpus + cpu)->ns;
	if (r == 0 && ns == 0)
		r = -ENODATA;
	if (r < 0)
		reason_set(why, 0, "%s",
			   priv_client_cause(context->priv)[0] ? priv_client_cause(context->priv)
			   : r == -ENODATA ? "the program runs, but counts no time" REASON_FIX
					     "report this with the "
					     "kernel's version"
					   : strerror(-r));
	unmap_arrays(&bpf);
	return r;
}

const struct activity_source_ops source_bpf = {
	.name = "bpf",
	.probe = probe,
	.open = open_source,
	.add = source_bpf_add,
	.remove = source_bpf_remove,
	.births = source_bpf_births,
	.read = source_bpf_read,
	.close = close_source,
};

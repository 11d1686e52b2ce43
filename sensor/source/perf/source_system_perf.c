/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System groups by perf events, machine-wide: msr, uncore and any other event (`system`), and the energy
 * events of the `power` PMU (`rapl`). Called by the sensor once a tick; the plan and the slots do the work.
 */
#include "source/source.h"

#include "source/frame.h"
#include "source/perf/perf_slots.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source_system_perf {
	struct system_source source; /* first: the sensor sees only this */
	struct perf_plan *plan;
	struct perf_slots slots;
	struct activity_frame frame; /* of the one slot */
	bool read_before;
};

static void system_perf_close(struct system_source *source)
{
	struct source_system_perf *perf = (struct source_system_perf *)source;

	if (!perf)
		return;
	perf_slots_done(&perf->slots, &perf->frame);
	perf_plan_free(perf->plan);
	free(perf);
}

/* Shows the frame's only slot as the source's arrays. */
static void show_frame(struct source_system_perf *perf)
{
	perf->source.group = perf->plan->groups[0];
	perf->source.values = perf->frame.counts;
	perf->source.enabled_ns = perf->frame.enabled_ns;
	perf->source.running_ns = perf->frame.running_ns;
}

static int system_perf_new(struct source_context *context, enum perf_plan_kind kind,
			   const struct event_group_request *request, const struct system_source_ops *ops,
			   struct system_source **ret_source)
{
	struct source_system_perf *perf = calloc(1, sizeof(*perf));
	int r;

	if (!perf)
		return -ENOMEM;
	perf->source.ops = ops;
	r = perf_plan_new(context, kind, request, 1, &perf->plan);
	if (r == 0) {
		perf->slots = (struct perf_slots){.context = context, .plan = perf->plan};
		perf->frame.n_groups = 1;
		perf->frame.groups = perf->plan->groups;
		perf->frame.n_events = perf->plan->n_events;
		perf->frame.n_places = perf->plan->n_places;
		r = perf_slots_open(&perf->slots, &perf->frame, 0, "");
	}
	if (r < 0) {
		system_perf_close(&perf->source);
		return r;
	}
	show_frame(perf);
	*ret_source = &perf->source;
	return 0;
}

static int system_perf_read(struct system_source *source, uint64_t interval_ns)
{
	struct source_system_perf *perf = (struct source_system_perf *)source;
	int r = perf_slots_read(&perf->slots, &perf->frame);

	(void)interval_ns;
	source->read_failures = perf->frame.read_failures;
	/* The first read only sets the baselines: what was counted since open belongs to no tick. */
	if (!perf->read_before)
		frame_clear(&perf->frame);
	perf->read_before = true;
	return r;
}

static void system_perf_cpu_changed(struct system_source *source, unsigned cpu, bool online)
{
	struct source_system_perf *perf = (struct source_system_perf *)source;

	perf_slots_cpu_changed(&perf->slots, cpu, online);
}

static int probe(struct source_context *context, enum perf_plan_kind kind,
		 const struct event_group_request *request, struct reason *why)
{
	return perf_plan_probe(context, kind, request, 1, why);
}

static int system_perf_probe(struct source_context *context, const struct event_group_request *request,
			     struct reason *why)
{
	return probe(context, PERF_PLAN_SYSTEM, request, why);
}

static int system_perf_open(struct source_context *context, const struct event_group_request *request,
			    struct system_source **ret_source)
{
	return system_perf_new(context, PERF_PLAN_SYSTEM, request, &source_system_perf, ret_source);
}

static int rapl_probe(struct source_context *context, const struct event_group_request *request,
		      struct reason *why)
{
	return probe(context, PERF_PLAN_ENERGY, request, why);
}

static int rapl_open(struct source_context *context, const struct event_group_request *request,
		     struct system_source **ret_source)
{
	return system_perf_new(context, PERF_PLAN_ENERGY, request, &source_rapl, ret_source);
}

const struct system_source_ops source_system_perf = {
	.name = "perf",
	.probe = system_perf_probe,
	.open = system_perf_open,
	.read = system_perf_read,
	.cpu_changed = system_perf_cpu_changed,
	.close = system_perf_close,
};

const struct system_source_ops source_rapl = {
	.name = "rapl",
	.energy = true,
	.probe = rapl_probe,
	.open = rapl_open,
	.read = system_perf_read,
	.cpu_changed = system_perf_cpu_changed,
	.close = system_perf_close,
};

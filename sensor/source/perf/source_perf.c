/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity by perf events of cgroups: for each target and CPU one perf group, one read a tick. The kernel
 * counts a cgroup with all below it, so only a target's own cgroup is opened. Called by the sensor; knows no
 * names.
 */
#include "source/source.h"

#include "source/perf/perf_slots.h"
#include "priv/priv_client.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/perf_event.h>

struct source_perf {
	struct activity_source source; /* first: the sensor sees only this */
	struct perf_plan *plan;
	struct perf_slots slots;
};

/* A software event of the root cgroup: can cgroups be counted at all, whatever the events? */
static int try_root_cgroup(struct source_context *context, struct reason *why)
{
	struct event_attr attr = {.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CONTEXT_SWITCHES};
	struct priv_group group = {
		.cgroup = "/", .cpu = context->topology->cpus[0].id, .n_events = 1, .events = &attr};
	struct reason reason = {""};
	int fd = -1, r = priv_client_open_group(context->priv, &group, &fd);

	if (r == 0) {
		(void)close(fd);
		return 0;
	}
	(void)event_explain_open(r, NULL, true, priv_client_cause(context->priv), &reason);
	return reason_set(why, r, "perf events of cgroups: %.900s", reason.text);
}

static int probe(struct source_context *context, const struct event_group_request *requests,
		 unsigned n_requests, struct reason *why)
{
	int r = perf_plan_probe(context, PERF_PLAN_CGROUPS, requests, n_requests, why);

	return r < 0 ? r : try_root_cgroup(context, why);
}

static void close_source(struct activity_source *source)
{
	struct source_perf *perf = (struct source_perf *)source;

	if (!perf)
		return;
	perf_slots_done(&perf->slots, &perf->source.frame);
	perf_plan_free(perf->plan);
	free(perf);
}

static int open_source(struct source_context *context, const struct event_group_request *requests,
		       unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_perf *perf = calloc(1, sizeof(*perf));
	struct activity_frame *frame;
	int r;

	if (!perf)
		return -ENOMEM;
	perf->source.ops = &source_perf;
	frame = &perf->source.frame;
	r = perf_plan_new(context, PERF_PLAN_CGROUPS, requests, n_requests, &perf->plan);
	if (r == 0) {
		perf->slots = (struct perf_slots){.context = context, .plan = perf->plan};
		frame->n_groups = perf->plan->n_groups;
		frame->groups = perf->plan->groups;
		frame->n_events = perf->plan->n_events;
		frame->n_places = perf->plan->n_places;
		r = perf_slots_reserve(&perf->slots, frame, n_slots ? n_slots : 1);
	}
	if (r == 0)
		r = perf_slots_open(&perf->slots, frame, ACTIVITY_SLOT_MACHINE, "");
	if (r < 0) {
		close_source(&perf->source);
		return r;
	}
	*ret_source = &perf->source;
	return 0;
}

static int add_target(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_perf *perf = (struct source_perf *)source;

	if (!cgroup->root)
		return 0;
	return perf_slots_open(&perf->slots, &source->frame, cgroup->slot, cgroup->path);
}

static void remove_target(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_perf *perf = (struct source_perf *)source;

	if (cgroup->root)
		perf_slots_close(&perf->slots, &source->frame, cgroup->slot);
}

static int read_counts(struct activity_source *source)
{
	struct source_perf *perf = (struct source_perf *)source;

	return perf_slots_read(&perf->slots, &source->frame);
}

static void cpu_changed(struct activity_source *source, unsigned cpu, bool online)
{
	struct source_perf *perf = (struct source_perf *)source;

	perf_slots_cpu_changed(&perf->slots, cpu, online);
}

const struct activity_source_ops source_perf = {
	.name = "perf",
	.probe = probe,
	.open = open_source,
	.add = add_target,
	.remove = remove_target,
	.read = read_counts,
	.cpu_changed = cpu_changed,
	.close = close_source,
};

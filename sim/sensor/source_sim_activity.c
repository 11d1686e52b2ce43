/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine as a source of activity: the counts of its containers, found by activity_cgroup.id
 * (see sim_cgroup_id). Called by the sensor with --sim after each step of the machine.
 */
#include "sim/sensor/source_sim.h"
#include "base/cleanup.h"
#include "base/array.h"

#include "source/frame.h"
#include "base/log.h"
#include "sim/sim.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TOKEN "sim"

struct sim_column {
	unsigned group;
	enum sim_count count;
};

struct source_sim_activity {
	struct activity_source source; /* first: the sensor sees only this */
	const struct sim *sim;
	struct report_group *groups;
	struct report_place *places;
	struct sim_column *columns; /* [n_events] */
	uint64_t *ids;              /* [n_slots] the container that a slot counts; 0: none */
	unsigned n_ids;
};

/* The meaning of an event name, from the words in it: the simulated machine accepts the names of any
 * processor. */
static int find_count(const struct sim *sim, const char *name, enum sim_count *ret_count)
{
	static const struct {
		const char *word;
		enum sim_count count;
	} words[] = {{"FP_ARITH", SIM_PACKED},   {"CPU_TIME", SIM_REF}, {"MISS", SIM_MISSES},
		     {"INST", SIM_INSTRUCTIONS}, {"REF", SIM_REF},      {"CYC", SIM_CYCLES},
		     {"CLK", SIM_CYCLES},        {"THREAD", SIM_CYCLES}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcasestr(name, words[i].word))
			continue;
		*ret_count = words[i].count;
		return sim_shape(sim)->count[words[i].count] ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static int activity_probe(struct source_context *context, const struct event_group_request *requests,
			  unsigned n_requests, struct reason *why)
{
	(void)requests, (void)n_requests;
	if (source_sim_of(context))
		return 0;
	return reason_set(why, -ENODEV, "there is no simulated machine; choose one with --sim SCENARIO.json");
}

static void activity_close(struct activity_source *source)
{
	struct source_sim_activity *activity = (struct source_sim_activity *)source;

	if (!activity)
		return;
	for (unsigned g = 0; activity->groups && g < source->frame.n_groups; g++)
		free((void *)(uintptr_t)activity->groups[g].events);
	frame_done(&source->frame);
	free(activity->groups);
	free(activity->places);
	free(activity->columns);
	free(activity->ids);
	free(activity);
}

/* Adds one event of a group; unknown ones are logged and omitted. */
static int add_event(struct source_sim_activity *activity, const struct source_context *context,
		     const char *name)
{
	struct activity_frame *frame = &activity->source.frame;
	struct report_group *group = &activity->groups[frame->n_groups - 1];
	enum sim_count count;

	if (find_count(activity->sim, name, &count) < 0) {
		log_warning(LOG_TOKEN, 0, "group '%s': the simulated machine does not count '%s'",
			    group->name, name);
		return context->strict ? -ENOENT : 0;
	}
	((const char **)(uintptr_t)group->events)[group->n_events++] = name;
	activity->columns[frame->n_events++] = (struct sim_column){frame->n_groups - 1, count};
	return 0;
}

static int add_group(struct source_sim_activity *activity, const struct source_context *context,
		     const char *name, char *const *events, unsigned n_events)
{
	struct activity_frame *frame = &activity->source.frame;
	struct report_group *group = &activity->groups[frame->n_groups++];
	int r = 0;

	group->name = name;
	group->events = calloc(n_events ? n_events : 1, sizeof(*group->events));
	if (!group->events)
		return -ENOMEM;
	group->places = activity->places;
	group->n_places = frame->n_places;
	for (unsigned i = 0; i < n_events && r >= 0; i++)
		r = add_event(activity, context, events[i]);
	return r;
}

static int add_groups(struct source_sim_activity *activity, const struct source_context *context,
		      const struct event_group_request *requests, unsigned n_requests)
{
	static char cpu_time[] = REPORT_EVENT_CPU_TIME;
	char *const only[] = {cpu_time};
	int r = 0;

	if (sim_shape(activity->sim)->cpu_time)
		return add_group(activity, context, REPORT_GROUP_CPUSTAT, only, 1);
	for (unsigned g = 0; g < n_requests && r >= 0; g++)
		r = add_group(activity, context, requests[g].name, requests[g].events, requests[g].n_events);
	return r;
}

static int reserve(struct source_sim_activity *activity, unsigned n_slots)
{
	struct activity_frame *frame = &activity->source.frame;
	int r = frame_reserve(frame, n_slots, true);

	if (r < 0 || frame->n_slots <= activity->n_ids)
		return r;
	if (!ARRAY_RESIZE(activity->ids, frame->n_slots))
		return -ENOMEM;
	memset(activity->ids + activity->n_ids, 0,
	       (frame->n_slots - activity->n_ids) * sizeof(*activity->ids));
	activity->n_ids = frame->n_slots;
	return 0;
}

static int allocate(struct source_sim_activity *activity, const struct event_group_request *requests,
		    unsigned n_requests)
{
	size_t n_events = 1;

	for (unsigned g = 0; g < n_requests; g++)
		n_events += requests[g].n_events;
	activity->groups = calloc(n_requests + 1, sizeof(*activity->groups));
	activity->columns = calloc(n_events, sizeof(*activity->columns));
	activity->places = calloc(sim_shape(activity->sim)->sockets, sizeof(*activity->places));
	if (!activity->groups || !activity->columns || !activity->places)
		return -ENOMEM;
	for (unsigned k = 0; k < sim_shape(activity->sim)->sockets; k++)
		activity->places[k] =
			(struct report_place){.package = k, .cpu = k * sim_shape(activity->sim)->cores};
	activity->source.frame.n_places = sim_shape(activity->sim)->sockets;
	activity->source.frame.groups = activity->groups;
	return 0;
}

static int activity_open(struct source_context *context, const struct event_group_request *requests,
			 unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_sim_activity *activity = calloc(1, sizeof(*activity));
	int r;

	if (!activity)
		return -ENOMEM;
	activity->source.ops = &source_sim_activity;
	activity->sim = source_sim_of(context);
	r = allocate(activity, requests, n_requests);
	if (r == 0)
		r = add_groups(activity, context, requests, n_requests);
	if (r == 0 && activity->source.frame.n_events == 0)
		r = -ENOENT;
	if (r == 0)
		r = reserve(activity, n_slots ? n_slots : 1);
	if (r < 0) {
		activity_close(&activity->source);
		return r;
	}
	activity->source.frame.flags[ACTIVITY_SLOT_MACHINE] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	*ret_source = &activity->source;
	return 0;
}

static int activity_add(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_sim_activity *activity = (struct source_sim_activity *)source;
	int r;

	if (!cgroup->root)
		return 0;
	if (sim_find(activity->sim, cgroup->id) == SIM_SYSTEM)
		return -ENOENT;
	r = reserve(activity, cgroup->slot + 1);
	if (r < 0)
		return r;
	activity->ids[cgroup->slot] = cgroup->id;
	source->frame.flags[cgroup->slot] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	return 0;
}

static void activity_remove(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_sim_activity *activity = (struct source_sim_activity *)source;

	if (!cgroup->root || cgroup->slot >= activity->n_ids)
		return;
	activity->ids[cgroup->slot] = 0;
	frame_free_slot(&source->frame, cgroup->slot);
}

/* sim_slot SIM_SYSTEM: the whole machine. */
static void read_slot(struct source_sim_activity *activity, unsigned slot, unsigned sim_slot)
{
	struct activity_frame *frame = &activity->source.frame;
	uint64_t *counts = frame_counts(frame, slot);
	uint64_t interval_ns = (uint64_t)(sim_interval_s(activity->sim) * 1e9);
	double running = sim_slot == SIM_SYSTEM ? 1 : sim_running_ratio(activity->sim, sim_slot);

	for (unsigned k = 0; k < frame->n_places; k++) {
		uint64_t read[SIM_COUNTS];

		if (sim_slot == SIM_SYSTEM)
			sim_machine_counts(activity->sim, k, read);
		else
			sim_counts(activity->sim, sim_slot, k, read);
		for (unsigned e = 0; e < frame->n_events; e++)
			counts[k * frame->n_events + e] = read[activity->columns[e].count];
		for (unsigned g = 0; g < frame->n_groups; g++) {
			size_t at = ((size_t)slot * frame->n_places + k) * frame->n_groups + g;

			frame->enabled_ns[at] = interval_ns;
			frame->running_ns[at] = (uint64_t)(running * (double)interval_ns);
		}
	}
}

static int activity_read(struct activity_source *source)
{
	struct source_sim_activity *activity = (struct source_sim_activity *)source;
	struct activity_frame *frame = &source->frame;

	frame_clear(frame);
	frame->n_active = 0;
	if (!sim_seq(activity->sim))
		return 0;
	read_slot(activity, ACTIVITY_SLOT_MACHINE, SIM_SYSTEM);
	frame->flags[ACTIVITY_SLOT_MACHINE] &= (uint8_t)~ACTIVITY_FIRST;
	for (unsigned slot = 1; slot < activity->n_ids; slot++) {
		unsigned sim_slot =
			activity->ids[slot] ? sim_find(activity->sim, activity->ids[slot]) : SIM_SYSTEM;

		if (sim_slot == SIM_SYSTEM)
			continue;
		if (!sim_partial(activity->sim, sim_slot))
			frame->flags[slot] &= (uint8_t)~ACTIVITY_FIRST;
		read_slot(activity, slot, sim_slot);
	}
	frame_list_active(frame);
	return 0;
}

const struct activity_source_ops source_sim_activity = {
	.name = "sim",
	.probe = activity_probe,
	.open = activity_open,
	.add = activity_add,
	.remove = activity_remove,
	.read = activity_read,
	.close = activity_close,
};

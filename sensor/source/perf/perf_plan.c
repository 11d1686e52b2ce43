/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First half of a perf plan: each event of the requested groups is encoded and opened alone once, so that one
 * that is not available is logged with its reason and the others are measured. Called by the perf sources at
 * start.
 */
#include "source/perf/perf_plan_build.h"
#include "base/array.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TOKEN "perf"

/* The first online CPU where the box would be opened; false when there is none. */
static bool first_cpu(const struct plan_builder *builder, const struct plan_event *event,
		      const struct event_box *box, unsigned *ret_cpu)
{
	const struct topology *topology = builder->context->topology;

	for (unsigned i = 0; i < topology->n_cpus; i++)
		if (perf_plan_box_on_cpu(builder, event, box, topology->cpus[i].id)) {
			*ret_cpu = topology->cpus[i].id;
			return true;
		}
	return false;
}

/* Opens the box once, alone. */
static int try_box(const struct plan_builder *builder, const struct plan_event *event,
		   const struct event_box *box, struct reason *why)
{
	unsigned cpu;
	int r;

	if (builder->kind == PERF_PLAN_CGROUPS && box->shared) {
		reason_set(why, 0, "the PMU '%s' counts a whole package and cannot tell containers apart",
			   box->pmu);
		reason_advise(why, "give the event to a system group (-s)");
		return -EOPNOTSUPP;
	}
	if (!first_cpu(builder, event, box, &cpu))
		return reason_set(why, -ENODEV, "none of the CPUs of PMU '%s' is online", box->pmu);
	r = perf_plan_try(builder->context, cpu, &box->attr, 1);
	if (r < 0)
		event_explain_open(r, box->pmu, false, priv_client_cause(builder->context->priv), why);
	return r;
}

/* Keeps the boxes that can be opened; with none, the event is not available. */
static int try_event(const struct plan_builder *builder, struct plan_event *event, struct reason *why)
{
	struct event_encoding *encoding = &event->encoding;
	unsigned kept = 0;
	int r = -ENOENT;

	for (unsigned i = 0; i < encoding->n_boxes; i++) {
		int tried = try_box(builder, event, &encoding->boxes[i], why);

		if (tried == 0) {
			encoding->boxes[kept++] = encoding->boxes[i];
			continue;
		}
		r = tried;
		free(encoding->boxes[i].cpus);
	}
	encoding->n_boxes = kept;
	return kept ? 0 : r;
}

/* Encodes one event and opens it once. On success the caller keeps *ret_event. */
static int make_event(const struct plan_builder *builder, const char *name, bool one_cpu,
		      struct plan_event *ret_event, struct reason *why)
{
	struct plan_event event = {.one_cpu = one_cpu};
	int r;

	if (builder->kind == PERF_PLAN_ENERGY && !event_is_energy(name))
		return reason_set(why, -EINVAL, "not an energy event");
	r = event_encode(builder->context->sysfs_root, name, &event.encoding, why);
	if (r < 0)
		return r;
	/* Energy belongs to a package, also where the PMU forgets to say so. */
	event.one_cpu |= event.encoding.joules_per_count > 0;
	r = try_event(builder, &event, why);
	if (r == 0) {
		event.name = strdup(name);
		r = event.name ? 0 : -ENOMEM;
	}
	if (r < 0)
		event_encoding_done(&event.encoding);
	else
		*ret_event = event;
	return r;
}

/* Adds the events of one request; logs those that are not available. Negative errno only if the plan is
 * unusable. */
static int add_request(struct plan_builder *builder, const struct event_group_request *request, int *ret_last)
{
	bool one_cpu = request->one_cpu_per_socket && builder->kind != PERF_PLAN_CGROUPS;
	struct reason why;

	if (request->one_cpu_per_socket && !one_cpu)
		log_notice(LOG_TOKEN, 0, "group %s: -o is ignored, because containers run on every CPU",
			   request->name);
	if (!ARRAY_RESIZE(builder->events, builder->n_events + request->n_events + 1))
		return -ENOMEM;
	for (unsigned i = 0; i < request->n_events; i++) {
		struct plan_event *event = &builder->events[builder->n_events];
		int r = make_event(builder, request->events[i], one_cpu, event, &why);

		if (r == 0) {
			event->group = builder->plan->n_groups;
			builder->n_events++;
			continue;
		}
		if (r == -ENOMEM)
			return r;
		*ret_last = r;
		log_write(builder->context->strict ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, LOG_TOKEN, 0,
			  "group %s is measured without event %s: %s", request->name, request->events[i],
			  why.text);
		if (builder->context->strict)
			return r;
	}
	return 0;
}

/* The shape of one group for reports, made of the builder's events from `first` on. */
static int add_group(struct plan_builder *builder, const char *name, unsigned first)
{
	struct perf_plan *plan = builder->plan;
	struct report_group *group = &plan->groups[plan->n_groups];
	const char **events;

	if (first == builder->n_events)
		return 0;
	events = calloc(builder->n_events - first, sizeof(*events));
	group->name = strdup(name);
	group->events = events;
	plan->n_groups++;
	if (!events || !group->name)
		return -ENOMEM;
	for (unsigned i = first; i < builder->n_events; i++) {
		events[group->n_events] = strdup(builder->events[i].name);
		if (!events[group->n_events++])
			return -ENOMEM;
	}
	return 0;
}

static int build(struct plan_builder *builder, const struct event_group_request *requests,
		 unsigned n_requests)
{
	struct perf_plan *plan = builder->plan;
	int r = 0, last = -ENOENT;

	plan->groups = calloc(n_requests ? n_requests : 1, sizeof(*plan->groups));
	if (!plan->groups)
		return -ENOMEM;
	for (unsigned i = 0; i < n_requests && r == 0; i++) {
		unsigned first = builder->n_events;

		r = add_request(builder, &requests[i], &last);
		if (r == 0)
			r = add_group(builder, requests[i].name, first);
	}
	if (r == 0 && !builder->n_events)
		r = last;
	if (r < 0)
		return r;
	plan->n_events = builder->n_events;
	plan->joules_per_count = calloc(plan->n_events, sizeof(*plan->joules_per_count));
	if (!plan->joules_per_count)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->n_events; i++)
		plan->joules_per_count[i] = builder->events[i].encoding.joules_per_count;
	r = perf_plan_lay_out(builder);
	for (unsigned i = 0; i < plan->n_groups; i++) {
		plan->groups[i].places = plan->places;
		plan->groups[i].n_places = plan->n_places;
	}
	return r;
}

static bool places_are_packages(const struct source_context *context, enum perf_plan_kind kind,
				const struct event_group_request *requests, unsigned n_requests)
{
	if (kind == PERF_PLAN_CGROUPS)
		return !context->per_cpu;
	return kind == PERF_PLAN_ENERGY || (n_requests && requests[0].one_cpu_per_socket);
}

int perf_plan_new(struct source_context *context, enum perf_plan_kind kind,
		  const struct event_group_request *requests, unsigned n_requests,
		  struct perf_plan **ret_plan)
{
	struct plan_builder builder = {.context = context, .kind = kind};
	int r;

	builder.plan = calloc(1, sizeof(*builder.plan));
	if (!builder.plan)
		return -ENOMEM;
	builder.one_per_package = places_are_packages(context, kind, requests, n_requests);
	r = build(&builder, requests, n_requests);
	for (unsigned i = 0; i < builder.n_events; i++) {
		event_encoding_done(&builder.events[i].encoding);
		free(builder.events[i].name);
	}
	free(builder.events);
	if (r < 0)
		perf_plan_free(builder.plan);
	else
		*ret_plan = builder.plan;
	return r;
}

/* Failures of events that the user requested are all logged; those of events that the sensor chose are not.
 */
static void explain(const struct event_group_request *requests, unsigned n_requests, const char *reason,
		    struct reason *why)
{
	char names[REASON_SIZE / 2] = "";
	size_t length = 0;

	for (unsigned i = 0; i < n_requests; i++)
		for (unsigned j = 0;
		     j < requests[i].n_events && !requests[i].by_default && length < sizeof(names); j++)
			length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
						   length ? ", " : "", requests[i].events[j]);
	reason_set(why, 0, "%s%s%.*s", names, length ? ": " : "", (int)(REASON_SIZE - sizeof(names)) - 3,
		   reason);
}

/* If the sockets' energy is requested, other energy alone is of no use. */
static bool is_side_issue(enum perf_plan_kind kind, const struct event_group_request *request,
			  const char *event)
{
	for (unsigned i = 0; kind == PERF_PLAN_ENERGY && i < request->n_events; i++)
		if (event_is_package(request->events[i]))
			return !event_is_package(event);
	return false;
}

int perf_plan_probe(struct source_context *context, enum perf_plan_kind kind,
		    const struct event_group_request *requests, unsigned n_requests, struct reason *why)
{
	struct plan_builder builder = {.context = context, .kind = kind};
	struct reason reason = {"no event was requested"};
	int r = -ENOENT;

	for (unsigned i = 0; i < n_requests; i++)
		for (unsigned j = 0; j < requests[i].n_events; j++) {
			bool one_cpu = requests[i].one_cpu_per_socket && kind != PERF_PLAN_CGROUPS;
			struct plan_event event;

			if (is_side_issue(kind, &requests[i], requests[i].events[j]))
				continue;
			r = make_event(&builder, requests[i].events[j], one_cpu, &event, &reason);
			if (r < 0)
				continue;
			event_encoding_done(&event.encoding);
			free(event.name);
			return 0;
		}
	explain(requests, n_requests, reason.text, why);
	return r;
}

void perf_plan_free(struct perf_plan *plan)
{
	if (!plan)
		return;
	for (unsigned i = 0; i < plan->n_groups; i++) {
		for (unsigned j = 0; plan->groups[i].events && j < plan->groups[i].n_events; j++)
			free((char *)(uintptr_t)plan->groups[i].events[j]);
		free((void *)(uintptr_t)plan->groups[i].events);
		free((char *)(uintptr_t)plan->groups[i].name);
	}
	free(plan->groups);
	free(plan->places);
	free(plan->joules_per_count);
	free(plan->units);
	free(plan->attrs);
	free(plan->columns);
	free(plan);
}

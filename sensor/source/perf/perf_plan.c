/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a perf plan in two steps. First, each event of the requested groups is encoded and opened alone once,
 * so that unavailable ones are logged with the reason and the others are measured. Then events are assigned
 * to CPUs, places and perf groups; groups that the kernel accepts are found by trial. Called by the perf
 * sources at start.
 */
#include "source/perf/perf_plan.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "event/pmu.h"
#include "machine/topology.h"
#include "priv/priv_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/perf_event.h>

#define LOG_TOKEN "perf"

struct plan_event {
	const char *name; /* the request's */
	unsigned group;
	bool one_cpu; /* one CPU of each package is enough */
	struct event_encoding encoding;
};

struct plan_builder {
	struct source_context *context;
	enum perf_plan_kind kind;
	bool one_per_package; /* places are packages */
	struct perf_plan *plan;
	struct plan_event *events;
	unsigned n_events;
};

/* Events of one group on one CPU that may share a perf group. */
struct unit_draft {
	const struct plan_builder *builder;
	unsigned cpu;
	unsigned group;
	unsigned n;
	bool movable;
	const char *pmu; /* PMU of an energy event; "": not one */
	struct event_attr *attrs;
	unsigned *columns;
};

static bool box_has_cpu(const struct event_box *box, unsigned cpu)
{
	bool has = !box->cpus;

	for (unsigned i = 0; i < box->n_cpus && !has; i++)
		has = box->cpus[i] == cpu;
	return has;
}

/* Is the event opened on this (online) CPU by this box? */
static bool box_on_cpu(const struct plan_builder *builder, const struct plan_event *event,
		       const struct event_box *box, unsigned cpu)
{
	const struct topology *topology = builder->context->topology;
	const struct topology_cpu *self = topology_find_cpu(topology, cpu);

	if (!self || !box_has_cpu(box, cpu))
		return false;
	if (box->shared || !event->one_cpu)
		return true;
	for (unsigned i = 0; i < topology->n_cpus && topology->cpus[i].id < cpu; i++)
		if (topology->cpus[i].package == self->package && box_has_cpu(box, topology->cpus[i].id))
			return false;
	return true;
}

/* Opens the events as one group for the whole CPU, reads them once and closes them again. */
static int try_group(struct source_context *context, unsigned cpu, const struct event_attr *attrs, unsigned n)
{
	struct priv_group group = {.cgroup = "", .cpu = cpu, .n_events = n, .events = attrs};
	uint64_t reading[3 + PRIV_GROUP_EVENTS_MAX];
	const ssize_t size = (ssize_t)((3 + (size_t)n) * sizeof(*reading));
	int fds[PRIV_GROUP_EVENTS_MAX];
	int r;

	if (n > PRIV_GROUP_EVENTS_MAX)
		return -EINVAL;
	r = priv_client_open_group(context->priv, &group, fds);
	if (r < 0)
		return r;
	/* Opening a counter does not prove that it can be read. */
	if (read(fds[0], reading, (size_t)size) != size)
		r = -EIO;
	for (unsigned i = 0; i < n; i++)
		(void)close(fds[i]);
	return r;
}

static int compare_places(const void *a, const void *b)
{
	const struct report_place *x = a, *y = b;

	if (x->package != y->package)
		return x->package > y->package ? 1 : -1;
	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static bool cpu_is_used(const struct plan_builder *builder, unsigned cpu)
{
	for (unsigned i = 0; i < builder->n_events; i++)
		for (unsigned j = 0; j < builder->events[i].encoding.n_boxes; j++)
			if (box_on_cpu(builder, &builder->events[i], &builder->events[i].encoding.boxes[j],
				       cpu))
				return true;
	return false;
}

static unsigned find_place(const struct plan_builder *builder, const struct topology_cpu *cpu)
{
	const struct perf_plan *plan = builder->plan;

	for (unsigned i = 0; i < plan->n_places; i++)
		if (plan->places[i].package == cpu->package &&
		    (builder->one_per_package || plan->places[i].cpu == cpu->id))
			return i;
	return plan->n_places;
}

static int lay_out_places(struct plan_builder *builder)
{
	const struct topology *topology = builder->context->topology;
	struct perf_plan *plan = builder->plan;

	plan->places = calloc(topology->n_cpus, sizeof(*plan->places));
	if (!plan->places)
		return -ENOMEM;
	for (unsigned i = 0; i < topology->n_cpus; i++) {
		const struct topology_cpu *cpu = &topology->cpus[i];

		/* CPUs come in ascending order, so that a package's place is its lowest CPU that counts. */
		if (cpu_is_used(builder, cpu->id) && find_place(builder, cpu) == plan->n_places)
			plan->places[plan->n_places++] =
				(struct report_place){.package = cpu->package, .cpu = cpu->id};
	}
	qsort(plan->places, plan->n_places, sizeof(*plan->places), compare_places);
	return plan->n_places ? 0 : -ENODEV;
}

/* Adds a draft to the plan unchanged. */
static int add_unit(const struct unit_draft *draft, unsigned from, unsigned n)
{
	struct perf_plan *plan = draft->builder->plan;
	const struct topology_cpu *cpu = topology_find_cpu(draft->builder->context->topology, draft->cpu);

	if (!ARRAY_RESIZE(plan->units, plan->n_units + 1) || !ARRAY_RESIZE(plan->attrs, plan->n_fds + n) ||
	    !ARRAY_RESIZE(plan->columns, plan->n_fds + n))
		return -ENOMEM;
	memcpy(plan->attrs + plan->n_fds, draft->attrs + from, n * sizeof(*plan->attrs));
	memcpy(plan->columns + plan->n_fds, draft->columns + from, n * sizeof(*plan->columns));
	plan->units[plan->n_units++] = (struct perf_unit){.cpu = draft->cpu,
							  .place = find_place(draft->builder, cpu),
							  .group = draft->group,
							  .n_events = n,
							  .movable = draft->movable,
							  .first = plan->n_fds};
	(void)snprintf(plan->units[plan->n_units - 1].pmu, EVENT_PMU_NAME_SIZE, "%s", draft->pmu);
	plan->n_fds += n;
	return 0;
}

/* Tries the events from..from+n as one group, else in halves. Events that cannot be opened alone are left out
 * here. */
static int add_units(const struct unit_draft *draft, unsigned from, unsigned n)
{
	int r = try_group(draft->builder->context, draft->cpu, draft->attrs + from, n);
	struct reason why = {""};

	if (r == 0)
		return add_unit(draft, from, n);
	if (n > 1) {
		r = add_units(draft, from, n / 2);
		return r < 0 ? r : add_units(draft, from + n / 2, n - n / 2);
	}
	(void)event_explain_open(r, NULL, false, NULL, &why);
	log_warning(LOG_TOKEN, 0, "event %s is not counted on CPU %u: %s",
		    draft->builder->events[draft->columns[from]].name, draft->cpu, why.text);
	return 0;
}

/*
 * Events that may lead or join a group together have the same class: those of the cores' PMU (any of its
 * types), those of one other PMU. Software events join the cores' group.
 */
static uint32_t class_of(const struct event_box *box)
{
	switch (box->attr.type) {
	case PERF_TYPE_HARDWARE:
	case PERF_TYPE_HW_CACHE:
	case PERF_TYPE_RAW:
	case PERF_TYPE_SOFTWARE:
		return 0;
	default:
		return strncmp(box->pmu, "cpu", 3) == 0 ? 0 : box->attr.type;
	}
}

/* The next class after `last` that this group has on this CPU; false: none. */
static bool next_class(const struct unit_draft *draft, int64_t last, uint32_t *ret_class)
{
	const struct plan_builder *builder = draft->builder;
	bool found = false;

	for (unsigned i = 0; i < builder->n_events; i++) {
		const struct plan_event *event = &builder->events[i];

		for (unsigned j = 0; event->group == draft->group && j < event->encoding.n_boxes; j++) {
			const struct event_box *box = &event->encoding.boxes[j];

			if ((int64_t)class_of(box) <= last || (found && class_of(box) >= *ret_class) ||
			    !box_on_cpu(builder, event, box, draft->cpu))
				continue;
			*ret_class = class_of(box);
			found = true;
		}
	}
	return found;
}

/* Collects the events of one class; hardware events come before software ones, which may not lead them. */
static void collect_class(struct unit_draft *draft, uint32_t class)
{
	const struct plan_builder *builder = draft->builder;

	draft->n = 0;
	draft->pmu = "";
	draft->movable = builder->kind != PERF_PLAN_CGROUPS;
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < builder->n_events; i++) {
			const struct plan_event *event = &builder->events[i];

			for (unsigned j = 0; event->group == draft->group && j < event->encoding.n_boxes;
			     j++) {
				const struct event_box *box = &event->encoding.boxes[j];

				if (class_of(box) != class ||
				    (box->attr.type == PERF_TYPE_SOFTWARE) != pass ||
				    !box_on_cpu(builder, event, box, draft->cpu))
					continue;
				/* The energy counter of a core covers this core only. */
				draft->movable &= (box->shared || event->one_cpu) &&
						  strcmp(box->pmu, "power_core") != 0;
				if (builder->kind == PERF_PLAN_ENERGY)
					draft->pmu = box->pmu;
				draft->attrs[draft->n] = box->attr;
				draft->columns[draft->n++] = i;
			}
		}
}

/* All perf groups of one group of events on one CPU. */
static int lay_out_group(struct unit_draft *draft)
{
	struct perf_plan *plan = draft->builder->plan;
	unsigned before = plan->n_units;
	uint32_t class = 0;
	int64_t last = -1;
	int r = 0;

	while (r == 0 && next_class(draft, last, &class)) {
		last = class;
		collect_class(draft, class);
		r = add_units(draft, 0, draft->n);
	}
	for (unsigned i = before; i < plan->n_units; i++)
		plan->units[i].n_sharing = plan->n_units - before;
	return r;
}

/* Fills in places and units of the plan. */
static int lay_out(struct plan_builder *builder)
{
	const struct topology *topology = builder->context->topology;
	struct unit_draft draft = {.builder = builder};
	size_t most = 0;
	int r = lay_out_places(builder);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < builder->n_events; i++)
		most += builder->events[i].encoding.n_boxes;
	draft.attrs = calloc(most, sizeof(*draft.attrs));
	draft.columns = calloc(most, sizeof(*draft.columns));
	if (!draft.attrs || !draft.columns)
		r = -ENOMEM;
	for (unsigned i = 0; r == 0 && i < topology->n_cpus; i++)
		for (unsigned group = 0; r == 0 && group < builder->plan->n_groups; group++) {
			draft.cpu = topology->cpus[i].id;
			draft.group = group;
			r = lay_out_group(&draft);
		}
	free(draft.attrs);
	free(draft.columns);
	return r < 0 ? r : builder->plan->n_units ? 0 : -ENOENT;
}

/* The first online CPU on which the box would be opened; false: none. */
static bool first_cpu(const struct plan_builder *builder, const struct plan_event *event,
		      const struct event_box *box, unsigned *ret_cpu)
{
	const struct topology *topology = builder->context->topology;
	unsigned i = 0;

	while (i < topology->n_cpus && !box_on_cpu(builder, event, box, topology->cpus[i].id))
		i++;
	*ret_cpu = i < topology->n_cpus ? topology->cpus[i].id : 0;
	return i < topology->n_cpus;
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
	r = try_group(builder->context, cpu, &box->attr, 1);
	if (r < 0)
		event_explain_open(r, box->pmu, false, priv_client_cause(builder->context->priv), why);
	return r;
}

/* Keeps the boxes that can be opened; if there are none, the event is not available. */
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
	struct plan_event event = {.name = name, .one_cpu = one_cpu};
	int r;

	if (builder->kind == PERF_PLAN_ENERGY && !event_is_energy(name))
		return reason_set(why, -EINVAL, "not an energy event");
	r = event_encode(builder->context->sysfs_root, name, &event.encoding, why);
	if (r < 0)
		return r;
	/* Energy belongs to a package even if the PMU does not declare it. */
	event.one_cpu |= event.encoding.joules_per_count > 0;
	r = try_event(builder, &event, why);
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

/* The shape of one group for reports, from the builder's events from `first` on. */
static int add_group(struct plan_builder *builder, const char *name, unsigned first)
{
	struct perf_plan *plan = builder->plan;
	struct report_group *group = &plan->groups[plan->n_groups];
	const char **events;

	if (first == builder->n_events)
		return 0;
	events = calloc(builder->n_events - first, sizeof(*events));
	if (!events)
		return -ENOMEM;
	for (unsigned i = first; i < builder->n_events; i++)
		events[group->n_events++] = builder->events[i].name;
	group->name = name;
	group->events = events;
	plan->n_groups++;
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
	r = lay_out(builder);
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
	for (unsigned i = 0; i < builder.n_events; i++)
		event_encoding_done(&builder.events[i].encoding);
	free(builder.events);
	if (r < 0)
		perf_plan_free(builder.plan);
	else
		*ret_plan = builder.plan;
	return r;
}

/* All failures of events that the user requested are logged; those of events that the sensor chose are not.
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
			return 0;
		}
	explain(requests, n_requests, reason.text, why);
	return r;
}

void perf_plan_free(struct perf_plan *plan)
{
	if (!plan)
		return;
	for (unsigned i = 0; i < plan->n_groups; i++)
		free((void *)(uintptr_t)plan->groups[i].events);
	free(plan->groups);
	free(plan->places);
	free(plan->joules_per_count);
	free(plan->units);
	free(plan->attrs);
	free(plan->columns);
	free(plan);
}

bool perf_plan_renew(struct perf_plan *plan, unsigned unit, const char *sysfs_root)
{
	const struct perf_unit *own = &plan->units[unit];
	struct pmu pmu = {0};

	if (!own->pmu[0])
		return true;
	if (pmu_read(sysfs_root, own->pmu, &pmu) < 0)
		return false;
	for (unsigned i = 0; i < own->n_events; i++)
		plan->attrs[own->first + i].type = pmu.type;
	pmu_done(&pmu);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second half of a perf plan: which CPUs count which events, the places of their counts, and perf groups that
 * the kernel accepts, found by trial. Called by perf_plan.c at start only.
 */
#include "source/perf/perf_plan_build.h"
#include "base/array.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "event/pmu.h"
#include "priv/priv_client.h"
#include "machine/topology.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/perf_event.h>

#define LOG_TOKEN "perf"

/* Events of one group on one CPU that may share a perf group. */
struct unit_draft {
	const struct plan_builder *builder;
	unsigned cpu;
	unsigned group;
	unsigned n;
	bool movable;
	const char *pmu; /* of energy; "" where it is not one */
	struct event_attr *attrs;
	unsigned *columns;
};

static bool box_has_cpu(const struct event_box *box, unsigned cpu)
{
	if (!box->cpus)
		return true;
	for (unsigned i = 0; i < box->n_cpus; i++)
		if (box->cpus[i] == cpu)
			return true;
	return false;
}

bool perf_plan_box_on_cpu(const struct plan_builder *builder, const struct plan_event *event,
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

int perf_plan_try(struct source_context *context, unsigned cpu, const struct event_attr *attrs, unsigned n)
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
	/* A counter that only opens measures nothing. */
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
			if (perf_plan_box_on_cpu(builder, &builder->events[i],
						 &builder->events[i].encoding.boxes[j], cpu))
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

/* Tries the events from..from+n as one group, else in halves. Events that do not open alone are left out
 * here. */
static int add_units(const struct unit_draft *draft, unsigned from, unsigned n)
{
	int r = perf_plan_try(draft->builder->context, draft->cpu, draft->attrs + from, n);
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

/* The next class after `last` that this group has on this CPU; false when there is none. */
static bool next_class(const struct unit_draft *draft, int64_t last, uint32_t *ret_class)
{
	const struct plan_builder *builder = draft->builder;
	bool found = false;

	for (unsigned i = 0; i < builder->n_events; i++) {
		const struct plan_event *event = &builder->events[i];

		for (unsigned j = 0; event->group == draft->group && j < event->encoding.n_boxes; j++) {
			const struct event_box *box = &event->encoding.boxes[j];

			if ((int64_t)class_of(box) <= last || (found && class_of(box) >= *ret_class) ||
			    !perf_plan_box_on_cpu(builder, event, box, draft->cpu))
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
				    !perf_plan_box_on_cpu(builder, event, box, draft->cpu))
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

int perf_plan_lay_out(struct plan_builder *builder)
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists the plans of perf events, made as by a source: one entry for each attribute, with the CPUs on which
 * it would be opened. Called by check_machine.c.
 */
#include "check_parts.h"

#include "source/choose.h"
#include "source/perf/perf_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CPUS_TEXT_SIZE 512

/* Appends "first-last", or "first" alone, after a comma if the text is not empty. */
static size_t add_range(char *text, size_t length, unsigned first, unsigned last)
{
	const size_t left = CPUS_TEXT_SIZE - length;
	int n = first == last ? snprintf(text + length, left, "%s%u", length ? "," : "", first)
			      : snprintf(text + length, left, "%s%u-%u", length ? "," : "", first, last);

	return n > 0 && (size_t)n < left ? length + (size_t)n : length;
}

static bool same_attr(const struct event_attr *a, const struct event_attr *b)
{
	return a->type == b->type && a->flags == b->flags && a->config == b->config &&
	       a->config1 == b->config1 && a->config2 == b->config2;
}

/* The unit of a descriptor of the plan. */
static const struct perf_unit *unit_of(const struct perf_plan *plan, unsigned fd)
{
	const struct perf_unit *unit = plan->units;

	while (fd >= unit->first + unit->n_events)
		unit++;
	return unit;
}

/* The CPUs on which this event is opened with this attribute; the plan's units are in the order of CPUs. */
static void list_cpus(const struct perf_plan *plan, unsigned fd, char *ret)
{
	unsigned first = 0, last = 0;
	size_t length = 0;
	bool open = false;

	ret[0] = '\0';
	for (unsigned i = fd; i < plan->n_fds; i++) {
		const unsigned cpu = unit_of(plan, i)->cpu;

		if (plan->columns[i] != plan->columns[fd] || !same_attr(&plan->attrs[i], &plan->attrs[fd]))
			continue;
		if (open && cpu != last + 1)
			length = add_range(ret, length, first, last);
		first = open && cpu == last + 1 ? first : cpu;
		last = cpu;
		open = true;
	}
	(void)add_range(ret, length, first, last);
}

static bool is_first(const struct perf_plan *plan, unsigned fd)
{
	for (unsigned i = 0; i < fd; i++)
		if (plan->columns[i] == plan->columns[fd] && same_attr(&plan->attrs[i], &plan->attrs[fd]))
			return false;
	return true;
}

static json_t *describe(const struct perf_plan *plan, unsigned fd)
{
	const struct event_attr *attr = &plan->attrs[fd];
	const struct report_group *group = &plan->groups[unit_of(plan, fd)->group];
	char cpus[CPUS_TEXT_SIZE], more[96] = "", text[1024];
	unsigned column = plan->columns[fd];

	for (const struct report_group *at = plan->groups; at < group; at++)
		column -= at->n_events;
	list_cpus(plan, fd, cpus);
	if (attr->config1 || attr->config2)
		(void)snprintf(more, sizeof(more), " config1 %#" PRIx64 " config2 %#" PRIx64, attr->config1,
			       attr->config2);
	(void)snprintf(text, sizeof(text), "group %s: type %u config %#" PRIx64 "%s, CPUs %s", group->name,
		       attr->type, attr->config, more, cpus);
	return json_pack("{s:s, s:s, s:s, s:s}", "event", group->events[column], "status", "ok", "why", text,
			 "remedy", "");
}

void check_perf_list(const struct sensor_config *config, struct source_context *context, json_t *object)
{
	json_t *list = json_array();

	for (unsigned g = 0; g < config->n_groups; g++) {
		const struct event_group_request *group = &config->groups[g];
		const enum perf_plan_kind kind = group->of_containers      ? PERF_PLAN_CGROUPS
						 : choose_is_energy(group) ? PERF_PLAN_ENERGY
									   : PERF_PLAN_SYSTEM;
		struct perf_plan *plan = NULL;

		if (perf_plan_new(context, kind, group, 1, &plan) < 0)
			continue;
		for (unsigned fd = 0; fd < plan->n_fds; fd++)
			if (is_first(plan, fd))
				json_array_append_new(list, describe(plan, fd));
		perf_plan_free(plan);
	}
	json_object_set_new(object, "perf", list);
}

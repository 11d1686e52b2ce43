/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between perf_plan.c (which events there are) and perf_plan_units.c (where and in which groups they are
 * opened).
 */
#pragma once

#include "source/perf/perf_plan.h"

struct plan_event {
	char *name;
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

/* Is the event opened on this CPU by this box? The CPU is an online one. */
bool perf_plan_box_on_cpu(const struct plan_builder *builder, const struct plan_event *event,
			  const struct event_box *box, unsigned cpu);
/* Opens the events as one group for the whole CPU, reads them once and closes them again. */
int perf_plan_try(struct source_context *context, unsigned cpu, const struct event_attr *attrs, unsigned n);
/* Fills places and units of the plan. */
int perf_plan_lay_out(struct plan_builder *builder);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System groups by perf events, machine-wide: msr, uncore and any other event (`system`), and the energy
 * events of the `power` PMU (`rapl`). Called by the sensor once a tick; the plan and the slots do the work.
 */
#include "source/choose.h"

#include "base/log.h"
#include "machine/energy_counter.h"
#include "source/frame.h"
#include "source/perf/perf_slots.h"
#include "base/reason.h"
#include "base/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TOKEN  "rapl"
#define TOLD_MAX   3                     /* warnings of one counter; metadata.lost has all failures */
#define REOPEN_MAX 64                    /* ticks between two attempts, at most */
#define BRIDGE_NS  UINT64_C(60000000000) /* without a reading; energy from before that is dropped */
#define STILL_NS   UINT64_C(500000000)   /* time in which each socket uses some energy */

/* One value of an energy group: a package's, or its memory's, dies added up. */
struct energy_cell {
	uint64_t carried;  /* counts of dies from ticks in which another die was not read; 2^-32 J */
	uint64_t since_ns; /* time since a tick last included its energy */
	unsigned n_counters;
	unsigned n_told;
	bool failed; /* in this tick */
	bool moved;  /* it has counted something since it was opened */
};

struct source_system_perf {
	struct system_source source; /* first: the sensor sees only this */
	struct perf_plan *plan;
	struct perf_slots slots;
	struct activity_frame frame; /* of the one slot */
	bool read_before;
	struct energy_cell *cells; /* [n_places][n_events]; NULL: no energy */
	unsigned n_failing;        /* ticks in a row */
	uint64_t failures_before;
	double package_w; /* see struct source_context */
};

static void system_perf_close(struct system_source *source)
{
	struct source_system_perf *perf = (struct source_system_perf *)source;

	if (!perf)
		return;
	perf_slots_done(&perf->slots, &perf->frame);
	perf_plan_free(perf->plan);
	free(perf->cells);
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

/* Energy may be the sum of several counters, and a missing value has to be reported. */
static int prepare_energy(struct source_system_perf *perf)
{
	const struct perf_plan *plan = perf->plan;

	perf->cells = calloc((size_t)plan->n_places * plan->n_events + 1, sizeof(*perf->cells));
	perf->slots.failed = calloc(plan->n_units + 1, sizeof(*perf->slots.failed));
	if (!perf->cells || !perf->slots.failed)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->n_units; i++)
		for (unsigned e = 0; e < plan->units[i].n_events; e++)
			perf->cells[plan->units[i].place * plan->n_events +
				    plan->columns[plan->units[i].first + e]]
				.n_counters++;
	return 0;
}

static enum perf_plan_kind kind_of(const struct event_group_request *request)
{
	return choose_is_energy(request) ? PERF_PLAN_ENERGY : PERF_PLAN_SYSTEM;
}

static int system_perf_open(struct source_context *context, const struct event_group_request *request,
			    struct system_source **ret_source)
{
	const enum perf_plan_kind kind = kind_of(request);
	struct source_system_perf *perf = calloc(1, sizeof(*perf));
	int r;

	if (!perf)
		return -ENOMEM;
	perf->source.ops = kind == PERF_PLAN_ENERGY ? &source_rapl : &source_system_perf;
	perf->package_w = context->package_w;
	r = perf_plan_new(context, kind, request, 1, &perf->plan);
	if (r == 0) {
		perf->slots = (struct perf_slots){.context = context, .plan = perf->plan};
		perf->frame.n_groups = 1;
		perf->frame.groups = perf->plan->groups;
		perf->frame.n_events = perf->plan->n_events;
		perf->frame.n_places = perf->plan->n_places;
		r = perf_slots_open(&perf->slots, &perf->frame, 0, "");
	}
	if (r == 0 && kind == PERF_PLAN_ENERGY)
		r = prepare_energy(perf);
	if (r < 0) {
		system_perf_close(&perf->source);
		return r;
	}
	show_frame(perf);
	*ret_source = &perf->source;
	return 0;
}

static void tell(struct source_system_perf *perf, unsigned index, const char *what)
{
	const struct report_group *group = &perf->source.group;
	struct energy_cell *cell = &perf->cells[index];

	if (cell->n_told++ < TOLD_MAX)
		log_warning(LOG_TOKEN, 0, "%s of socket %u %s: its energy is missing%s",
			    group->events[index % group->n_events],
			    group->places[index / group->n_events].package, what,
			    cell->n_told == TOLD_MAX ? " (further failures only in metadata.lost)" : "");
}

/* True where this tick's energy of the cell is known. */
static bool is_good(struct source_system_perf *perf, unsigned index, uint64_t units)
{
	const struct report_group *group = &perf->source.group;
	struct energy_cell *cell = &perf->cells[index];
	const double joules = ldexp((double)units, REPORT_RAPL_EXPONENT);

	if (cell->failed) {
		tell(perf, index, "cannot be read");
		return false;
	}
	if (energy_is_absurd(joules, UNIT_S_OF_NS(cell->since_ns),
			     cell->n_counters * energy_most_w(group->events[index % group->n_events],
							      perf->package_w))) {
		tell(perf, index, "was reset, or reported more than a socket can consume");
		cell->carried = cell->since_ns = 0;
		perf->source.was_reset = true;
		return false;
	}
	if (units == 0 && cell->since_ns >= STILL_NS &&
	    event_is_package(group->events[index % group->n_events])) {
		tell(perf, index, "does not advance");
		return false;
	}
	return true;
}

/*
 * Every package has a counter of the platform, but only one of them counts; the kernel does not report which.
 * The others stay at 0.
 */
static bool is_other_platform(const struct source_system_perf *perf, unsigned index)
{
	const struct report_group *group = &perf->source.group;

	return !perf->cells[index].moved && !perf->cells[index].failed &&
	       event_is_platform(group->events[index % group->n_events]);
}

static void check_cell(struct source_system_perf *perf, unsigned index, uint64_t interval_ns)
{
	struct energy_cell *cell = &perf->cells[index];
	uint64_t *value = &perf->source.values[index];
	const uint64_t units = *value + cell->carried;

	cell->moved |= units > 0;
	if (is_other_platform(perf, index)) {
		*value = REPORT_COUNT_MISSING;
		return;
	}
	cell->since_ns += interval_ns;
	if (!is_good(perf, index, units)) {
		/* Counters that still work are carried to the next tick that has all of them. */
		cell->carried += cell->failed ? *value : 0;
		*value = REPORT_COUNT_MISSING;
	} else if (cell->since_ns > interval_ns + BRIDGE_NS) {
		*value = REPORT_COUNT_MISSING;
		cell->carried = cell->since_ns = 0;
	} else {
		*value = units;
		cell->carried = cell->since_ns = 0;
	}
	perf->source.read_failures += *value == REPORT_COUNT_MISSING && !cell->failed;
}

/* Marks missing energy; reopens counters that stay dead, after 1, 2, 4 ... 64 ticks. */
static void check_energy(struct source_system_perf *perf, uint64_t interval_ns)
{
	const struct perf_plan *plan = perf->plan;
	const unsigned n_cells = plan->n_places * plan->n_events;
	bool any = false;

	perf->source.was_reset = false;
	for (unsigned i = 0; i < n_cells; i++)
		perf->cells[i].failed = false;
	for (unsigned i = 0; i < plan->n_units; i++) {
		any |= perf->slots.failed[i];
		for (unsigned e = 0; perf->slots.failed[i] && e < plan->units[i].n_events; e++)
			perf->cells[plan->units[i].place * plan->n_events +
				    plan->columns[plan->units[i].first + e]]
				.failed = true;
	}
	for (unsigned i = 0; i < n_cells; i++)
		check_cell(perf, i, interval_ns);
	perf->n_failing = any ? perf->n_failing + 1 : 0;
	if (any && (perf->n_failing % REOPEN_MAX == 0 || (perf->n_failing & (perf->n_failing - 1)) == 0))
		perf_slots_reopen(&perf->slots);
}

static int system_perf_read(struct system_source *source, uint64_t interval_ns)
{
	struct source_system_perf *perf = (struct source_system_perf *)source;
	int r = perf_slots_read(&perf->slots, &perf->frame);

	source->read_failures += perf->frame.read_failures - perf->failures_before;
	perf->failures_before = perf->frame.read_failures;
	/* The first read only sets the baselines: counts since open belong to no tick. */
	if (!perf->read_before)
		frame_clear(&perf->frame);
	else if (perf->cells)
		check_energy(perf, interval_ns);
	perf->read_before = true;
	return r;
}

static int probe(struct source_context *context, const struct event_group_request *request,
		 struct reason *why)
{
	return perf_plan_probe(context, kind_of(request), request, 1, why);
}

const struct system_source_ops source_system_perf = {
	.name = "perf",
	.probe = probe,
	.open = system_perf_open,
	.read = system_perf_read,
	.close = system_perf_close,
};

const struct system_source_ops source_rapl = {
	.name = "rapl",
	.energy = true,
	.probe = probe,
	.open = system_perf_open,
	.read = system_perf_read,
	.close = system_perf_close,
};

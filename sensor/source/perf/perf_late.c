/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a cgroup count from their opening on; the kernel counts its CPU time from its creation on. What
 * it did before the opening is assumed to have been like what it did afterwards, until the end of the tick.
 */
#include "source/perf/perf_late.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "machine/cputime.h"
#include "machine/topology.h"
#include "source/frame.h"

#include <math.h>
#include <stdlib.h>

#define OWN_PART 0.05 /* of the late time must have been counted to tell what the cgroup does */

uint64_t perf_late_usage(const struct perf_late *late, const char *cgroup)
{
	const struct source_context *context = late->context;
	const bool v2 = context->cpu_root_v2;
	char text[4096];
	uint64_t ns = 0;

	if (!context->cpu_root || !late->read_ns ||
	    text_read_file(text, sizeof(text), "%s%s/%s", context->cpu_root, cgroup,
			   v2 ? "cpu.stat" : "cpuacct.usage") < 0)
		return 0;
	return (v2 ? cputime_parse_stat(text, &ns) : cputime_parse_usage(text, &ns)) == 0 ? ns : 0;
}

void perf_late_note(struct perf_late *late, unsigned slot, uint64_t usage_ns)
{
	const uint64_t passed_ns = late->read_ns ? clock_monotonic_ns() - late->read_ns : 0;

	if (usage_ns == 0 || !cputime_is_new(usage_ns, passed_ns, late->context->topology->n_cpus) ||
	    !ARRAY_RESERVE(late->slots, late->capacity, late->n + 1))
		return;
	late->slots[late->n++] = (struct perf_late_slot){slot, usage_ns};
}

void perf_late_forget(struct perf_late *late, unsigned slot)
{
	for (unsigned i = 0; i < late->n; i++)
		if (late->slots[i].slot == slot)
			late->slots[i--] = late->slots[--late->n];
}

/* Adds `part` of what slot `from` has to slot `to`; n values each. */
static void add_part(uint64_t *values, size_t n, unsigned to, unsigned from, double part)
{
	uint64_t *add_to = values + to * n;
	const uint64_t *add = values + from * n;

	for (size_t i = 0; i < n; i++)
		if (add_to[i] != REPORT_COUNT_MISSING && add[i] != REPORT_COUNT_MISSING)
			add_to[i] += (uint64_t)((double)add[i] * part);
}

static double sum_of_times(const struct activity_frame *frame, unsigned slot)
{
	const uint64_t *enabled_ns = frame->enabled_ns + (size_t)slot * frame->n_places * frame->n_groups;
	double sum = 0;

	for (unsigned i = 0; i < frame->n_places; i++)
		sum += (double)enabled_ns[(size_t)i * frame->n_groups];
	return sum;
}

/*
 * The enabled time of a cgroup's events is its CPU time, as it does not advance while the cgroup is idle;
 * that of the machine's events is everybody's time, and idle CPUs' too. `machine_ns`: CPU time of the machine
 * in this tick; 0: unknown.
 */
static void apply(struct activity_frame *frame, const struct perf_late_slot *late, double machine_ns)
{
	const size_t n_counts = (size_t)frame->n_places * frame->n_events,
		     n_times = (size_t)frame->n_places * frame->n_groups;
	const double late_ns = (double)late->late_ns, counted_ns = sum_of_times(frame, late->slot),
		     enabled_ns = sum_of_times(frame, ACTIVITY_SLOT_MACHINE);
	const bool own = counted_ns >= late_ns * OWN_PART;
	const unsigned from = own ? late->slot : ACTIVITY_SLOT_MACHINE;

	if (!(frame->flags[late->slot] & ACTIVITY_OPEN) || frame->flags[late->slot] & ACTIVITY_FAILED ||
	    (!own && (!(machine_ns > 0) || !(enabled_ns > 0))))
		return;
	add_part(frame->counts, n_counts, late->slot, from,
		 own ? late_ns / counted_ns : fmin(late_ns / machine_ns, 1));
	add_part(frame->running_ns, n_times, late->slot, from, late_ns / (own ? counted_ns : enabled_ns));
	add_part(frame->enabled_ns, n_times, late->slot, from, late_ns / (own ? counted_ns : enabled_ns));
}

void perf_late_apply(struct perf_late *late, struct activity_frame *frame)
{
	const uint64_t before_ns = late->machine_ns;

	late->read_ns = clock_monotonic_ns();
	late->machine_ns = perf_late_usage(late, "");
	for (unsigned i = 0; i < late->n; i++)
		apply(frame, &late->slots[i],
		      before_ns && late->machine_ns > before_ns ? (double)(late->machine_ns - before_ns) : 0);
	if (late->n > 0)
		frame_list_active(frame);
	late->n = 0;
}

void perf_late_done(struct perf_late *late)
{
	free(late->slots);
	late->slots = NULL;
	late->n = late->capacity = 0;
}

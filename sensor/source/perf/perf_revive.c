/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that died with their CPU: the kernel takes them off a CPU that goes offline, and for good. They show
 * it by a time that stands still, whatever any list says. Their counts up to then have been read by
 * perf_slots.c; here they are closed, and opened again once that works. Called after each unit's reading.
 */
#include "source/perf/perf_slots.h"

#include "base/clock.h"
#include "machine/cpu_gaps.h"
#include "machine/cpu_online.h"
#include "machine/topology.h"

#include <errno.h>
#include <string.h>

static void close_unit(struct perf_slots *slots, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];

	for (unsigned number = 0; number < slots->n_slots; number++)
		if (slots->slots[number].fds)
			perf_slots_close_fds(slots->slots[number].fds + unit->first, unit->n_events);
}

static int open_for(struct perf_slots *slots, struct perf_slot *slot, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	uint64_t *baseline = perf_slots_baseline(slots, slot, index);

	memset(baseline, 0, (2 + (size_t)unit->n_events) * sizeof(*baseline));
	return perf_slots_open_unit(slots, index, slot->cgroup, slot->fds);
}

/* The machine's own events first: where they cannot be opened, no cgroup's can. */
static int open_on(struct perf_slots *slots, unsigned index, unsigned cpu)
{
	struct perf_slot *machine = &slots->slots[ACTIVITY_SLOT_MACHINE];

	if (slots->context->online && !cpu_online_may_be(slots->context->online, cpu))
		return -ENODEV;
	slots->pulses[index].cpu = cpu;
	return open_for(slots, machine, index);
}

/* On its own CPU; what counts for a package on any other CPU of that package (and die) as well. */
static int open_somewhere(struct perf_slots *slots, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	const struct topology *topology = slots->context->topology;
	const struct topology_cpu *own = topology ? topology_find_cpu(topology, unit->cpu) : NULL;
	int r = open_on(slots, index, unit->cpu);

	for (unsigned i = 0; r < 0 && own && unit->movable && i < topology->n_cpus; i++) {
		const struct topology_cpu *cpu = &topology->cpus[i];

		if (cpu->id != unit->cpu && cpu->package == own->package && cpu->die == own->die)
			r = open_on(slots, index, cpu->id);
	}
	return r;
}

static void revive(struct perf_slots *slots, unsigned index, uint64_t now_ns)
{
	struct perf_pulse *pulse = &slots->pulses[index];

	uint64_t opened_ns;

	if (open_somewhere(slots, index) < 0)
		return;
	opened_ns = clock_monotonic_ns(); /* a busy machine takes its time for the others */
	for (unsigned number = 0; number < slots->n_slots; number++)
		if (number != ACTIVITY_SLOT_MACHINE && slots->slots[number].fds)
			(void)open_for(slots, &slots->slots[number], index); /* else its cgroup is gone */
	cpu_gaps_note(slots->context->gaps, slots->plan->units[index].cpu, now_ns - pulse->alive_ns);
	pulse->looked_ns = pulse->alive_ns = opened_ns;
	pulse->enabled_ns = pulse->before_ns = 0;
}

void perf_revive_look(struct perf_slots *slots, unsigned index)
{
	struct perf_pulse *pulse = &slots->pulses[index];
	const struct perf_slot *machine = &slots->slots[ACTIVITY_SLOT_MACHINE];
	const unsigned first = slots->plan->units[index].first;
	const uint64_t now_ns = clock_monotonic_ns();

	if (!machine->fds)
		return;
	if (machine->fds[first] >= 0) {
		const uint64_t enabled_ns = pulse->enabled_ns - pulse->before_ns;
		const bool was_read = pulse->read_ns > pulse->looked_ns; /* else it gives nothing any more */
		const uint64_t read_ns = was_read ? pulse->read_ns : now_ns;
		const uint64_t missing_ns = cpu_gaps_missing(read_ns - pulse->looked_ns, enabled_ns);

		pulse->looked_ns = read_ns;
		pulse->before_ns = pulse->enabled_ns;
		if (missing_ns == 0) {
			pulse->alive_ns = read_ns;
			return;
		}
		pulse->alive_ns = read_ns - missing_ns;
		close_unit(slots, index);
	}
	revive(slots, index, now_ns);
}

void perf_slots_reopen(struct perf_slots *slots)
{
	for (unsigned i = 0; slots->failed && i < slots->plan->n_units; i++)
		if (slots->failed[i] && slots->slots[ACTIVITY_SLOT_MACHINE].fds) {
			close_unit(slots, i);
			revive(slots, i, clock_monotonic_ns());
		}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that died with their CPU: the kernel detaches them for good when the CPU goes offline. They are
 * recognized by an enabled time that does not advance, not by lists of CPUs. perf_slots.c has read their last
 * counts; here they are closed, and reopened as soon as that succeeds. Called after each unit was read.
 */
#include "source/perf/perf_slots.h"

#include "base/clock.h"
#include "machine/cpu_gaps.h"
#include "machine/cpu_online.h"
#include "machine/scale.h"
#include "machine/topology.h"

#include <errno.h>
#include <string.h>

static void close_unit(struct perf_slots *slots, unsigned index)
{
	for (unsigned number = 0; number < slots->n_slots; number++)
		if (slots->slots[number].fds)
			perf_slots_close_unit(slots, &slots->slots[number], index);
}

static int open_for(struct perf_slots *slots, struct perf_slot *slot, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	uint64_t *baseline = perf_slots_baseline(slots, slot, index);
	int r;

	memset(baseline, 0, (2 + (size_t)unit->n_events) * sizeof(*baseline));
	r = perf_slots_open_unit(slots, index, slot->cgroup, slot->fds);
	if (r == 0)
		perf_slots_map_unit(slots, slot, index);
	return r;
}

/* The machine's own events first: if they cannot be opened, no cgroup's can. */
static int open_on(struct perf_slots *slots, unsigned index, unsigned cpu)
{
	struct perf_slot *machine = &slots->slots[ACTIVITY_SLOT_MACHINE];

	if (slots->context->online && !cpu_online_may_be(slots->context->online, cpu))
		return -ENODEV;
	slots->pulses[index].cpu = cpu;
	return open_for(slots, machine, index);
}

/* On its own CPU; an event that counts for a package may use any other CPU of that package and die. */
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

	if (!perf_plan_renew(slots->plan, index, slots->context->sysfs_root) ||
	    open_somewhere(slots, index) < 0)
		return;
	opened_ns = clock_monotonic_ns(); /* opening the others may take long on a busy machine */
	for (unsigned number = 0; number < slots->n_slots; number++)
		if (number != ACTIVITY_SLOT_MACHINE && slots->slots[number].fds)
			(void)open_for(slots, &slots->slots[number], index); /* else its cgroup is gone */
	cpu_gaps_note(slots->context->gaps, slots->plan->units[index].cpu, now_ns - pulse->alive_ns);
	pulse->looked_ns = pulse->alive_ns = opened_ns;
	pulse->enabled_ns = pulse->before_ns = 0;
}

void perf_revive_note(struct perf_slots *slots, unsigned index, uint64_t begin_ns, uint64_t enabled_ns)
{
	struct perf_pulse *pulse = &slots->pulses[index];

	pulse->enabled_ns = enabled_ns;
	pulse->begin_ns = begin_ns;
	pulse->read_ns = clock_monotonic_ns();
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
		const bool was_read =
			pulse->read_ns > pulse->looked_ns; /* otherwise it returns no counts any more */
		const uint64_t read_ns = was_read ? pulse->read_ns : now_ns;
		/* A lower bound of the time enabled, however long the sensor was preempted between the read
		 * and its clock. */
		const uint64_t elapsed_ns =
			scale_delta(was_read ? pulse->begin_ns : now_ns, pulse->looked_ns);
		const uint64_t missing_ns = elapsed_ns > 0 ? cpu_gaps_missing(elapsed_ns, enabled_ns) : 0;

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

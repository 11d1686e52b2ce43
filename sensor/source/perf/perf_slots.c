/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and reading the perf groups of many targets: one read for each (CPU, target, group), no allocation.
 * Called by the perf sources; the plan says what to open, priv_client opens it, scale.h has the arithmetic.
 */
#include "source/perf/perf_slots.h"
#include "base/array.h"

#include "source/frame.h"
#include "priv/priv_client.h"
#include "base/clock.h"
#include "machine/cpu_gaps.h"
#include "machine/cpu_online.h"
#include "machine/scale.h"
#include "machine/topology.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Data returned by reading a leader: PERF_FORMAT_GROUP with both times. */
struct group_reading {
	uint64_t n;
	uint64_t enabled_ns;
	uint64_t running_ns;
	uint64_t counts[PRIV_GROUP_EVENTS_MAX];
};

/* A unit's baseline in a slot: its two times, then its counts. */
static uint64_t *baseline_of(const struct perf_slots *slots, const struct perf_slot *slot, unsigned index)
{
	return slot->before + (size_t)2 * index + slots->plan->units[index].first;
}

/* Every unit starts on its own CPU. */
static int make_pulses(struct perf_slots *slots)
{
	const struct perf_plan *plan = slots->plan;

	if (slots->pulses)
		return 0;
	slots->pulses = calloc(plan->n_units + 1, sizeof(*slots->pulses));
	for (unsigned i = 0; slots->pulses && i < plan->n_units; i++)
		slots->pulses[i].cpu = plan->units[i].cpu;
	return slots->pulses ? 0 : -ENOMEM;
}

int perf_slots_reserve(struct perf_slots *slots, struct activity_frame *frame, unsigned n_slots)
{
	int r = frame_reserve(frame, n_slots, true);

	if (r == 0)
		r = make_pulses(slots);
	if (r < 0 || frame->n_slots <= slots->n_slots)
		return r;
	if (!ARRAY_RESIZE(slots->slots, frame->n_slots))
		return -ENOMEM;
	for (unsigned i = slots->n_slots; i < frame->n_slots; i++)
		slots->slots[i] = (struct perf_slot){0};
	slots->n_slots = frame->n_slots;
	return 0;
}

/* Closes and forgets descriptors. */
static void close_fds(int *fds, unsigned n)
{
	while (n-- > 0) {
		if (fds[n] >= 0)
			(void)close(fds[n]);
		fds[n] = -1;
	}
}

/* Opens one unit for a cgroup on the unit's present CPU; its descriptors are -1 on failure. */
static int open_unit(struct perf_slots *slots, unsigned index, const char *cgroup, int *fds)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	const struct priv_group group = {.cgroup = cgroup,
					 .cpu = slots->pulses[index].cpu,
					 .n_events = unit->n_events,
					 .events = slots->plan->attrs + unit->first};
	int r = priv_client_open_group(slots->context->priv, &group, fds + unit->first);

	for (unsigned i = 0; r < 0 && i < unit->n_events; i++)
		fds[unit->first + i] = -1;
	return r;
}

/* After a unit of a slot was opened. */
static void map_unit(struct perf_slots *slots, struct perf_slot *slot, unsigned index)
{
	const int leader = slot->fds[slots->plan->units[index].first];

	if (slot->pages && leader >= 0)
		perf_pages_map(&slot->pages[index], leader, &slots->n_pages);
}

/* Releases the page and the descriptors of a unit of a slot. */
static void close_unit(struct perf_slots *slots, struct perf_slot *slot, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];

	if (slot->pages)
		perf_pages_unmap(&slot->pages[index], &slots->n_pages);
	close_fds(slot->fds + unit->first, unit->n_events);
}

/* All groups of the plan except those of offline CPUs; on failure none stays open. */
static int open_units(struct perf_slots *slots, const char *cgroup, int *fds)
{
	const struct perf_plan *plan = slots->plan;
	bool any = false;

	for (unsigned i = 0; i < plan->n_units; i++) {
		int r = open_unit(slots, i, cgroup, fds);

		if (r < 0 && r != -ENODEV) { /* -ENODEV: the CPU is offline */
			close_fds(fds, plan->units[i].first);
			return r;
		}
		any |= r == 0;
	}
	return any ? 0 : -ENODEV;
}

static void free_slot(struct perf_slot *slot)
{
	free(slot->fds);
	free(slot->before);
	free(slot->cgroup);
	free(slot->pages);
	*slot = (struct perf_slot){0};
}

int perf_slots_open(struct perf_slots *slots, struct activity_frame *frame, unsigned number,
		    const char *cgroup)
{
	const struct perf_plan *plan = slots->plan;
	struct perf_slot slot = {.first = true};
	int r = perf_slots_reserve(slots, frame, number + 1);

	if (r < 0)
		return r;
	if (slots->slots[number].fds)
		return -EBUSY;
	if (slots->context->fd_budget < plan->n_fds)
		return -EMFILE;
	slot.fds = calloc(plan->n_fds, sizeof(*slot.fds));
	slot.before = calloc(plan->n_fds + (size_t)2 * plan->n_units, sizeof(*slot.before));
	slot.cgroup = strdup(cgroup);
	/* No pages for the machine's slot: they show idle targets, and the machine is never idle. */
	if (number != ACTIVITY_SLOT_MACHINE)
		slot.pages = calloc(plan->n_units, sizeof(*slot.pages));
	r = slot.fds && slot.before && slot.cgroup ? open_units(slots, cgroup, slot.fds) : -ENOMEM;
	if (r < 0) {
		free_slot(&slot);
		return r;
	}
	for (unsigned i = 0; i < plan->n_units; i++)
		map_unit(slots, &slot, i);
	slots->slots[number] = slot;
	for (unsigned i = 0; number == ACTIVITY_SLOT_MACHINE && i < plan->n_units; i++)
		slots->pulses[i].looked_ns = slots->pulses[i].alive_ns = clock_monotonic_ns();
	slots->context->fd_budget -= plan->n_fds;
	frame->flags[number] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	return 0;
}

void perf_slots_close(struct perf_slots *slots, struct activity_frame *frame, unsigned number)
{
	struct perf_slot *slot;

	if (number >= slots->n_slots || !slots->slots[number].fds)
		return;
	slot = &slots->slots[number];
	for (unsigned i = 0; i < slots->plan->n_units; i++)
		close_unit(slots, slot, i);
	slots->context->fd_budget += slots->plan->n_fds;
	free_slot(slot);
	frame_free_slot(frame, number);
}

/*
 * Events that died with their CPU: the kernel detaches them permanently when the CPU goes offline. They are
 * recognized by an enabled time that does not advance, not by lists of CPUs. Their last counts have been
 * read; here they are closed, and reopened as soon as that succeeds.
 */
static void close_everywhere(struct perf_slots *slots, unsigned index)
{
	for (unsigned number = 0; number < slots->n_slots; number++)
		if (slots->slots[number].fds)
			close_unit(slots, &slots->slots[number], index);
}

static int open_for(struct perf_slots *slots, struct perf_slot *slot, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	uint64_t *baseline = baseline_of(slots, slot, index);
	int r;

	memset(baseline, 0, (2 + (size_t)unit->n_events) * sizeof(*baseline));
	r = open_unit(slots, index, slot->cgroup, slot->fds);
	if (r == 0)
		map_unit(slots, slot, index);
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

/* Right after the machine's read, which began at begin_ns. */
static void note_alive(struct perf_slots *slots, unsigned index, uint64_t begin_ns, uint64_t enabled_ns)
{
	struct perf_pulse *pulse = &slots->pulses[index];

	pulse->enabled_ns = enabled_ns;
	pulse->begin_ns = begin_ns;
	pulse->read_ns = clock_monotonic_ns();
}

/* Called when some time is missing. A live event's enabled time still advances: on a busy machine it may lag,
 * because kernels stop it while they switch between cgroups. */
static bool is_dead(const struct perf_slots *slots, unsigned index)
{
	const int leader = slots->slots[ACTIVITY_SLOT_MACHINE].fds[slots->plan->units[index].first];
	struct group_reading again;
	const ssize_t n = read(leader, &again, sizeof(again));

	return n < (ssize_t)offsetof(struct group_reading, counts) ||
	       again.enabled_ns == slots->pulses[index].enabled_ns;
}

void perf_slots_look(struct perf_slots *slots, unsigned index)
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
		if (missing_ns == 0 || (was_read && !is_dead(slots, index))) {
			pulse->alive_ns = read_ns;
			return;
		}
		pulse->alive_ns = read_ns - missing_ns;
		close_everywhere(slots, index);
	}
	revive(slots, index, now_ns);
}

void perf_slots_reopen(struct perf_slots *slots)
{
	for (unsigned i = 0; slots->failed && i < slots->plan->n_units; i++)
		if (slots->failed[i] && slots->slots[ACTIVITY_SLOT_MACHINE].fds) {
			close_everywhere(slots, i);
			revive(slots, i, clock_monotonic_ns());
		}
}

static uint64_t step_of(uint64_t now, uint64_t before, double joules_per_count)
{
	if (joules_per_count > 0)
		return scale_energy_step(now, before, joules_per_count);
	return scale_delta(now, before);
}

static void note_page(struct perf_slots *slots, unsigned number, unsigned index, uint32_t page_number,
		      const struct group_reading *now)
{
	struct perf_slot *slot = &slots->slots[number];
	const uint64_t *before = baseline_of(slots, slot, index);

	perf_pages_note(&slot->pages[index], page_number, now->enabled_ns - before[0],
			now->running_ns - before[1], &slots->pulses[index].trust);
}

static void add_reading(struct perf_slots *slots, struct activity_frame *frame, unsigned number,
			unsigned index, const struct group_reading *now)
{
	const struct perf_plan *plan = slots->plan;
	const struct perf_unit *unit = &plan->units[index];
	uint64_t *before = baseline_of(slots, &slots->slots[number], index);
	uint64_t enabled_ns = scale_delta(now->enabled_ns, before[0]);
	uint64_t running_ns = scale_delta(now->running_ns, before[1]);
	uint64_t *counts = frame_counts(frame, number) + (size_t)unit->place * frame->n_events;
	size_t time = ((size_t)number * frame->n_places + unit->place) * frame->n_groups + unit->group;

	/* It had no counter in this step: nothing is known yet, and the next read covers it too. */
	if (!running_ns) {
		slots->starved.n += number == ACTIVITY_SLOT_MACHINE && enabled_ns > 0;
		return;
	}
	for (unsigned i = 0; i < unit->n_events; i++) {
		unsigned column = plan->columns[unit->first + i];
		uint64_t step = step_of(now->counts[i], before[2 + i], plan->joules_per_count[column]);

		counts[column] += scale_multiplexed(step, enabled_ns, running_ns);
		before[2 + i] = now->counts[i];
	}
	frame->enabled_ns[time] += enabled_ns / unit->n_sharing;
	frame->running_ns[time] += running_ns / unit->n_sharing;
	before[0] = now->enabled_ns;
	before[1] = now->running_ns;
}

/*
 * The kernel splits the groups of a CPU that goes offline: each event then returns its own last count. `now`
 * has the leader's.
 */
static bool read_apart(const int *fds, unsigned n_events, struct group_reading *now)
{
	for (unsigned i = 1; i < n_events; i++) {
		uint64_t one[3]; /* its count, and both times */

		if (fds[i] < 0 || read(fds[i], one, sizeof(one)) != (ssize_t)sizeof(one))
			return false;
		now->counts[i] = one[0];
	}
	now->n = n_events;
	return true;
}

static int read_unit(struct perf_slots *slots, struct activity_frame *frame, unsigned number, unsigned index)
{
	const struct perf_unit *unit = &slots->plan->units[index];
	const int *fds = slots->slots[number].fds + unit->first;
	const size_t size = (3 + (size_t)unit->n_events) * sizeof(uint64_t);
	struct perf_page *page = slots->slots[number].pages ? &slots->slots[number].pages[index] : NULL;
	struct group_reading now;
	uint64_t begin_ns;
	uint32_t page_number;
	ssize_t n;

	if (slots->failed)
		slots->failed[index] = true;
	if (fds[0] < 0)
		return 0; /* its CPU is offline */
	if (page && perf_pages_skip(page, slots->pulses[index].trust, number + slots->n_reads)) {
		slots->n_skipped++;
		return 0;
	}
	page_number = page ? perf_pages_number(page) : 0;
	begin_ns = number == ACTIVITY_SLOT_MACHINE ? clock_monotonic_ns() : 0;
	n = read(fds[0], &now, size);
	if (n == 4 * (ssize_t)sizeof(uint64_t) && now.n == 1 && unit->n_events > 1 &&
	    read_apart(fds, unit->n_events, &now))
		n = (ssize_t)size;
	if (n != (ssize_t)size || now.n != unit->n_events) {
		frame->flags[number] |= ACTIVITY_FAILED;
		frame->read_failures++;
		return n < 0 ? -errno : -EIO;
	}
	if (slots->failed)
		slots->failed[index] = false;
	if (number == ACTIVITY_SLOT_MACHINE)
		note_alive(slots, index, begin_ns, now.enabled_ns);
	if (page)
		note_page(slots, number, index, page_number, &now);
	add_reading(slots, frame, number, index, &now);
	return 0;
}

int perf_slots_read(struct perf_slots *slots, struct activity_frame *frame)
{
	bool any = false;
	int last = 0;

	frame_clear(frame);
	slots->n_reads++;
	for (unsigned i = 0; i < slots->plan->n_units; i++) {
		for (unsigned number = 0; number < slots->n_slots; number++) {
			int r;

			if (!slots->slots[number].fds)
				continue;
			r = read_unit(slots, frame, number, i);
			any |= r == 0;
			last = r < 0 ? r : last;
		}
		perf_slots_look(slots, i);
	}
	for (unsigned number = 0; number < slots->n_slots; number++) {
		struct perf_slot *slot = &slots->slots[number];

		if (!slot->fds)
			continue;
		if (!slot->first)
			frame->flags[number] &= (uint8_t)~ACTIVITY_FIRST;
		slot->first = false;
	}
	frame_list_active(frame);
	starved_tell(&slots->starved, slots->plan->n_units);
	return any ? 0 : last;
}

void perf_slots_done(struct perf_slots *slots, struct activity_frame *frame)
{
	for (unsigned i = 0; i < slots->n_slots; i++)
		perf_slots_close(slots, frame, i);
	free(slots->slots);
	free(slots->pulses);
	free(slots->failed);
	*slots = (struct perf_slots){0};
	frame_done(frame);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source at run time: added and removed cgroups, births that the kernel reports, and one pass over
 * the mapped cells in each tick, which costs one comparison per 64 idle targets. Allocates only when a slot
 * is added.
 *
 * Raw counts, time enabled and time waiting are summed per cell and event over the whole tick and scaled
 * once, here, if events were multiplexed; a tick in which an event never ran is settled with a later one.
 */
#include "source/bpf/source_bpf.h"

#include "base/clock.h"
#include "base/log.h"
#include "machine/cpu_gaps.h"
#include "machine/scale.h"
#include "priv/priv_client.h"
#include "source/frame.h"

#include <errno.h>
#include <string.h>

static uint64_t running_of(const struct count_cell *cell, unsigned event)
{
	return scale_delta(cell->enabled, cell->events[event].waited);
}

void source_bpf_see(const struct source_bpf *bpf, const struct count_cell *cell,
		    struct source_bpf_seen *ret_seen)
{
	ret_seen->ns = cell->ns;
	ret_seen->enabled = cell->enabled;
	for (unsigned e = 0; e < source_bpf_n_events(bpf); e++)
		ret_seen->events[e] = (struct source_bpf_seen_event){
			cell->events[e].count, cell->events[e].waited, running_of(cell, e)};
}

/* Unsigned values may wrap below zero; the difference to the cell is still right. */
void source_bpf_unsee(const struct source_bpf *bpf, const struct count_cell *cell,
		      struct source_bpf_seen *seen)
{
	seen->ns -= cell->ns;
	seen->enabled -= cell->enabled;
	for (unsigned e = 0; e < source_bpf_n_events(bpf); e++) {
		seen->events[e].count -= cell->events[e].count;
		seen->events[e].waited -= cell->events[e].waited;
		seen->events[e].running -= running_of(cell, e);
	}
}

/* The event's step in this tick. Returns how long it ran. */
static uint64_t step(const struct count_cell *cell, unsigned event, struct source_bpf_seen_event *before,
		     uint64_t *ret_count)
{
	const struct count_event now = cell->events[event];
	const uint64_t all_running = running_of(cell, event), waited = now.waited - before->waited,
		       running = all_running - before->running;

	*ret_count = now.count - before->count;
	if (waited != 0) {
		/* Nothing is known yet, or the cell was read during an update. */
		if (running == 0 || running > INT64_MAX) {
			*ret_count = 0;
			return 0;
		}
		*ret_count = scale_multiplexed(*ret_count, running + waited, running);
	}
	*before = (struct source_bpf_seen_event){now.count, now.waited, all_running};
	return running > INT64_MAX ? 0 : running;
}

bool source_bpf_take(struct source_bpf *bpf, const struct count_cell *cell, struct source_bpf_seen *before,
		     unsigned slot, unsigned place)
{
	struct activity_frame *frame = &bpf->source.frame;
	uint64_t *counts = frame_counts(frame, slot) + (size_t)place * frame->n_events;
	const size_t time = ((size_t)slot * frame->n_places + place) * frame->n_groups;
	const uint64_t ns = cell->ns, enabled = cell->enabled;
	bool any = false;

	if (!bpf->plan) {
		counts[0] += ns - before->ns;
		any = ns != before->ns;
	}
	for (unsigned g = 0, e = 0; bpf->plan && g < frame->n_groups; g++) {
		const unsigned end = e + frame->groups[g].n_events;

		for (bool first = true; e < end; e++, first = false) {
			uint64_t count, running = step(cell, e, &before->events[e], &count);

			counts[e] += count;
			any |= count != 0;
			if (first && frame->enabled_ns) {
				frame->enabled_ns[time + g] += enabled - before->enabled;
				frame->running_ns[time + g] += running;
			}
		}
	}
	before->ns = ns;
	before->enabled = enabled;
	return any;
}

/*
 * Opens the events on each CPU. The program itself runs on every CPU; its events die when their CPU goes
 * offline. They are reopened when the program has run on the CPU in this tick while their enabled time stood
 * still.
 */
int source_bpf_open_events(struct source_bpf *bpf, unsigned cpu)
{
	const struct perf_plan *plan = bpf->plan;

	for (unsigned i = 0; plan && i < plan->n_units; i++) {
		const struct perf_unit *unit = &plan->units[i];
		const struct priv_group group = {.cgroup = "",
						 .cpu = unit->cpu,
						 .n_events = unit->n_events,
						 .events = plan->attrs + unit->first};
		int r = cpu == SOURCE_BPF_ALL_CPUS || cpu == unit->cpu
				? priv_client_bpf_group(bpf->context->priv, &group,
							plan->columns + unit->first)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static struct count_pulse pulse_of(const struct source_bpf *bpf, unsigned cpu)
{
	const struct count_pulse *pulse = &bpf->pulses[cpu];
	struct count_pulse now;

	/* In the reverse order of the program's writes. */
	now.seen_ns = __atomic_load_n(&pulse->seen_ns, __ATOMIC_ACQUIRE);
	now.enabled_ns = __atomic_load_n(&pulse->enabled_ns, __ATOMIC_ACQUIRE);
	return now;
}

/* Are the events really dead? Flushes every CPU once more to find out. */
static bool is_dead(struct source_bpf *bpf, unsigned cpu, struct count_pulse now)
{
	struct count_pulse again;

	if (priv_client_bpf_update(bpf->context->priv, NULL, 0, true) < 0)
		return false;
	again = pulse_of(bpf, cpu);
	return cpu_gaps_confirm(now.seen_ns, now.enabled_ns, again.seen_ns, again.enabled_ns) ==
	       CPU_GAPS_DEAD;
}

static void look(struct source_bpf *bpf, unsigned cpu)
{
	struct count_pulse *before = &bpf->pulses_before[cpu];
	const struct count_pulse now = pulse_of(bpf, cpu);
	const uint64_t elapsed_ns = now.seen_ns - before->seen_ns;
	const uint64_t missing_ns = cpu_gaps_missing(elapsed_ns, now.enabled_ns - before->enabled_ns);
	uint64_t used_ns = source_bpf_cell(bpf, bpf->totals, cpu)->ns -
			   source_bpf_seen(bpf, bpf->totals_before, cpu)->ns;
	int r;

	*before = now;
	if (elapsed_ns == 0 || missing_ns == 0)
		return; /* offline, or alive */
	if (!is_dead(bpf, cpu, now))
		return; /* nothing was counted: decided at the next check */
	r = source_bpf_open_events(bpf, cpu);
	if (r < 0) {
		log_debug("source", r, "cannot reopen the events of CPU %u", cpu);
		return;
	}
	before->seen_ns = clock_monotonic_ns(); /* the program's clock */
	used_ns = used_ns < missing_ns ? used_ns : missing_ns;
	bpf->gap_ns += used_ns;
	cpu_gaps_note(bpf->context->gaps, cpu, used_ns);
}

static bool has_events(const struct perf_plan *plan, unsigned cpu)
{
	unsigned i = 0;

	while (i < plan->n_units && plan->units[i].cpu != cpu)
		i++;
	return i < plan->n_units;
}

/* After the flush: reopens dead events. */
static void look_at_cpus(struct source_bpf *bpf)
{
	bpf->gap_ns = 0;
	for (unsigned cpu = 0; bpf->plan && cpu < bpf->n_cpus; cpu++)
		if (has_events(bpf->plan, cpu))
			look(bpf, cpu);
}

/* Sends the changes to the kernel; with a flush, running cgroups get their counts up to now. */
static int update(struct source_bpf *bpf, bool flush)
{
	int r = priv_client_bpf_update(bpf->context->priv, bpf->changes, bpf->n_changes, flush);

	bpf->n_changes = 0;
	return r;
}

/*
 * If births are reported, a cgroup is counted from its birth on, so changes can wait for the tick, and a
 * thousand of them cost one message. Otherwise counts from before the change are lost, so it is sent at once.
 */
static int change(struct source_bpf *bpf, uint64_t cgroup, uint32_t slot)
{
	bpf->changes[bpf->n_changes++] = (struct priv_bpf_change){.cgroup = cgroup, .slot = slot};
	return bpf->births_told && bpf->n_changes < PRIV_BPF_CHANGES_MAX ? 0 : update(bpf, false);
}

static bool is_adopted(const struct source_bpf *bpf, uint64_t birth)
{
	for (unsigned i = 0; i < bpf->n_adopted; i++)
		if (bpf->adopted[i].birth == birth)
			return true;
	return false;
}

/*
 * Was it created in this tick? Then its counts so far go to the slot at the next read. If an older cgroup
 * becomes a target only now, its earlier counts belong to past ticks.
 */
static void adopt(struct source_bpf *bpf, uint64_t cgroup, uint32_t slot)
{
	uint64_t newest = bpf->next_birth, oldest = bpf->tick_birth;

	if (!bpf->births_told)
		return;
	while (bpf->births[newest % bpf->n_births].seq == newest + 1)
		newest++; /* inotify was faster */
	if (newest - oldest > bpf->n_births)
		oldest = newest - bpf->n_births;
	for (uint64_t birth = newest; birth-- > oldest;) {
		if (bpf->births[birth % bpf->n_births].id != cgroup)
			continue;
		if (bpf->n_adopted < bpf->n_births && !is_adopted(bpf, birth))
			bpf->adopted[bpf->n_adopted++] = (struct source_bpf_adopted){birth, slot};
		return;
	}
}

int source_bpf_add(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_bpf *bpf = (struct source_bpf *)source;
	struct activity_frame *frame = &source->frame;
	const size_t first = (size_t)cgroup->slot * frame->n_places;
	int r;

	if (cgroup->slot >= bpf->n_slots || bpf->n_mapped >= bpf->n_slots * 4)
		return -EMFILE;
	if (cgroup->root) {
		r = frame_reserve(frame, cgroup->slot + 1, bpf->plan != NULL);
		if (r < 0)
			return r;
		for (size_t i = first; i < first + frame->n_places; i++)
			source_bpf_see(bpf, source_bpf_cell(bpf, bpf->cells, i),
				       source_bpf_seen(bpf, bpf->before, i));
	}
	r = change(bpf, cgroup->id, cgroup->slot);
	if (r < 0)
		return r;
	bpf->n_mapped++;
	adopt(bpf, cgroup->id, cgroup->slot);
	if (!cgroup->root)
		return 0;
	frame->flags[cgroup->slot] = ACTIVITY_OPEN;
	if (bpf->n_fresh < bpf->n_slots)
		bpf->fresh[bpf->n_fresh++] = cgroup->slot;
	if (cgroup->slot >= bpf->n_used)
		bpf->n_used = cgroup->slot + 1;
	return 0;
}

void source_bpf_remove(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_bpf *bpf = (struct source_bpf *)source;

	(void)change(bpf, cgroup->id, PRIV_BPF_NOWHERE);
	if (bpf->n_mapped > 0)
		bpf->n_mapped--;
	if (cgroup->root && cgroup->slot < source->frame.n_slots)
		frame_free_slot(&source->frame, cgroup->slot);
}

void source_bpf_births(struct activity_source *source, activity_born *born, void *data)
{
	struct source_bpf *bpf = (struct source_bpf *)source;

	while (bpf->births_told) {
		const struct count_birth *at = &bpf->births[bpf->next_birth % bpf->n_births];
		const uint64_t seq = __atomic_load_n(&at->seq, __ATOMIC_ACQUIRE);
		struct count_birth birth;

		if (seq > bpf->next_birth + 1) { /* the ring has wrapped: older births are left to inotify */
			bpf->next_birth = seq - bpf->n_births;
			continue;
		}
		if (seq != bpf->next_birth + 1)
			return;
		birth = *at;
		birth.name[sizeof(birth.name) - 1] = '\0';
		bpf->next_birth++;
		/* A birth that is being overwritten, or whose name was truncated, is left to inotify, too. */
		if (__atomic_load_n(&at->seq, __ATOMIC_ACQUIRE) == seq &&
		    strlen(birth.name) + 1 < sizeof(birth.name))
			born(data, birth.parent, birth.name, birth.id);
	}
}

/* Finds groups that have waited on all CPUs of a place while the machine was counted. */
static void look_for_starved(struct source_bpf *bpf)
{
	const struct activity_frame *frame = &bpf->source.frame;
	const unsigned n = frame->n_places * frame->n_groups;

	for (unsigned i = 0; frame->enabled_ns && i < n; i++)
		bpf->starved.n += frame->enabled_ns[i] > 0 && frame->running_ns[i] == 0;
	starved_tell(&bpf->starved, n);
}

static void read_machine(struct source_bpf *bpf)
{
	struct activity_frame *frame = &bpf->source.frame;

	frame_clear_slot(frame, ACTIVITY_SLOT_MACHINE);
	frame->lost_ns = bpf->gap_ns;
	for (unsigned cpu = 0; cpu < bpf->n_cpus; cpu++) {
		const uint64_t lost_ns = source_bpf_cell(bpf, bpf->totals, bpf->n_cpus + cpu)->ns;
		struct source_bpf_seen *lost_before =
			source_bpf_seen(bpf, bpf->totals_before, bpf->n_cpus + cpu);

		(void)source_bpf_take(bpf, source_bpf_cell(bpf, bpf->totals, cpu),
				      source_bpf_seen(bpf, bpf->totals_before, cpu), ACTIVITY_SLOT_MACHINE,
				      bpf->place_of_cpu[cpu]);
		frame->lost_ns += lost_ns - lost_before->ns;
		lost_before->ns = lost_ns;
	}
}

/* New slots are read once even if untouched. */
static void mark_first(struct source_bpf *bpf)
{
	uint8_t *flags = bpf->source.frame.flags;
	unsigned n = 0;

	for (unsigned i = 0; i < bpf->n_first; i++)
		flags[bpf->fresh[i]] &= (uint8_t)~ACTIVITY_FIRST;
	for (unsigned i = bpf->n_first; i < bpf->n_fresh; i++)
		bpf->fresh[n++] = bpf->fresh[i];
	bpf->n_first = bpf->n_fresh = n;
	for (unsigned i = 0; i < n; i++)
		if (flags[bpf->fresh[i]] & ACTIVITY_OPEN)
			flags[bpf->fresh[i]] |= ACTIVITY_FIRST;
}

static void read_slot(struct source_bpf *bpf, unsigned slot)
{
	struct activity_frame *frame = &bpf->source.frame;
	const size_t first = (size_t)slot * frame->n_places;
	bool any = false;

	if (slot >= frame->n_slots || !(frame->flags[slot] & ACTIVITY_OPEN))
		return;
	for (unsigned p = 0; p < frame->n_places; p++)
		any |= source_bpf_take(bpf, source_bpf_cell(bpf, bpf->cells, first + p),
				       source_bpf_seen(bpf, bpf->before, first + p), slot, p);
	if (any)
		frame->active[frame->n_active++] = slot;
}

/* Takes counts from before the slot was known: they lower the baseline. That cell no longer changes. */
static void take_adopted(struct source_bpf *bpf)
{
	const size_t n_places = bpf->source.frame.n_places;

	for (unsigned i = 0; i < bpf->n_adopted; i++) {
		const unsigned at = (unsigned)(bpf->adopted[i].birth % bpf->n_births),
			       slot = bpf->adopted[i].slot;

		if (__atomic_load_n(&bpf->births[at].seq, __ATOMIC_ACQUIRE) != bpf->adopted[i].birth + 1)
			continue; /* more births since than fit into the ring: the first counts of this cgroup
				     are not attributed */
		for (size_t p = 0; p < n_places; p++)
			source_bpf_unsee(bpf,
					 source_bpf_cell(bpf, bpf->cells, (bpf->n_slots + at) * n_places + p),
					 source_bpf_seen(bpf, bpf->before, slot * n_places + p));
		__atomic_store_n((uint8_t *)bpf->touched + slot, 1, __ATOMIC_RELAXED);
	}
	bpf->n_adopted = 0;
}

/*
 * Eight slots at a time. Slots that were touched in the last tick are read once more: on weakly ordered
 * processors the byte can become visible before the count, which would then stay unseen until the next touch.
 */
static void read_touched(struct source_bpf *bpf)
{
	for (unsigned word = 0; word <= bpf->n_used / sizeof(uint64_t); word++) {
		const uint64_t now = bpf->touched[word]
					     ? __atomic_exchange_n(&bpf->touched[word], 0, __ATOMIC_ACQ_REL)
					     : 0;
		const uint64_t both = now | bpf->touched_before[word];
		uint8_t slots[sizeof(both)];

		bpf->touched_before[word] = now;
		if (both == 0)
			continue;
		memcpy(slots, &both, sizeof(slots));
		for (unsigned i = 0; i < sizeof(slots); i++)
			if (slots[i])
				read_slot(bpf, word * (unsigned)sizeof(slots) + i);
	}
}

int source_bpf_read(struct activity_source *source)
{
	struct source_bpf *bpf = (struct source_bpf *)source;
	struct activity_frame *frame = &source->frame;
	int r = update(bpf, true);

	if (r < 0)
		frame->read_failures++; /* the counts of running cgroups are one tick late; none are lost */
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] < frame->n_slots)
			frame_clear_slot(frame, frame->active[i]);
	frame->n_active = 0;
	look_at_cpus(bpf);
	read_machine(bpf);
	look_for_starved(bpf);
	take_adopted(bpf);
	bpf->tick_birth = bpf->next_birth;
	mark_first(bpf);
	read_touched(bpf);
	return r;
}

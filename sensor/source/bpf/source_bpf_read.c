/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source at work: cgroups that come and go, births that the kernel tells, and one pass over the
 * mapped cells in each tick, which costs a comparison for 64 idle targets. Allocates only when a slot is
 * added.
 */
#include "source/bpf/source_bpf.h"

#include "source/frame.h"
#include "priv/priv_client.h"

#include <errno.h>
#include <string.h>

/* Tells the kernel what has changed; with a flush, whoever runs now gets what it has had so far. */
static int update(struct source_bpf *bpf, bool flush)
{
	int r = priv_client_bpf_update(bpf->context->priv, bpf->changes, bpf->n_changes, flush);

	bpf->n_changes = 0;
	return r;
}

/*
 * Where births are told, a cgroup is counted since its birth, wherever its counts go: changes wait for the
 * tick, and a thousand of them cost one message. Else what is not said now is lost.
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
 * Was it born in this tick? Then what it has had so far becomes the slot's at the next read. What is older
 * and becomes a target only now has had its counts in ticks that are over.
 */
static void adopt(struct source_bpf *bpf, uint64_t cgroup, uint32_t slot)
{
	uint64_t newest = bpf->next_birth, oldest = bpf->tick_birth;

	if (!bpf->births_told)
		return;
	while (bpf->births[newest % bpf->n_births].seq == newest + 1)
		newest++; /* told by inotify first */
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
		memcpy(bpf->before + first, bpf->cells + first, frame->n_places * sizeof(*bpf->before));
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

		if (seq >
		    bpf->next_birth + 1) { /* the ring has gone round: the older ones are left to inotify */
			bpf->next_birth = seq - bpf->n_births;
			continue;
		}
		if (seq != bpf->next_birth + 1)
			return;
		birth = *at;
		birth.name[sizeof(birth.name) - 1] = '\0';
		bpf->next_birth++;
		/* One that is being overwritten, or whose name was cut, is left to inotify, too. */
		if (__atomic_load_n(&at->seq, __ATOMIC_ACQUIRE) == seq &&
		    strlen(birth.name) + 1 < sizeof(birth.name))
			born(data, birth.parent, birth.name, birth.id);
	}
}

/* Adds what a cell has had since `before` to a place of a slot. */
static bool take_cell(struct source_bpf *bpf, const struct count_cell *cell, struct count_cell *before,
		      unsigned slot, unsigned place)
{
	struct activity_frame *frame = &bpf->source.frame;
	uint64_t *counts = frame_counts(frame, slot) + (size_t)place * frame->n_events;
	const struct count_cell now = *cell;
	bool any = false;

	if (!bpf->plan) {
		counts[0] += now.ns - before->ns;
		any = now.ns != before->ns;
	}
	for (unsigned e = 0; bpf->plan && e < frame->n_events; e++) {
		counts[e] += now.events[e] - before->events[e];
		any |= now.events[e] != before->events[e];
	}
	for (unsigned g = 0; frame->enabled_ns && g < frame->n_groups; g++) {
		const size_t at = ((size_t)slot * frame->n_places + place) * frame->n_groups + g;

		frame->enabled_ns[at] += now.enabled - before->enabled;
		frame->running_ns[at] += now.running - before->running;
	}
	*before = now;
	return any;
}

static void clear_slot(struct activity_frame *frame, unsigned slot)
{
	const size_t n_times = (size_t)frame->n_places * frame->n_groups;

	memset(frame_counts(frame, slot), 0, (size_t)frame->n_places * frame->n_events * sizeof(uint64_t));
	if (!frame->enabled_ns)
		return;
	memset(frame->enabled_ns + slot * n_times, 0, n_times * sizeof(uint64_t));
	memset(frame->running_ns + slot * n_times, 0, n_times * sizeof(uint64_t));
}

static void read_machine(struct source_bpf *bpf)
{
	struct activity_frame *frame = &bpf->source.frame;

	clear_slot(frame, ACTIVITY_SLOT_MACHINE);
	frame->lost_ns = bpf->gap_ns;
	for (unsigned cpu = 0; cpu < bpf->n_cpus; cpu++) {
		const unsigned lost = bpf->n_cpus + cpu;

		(void)take_cell(bpf, &bpf->totals[cpu], &bpf->totals_before[cpu], ACTIVITY_SLOT_MACHINE,
				bpf->place_of_cpu[cpu]);
		frame->lost_ns += bpf->totals[lost].ns - bpf->totals_before[lost].ns;
		bpf->totals_before[lost] = bpf->totals[lost];
	}
}

/* New slots are marked for one read. */
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
		any |= take_cell(bpf, &bpf->cells[first + p], &bpf->before[first + p], slot, p);
	if (any)
		frame->active[frame->n_active++] = slot;
}

/* What was counted before the slot was known: the baseline goes back by as much. Nothing is added there any
 * more. */
static void take_adopted(struct source_bpf *bpf)
{
	const struct activity_frame *frame = &bpf->source.frame;
	const size_t n_places = frame->n_places;

	for (unsigned i = 0; i < bpf->n_adopted; i++) {
		const unsigned at = (unsigned)(bpf->adopted[i].birth % bpf->n_births),
			       slot = bpf->adopted[i].slot;

		if (__atomic_load_n(&bpf->births[at].seq, __ATOMIC_ACQUIRE) != bpf->adopted[i].birth + 1)
			continue; /* more births since than there is room for: this one's first part is
				     nobody's */
		for (size_t p = 0; p < n_places; p++) {
			const struct count_cell *cell = &bpf->cells[(bpf->n_slots + at) * n_places + p];
			struct count_cell *before = &bpf->before[slot * n_places + p];

			before->ns -= cell->ns;
			before->enabled -= cell->enabled;
			before->running -= cell->running;
			for (unsigned e = 0; bpf->plan && e < frame->n_events; e++)
				before->events[e] -= cell->events[e];
		}
		__atomic_store_n((uint8_t *)bpf->touched + slot, 1, __ATOMIC_RELAXED);
	}
	bpf->n_adopted = 0;
}

/*
 * Eight slots at a time. Who was touched in the last tick is looked at once more: on some processors the byte
 * is seen before the count that it stands for, and then it would stay hidden until the next one.
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
		frame->read_failures++; /* what runs now is late by a tick, nothing is lost */
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] < frame->n_slots)
			clear_slot(frame, frame->active[i]);
	frame->n_active = 0;
	source_bpf_look_at_cpus(bpf);
	read_machine(bpf);
	take_adopted(bpf);
	bpf->tick_birth = bpf->next_birth;
	mark_first(bpf);
	read_touched(bpf);
	return r;
}

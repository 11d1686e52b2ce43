/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source while it runs: cgroups that come and go, births that the kernel reports, and one pass over
 * the mapped cells in each tick, which costs one comparison per 64 idle targets. Allocates only when a slot
 * is added.
 */
#include "source/bpf/source_bpf.h"

#include "source/frame.h"
#include "priv/priv_client.h"

#include <errno.h>
#include <string.h>

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
 * Was it created in this tick? Then its counts so far go to the slot at the next read. The counts of an older
 * cgroup that becomes a target only now belong to past ticks.
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
		/* One that is being overwritten, or whose name was cut, is left to inotify, too. */
		if (__atomic_load_n(&at->seq, __ATOMIC_ACQUIRE) == seq &&
		    strlen(birth.name) + 1 < sizeof(birth.name))
			born(data, birth.parent, birth.name, birth.id);
	}
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

/* Counts from before the slot was known: the baseline is lowered by them. Nothing is added to that cell any
 * more. */
static void take_adopted(struct source_bpf *bpf)
{
	const size_t n_places = bpf->source.frame.n_places;

	for (unsigned i = 0; i < bpf->n_adopted; i++) {
		const unsigned at = (unsigned)(bpf->adopted[i].birth % bpf->n_births),
			       slot = bpf->adopted[i].slot;

		if (__atomic_load_n(&bpf->births[at].seq, __ATOMIC_ACQUIRE) != bpf->adopted[i].birth + 1)
			continue; /* more births since than fit the ring: the first counts of this one are not
				     attributed */
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the bpf source's cells: a cell's counts of one tick, scaled where events were
 * multiplexed. Raw counts, time enabled and time waiting are summed per cell and event over the whole tick
 * and scaled once, here; a tick in which an event never ran is settled with a later one. No I/O.
 */
#include "source/bpf/source_bpf.h"

#include "machine/scale.h"
#include "source/frame.h"

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

/* Unsigned: they wrap below zero, and the difference to the cell is right again. */
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

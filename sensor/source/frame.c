/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of struct activity_frame: flat arrays that grow by doubling when a slot is added, never in a read.
 * Called by the activity sources; does no I/O.
 */
#include "source/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Grows the array at `array` from `old` to `n` elements, new ones zeroed. False (and unchanged): no memory.
 */
static bool grow(void *array, size_t old, size_t n, size_t size)
{
	char *grown;
	void *had;

	memcpy(&had, array, sizeof(had));
	grown = reallocarray(had, n, size);
	if (!grown)
		return false;
	memset(grown + old * size, 0, (n - old) * size);
	memcpy(array, &grown, sizeof(grown));
	return true;
}

int frame_reserve(struct activity_frame *frame, unsigned n_slots, bool with_times)
{
	unsigned old = frame->n_slots, n = old ? old : 16;
	size_t counts_size = (size_t)frame->n_places * frame->n_events * sizeof(uint64_t);
	size_t times_size = (size_t)frame->n_places * frame->n_groups * sizeof(uint64_t);

	if (n_slots <= old)
		return 0;
	while (n < n_slots)
		n *= 2;
	if (!grow(&frame->counts, old, n, counts_size) ||
	    !grow(&frame->flags, old, n, sizeof(*frame->flags)) ||
	    !grow(&frame->active, old, n, sizeof(*frame->active)) ||
	    (with_times && (!grow(&frame->enabled_ns, old, n, times_size) ||
			    !grow(&frame->running_ns, old, n, times_size))))
		return -ENOMEM;
	frame->n_slots = n;
	return 0;
}

void frame_clear(struct activity_frame *frame)
{
	size_t n_times = (size_t)frame->n_slots * frame->n_places * frame->n_groups;

	memset(frame->counts, 0,
	       (size_t)frame->n_slots * frame->n_places * frame->n_events * sizeof(*frame->counts));
	if (frame->enabled_ns) {
		memset(frame->enabled_ns, 0, n_times * sizeof(*frame->enabled_ns));
		memset(frame->running_ns, 0, n_times * sizeof(*frame->running_ns));
	}
	for (unsigned i = 0; i < frame->n_slots; i++)
		frame->flags[i] &= (uint8_t)~ACTIVITY_FAILED;
	frame->n_active = 0;
}

static bool slot_is_active(const struct activity_frame *frame, unsigned slot)
{
	const uint64_t *counts = frame_counts(frame, slot);

	for (unsigned i = 0; i < frame->n_places * frame->n_events; i++)
		if (counts[i])
			return true;
	return false;
}

void frame_list_active(struct activity_frame *frame)
{
	frame->n_active = 0;
	for (unsigned slot = ACTIVITY_SLOT_MACHINE + 1; slot < frame->n_slots; slot++)
		if ((frame->flags[slot] & ACTIVITY_OPEN) && slot_is_active(frame, slot))
			frame->active[frame->n_active++] = slot;
}

void frame_clear_slot(struct activity_frame *frame, unsigned slot)
{
	size_t n_times = (size_t)frame->n_places * frame->n_groups;

	memset(frame_counts(frame, slot), 0,
	       (size_t)frame->n_places * frame->n_events * sizeof(*frame->counts));
	if (!frame->enabled_ns)
		return;
	memset(frame->enabled_ns + slot * n_times, 0, n_times * sizeof(*frame->enabled_ns));
	memset(frame->running_ns + slot * n_times, 0, n_times * sizeof(*frame->running_ns));
}

void frame_free_slot(struct activity_frame *frame, unsigned slot)
{
	if (slot >= frame->n_slots)
		return;
	frame->flags[slot] = 0;
	frame_clear_slot(frame, slot);
}

void frame_done(struct activity_frame *frame)
{
	free(frame->counts);
	free(frame->flags);
	free(frame->active);
	free(frame->enabled_ns);
	free(frame->running_ns);
	frame->counts = frame->enabled_ns = frame->running_ns = NULL;
	frame->flags = NULL;
	frame->active = NULL;
	frame->n_slots = frame->n_active = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of struct activity_frame (source.h): allocated, grown, cleared before a read, summed up after it.
 * Used by the activity sources; independent of where counts come from.
 */
#pragma once

#include "source/source.h"

/*
 * Arrays for at least n_slots slots; n_groups, n_events and n_places are set before. with_times: enabled and
 * running too. New slots are empty. 0 or -ENOMEM (the frame stays as it was). Allocates only when it must
 * grow.
 */
int frame_reserve(struct activity_frame *frame, unsigned n_slots, bool with_times);
/* Zeroes all counts and times and the FAILED flag of each slot. */
void frame_clear(struct activity_frame *frame);
/* Lists the slots other than 0 with any count above zero. */
void frame_list_active(struct activity_frame *frame);
/* One slot's counts and times zeroed. */
void frame_clear_slot(struct activity_frame *frame, unsigned slot);
/* The same, and its flags. */
void frame_free_slot(struct activity_frame *frame, unsigned slot);
void frame_done(struct activity_frame *frame);

/* The counts of a slot: [n_places][n_events]. */
static inline uint64_t *frame_counts(const struct activity_frame *frame, unsigned slot)
{
	return frame->counts + (size_t)slot * frame->n_places * frame->n_events;
}

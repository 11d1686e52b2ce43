/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts one tick of counts into documents. Idle targets cost nothing: the frame lists the active slots.
 */
#include "collect/encode.h"

#include "document/report_bson.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Scratch for one slot of a frame. */
struct encode_part {
	unsigned n_groups;
	struct report_counts *counts; /* [n_groups] */
	uint64_t *values;             /* the groups' values of one slot, one group after the other */
	uint64_t *times;              /* enabled, then running, of one slot by group */
};

struct encoder {
	struct encode_part own, overflow;
	bool overflow_of_all; /* no other group has its machine-wide counts */
	unsigned n_systems;
	struct report_counts *systems; /* [n_systems] */
	struct report_counts *all;     /* counts from both frames and the systems, if present in the tick */
};

static int part_init(struct encode_part *part, const struct activity_frame *frame)
{
	const size_t n_groups = frame ? frame->n_groups : 0;
	const size_t n_values = frame ? (size_t)frame->n_places * frame->n_events : 0;
	const size_t n_times = frame ? (size_t)frame->n_places * n_groups * 2 : 0;

	part->n_groups = (unsigned)n_groups;
	part->counts = calloc(n_groups + 2 + 1, /* GPUs, measured energy */ sizeof(*part->counts));
	part->values = calloc(n_values + 1, sizeof(*part->values));
	part->times = calloc(n_times + 1, sizeof(*part->times));
	return part->counts && part->values && part->times ? 0 : -ENOMEM;
}

static void part_done(struct encode_part *part)
{
	free(part->counts);
	free(part->values);
	free(part->times);
}

static bool same_group(const struct activity_frame *frame, const struct activity_frame *overflow)
{
	for (unsigned i = 0; frame && overflow && i < frame->n_groups; i++)
		for (unsigned j = 0; j < overflow->n_groups; j++)
			if (strcmp(frame->groups[i].name, overflow->groups[j].name) == 0)
				return true;
	return false;
}

struct encoder *encoder_new(const struct activity_frame *frame, const struct activity_frame *overflow,
			    struct system_source *const *systems, unsigned n_systems)
{
	struct encoder *encoder = calloc(1, sizeof(*encoder));

	if (!encoder)
		return NULL;
	encoder->n_systems = n_systems;
	encoder->overflow_of_all = !same_group(frame, overflow);
	encoder->systems = calloc(n_systems + 1, sizeof(*encoder->systems));
	if (part_init(&encoder->own, frame) == 0 && part_init(&encoder->overflow, overflow) == 0)
		encoder->all = calloc(encoder->own.n_groups + encoder->overflow.n_groups + n_systems + 1,
				      sizeof(*encoder->all));
	if (!encoder->systems || !encoder->all) {
		encoder_free(encoder);
		return NULL;
	}
	for (unsigned i = 0; i < n_systems; i++) {
		encoder->systems[i] = (struct report_counts){
			.group = &systems[i]->group,
			.values = systems[i]->values,
			.enabled_ns = systems[i]->enabled_ns,
			.running_ns = systems[i]->running_ns,
		};
	}
	return encoder;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	part_done(&encoder->own);
	part_done(&encoder->overflow);
	free(encoder->systems);
	free(encoder->all);
	free(encoder);
}

/* Gathers one slot's counts by group: the frame keeps the events of all groups side by side in each place. */
static void gather_slot(struct encode_part *part, const struct activity_frame *frame, unsigned slot)
{
	const size_t n_places = frame->n_places, n_events = frame->n_events, n_groups = frame->n_groups;
	const uint64_t *from = frame->counts + (size_t)slot * n_places * n_events;
	uint64_t *values = part->values, *enabled = part->times, *running = enabled + n_places * n_groups;
	size_t first = 0;

	for (unsigned g = 0; g < n_groups; g++) {
		const size_t n = frame->groups[g].n_events;
		struct report_counts *counts = &part->counts[g];

		*counts = (struct report_counts){.group = &frame->groups[g], .values = values};
		for (size_t p = 0; p < n_places; p++)
			memcpy(values + p * n, from + p * n_events + first, n * sizeof(*values));
		values += n_places * n;
		first += n;
		if (!frame->enabled_ns)
			continue;
		counts->enabled_ns = enabled;
		counts->running_ns = running;
		for (size_t p = 0; p < n_places; p++) {
			const size_t at = ((size_t)slot * n_places + p) * n_groups + g;

			*enabled++ = frame->enabled_ns[at];
			*running++ = frame->running_ns[at];
		}
	}
}

static double smallest_ratio(const struct activity_frame *frame, unsigned slot)
{
	const size_t n = (size_t)frame->n_places * frame->n_groups, first = slot * n;
	double smallest = 1;

	if (!frame->enabled_ns)
		return 1;
	for (size_t i = first; i < first + n; i++) {
		const uint64_t enabled = frame->enabled_ns[i], running = frame->running_ns[i];

		if (enabled > 0 && running < enabled) {
			double ratio = (double)running / (double)enabled;

			smallest = ratio < smallest ? ratio : smallest;
		}
	}
	return smallest;
}

/* Appends a slot's GPU time or energy after `at` groups; returns 1, or 0 if there is none. */
static unsigned add_more(struct encode_part *part, const struct target_counts *more, unsigned slot,
			 unsigned at)
{
	for (unsigned i = 0; more && i < more->n; i++) {
		if (more->slots[i] != slot)
			continue;
		part->counts[at] = (struct report_counts){
			.group = &more->group,
			.values = more->values + (size_t)i * more->group.n_places * more->group.n_events};
		return 1;
	}
	return 0;
}

/* Has this frame's pass written the slot? */
static bool is_written(const struct encode_tick *tick, const struct activity_frame *frame, unsigned slot)
{
	if (!frame || slot >= frame->n_slots || !(frame->flags[slot] & ACTIVITY_OPEN) ||
	    (frame->flags[slot] & ACTIVITY_FAILED))
		return false;
	for (unsigned i = 0; !tick->keep_idle && i < frame->n_active; i++)
		if (frame->active[i] == slot)
			return true;
	return tick->keep_idle;
}

static int add_slot(struct encode_part *part, const struct encode_tick *tick,
		    const struct activity_frame *frame, unsigned slot, struct batch *batch)
{
	const struct report_head head = {
		.time_ms = tick->time_ms, .sensor = tick->sensor, .target = tick->names[slot]};
	const struct report_target_metadata metadata = {
		.container_id = tick->short_ids[slot],
		.partial = (frame->flags[slot] & ACTIVITY_FIRST) || tick->states[slot] == tick->last_state,
		.scaled = smallest_ratio(frame, slot),
	};

	unsigned n = part->n_groups;

	gather_slot(part, frame, slot);
	n += add_more(part, tick->gpus, slot, n);
	n += add_more(part, tick->measured, slot, n);
	return report_bson_add_target_counts(batch, &head, part->counts, n, &metadata);
}

/* Targets that a GPU worked for while their processes slept. */
static int add_gpu_targets(struct encoder *encoder, const struct encode_tick *tick, struct batch *batch,
			   unsigned *targets)
{
	for (unsigned i = 0; tick->gpus && i < tick->gpus->n; i++) {
		const unsigned slot = tick->gpus->slots[i];
		const struct report_head head = {.time_ms = tick->time_ms,
						 .sensor = tick->sensor,
						 .target = slot < tick->n_names ? tick->names[slot] : ""};
		struct report_target_metadata metadata = {.scaled = 1};
		int r;

		if (!head.target[0] || is_written(tick, tick->frame, slot) ||
		    is_written(tick, tick->overflow, slot))
			continue;
		metadata.container_id = tick->short_ids[slot];
		r = report_bson_add_target_counts(batch, &head, encoder->own.counts,
						  add_more(&encoder->own, tick->gpus, slot, 0), &metadata);
		if (r < 0)
			return r;
		(*targets)++;
	}
	return 0;
}

/* Adds the reports of one frame's slots; increases `*targets` by their number. */
static int add_targets(struct encode_part *part, const struct encode_tick *tick,
		       const struct activity_frame *frame, struct batch *batch, unsigned *targets)
{
	const unsigned n = tick->keep_idle ? frame->n_slots : frame->n_active;

	for (unsigned i = 0; i < n; i++) {
		const unsigned slot = tick->keep_idle ? i : frame->active[i];
		int r;

		if (slot == ACTIVITY_SLOT_MACHINE || slot >= tick->n_names || tick->names[slot][0] == '\0')
			continue;
		if (!(frame->flags[slot] & ACTIVITY_OPEN) || (frame->flags[slot] & ACTIVITY_FAILED))
			continue;
		r = add_slot(part, tick, frame, slot, batch);
		if (r < 0)
			return r;
		(*targets)++;
	}
	return 0;
}

/* Appends the machine's counts to `all`. If they cannot be read, they are omitted, not 0. */
static unsigned add_machine(struct encoder *encoder, struct encode_part *part,
			    const struct activity_frame *frame, unsigned n_all)
{
	if (frame->flags[ACTIVITY_SLOT_MACHINE] & ACTIVITY_FAILED)
		return n_all;
	gather_slot(part, frame, ACTIVITY_SLOT_MACHINE);
	memcpy(encoder->all + n_all, part->counts, part->n_groups * sizeof(*encoder->all));
	return n_all + part->n_groups;
}

int encoder_run(struct encoder *encoder, const struct encode_tick *tick, struct batch *batch,
		unsigned *ret_targets)
{
	const struct report_head head = {
		.time_ms = tick->time_ms, .sensor = tick->sensor, .target = REPORT_TARGET_ALL};
	struct report_tick_metadata metadata = tick->metadata;
	unsigned n_all = 0;
	int r = 0;

	batch_clear(batch);
	*ret_targets = 0;
	if (tick->frame)
		r = add_targets(&encoder->own, tick, tick->frame, batch, ret_targets);
	if (r == 0 && tick->overflow)
		r = add_targets(&encoder->overflow, tick, tick->overflow, batch, ret_targets);
	if (r == 0)
		r = add_gpu_targets(encoder, tick, batch, ret_targets);
	if (r < 0)
		return r;
	if (tick->frame)
		n_all = add_machine(encoder, &encoder->own, tick->frame, n_all);
	if (tick->overflow && encoder->overflow_of_all)
		n_all = add_machine(encoder, &encoder->overflow, tick->overflow, n_all);
	memcpy(encoder->all + n_all, encoder->systems, encoder->n_systems * sizeof(*encoder->all));
	metadata.n_targets = *ret_targets;
	return report_bson_add_all_counts(batch, &head, encoder->all, n_all + encoder->n_systems, &metadata);
}

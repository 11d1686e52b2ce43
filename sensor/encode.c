/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick of counts into documents. Idle targets cost nothing here: the frame lists the active slots.
 */
#include "encode.h"

#include "report_bson.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
	unsigned n_groups, n_systems;
	struct report_counts *counts; /* [n_groups + n_systems] */
	uint64_t *values;             /* the groups' values of one slot, one group behind the other */
	uint64_t *times;              /* enabled, then running, of one slot by group */
};

struct encoder *encoder_new(const struct activity_frame *frame, struct system_source *const *systems,
			    unsigned n_systems)
{
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	size_t n_groups = frame ? frame->n_groups : 0;
	size_t n_values = frame ? (size_t)frame->n_places * frame->n_events : 0;
	size_t n_times = frame ? (size_t)frame->n_places * n_groups * 2 : 0;

	if (!encoder)
		return NULL;
	encoder->n_groups = (unsigned)n_groups;
	encoder->n_systems = n_systems;
	encoder->counts = calloc(n_groups + n_systems + 1, sizeof(*encoder->counts));
	encoder->values = calloc(n_values + 1, sizeof(*encoder->values));
	encoder->times = calloc(n_times + 1, sizeof(*encoder->times));
	if (!encoder->counts || !encoder->values || !encoder->times) {
		encoder_free(encoder);
		return NULL;
	}
	for (unsigned i = 0; i < n_systems; i++) {
		encoder->counts[n_groups + i] = (struct report_counts){
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
	free(encoder->counts);
	free(encoder->values);
	free(encoder->times);
	free(encoder);
}

/* Gathers one slot's counts by group: the frame keeps the events of all groups side by side in each place. */
static void gather_slot(struct encoder *encoder, const struct activity_frame *frame, unsigned slot)
{
	const size_t n_places = frame->n_places, n_events = frame->n_events, n_groups = frame->n_groups;
	const uint64_t *from = frame->counts + (size_t)slot * n_places * n_events;
	uint64_t *values = encoder->values, *enabled = encoder->times, *running = enabled + n_places * n_groups;
	size_t first = 0;

	for (unsigned g = 0; g < n_groups; g++) {
		const size_t n = frame->groups[g].n_events;
		struct report_counts *counts = &encoder->counts[g];

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

static int add_slot(struct encoder *encoder, const struct encode_tick *tick, unsigned slot, struct batch *batch)
{
	const struct activity_frame *frame = tick->frame;
	const struct report_head head = {
		.time_ms = tick->time_ms, .sensor = tick->sensor, .target = tick->names[slot]};
	const struct report_target_metadata metadata = {
		.container_id = tick->short_ids[slot],
		.partial = (frame->flags[slot] & ACTIVITY_FIRST) || tick->states[slot] == tick->last_state,
		.scaled = smallest_ratio(frame, slot),
	};

	gather_slot(encoder, frame, slot);
	return report_bson_add_target_counts(batch, &head, encoder->counts, encoder->n_groups, &metadata);
}

static int add_targets(struct encoder *encoder, const struct encode_tick *tick, struct batch *batch,
		       unsigned *ret_targets)
{
	const struct activity_frame *frame = tick->frame;
	const unsigned n = tick->keep_idle ? frame->n_slots : frame->n_active;

	for (unsigned i = 0; i < n; i++) {
		const unsigned slot = tick->keep_idle ? i : frame->active[i];
		int r;

		if (slot == ACTIVITY_SLOT_MACHINE || slot >= tick->n_names || tick->names[slot][0] == '\0')
			continue;
		if (!(frame->flags[slot] & ACTIVITY_OPEN) || (frame->flags[slot] & ACTIVITY_FAILED))
			continue;
		r = add_slot(encoder, tick, slot, batch);
		if (r < 0)
			return r;
		(*ret_targets)++;
	}
	return 0;
}

int encoder_run(struct encoder *encoder, const struct encode_tick *tick, struct batch *batch,
		unsigned *ret_targets)
{
	const struct report_head head = {
		.time_ms = tick->time_ms, .sensor = tick->sensor, .target = REPORT_TARGET_ALL};
	struct report_tick_metadata metadata = tick->metadata;
	const struct report_counts *counts = encoder->counts;
	unsigned n_counts = encoder->n_groups + encoder->n_systems;
	int r = 0;

	batch_clear(batch);
	*ret_targets = 0;
	if (tick->frame) {
		r = add_targets(encoder, tick, batch, ret_targets);
		if (r < 0)
			return r;
		gather_slot(encoder, tick->frame, ACTIVITY_SLOT_MACHINE);
	}
	/* A machine that cannot be counted as a whole says nothing, not zero. */
	if (tick->frame && (tick->frame->flags[ACTIVITY_SLOT_MACHINE] & ACTIVITY_FAILED)) {
		counts += encoder->n_groups;
		n_counts -= encoder->n_groups;
	}
	metadata.n_targets = *ret_targets;
	return report_bson_add_all_counts(batch, &head, counts, n_counts, &metadata);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts one tick of counts into documents: a report for every target with counts, `all` last. Called by
 * the collect process in each tick; does not allocate once warm, and knows neither sources nor stores.
 */
#pragma once

#include "document/batch.h"
#include "document/report.h"
#include "source/source.h"

struct encoder;

struct encode_tick {
	int64_t time_ms;
	const char *sensor;
	const struct activity_frame *frame;    /* NULL: no activity source */
	const struct activity_frame *overflow; /* for targets without room in the frame; NULL: none */
	struct system_source *const *systems;
	unsigned n_systems;
	const struct target_counts *gpus;     /* NULL: none */
	const struct target_counts *measured; /* energy of targets; NULL: none */
	const char *const *names;             /* [slot]; "" for a slot that is not reported */
	const char *const *short_ids;         /* [slot]; NULL if it is not a container */
	const uint8_t *states;                /* [slot]; `last_state` marks a slot's last report */
	uint8_t last_state;
	unsigned n_names;                     /* slots in these arrays; the frame may have more */
	bool keep_idle;                       /* also write targets without counts */
	struct report_tick_metadata metadata; /* n_targets is filled here */
};

/* Scratch memory for the given shapes; unused frames are NULL. NULL if out of memory. */
struct encoder *encoder_new(const struct activity_frame *frame, const struct activity_frame *overflow,
			    struct system_source *const *systems, unsigned n_systems);
void encoder_free(struct encoder *encoder);
/* Fills `batch` (cleared first). 0 or -ENOMEM. `ret_targets`: container reports written. */
int encoder_run(struct encoder *encoder, const struct encode_tick *tick, struct batch *batch,
		unsigned *ret_targets);

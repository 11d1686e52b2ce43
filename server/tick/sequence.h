/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates the numbers and times of a sensor's ticks: ticks that never arrived, and ticks that claim more
 * time than has passed. Called by machine.c for each tick; pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sequence {
	bool known; /* a tick has been seen */
	uint64_t seq;
	int64_t time_ms;
	double interval_s;
	double surplus_s; /* excess of recent tick lengths over the time that passed between them */
};

/* An approximate set of a tick's targets: a bit for each name. */
#define SEQUENCE_BITS 1024
struct sequence_targets {
	uint64_t bits[SEQUENCE_BITS / 64];
};

/* Two sensors with one name alternate between their sets of targets. */
struct sequence_turns {
	struct sequence_targets last, before; /* of the two previous ticks */
	unsigned n;                           /* consecutive turns */
};

static inline void sequence_add_target(struct sequence_targets *targets, uint32_t key)
{
	targets->bits[key % SEQUENCE_BITS / 64] |= UINT64_C(1) << key % 64;
}

/*
 * For ticks without numbers: true if each recent tick had the targets of the last but one, and some but not
 * all of the last one's: two sensors with one name.
 */
bool sequence_note_targets(struct sequence_turns *turns, const struct sequence_targets *targets);

/*
 * Notes a tick with its number, time and length. Returns how many ticks before it are missing: 0 after a
 * restart of the sensor (numbers start again), while ticks overlap, and if no time has passed for them. Ticks
 * overlap if the recent ones claim more time than has passed, by more than five ticks, or if their numbers
 * keep decreasing: two sensors of one name, or one whose clock was set back.
 */
uint64_t sequence_note(struct sequence *sequence, uint64_t seq, int64_t time_ms, double interval_s,
		       bool *ret_overlaps);

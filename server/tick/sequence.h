/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the numbers and times of a sensor's ticks say: ticks that never came, and ticks that claim more time
 * than has passed. Called by machine.c for each tick; pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sequence {
	bool known; /* a tick has been seen */
	uint64_t seq;
	int64_t time_ms;
	double interval_s;
	double surplus_s; /* measured lengths of late ticks beyond the time that passed between them */
};

/*
 * Notes a tick with its number, time and length. Returns how many ticks before it are missing: 0 after a
 * restart of the sensor, where numbers start again, while ticks overlap, and where no time has passed for
 * them. Ticks overlap when those of late claim more time than has passed, by more than five ticks, or when
 * their numbers keep going back: two sensors of one name, or one whose clock was set back.
 */
uint64_t sequence_note(struct sequence *sequence, uint64_t seq, int64_t time_ms, double interval_s,
		       bool *ret_overlaps);

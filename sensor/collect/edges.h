/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extra readings between two scheduled ticks: where a target is born or ends, a tick ends as well, so that a
 * short run has ticks of its own. Few of them: an average per second with a reserve for a burst, never close
 * to another reading. Pure arithmetic on times; collect.c has the timer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EDGES_RESERVE_S 4 /* so many seconds' worth can be taken at once */
/*
 * Energy counters are updated each millisecond, and activity is read a little after them: a tick shorter than
 * this would say little.
 */
#define EDGES_GAP_NS UINT64_C(50000000)
#define EDGES_NEVER  UINT64_MAX

struct edges {
	unsigned per_s; /* 0: none at all */
	double reserve; /* readings that may be taken now */
	uint64_t filled_ns;
	bool wanted; /* something came or went since the last reading */
	uint64_t n;  /* taken since the start */
};

/* Ticks that are hardly longer than the gap need no help: then there are none. */
void edges_init(struct edges *edges, unsigned per_s, uint64_t interval_ns, uint64_t now_ns);
/* A target was born or has ended. */
void edges_want(struct edges *edges);
/* Any reading: what was wanted is done. `extra`: it was one of these. */
void edges_note_reading(struct edges *edges, bool extra);
/* May one be taken at once, as far as their number goes? Then it pays to look closely. */
bool edges_has_reserve(struct edges *edges, uint64_t now_ns);
/*
 * How long until the reading that is wanted, 0: now. EDGES_NEVER where none is, or where the scheduled tick
 * at `due_ns` comes in time.
 */
uint64_t edges_wait_ns(struct edges *edges, uint64_t now_ns, uint64_t last_ns, uint64_t due_ns);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extra readings between two scheduled ticks: when a target starts or ends, a tick ends as well, so that a
 * short run has ticks of its own. Their rate is limited, with a reserve for bursts, and they are never close
 * to another reading. Pure arithmetic on times; collect.c has the timer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EDGES_RESERVE_S 4 /* burst size, in seconds' worth of readings */
/*
 * Energy counters are updated every millisecond, and activity is read a little after them: a shorter tick
 * would be too imprecise.
 */
#define EDGES_GAP_NS UINT64_C(50000000)
#define EDGES_NEVER  UINT64_MAX

struct edges {
	unsigned per_s; /* 0: none at all */
	double reserve; /* readings that may be taken now */
	uint64_t filled_ns;
	bool wanted; /* a target started or ended since the last reading */
	uint64_t n;  /* taken since the start */
};

/* No extra readings if ticks are hardly longer than the gap. */
void edges_init(struct edges *edges, unsigned per_s, uint64_t interval_ns, uint64_t now_ns);
/* A target has started or ended. */
void edges_want(struct edges *edges);
/* Any reading clears the request. `extra`: it was an extra one. */
void edges_note_reading(struct edges *edges, bool extra);
/* Does the budget allow a reading now? Then frequent checks are worthwhile. */
bool edges_has_reserve(struct edges *edges, uint64_t now_ns);
/*
 * Time until the requested reading; 0: now. EDGES_NEVER if there is none, or if the scheduled tick at
 * `due_ns` is early enough.
 */
uint64_t edges_wait_ns(struct edges *edges, uint64_t now_ns, uint64_t last_ns, uint64_t due_ns);

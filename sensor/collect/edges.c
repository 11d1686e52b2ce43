/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits the number and times of extra readings. All times are of one monotonic clock. Pure.
 */
#include "collect/edges.h"

#define NS_PER_S 1e9

void edges_init(struct edges *edges, unsigned per_s, uint64_t interval_ns, uint64_t now_ns)
{
	const bool useful = interval_ns >= 4 * EDGES_GAP_NS;

	*edges = (struct edges){
		.per_s = useful ? per_s : 0, .reserve = (double)per_s * EDGES_RESERVE_S, .filled_ns = now_ns};
}

void edges_want(struct edges *edges)
{
	edges->wanted = edges->per_s > 0;
}

void edges_note_reading(struct edges *edges, bool extra)
{
	edges->wanted = false;
	edges->n += extra;
	edges->reserve -= extra;
}

static void fill(struct edges *edges, uint64_t now_ns)
{
	const double most = (double)edges->per_s * EDGES_RESERVE_S;

	if (now_ns > edges->filled_ns) {
		edges->reserve += (double)(now_ns - edges->filled_ns) / NS_PER_S * edges->per_s;
		edges->filled_ns = now_ns;
	}
	if (edges->reserve > most)
		edges->reserve = most;
}

bool edges_has_reserve(struct edges *edges, uint64_t now_ns)
{
	fill(edges, now_ns);
	return edges->per_s > 0 && edges->reserve >= 1;
}

uint64_t edges_wait_ns(struct edges *edges, uint64_t now_ns, uint64_t last_ns, uint64_t due_ns)
{
	uint64_t at_ns = now_ns, allowed_ns;

	if (!edges->wanted)
		return EDGES_NEVER;
	if (last_ns + EDGES_GAP_NS > at_ns)
		at_ns = last_ns + EDGES_GAP_NS;
	if (!edges_has_reserve(edges, now_ns)) {
		allowed_ns = now_ns + (uint64_t)((1 - edges->reserve) / edges->per_s * NS_PER_S) + 1;
		at_ns = allowed_ns > at_ns ? allowed_ns : at_ns;
	}
	if (at_ns + EDGES_GAP_NS > due_ns)
		return EDGES_NEVER;
	return at_ns - now_ns;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy counters continue when a reading fails: the next reading has the energy of both ticks. Records for
 * each socket and scope for how long there was no energy, so that the next tick's watts are right. Pure; for
 * tick_make.c.
 */
#pragma once

#include "tick/tick.h"

#define TICK_BRIDGE_MOST_S 60 /* of silence; after that the next tick's energy is not used either */

struct tick_bridge {
	unsigned n;
	struct {
		unsigned package;
		double owed_s[REPORT_SCOPES];
		bool had[REPORT_SCOPES]; /* measured before */
	} sockets[TICK_SOCKETS_MAX];
	bool has_seq;
	uint64_t seq;
};

/*
 * Sets the sockets' bridged_s. `has_all`: the report of the whole machine is there; without it, if ticks are
 * missing in between, or after a counter went backwards, nothing is owed.
 */
void tick_bridge_take(struct tick_bridge *bridge, struct tick *tick, bool has_all);

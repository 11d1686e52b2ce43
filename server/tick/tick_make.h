/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a gathered tick to struct tick: names to features, CPUs to sockets, absurd counts to NAN. Pure; one
 * maker serves one sensor and keeps what lasts from tick to tick (keys of targets, meaning of event names).
 */
#pragma once

#include "tick/join.h"
#include "tick/tick.h"

struct tick_maker;

/* `interval_s`: taken for a first tick that does not say its length. `names`: the sensor's, outlives the
 * maker. */
struct tick_maker *tick_maker_new(const struct report_names *names, double interval_s);
void tick_maker_free(struct tick_maker *maker);
/* What is known of a target: CPUs that it may use (cpu.max, cpuset), for --static quota, 0: unknown; the
 * image that it runs, "": unknown. Kept with the target's key. 0 or -ENOMEM. */
int tick_maker_set_target(struct tick_maker *maker, const char *target, double cpu_quota, const char *image);
/* Called for it when a name is new or was forgotten. */
void tick_maker_set_describer(struct tick_maker *maker, tick_describer describe, void *data);
/* The tick, valid until the next call and as long as the slot. 0 or -ENOMEM. */
int tick_make(struct tick_maker *maker, const struct join_slot *slot, const struct tick **ret_tick);
/* Time of the tick before, for the length of the next; after a restart from a stored position, whose usual
 * length may be wrong. */
void tick_maker_set_position(struct tick_maker *maker, int64_t time_ms, double interval_s);
/* Is it known how long a tick is? If not, tick_maker_show_times() helps before the first tick is made. */
bool tick_maker_knows_length(const struct tick_maker *maker);
/* Times of ticks that wait, the next one to be made first. */
void tick_maker_show_times(struct tick_maker *maker, const int64_t *times_ms, unsigned n);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts a gathered tick to struct tick: names to features, CPUs to sockets, absurd counts to NAN. Pure;
 * one maker serves one sensor and keeps state between ticks (keys of targets, meaning of event names).
 */
#pragma once

#include "tick/join.h"
#include "tick/tick.h"

struct tick_maker;

/* `interval_s`: for a first tick that does not report its length. `names`: the sensor's, must outlive the
 * maker. */
struct tick_maker *tick_maker_new(const struct report_names *names, double interval_s);
void tick_maker_free(struct tick_maker *maker);
/* Sets properties of a target: CPUs that it may use (cpu.max, cpuset), for --static quota, 0: unknown; its
 * image, "": unknown. Kept with the target's key. 0 or -ENOMEM. */
int tick_maker_set_target(struct tick_maker *maker, const char *target, double cpu_quota, const char *image);
/* The describer is called when a name is new or was forgotten. */
void tick_maker_set_describer(struct tick_maker *maker, tick_describer describe, void *data);
/* The tick, valid until the next call and as long as the slot. 0 or -ENOMEM. */
int tick_make(struct tick_maker *maker, const struct join_slot *slot, const struct tick **ret_tick);
/* Sets the time of the previous tick, for the length of the next one, after a restart from a stored position,
 * whose usual length may be wrong. */
void tick_maker_set_position(struct tick_maker *maker, int64_t time_ms, double interval_s);
/* Is it known how long a tick is? If not, tick_maker_show_times() helps before the first tick is made. */
bool tick_maker_knows_length(const struct tick_maker *maker);
/* Times of waiting ticks, beginning with the next one to be made. */
void tick_maker_show_times(struct tick_maker *maker, const int64_t *times_ms, unsigned n);

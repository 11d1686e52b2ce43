/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last minute of watts of each target, for sparklines. Pure: the caller provides the time.
 */
#pragma once

#include <stdint.h>

#define TOP_HISTORY_CELLS   20
#define TOP_HISTORY_CELL_MS 3000

struct top_history;

/* NULL if out of memory; every function accepts NULL as an empty history. */
struct top_history *top_history_new(void);
void top_history_free(struct top_history *history);
/* Adds a figure of a machine's target at a time in milliseconds, which must not decrease. */
void top_history_add(struct top_history *history, const char *machine, const char *target, int64_t time_ms,
		     double watts);
/* The means of the cells until `time_ms`, newest last; NAN for empty ones. */
void top_history_read(const struct top_history *history, const char *machine, const char *target,
		      int64_t time_ms, double ret[TOP_HISTORY_CELLS]);
/* Forgets targets without a figure for a minute. */
void top_history_expire(struct top_history *history, int64_t time_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a store on this disk may hold, by age and by size, and what that means here. Used by the processes
 * that write a store: they call store_bounds_keep() between two batches.
 */
#pragma once

#include "store/store.h"

/* A tick of one target with its power reports of two scopes, indexes included. */
#define STORE_TARGET_TICK_BYTES 3000

#define STORE_RETENTION_DEFAULT "30d"
#define STORE_SIZE_DEFAULT      "4G"

/* The least size that is a bound and no slip, such as "4" for "4G". 0 (none) or more: 0, else -EINVAL. */
#define STORE_SIZE_LEAST (1024 * 1024)
int store_bounds_check_size(uint64_t max_bytes, struct reason *why);

struct store_bounds {
	uint64_t max_bytes;   /* 0: no limit */
	uint64_t retention_s; /* 0: no limit */
	uint64_t next_ns;     /* when to look again */
	bool more;            /* to be done */
	bool failing;
};

/* Does what is due, for at most some 50 ms. False when it fails for the first time: see store_error(). */
bool store_bounds_keep(struct store_bounds *bounds, struct store *store);
/*
 * A sentence: what the store `name` keeps at most, what it holds, and for how long that is enough at
 * `bytes_per_day` (0: at the rate of what it holds, if that says anything). Returns ret.
 */
const char *store_bounds_text(const struct store_bounds *bounds, const char *name,
			      const struct store_usage *usage, double bytes_per_day, char *ret, size_t size);
/* The rate of what is in the store; 0 where less than half a minute is in it. */
double store_bounds_rate(const struct store_usage *usage);

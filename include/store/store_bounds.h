/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a store on this disk, by age and by size, and an explanation of their effect. Used by the
 * processes that write a store: they call store_bounds_keep() between two batches.
 */
#pragma once

#include "store/store.h"

/* Bytes for a tick of one target with its power reports of two scopes, including indexes. */
#define STORE_TARGET_TICK_BYTES 3000

#define STORE_RETENTION_DEFAULT "30d"
#define STORE_SIZE_DEFAULT      "4G"

/* The smallest size that is not a typo, such as "4" for "4G". Returns 0 for 0 (no limit) or a valid size,
 * else -EINVAL. */
#define STORE_SIZE_LEAST (1024 * 1024)
int store_bounds_check_size(uint64_t max_bytes, struct reason *why);

struct store_bounds {
	uint64_t max_bytes;   /* 0: no limit */
	uint64_t retention_s; /* 0: no limit */
	uint64_t next_ns;     /* time of the next check */
	bool more;            /* work is left */
	bool failing;
};

/* Does due work for at most about 50 ms. False when it fails for the first time: see store_error(). */
bool store_bounds_keep(struct store_bounds *bounds, struct store *store);
/*
 * A sentence with the limits of the store `name`, its contents, and how long its limit lasts at
 * `bytes_per_day` (0: at the rate of its contents, if known). Returns ret.
 */
const char *store_bounds_text(const struct store_bounds *bounds, const char *name,
			      const struct store_usage *usage, double bytes_per_day, char *ret, size_t size);
/* The rate of the store's contents, in bytes per day; 0 if they cover less than half a minute. */
double store_bounds_rate(const struct store_usage *usage);

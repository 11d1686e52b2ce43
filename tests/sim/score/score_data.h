/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data collected by score.c and used by score_compute.c. Private to these.
 */
#pragma once

#include "sim/score/score.h"

#include <stdbool.h>
#include <uthash.h>

struct score_name {
	uint32_t index;
	uint32_t kind;
	bool twin, counted; /* counted: a container, so its errors count */
	/* Over all ticks, scope cpu: of the truth, W; of the stream, as in score_add_load(). */
	double dynamic_w, load;
	UT_hash_handle hh;
	char text[];
};

/* One report, of the truth or the formula. */
struct score_entry {
	int64_t time_ms;
	uint32_t target;
	uint8_t scope;
	bool truth;
	double full, dynamic, sd;
};

struct score_sum_key {
	int64_t time_ms;
	uint32_t socket;
	uint32_t scope;
};

struct score_sum {
	struct score_sum_key key;
	double rows, rapl, predicted;
	double true_w, true_static_w; /* of the socket */
	double load;                  /* of scope cpu */
	bool has_rapl, has_rows, has_predicted, has_load;
	UT_hash_handle hh;
};

struct score {
	struct score_name *names, *kinds;
	struct score_name **by_index, **kind_by_index;
	uint32_t n_names, n_kinds, name_capacity, kind_capacity;
	struct score_entry *entries;
	size_t n_entries, capacity;
	struct score_sum *sums;
	uint64_t repeated;
};

/* score_foresee.c. Sums must be in the order of their time. */
void score_foresee(const struct score *score, unsigned scope, struct score_foresight *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joules that outlive containers: of each image, each namespace and the machine's own rows, for /metrics.
 * They are part of a machine's stored state, so that they continue after a restart. Pure.
 */
#pragma once

#include "document/report.h"

#include <bson/bson.h>
#include <uthash.h>

#define TOTALS_MOST  2000 /* per machine; further names count as TOTALS_OTHER */
#define TOTALS_OTHER "other"

enum total_kind { TOTAL_MACHINE, TOTAL_IMAGE, TOTAL_NAMESPACE, TOTAL_KINDS };

struct total_addition {
	enum total_kind kind;
	enum report_scope scope;
	unsigned package;          /* of TOTAL_MACHINE; else 0 */
	const char *name;          /* an image, a namespace, or the name of a row; "": unknown */
	double total_j, dynamic_j; /* NAN and negative values are not added */
	int64_t time_ms;           /* start of the sum */
};

struct total {
	UT_hash_handle hh;
	struct total_addition sum; /* its name is in the key */
	char key[];
};

struct totals {
	struct total *entries;
	uint64_t left_out; /* additions that went to TOTALS_OTHER */
};

/* 0 or -ENOMEM. */
int totals_add(struct totals *totals, const struct total_addition *addition);
/* Appends one element to an array of a stored state. */
void totals_put(bson_t *array, unsigned index, const struct total_addition *total);
/* Appends the entries as elements from `index` on. Returns the next index. */
unsigned totals_save(const struct totals *totals, bson_t *array, unsigned index);
/* Adds the elements of a state's array "totals"; malformed ones are skipped. 0 or -ENOMEM. */
int totals_load(struct totals *totals, const bson_t *state);
void totals_done(struct totals *totals);

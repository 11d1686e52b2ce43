/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside formula `smartwatts`: the state that its two files share.
 */
#pragma once

#include "formula/smartwatts/layer.h"
#include "base/reason.h"

#define SMARTWATTS_LAYERS 101 /* multiples of the base clock, from 1 to 100 */

struct smartwatts {
	struct formula_config config;
	struct layer *layers[REPORT_SCOPES][TICK_SOCKETS_MAX][SMARTWATTS_LAYERS];
	const struct layer *last[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double error_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	uint64_t n_samples[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double *dynamic[REPORT_SCOPES], *fixed[REPORT_SCOPES];
	size_t capacity;
};

int formula_smartwatts_save(const void *opaque, bson_t *document);
int formula_smartwatts_load(void *opaque, const bson_t *document, struct reason *why);

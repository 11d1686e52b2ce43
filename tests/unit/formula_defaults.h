/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of formulas need without the server's option table: a formula by name, and the default options.
 */
#pragma once

#include "formula/formula.h"

#include <string.h>

/* NULL for an unknown name. */
static inline const struct formula_ops *formula_find(const char *name)
{
	for (unsigned i = 0; formula_all[i]; i++)
		if (strcmp(formula_all[i]->name, name) == 0)
			return formula_all[i];
	return NULL;
}

static inline void formula_config_init(struct formula_config *config)
{
	*config = (struct formula_config){
		.cpu_tdp_w = 400,
		.cpu_base_clock_mhz = 100,
		.cpu_base_freq_mhz = 2100,
		.interval_ms = 1000,
		.error_threshold_w = {2, 2},
		.learn_min_samples = 10,
		.learn_history = 60,
		.learn_error_window = 60,
	};
}

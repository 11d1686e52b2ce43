/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of formulas and the defaults of their options. Called when the server reads its configuration.
 * Knows nothing of what a formula computes.
 */
#include "formula/formula.h"

#include <stddef.h>
#include <string.h>

#define FORMULA_ADDRESS(name) &formula_##name,
#define FORMULA_NAME(name)    #name,

const struct formula_ops *const formula_all[] = {FORMULA_LIST(FORMULA_ADDRESS) NULL};
const char *const formula_names[] = {FORMULA_LIST(FORMULA_NAME) NULL};

const struct formula_ops *formula_find(const char *name)
{
	for (unsigned i = 0; formula_all[i]; i++) {
		if (strcmp(formula_all[i]->name, name) == 0)
			return formula_all[i];
	}
	return NULL;
}

void formula_config_init(struct formula_config *config)
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the domains that no formula models, after conserve.h has made those of `cpu` and `dram`: GPUs by
 * the time that they worked for each target, the platform in proportion to the watts of its parts, core and
 * uncore as they were measured. Pure, except for the remembered power of idle GPUs. Called once per tick.
 */
#pragma once

#include "formula/conserve.h"

/* Power of a GPU that has no work; initialise with zeroes. */
struct apart_idle {
	struct apart_gpu {
		double idle_w; /* lowest of calm ticks; 0: none yet */
		double least_w;
		uint64_t n, n_calm; /* ticks */
	} gpus[TICK_NUMBERS_MAX];
};

/*
 * Appends to output, which conserve_apply() has filled for this tick and reserved for these rows. For each
 * GPU and platform: containers + system + idle = measured.
 */
void apart_apply(const struct tick *tick, const struct conserve_policy *policy, struct apart_idle *idle,
		 struct conserve_output *output);

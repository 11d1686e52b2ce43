/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains of a tick that no formula models: GPUs, the platform, core and uncore. Called by tick_make.c. Pure.
 */
#pragma once

#include "tick/join.h"
#include "tick/tick_names.h"

/* Does the value belong to a GPU, so that its number is not a package's? */
bool tick_apart_is_gpu(const struct tick_names *names, const struct report_value *value);
/* Fills the tick's domains from `all`. */
void tick_apart_make(const struct tick_names *names, const struct join_slot *slot, struct tick *tick);
/* Adds a target's GPU time from its report to work_ns, [n_aparts], which must start with zeroes. */
void tick_apart_add(const struct tick_names *names, const struct tick *tick, const struct report_value *value,
		    double *work_ns);

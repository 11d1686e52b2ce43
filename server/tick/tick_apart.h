/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains of a tick that no formula models: GPUs, the platform, core and uncore. Called by tick_make.c. Pure.
 */
#pragma once

#include "tick/join.h"
#include "tick/tick_names.h"

/* Is the value one of a GPU, whose number is no package's? */
bool tick_apart_is_gpu(const struct tick_names *names, const struct report_value *value);
/* Fills the tick's domains from `all`. */
void tick_apart_make(const struct tick_names *names, const struct join_slot *slot, struct tick *tick);
/* Adds what a target's report says of GPUs to work_ns, [n_aparts], which starts with zeroes. */
void tick_apart_add(const struct tick_names *names, const struct tick *tick, const struct report_value *value,
		    double *work_ns);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two sources of a simulated machine: its own values as a system group, and its containers' counts. Both
 * find it in context->simulated->data. Used by sensor_sim.c.
 */
#pragma once

#include "source/source.h"

struct sim;

/* NULL if this machine is measured. */
static inline struct sim *source_sim_of(const struct source_context *context)
{
	return context->simulated ? context->simulated->data : (struct sim *)0;
}

extern const struct system_source_ops source_sim_system;
extern const struct activity_source_ops source_sim_activity;

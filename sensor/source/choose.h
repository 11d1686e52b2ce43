/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sources this machine gets: tried in a fixed order until one passes its probe; each step is logged
 * once. Used by collect at start and by --check-machine.
 */
#pragma once

#include "source/source.h"
#include "base/reason.h"

#include <stdbool.h>

#define CHOOSE_STEPS_MAX 16

/* What was tried, for messages and --check-machine. */
struct choose_step {
	const char *source;
	const char *group;
	bool probed; /* its probe passed */
	bool taken;
	int error;
	struct reason why;
};

struct choose_report {
	struct choose_step steps[CHOOSE_STEPS_MAX];
	unsigned n_steps;
};

/*
 * Opens a source for one system group. `wanted` is "auto" or a source's name. NULL with `*ret_error` set when
 * none passes. Groups with RAPL_… events go to the energy sources, all others to perf; with a simulated
 * machine, to it.
 */
struct system_source *choose_system(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, struct choose_report *report, int *ret_error);
/*
 * Opens a better source than the one that the group has, if there is one by now; NULL: none. Silent but for
 * the one that is taken. An energy group only, where `wanted` leaves the choice.
 */
struct system_source *choose_better(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, const struct system_source *current);
/* The same for the activity of all container groups together: bpf, perf, cpustat; or sim. */
struct activity_source *choose_activity(struct source_context *context,
					const struct event_group_request *requests, unsigned n_requests,
					unsigned n_slots, const char *wanted, struct choose_report *report,
					int *ret_error);
/* True for a group of RAPL_… events. */
bool choose_is_energy(const struct event_group_request *request);
extern const struct system_source_ops
	*const choose_energy_sources[];         /* the preferred one first; NULL-ended */
extern const char *const choose_energy_names[]; /* "auto", …, NULL: for the option table */
extern const char *const choose_activity_names[];

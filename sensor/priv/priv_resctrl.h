/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side of the resctrl source: monitoring groups below <root>/mon_groups, named
 * "wattribute-PID-NUMBER", and the threads in them. Foreign groups, and the threads in them, are never
 * touched. Called by priv.c for requests, and by the first process at its end.
 */
#pragma once

#include "base/reason.h"

#include <stdint.h>

#define PRIV_RESCTRL_GROUPS_MAX   1024
#define PRIV_RESCTRL_PACKAGES_MAX 32

struct priv_config;

enum priv_resctrl_call {
	PRIV_RESCTRL_CLEAN,  /* removes groups left by a sensor that no longer runs */
	PRIV_RESCTRL_MAKE,   /* -ENOSPC: every RMID is in use */
	PRIV_RESCTRL_REMOVE, /* its threads go back to the group that they came from */
	PRIV_RESCTRL_OPEN,   /* the energy of one package, for reading; answers with a descriptor */
	PRIV_RESCTRL_FILL,   /* sets the group's threads to those of the cgroup and of all cgroups below it */
	PRIV_RESCTRL_CALLS
};

struct priv_resctrl_request {
	enum priv_resctrl_call call;
	unsigned number;    /* of the group */
	unsigned package;   /* OPEN */
	const char *cgroup; /* FILL: below the hierarchy that is watched, with a leading slash */
};

struct priv_resctrl_answer {
	uint64_t moved;   /* FILL: threads added or removed since the last call; CLEAN: groups removed */
	uint64_t foreign; /* FILL: threads that stay in a foreign group */
};

/* 0 (OPEN: the descriptor), or a negative errno with a short cause. Validates everything. */
int priv_resctrl_run(const struct priv_config *config, const struct priv_resctrl_request *request,
		     struct priv_resctrl_answer *ret_answer, struct reason *cause);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands run several times in turn, and compared. Only client_run.c calls it.
 */
#pragma once

#include "compare/group.h"
#include "run/run_session.h"

#define RUN_COMMANDS_MAX 26 /* letters to name them by */

struct run_repeat_plan {
	char **commands[RUN_COMMANDS_MAX]; /* argument lists */
	const char *names[RUN_COMMANDS_MAX];
	size_t n_commands;
	unsigned repeat, warmup;
	const char *cgroup;  /* names of cgroups start with it */
	bool ignore_failure; /* of a command */
	bool show_output;
	bool quiet; /* no progress line */
};

/*
 * Fills a group for each command; the caller frees them, whatever is returned. Runs each command `warmup`
 * times without counting it, then all of them in turn, `repeat` times. 0, or the exit status: of a command
 * that failed, or after a message; then the groups have what was measured before.
 */
int run_repeat(struct run_session *session, const struct run_repeat_plan *plan,
	       struct compare_group *ret_groups);

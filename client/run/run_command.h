/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the measured command as the calling user, in its cgroup, and passing signals on. Only client_run.c
 * calls it.
 */
#pragma once

#include "run/run_cgroup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_command_result {
	int64_t begin_ms; /* epoch */
	int64_t end_ms;
	int exit_status; /* 128 + number for a signal; 126 or 127 if it could not be started */
	bool started;
};

/*
 * Blocks the signals that would end this program, until it exits; run_command() and run_signal() receive
 * them.
 */
void run_signals_block(void);
/* Number of a termination signal that has arrived since, or 0. Waits up to `wait_ms` for one. */
int run_signal_pending(unsigned wait_ms);
/*
 * The calling user: the one who started sudo, else this process's own. `user` (or NULL) names another. 0 or
 * -ENOENT.
 */
int run_command_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid);
/* 0 with a result (also if the command could not be executed), or a negative errno and a sentence. */
int run_command(char *const argv[], const struct run_cgroup *cgroup, uid_t uid, gid_t gid,
		struct run_command_result *ret_result);

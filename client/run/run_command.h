/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the measured command as the calling user in its cgroup, and passes signals on. Only client_run.c calls
 * it.
 */
#pragma once

#include "run/run_cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The user that the command runs as. */
struct run_user {
	uid_t uid;
	gid_t gid;
	/* For its environment; "": left as it is. */
	char name[256];
	char home[PATH_MAX];
	char path[PATH_MAX];
};

struct run_command_result {
	int64_t begin_ms; /* epoch */
	int64_t end_ms;
	int exit_status; /* 128 + number for a signal; 126 or 127 if it could not be started */
	int signal;      /* signal that ended it; 0: none */
	int interrupt;   /* signal that asked this program to end meanwhile; 0: none */
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
 * The calling user: the one who started sudo, with that user's home and search path, else this process's own.
 * `user` (or NULL) names another. 0 or -ENOENT.
 */
int run_command_find_user(const char *user, struct run_user *ret);
/*
 * `is_silent`: without its standard output. 0 with a result (also if the command could not be executed), or a
 * negative errno and a sentence.
 */
int run_command(char *const argv[], const struct run_cgroup *cgroup, const struct run_user *user,
		bool is_silent, struct run_command_result *ret_result);
/* "SIGKILL", or "signal 40". Returns ret. */
const char *run_signal_name(int number, char ret[32]);

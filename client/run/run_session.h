/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured runs of commands between one start and one end of sensor and server. Only client_run.c calls it.
 */
#pragma once

#include "run/run_command.h"
#include "run/run_daemons.h"

#include <jansson.h>

struct run_session {
	struct run_daemons daemons;
	struct run_user user;
	unsigned interval_ms;
	unsigned n_runs; /* so far */
	unsigned n_left; /* processes that the commands left behind */
	bool has_cgroup; /* `cgroup` is made and not yet used */
	struct run_cgroup cgroup;
};

/*
 * Makes the first run's cgroup (so that missing privileges are noticed first), starts the daemons and waits
 * for a reading. CLIENT_GO_ON, or the exit status after a message. run_session_close() in either case.
 */
int run_session_open(struct run_session *session, const struct run_daemons_settings *settings,
		     const char *user, const char *name);
/*
 * Runs a command in a cgroup called `name` (or similar). CLIENT_GO_ON with its result; and, unless it could
 * not be started or `ret_recap` is NULL, with a new reference to its recap, or NULL there after a message.
 */
int run_session_measure(struct run_session *session, const char *name, char *const argv[], bool is_silent,
			struct run_command_result *ret_result, json_t **ret_recap);
/*
 * Ends everything. 0, or CLIENT_EXIT_NO_RECAP after a message if sensor or server did not last, or lost
 * reports.
 */
int run_session_close(struct run_session *session);
/* The file for a recap: a new one belongs to the user. NULL with errno. */
FILE *run_session_create_file(const struct run_session *session, const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon's child processes: the same binary started again with a duty, so that no memory of the parent
 * remains. The child gets the parent's arguments, one socket at DUTY_SOCKET_FD and its duty in the
 * environment.
 */
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <sys/types.h>

#define DUTY_SOCKET_FD 3
#define DUTY_EXTRA_FD  4 /* a second socket, for duties that need one */

struct duty {
	const char *name;
	pid_t pid;
	int socket; /* the parent's end; -1 when closed */
};

/* Called first in main(): makes sure that descriptors 0 to 2 are open, so that no other file takes their
 * place. */
void duty_begin(void);
/*
 * In the first process, after its options are loaded: closes inherited descriptors except standard output and
 * error, which become write-only on a terminal; covers the secrets in argv with '*', keeps them for the
 * children, and warns about each environment variable that names no option. A child gets those secrets for
 * which `needs` is true as the first message on its socket. `config` has to outlive the children.
 */
void duty_take_options(const struct config *config, char *argv[],
		       bool (*needs)(const char *duty, const char *option),
		       bool (*warn)(void *token, const char *sentence));
/*
 * In a child, called first: takes the secrets from its parent into argv. 0, or a negative errno: the parent
 * has ended or is not ours.
 */
int duty_take_secrets(int argc, char *argv[]);
/*
 * In a child that has to write everything it is sent: only its socket ends it, not Ctrl-C in the terminal or
 * a signal to the whole group.
 */
void duty_ignore_signals(void);
/* Duty of this process, or NULL for the daemon's first process. */
const char *duty_current(void);
/*
 * Starts the duty with `argv` (the parent's own). `extra_fd` (or -1) becomes DUTY_EXTRA_FD. The child dies
 * with its parent (PR_SET_PDEATHSIG) and has no other descriptor above 2.
 */
int duty_spawn(const char *name, char *const argv[], int extra_fd, struct duty *ret_duty);
/*
 * Asks the child to exit (closes the socket), waits up to `timeout_ms`, then kills it. Returns its wait
 * status.
 */
int duty_stop(struct duty *duty, unsigned timeout_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many file descriptors there are, and how many targets fit into them. Called once at start.
 */
#pragma once

#define FD_BUDGET_RESERVE 256 /* kept for sockets, files and discovery */

/* Raises RLIMIT_NOFILE to its hard limit; returns what may be planned with: the limit less what is open and
 * the reserve. */
unsigned fd_budget_raise(void);
/* Targets that fit when each takes one descriptor per event and CPU. */
unsigned fd_budget_targets(unsigned budget, unsigned n_cpus, unsigned n_events);

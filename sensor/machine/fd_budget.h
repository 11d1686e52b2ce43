/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number of file descriptors that may be used. Called once at start.
 */
#pragma once

#define FD_BUDGET_RESERVE 256 /* kept for sockets, files and discovery */

/*
 * Raises RLIMIT_NOFILE to its hard limit; returns the usable number: the limit minus open ones and the
 * reserve.
 */
unsigned fd_budget_raise(void);

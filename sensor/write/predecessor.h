/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `write` process of an earlier run whose first process was killed still delivers what it has received.
 * Its ticks must reach the store before those of the next run: a server that has seen a later tick accepts no
 * earlier one. So the next run's `write` waits for it; ticks stay in the link meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Identifies the destination of the reports, common to both runs. Contains no password. */
uint64_t predecessor_key(const char *store_uri, const char *collection);
/*
 * Makes this process visible to the next run for as long as it lives. `parent` is its first process. Returns
 * a descriptor that is kept open, or a negative errno.
 */
int predecessor_announce(uint64_t key, pid_t parent);
/* Is there one whose first process is another and has ended? Running sensors of this name do not count. */
bool predecessor_is_there(uint64_t key, pid_t parent);
/* Waits until there is none, `link_socket` is closed by its other end, or `limit_ms` have passed: then false.
 */
bool predecessor_wait(uint64_t key, pid_t parent, int link_socket, unsigned limit_ms);

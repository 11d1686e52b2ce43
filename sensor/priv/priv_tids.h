/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of thread numbers as written by the kernel, one per line: read, sorted, searched. Bounded. Used by
 * priv_resctrl.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PRIV_TIDS_MAX 262144 /* in one list; further ones are left out */

struct priv_tids {
	pid_t *items;
	size_t n, capacity;
};

/* Appends the numbers in a file from its present position on. Numbers below 1 and other text are skipped. 0,
 * -ENOMEM, or read(2)'s negative errno. */
int priv_tids_read(int fd, struct priv_tids *tids);
/* The same from memory: `n` bytes; a number cut by the end counts. Pure except for memory allocation. */
int priv_tids_parse(const char *text, size_t n, struct priv_tids *tids);
void priv_tids_sort(struct priv_tids *tids);
bool priv_tids_has(const struct priv_tids *tids, pid_t tid); /* sorted */
void priv_tids_done(struct priv_tids *tids);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private folder of a `wattribute run` or `calibrate`: made, locked while its owner lives, and removed. A
 * killed owner cannot remove its own; the next one of the same user does. Only run_daemons.c calls it.
 */
#pragma once

struct run_folder {
	char path[64]; /* "" when there is none */
	int owner;     /* the locked file; only valid with a path */
};

/* Removes the folders of dead owners in `parent`, then makes one there. 0 or a negative errno. */
int run_folder_make(const char *parent, struct run_folder *ret);
/* With its content. Nothing happens if there is none. */
void run_folder_remove(struct run_folder *folder);

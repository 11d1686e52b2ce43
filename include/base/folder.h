/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making folders with all that is above them, for what daemons and stores keep in files.
 */
#pragma once

#include <sys/types.h>

/* Makes the folders that a path lies in, as `mkdir -p` does. 0 or a negative errno. */
int folder_make_above(const char *path);
/*
 * The same and the folder itself. A new one gets `mode`, and belongs to uid and gid where uid is not -1. One
 * that is there already is left as it is.
 */
int folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid);

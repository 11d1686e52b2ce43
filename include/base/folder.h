/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating folders with their parents, for files of daemons and stores.
 */
#pragma once

#include <sys/types.h>

/* Creates the parent folders of a path, like `mkdir -p`. 0 or a negative errno. */
int folder_make_above(const char *path);
/*
 * The same, and the folder itself. A new folder gets `mode`, and belongs to uid and gid unless uid is -1. An
 * existing folder is left unchanged.
 */
int folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid);

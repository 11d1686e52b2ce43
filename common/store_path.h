/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the stores that are files. Private to the stores.
 */
#pragma once

#include <stdbool.h>

/* Makes the directories that a path lies in. 0 or a negative errno. */
int store_path_make_parents(const char *path);
bool store_path_is_directory(const char *path);

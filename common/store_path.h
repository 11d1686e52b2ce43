/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the stores that are files. Private to the stores.
 */
#pragma once

#include <stdbool.h>

/* Makes the directories that a path lies in. 0 or a negative errno. */
int store_path_make_parents(const char *path);
bool store_path_is_directory(const char *path);
/*
 * Whether `path` can become, or is, a file to write to (is_directory: a directory of such files); what lies above it is
 * made. 0 or a negative errno. It is asked at start, so that a wrong path is told then and not when documents wait.
 */
int store_path_check_writable(const char *path, bool is_directory);

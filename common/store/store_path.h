/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the stores that are files may write. Private to the stores.
 */
#pragma once

#include <stdbool.h>

bool store_path_is_directory(const char *path);
/*
 * Whether `path` can become, or is, a file to write to (is_directory: a directory of such files); what lies
 * above it is made. 0 or a negative errno. It is asked at start, so that a wrong path is told then and not
 * when documents wait.
 */
int store_path_check_writable(const char *path, bool is_directory);

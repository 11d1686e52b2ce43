/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where file stores may write. Private to the stores.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

bool store_path_is_directory(const char *path);
/*
 * Whether `path` can become, or is, a file to write to (is_directory: a directory of such files); parent
 * folders are created. 0 or a negative errno. Checked at the start, so that a wrong path is reported then and
 * not when documents are waiting.
 */
int store_path_check_writable(const char *path, bool is_directory);
/* Writes all bytes at this place of the file, or, if it is negative, where the file is. 0 or a negative
 * errno. */
int store_path_write(int fd, off_t at, const void *data, size_t length);

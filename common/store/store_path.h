/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks where file stores may write. Private to the stores.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

bool store_path_is_directory(const char *path);
/*
 * Is `path` a file that can be written to, or can it be created (is_directory: a directory of such files)?
 * Creates parent folders. 0 or a negative errno. Checked at the start, so that a wrong path is reported then
 * and not when documents are waiting.
 */
int store_path_check_writable(const char *path, bool is_directory);
/* Writes all bytes at this offset, or at the file's present position if negative. 0 or a negative errno. */
int store_path_write(int fd, off_t at, const void *data, size_t length);

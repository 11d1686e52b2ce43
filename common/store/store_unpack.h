/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed and differently encoded files: gzip is unpacked when it is opened; for other formats the message
 * names the program that converts them. For the stores that read files. Private to the stores.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>

/* An unnamed temporary file for unpacked or converted data; or a negative errno. */
int store_unpack_make_file(void);
/*
 * Replaces *fd by a plain file if it is gzip (1), else leaves it (0). *ret_cut: the gzip file is damaged or
 * truncated; the data before that is used. -EPROTO with the reason if it is compressed or encoded in another
 * way, or another negative errno; *fd is then still open. `path` is for the reason.
 */
int store_unpack(const char *path, int *fd, bool *ret_cut, struct reason *why);
/*
 * The form of a file that its store cannot read, and a fix: "looks like JSON: write jsonl:PATH". NULL:
 * unknown, or the file cannot be read.
 */
const char *store_unpack_other_form(const char *path);

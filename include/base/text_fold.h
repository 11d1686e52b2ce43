/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people at terminals: long lines are broken between words.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * Prints lines. If `out` is a terminal, lines longer than its width are broken between words and continue at
 * column `indent`; otherwise lines are not changed.
 */
void text_fold_print(FILE *out, const char *text, size_t indent);

/* The same for a given width; 0: lines are not broken. */
void text_fold_print_at(FILE *out, const char *text, size_t indent, size_t width);

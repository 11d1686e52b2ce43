/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people at terminals: long lines are broken between words.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * Prints lines. Where `out` is a terminal, one longer than it is wide is broken between words, and continues
 * at column `indent`; anything else gets the lines as they are.
 */
void text_fold_print(FILE *out, const char *text, size_t indent);

/* The same for a given width; 0: lines are not broken. */
void text_fold_print_at(FILE *out, const char *text, size_t indent, size_t width);

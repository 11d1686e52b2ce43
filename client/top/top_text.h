/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in columns of a terminal: untrusted names truncated and padded by the width of their characters, bars
 * and sparklines. Pure; characters are those of the locale.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Columns that a terminal needs for it; a control character counts as one '?'. */
size_t top_text_width(const char *text);
/*
 * `text` in exactly `width` columns: padded, or with its middle replaced by "..", because long paths differ
 * at the end. At most size - 1 bytes. Returns ret.
 */
char *top_text_fit(const char *text, size_t width, char *ret, size_t size);
/* A bar of `width` columns: '|' for the first part of `whole`, ':' for the second, then blanks. Returns ret.
 */
char *top_text_bar(double first, double second, double whole, size_t width, char *ret, size_t size);
/* One glyph for each value, with a height in proportion to the largest; ' ' for NAN. Returns ret. */
char *top_text_sparkline(const double *values, size_t n, bool unicode, char *ret, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of `wattribute top`: lines of text from the server's answer to GET /api/latest. Pure; the
 * printing is in client_top.c (plain) and top_screen.c (terminal).
 */
#pragma once

#include "top/top_history.h"
#include "top/top_table.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_LINE_SIZE 1024

/* TOP_BAR: '|' and ':' are the dynamic and the idle part. */
enum top_style { TOP_PLAIN, TOP_HEADING, TOP_NOTE, TOP_BAR, TOP_GROUP_LINE, TOP_SELECTED };

struct top_line {
	enum top_style style;
	char text[TOP_LINE_SIZE];
};

struct top_view {
	struct top_line *lines;
	size_t n_lines;
	size_t n_fixed; /* number of first lines that stay when the others scroll */
	size_t capacity;
	unsigned n_sensors; /* selected ones with a tick in the answer */
};

/* Records the answer's watts at this time. */
void top_view_remember(struct top_history *history, const json_t *answer, int64_t time_ms);
/* Refills the view according to the settings. 0 or -ENOMEM. */
int top_view_fill(struct top_view *view, const json_t *answer, const struct top_settings *settings,
		  const struct top_history *history, int64_t time_ms);
/* A view with one line, for errors. */
int top_view_say(struct top_view *view, const char *text);
/* A view with these lines, NULL-terminated. */
int top_view_list(struct top_view *view, const char *const *texts);
/*
 * The first line below the fixed ones to show on `height` lines, after scrolling by `move` from `first`: the
 * last page is full.
 */
size_t top_view_scroll(const struct top_view *view, size_t height, size_t first, int64_t move);
/* The name of the machine with this number in the answer; NULL: there is none. */
const char *top_view_machine(const json_t *answer, size_t index);
void top_view_done(struct top_view *view);

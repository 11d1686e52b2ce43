/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `wattribute top` shows: lines of text from the server's answer to GET /api/latest. Pure; the printing
 * is in client_top.c (plain) and top_screen.c (terminal).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TOP_LINE_SIZE 256

enum top_style { TOP_PLAIN, TOP_HEADING, TOP_NOTE };

struct top_line {
	enum top_style style;
	char text[TOP_LINE_SIZE];
};

struct top_view {
	struct top_line *lines;
	size_t n_lines;
	size_t capacity;
	unsigned n_sensors; /* with a tick in the answer */
};

/* Refills the view, targets by descending watts; `sensor` NULL: all. 0 or -ENOMEM. */
int top_view_fill(struct top_view *view, const json_t *answer, const char *sensor);
/* A view with one line, for errors. */
int top_view_say(struct top_view *view, const char *text);
/* The first line to show after scrolling by this many lines; at least one line stays visible. */
size_t top_view_scroll(const struct top_view *view, size_t first_line, int move);
void top_view_done(struct top_view *view);

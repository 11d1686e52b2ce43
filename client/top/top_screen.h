/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full-screen view, by ncurses. Only client_top.c calls it, and only if standard output is a terminal.
 */
#pragma once

#include "top/top_view.h"

#include <stdbool.h>

/* Meaning of a key. */
enum top_key {
	TOP_KEY_NONE,
	TOP_KEY_MOVE, /* by `move` lines */
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_BACKSPACE,
	TOP_KEY_RESIZE,
	TOP_KEY_TEXT, /* `byte` */
	TOP_KEY_QUIT, /* Ctrl-C, Ctrl-\ */
};

struct top_input {
	enum top_key key;
	int64_t move;
	char byte;
};

#define TOP_MOVE_ALL 1000000000

/* 0, or -ENOTTY if this terminal cannot place a cursor. */
int top_screen_open(void);
/* Draws the fixed lines, the others from `first` on, and `foot` below. */
void top_screen_draw(const struct top_view *view, size_t first, const char *foot);
size_t top_screen_width(void);
/* Lines for the view. */
size_t top_screen_height(void);
/* Waits up to `wait_ms` for a key. While `is_typing`, letters and blanks are text. */
struct top_input top_screen_key(int wait_ms, bool is_typing);
void top_screen_close(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full-screen view, by ncurses. Only client_top.c calls it, and only if standard output is a terminal.
 */
#pragma once

#include "top/top_view.h"

/* 0, or -ENOTTY if this terminal does not support it. */
int top_screen_open(void);
void top_screen_draw(const struct top_view *view, size_t first_line);
#define TOP_MOVE_ALL 1000000
/* Waits up to `wait_ms` for a key: 'q' to quit, scrolled lines in ret_move; 0 for nothing. */
int top_screen_key(int wait_ms, int *ret_move);
void top_screen_close(void);

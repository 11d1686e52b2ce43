/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal side of `wattribute top`. Knows lines of text and keys, nothing of watts.
 */
#include "top/top_screen.h"

#include <errno.h>
#include <ncurses.h>
#include <signal.h>

#define KEY_CTRL(letter) ((letter)&0x1f)

int top_screen_open(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (!screen)
		return -ENOTTY;
	(void)set_term(screen);
	(void)raw(); /* Ctrl-C is a key: as a signal it would also end `make run`, with an error */
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	return 0;
}

static attr_t style_attributes(enum top_style style)
{
	switch (style) {
	case TOP_HEADING:
		return A_BOLD;
	case TOP_NOTE:
		return A_DIM;
	case TOP_PLAIN:
		break;
	}
	return A_NORMAL;
}

void top_screen_draw(const struct top_view *view, size_t first_line)
{
	int height = getmaxy(stdscr);

	(void)erase();
	for (int y = 0; y < height - 1 && first_line + (size_t)y < view->n_lines; y++) {
		const struct top_line *line = &view->lines[first_line + (size_t)y];

		(void)attrset((int)style_attributes(line->style));
		(void)mvaddnstr(y, 0, line->text, getmaxx(stdscr));
	}
	(void)attrset((int)A_REVERSE);
	(void)mvaddnstr(height - 1, 0, " q: quit   arrows, page up/down: scroll ", getmaxx(stdscr));
	(void)attrset((int)A_NORMAL);
	(void)refresh();
}

int top_screen_key(int wait_ms, int *ret_move)
{
	int page = getmaxy(stdscr) > 2 ? getmaxy(stdscr) - 2 : 1;
	int key;

	timeout(wait_ms);
	key = getch();
	switch (key) {
	case KEY_UP:
	case 'k':
		*ret_move = -1;
		break;
	case KEY_DOWN:
	case 'j':
		*ret_move = 1;
		break;
	case KEY_PPAGE:
		*ret_move = -page;
		break;
	case KEY_NPAGE:
	case ' ':
		*ret_move = page;
		break;
	case KEY_HOME:
		*ret_move = -TOP_MOVE_ALL;
		break;
	case KEY_END:
		*ret_move = TOP_MOVE_ALL;
		break;
	default:
		*ret_move = 0;
	}
	if (key == KEY_CTRL('Z'))
		(void)kill(0, SIGTSTP); /* stops the caller as well */
	return key == 'Q' || key == KEY_CTRL('C') || key == KEY_CTRL('\\') ? 'q' : key == ERR ? 0 : key;
}

void top_screen_close(void)
{
	(void)endwin();
}

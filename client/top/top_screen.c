/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal side of `wattribute top`. Knows lines of text and keys, nothing about watts.
 */
#include "top/top_screen.h"

#include <errno.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define KEY_CTRL(letter) ((letter)&0x1f)
#define ESCAPE           27

enum { PAIR_DYNAMIC = 1, PAIR_IDLE, PAIR_HEADING };

int top_screen_open(void)
{
	const char *terminal = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	SCREEN *screen;

	if (!terminal || !*terminal || strcmp(terminal, "dumb") == 0)
		return -ENOTTY;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	(void)set_term(screen);
	(void)raw(); /* Ctrl-C is a key: as a signal it would also end `make run`, with an error */
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	(void)set_escdelay(50);
	/* https://no-color.org: any value except the empty one. */
	if ((!no_color || !*no_color) && has_colors() && start_color() == OK) {
		(void)use_default_colors();
		(void)init_pair(PAIR_DYNAMIC, COLOR_GREEN, -1);
		(void)init_pair(PAIR_IDLE, COLOR_BLUE, -1);
		(void)init_pair(PAIR_HEADING, COLOR_CYAN, -1);
	}
	return 0;
}

/* An undefined pair means the terminal's own colours. */
static attr_t style_attributes(enum top_style style)
{
	switch (style) {
	case TOP_HEADING:
		return A_BOLD | (attr_t)COLOR_PAIR(PAIR_HEADING);
	case TOP_GROUP_LINE:
		return A_BOLD;
	case TOP_NOTE:
		return A_DIM;
	case TOP_SELECTED:
		return A_REVERSE;
	case TOP_BAR:
	case TOP_PLAIN:
		break;
	}
	return A_NORMAL;
}

/* Colours the parts of the bar in the text already drawn. */
static void paint_bar(int y, const char *text)
{
	const char *from = strchr(text, '['), *until = from ? strchr(from, ']') : NULL;

	for (; from && from < until; from++) {
		if (*from == '|')
			(void)mvchgat(y, (int)(from - text), 1, A_BOLD, PAIR_DYNAMIC, NULL);
		else if (*from == ':')
			(void)mvchgat(y, (int)(from - text), 1, A_NORMAL, PAIR_IDLE, NULL);
	}
}

static void draw_line(int y, const struct top_line *line)
{
	(void)attrset((int)style_attributes(line->style));
	(void)mvaddstr(y, 0, line->text);
	/* A line longer than the screen's width runs into the row below, which the next line overwrites. */
	(void)attrset((int)A_NORMAL);
	(void)clrtoeol();
	if (line->style == TOP_BAR)
		paint_bar(y, line->text);
}

void top_screen_draw(const struct top_view *view, size_t first, const char *foot)
{
	int height = getmaxy(stdscr);
	int n_fixed = (int)view->n_fixed < height - 1 ? (int)view->n_fixed : height - 1;

	(void)erase();
	for (int y = 0; y < height - 1; y++) {
		size_t i = y < n_fixed ? (size_t)y : view->n_fixed + first + (size_t)(y - n_fixed);

		(void)move(y, 0);
		(void)clrtobot();
		if (i < view->n_lines)
			draw_line(y, &view->lines[i]);
	}
	(void)move(height - 1, 0);
	(void)clrtobot();
	(void)attrset((int)A_REVERSE);
	(void)mvaddnstr(height - 1, 0, foot, getmaxx(stdscr));
	(void)attrset((int)A_NORMAL);
	(void)refresh();
}

size_t top_screen_width(void)
{
	return getmaxx(stdscr) > 0 ? (size_t)getmaxx(stdscr) : 1;
}

size_t top_screen_height(void)
{
	return getmaxy(stdscr) > 1 ? (size_t)getmaxy(stdscr) - 1 : 1;
}

/* Lines to scroll by; 0: no such key. */
static int64_t movement_of(int key, bool is_typing)
{
	int64_t page = getmaxy(stdscr) > 6 ? getmaxy(stdscr) - 6 : 1;

	switch (key) {
	case KEY_UP:
		return -1;
	case KEY_DOWN:
		return 1;
	case KEY_PPAGE:
		return -page;
	case KEY_NPAGE:
		return page;
	case KEY_HOME:
		return -TOP_MOVE_ALL;
	case KEY_END:
		return TOP_MOVE_ALL;
	default:
		break;
	}
	if (is_typing)
		return 0;
	return key == 'k' ? -1 : key == 'j' ? 1 : key == ' ' ? page : 0;
}

struct top_input top_screen_key(int wait_ms, bool is_typing)
{
	struct top_input input = {TOP_KEY_NONE, 0, 0};
	int key;

	timeout(wait_ms);
	key = getch();
	input.move = movement_of(key, is_typing);
	if (key == KEY_CTRL('Z'))
		(void)kill(0, SIGTSTP); /* stops the caller as well */
	else if (key == KEY_CTRL('C') || key == KEY_CTRL('\\'))
		input.key = TOP_KEY_QUIT;
	else if (key == KEY_RESIZE)
		input.key = TOP_KEY_RESIZE;
	else if (key == '\n' || key == '\r' || key == KEY_ENTER)
		input.key = TOP_KEY_ENTER;
	else if (key == ESCAPE)
		input.key = TOP_KEY_ESCAPE;
	else if (key == KEY_BACKSPACE || key == 127 || key == KEY_CTRL('H'))
		input.key = TOP_KEY_BACKSPACE;
	else if (input.move != 0)
		input.key = TOP_KEY_MOVE;
	else if (key >= ' ' && key < 256)
		input = (struct top_input){TOP_KEY_TEXT, 0, (char)key};
	return input;
}

void top_screen_close(void)
{
	(void)endwin();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaks lines between words for terminals, with a hanging indent. Called by code that prints sentences for
 * people; counts bytes as columns, so a line with non-ASCII letters is broken early.
 */
#include "base/text_fold.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bytes of `line` that fit into `room`: up to the last blank, or the first word if that is longer. */
static size_t fitting(const char *line, size_t length, size_t room)
{
	const size_t blanks = strspn(line, " ");
	size_t end = room;

	if (length <= room)
		return length;
	while (end > blanks && line[end] != ' ')
		end--;
	return end > blanks ? end : blanks + strcspn(line + blanks, " \n");
}

static void print_line(FILE *out, const char *line, size_t length, size_t indent, size_t width)
{
	size_t at = 0;

	do {
		const size_t n = fitting(line, length, width > at ? width - at : 1);

		fprintf(out, "%*s%.*s\n", (int)at, "", (int)n, line);
		line += n;
		length -= n;
		for (; length > 0 && *line == ' '; length--)
			line++;
		at = indent;
	} while (length > 0);
}

void text_fold_print_at(FILE *out, const char *text, size_t indent, size_t width)
{
	if (width <= 2 * indent) {
		fputs(text, out);
		return;
	}
	while (*text) {
		const size_t length = strcspn(text, "\n");

		print_line(out, text, length, indent, width);
		text += length + (text[length] == '\n');
	}
}

void text_fold_print(FILE *out, const char *text, size_t indent)
{
	struct winsize size = {0};

	if (!isatty(fileno(out)) || ioctl(fileno(out), TIOCGWINSZ, &size) < 0)
		size.ws_col = 0;
	text_fold_print_at(out, text, indent, size.ws_col);
}

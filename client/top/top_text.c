/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in columns of a terminal. Bytes, characters and columns of a name differ; a table needs the columns.
 */
#include "top/top_text.h"

#include <math.h>
#include <string.h>
#include <wchar.h>

#define GAP ".."

/* The next character: its bytes (at least 1), its columns; `shown` false: print '?' for it. */
struct character {
	size_t bytes, columns;
	bool shown;
};

static struct character next_character(const char *text, mbstate_t *state)
{
	wchar_t wide;
	size_t bytes = mbrtowc(&wide, text, strlen(text), state);
	int columns;

	if (bytes == 0 || bytes > strlen(text)) {
		memset(state, 0, sizeof(*state));
		return (struct character){1, 1, false};
	}
	columns = wcwidth(wide);
	/* Marks that change the direction of text have no width and would reorder the row. */
	if (columns < 0 || wide == 0x061c || (wide >= 0x200e && wide <= 0x200f) ||
	    (wide >= 0x2028 && wide <= 0x202e) || (wide >= 0x2066 && wide <= 0x2069))
		return (struct character){bytes, 1, false};
	return (struct character){bytes, (size_t)columns, true};
}

size_t top_text_width(const char *text)
{
	mbstate_t state = {0};
	size_t columns = 0;

	while (*text) {
		struct character one = next_character(text, &state);

		columns += one.columns;
		text += one.bytes;
	}
	return columns;
}

struct output {
	char *at;
	size_t size, length, columns;
};

static void put(struct output *out, const char *bytes, size_t n, size_t columns)
{
	if (out->length + n >= out->size)
		return;
	memcpy(out->at + out->length, bytes, n);
	out->length += n;
	out->columns += columns;
	out->at[out->length] = '\0';
}

/* The characters of `text` between two columns; a character that straddles the first is left out. */
static void put_part(struct output *out, const char *text, size_t from, size_t until)
{
	mbstate_t state = {0};
	size_t column = 0;

	while (*text) {
		struct character one = next_character(text, &state);

		if (column >= from && column + one.columns <= until)
			put(out, one.shown ? text : "?", one.shown ? one.bytes : 1, one.columns);
		column += one.columns;
		text += one.bytes;
	}
}

char *top_text_fit(const char *text, size_t width, char *ret, size_t size)
{
	struct output out = {ret, size, 0, 0};
	size_t columns = top_text_width(text);
	size_t half = width > strlen(GAP) ? (width - strlen(GAP)) / 2 : 0;

	*ret = '\0';
	if (columns <= width) {
		put_part(&out, text, 0, width);
	} else {
		put_part(&out, text, 0, half);
		put(&out, GAP, strlen(GAP), strlen(GAP));
		put_part(&out, text, columns - (width - half - strlen(GAP)), columns);
	}
	while (out.columns < width && out.length + 1 < size)
		put(&out, " ", 1, 1);
	return ret;
}

char *top_text_bar(double first, double second, double whole, size_t width, char *ret, size_t size)
{
	struct output out = {ret, size, 0, 0};
	double scale = whole > 0 && isfinite(whole) ? (double)width / whole : 0;
	size_t until_first =
		isfinite(first) && first > 0 ? (size_t)lround(fmin(first * scale, (double)width)) : 0;
	double both = (isfinite(first) ? first : 0) + (isfinite(second) ? second : 0);
	size_t until_both = both > 0 ? (size_t)lround(fmin(both * scale, (double)width)) : 0;

	*ret = '\0';
	for (size_t i = 0; i < width; i++)
		put(&out, i < until_first ? "|" : i < until_both ? ":" : " ", 1, 1);
	return ret;
}

char *top_text_sparkline(const double *values, size_t n, bool unicode, char *ret, size_t size)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const signs[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
	struct output out = {ret, size, 0, 0};
	double greatest = 0;

	*ret = '\0';
	for (size_t i = 0; i < n; i++)
		greatest = fmax(greatest, values[i]);
	for (size_t i = 0; i < n; i++) {
		double part = greatest > 0 ? fmax(values[i], 0) / greatest : 0;
		const char *glyph =
			isnan(values[i]) ? " " : (unicode ? blocks : signs)[(int)fmin(part * 8, 7)];

		put(&out, glyph, strlen(glyph), 1);
	}
	return ret;
}

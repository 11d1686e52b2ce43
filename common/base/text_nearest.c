/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the known word with the smallest edit distance, if it is near enough to be a slip. Pure.
 */
#include "base/text.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Same letter but for case, and '-' for '_'. */
static bool same(char a, char b)
{
	a = a == '_' ? '-' : a;
	b = b == '_' ? '-' : b;
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Optimal string alignment distance (insert, delete, replace, swap of neighbours), three rows of the table at
 * a time. Both words are shorter than WORD_MAX.
 */
static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (unsigned j = 0; j <= n_b; j++)
		last[j] = before[j] = j;
	for (unsigned i = 1; i <= n_a; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= n_b; j++) {
			unsigned cost = same(a[i - 1], b[j - 1]) ? 0 : 1;
			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n_b];
}

const char *text_nearest(const char *word, const char *const *known, size_t n_known)
{
	size_t length = strlen(word);
	/* A third of the letters may be wrong: "frequncy" is near "frequency", "x" is near nothing. */
	unsigned limit = (unsigned)(length + 2) / 3;
	const char *nearest = NULL;

	if (length == 0 || length >= WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n_known; i++) {
		size_t n = known[i] ? strlen(known[i]) : 0;
		if (n == 0 || n >= WORD_MAX)
			continue;
		unsigned d = distance(word, length, known[i], n);
		if (d < limit || (d == limit && !nearest && d < n)) {
			nearest = known[i];
			limit = d;
		}
	}
	return nearest;
}

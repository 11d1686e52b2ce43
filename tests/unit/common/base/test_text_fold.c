/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are broken only between words, and only for terminals.
 */
#include "base/text_fold.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_folded(const char *text, size_t indent, size_t width, const char *expected)
{
	cleanup_(cleanup_free) char *got = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&got, &size);

	assert_non_null(out);
	if (width == SIZE_MAX)
		text_fold_print(out, text, indent);
	else
		text_fold_print_at(out, text, indent, width);
	(void)fclose(out);
	assert_string_equal(got, expected);
}

static void lines_break_between_words(void **state)
{
	(void)state;
	expect_folded("", 2, 10, "");
	expect_folded("\n\n", 2, 10, "\n\n");
	expect_folded("0123456789\n", 2, 10, "0123456789\n");
	expect_folded("012345 789a\nb\n", 2, 10, "012345\n  789a\nb\n");
	expect_folded("01234567 9 b c d e f g", 2, 10, "01234567 9\n  b c d e\n  f g\n");
	expect_folded("  one two   three", 4, 9, "  one two\n    three\n");
}

static void long_words_stay_whole(void **state)
{
	(void)state;
	expect_folded("/a/path/without/blanks and more\n", 2, 10, "/a/path/without/blanks\n  and more\n");
	expect_folded("  /a/path/without/blanks\n", 2, 10, "  /a/path/without/blanks\n");
	expect_folded("x /a/path/without/blanks", 2, 10, "x\n  /a/path/without/blanks\n");
}

static void text_that_fits_is_unchanged(void **state)
{
	(void)state;
	expect_folded("one two three four five\n", 4, 0, "one two three four five\n");
	expect_folded("one two three four five\n", 4, 8, "one two three four five\n");
	expect_folded("no terminal, no end", 4, SIZE_MAX, "no terminal, no end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_break_between_words),
		cmocka_unit_test(long_words_stay_whole),
		cmocka_unit_test(text_that_fits_is_unchanged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

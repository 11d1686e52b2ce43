/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign names for terminals, log lines and cells: whatever bytes they contain, no terminal, log or
 * spreadsheet interprets them, and harmless text stays unchanged. Other outputs (top, recap) have their own
 * tests.
 */
#include "base/log.h"
#include "base/text.h"
#include "document/csv.h"
#include "json_fields.h"
#include "unit/random_seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned state_of_random;

/* Bytes that something might interpret are frequent among the random ones. */
static void make_name(char *ret, size_t size)
{
	static const char *const pieces[] = {"\x1b[2J",
					     "\x1b]0;x\x07",
					     "\r",
					     "\n",
					     ("\xc2\x9b"
					      "31m"),
					     "\xe2\x80\xae",
					     "\xe2\x81\xa6",
					     "=cmd|' /C calc'!A0",
					     "+1",
					     "-1",
					     "@SUM(1)",
					     "\t",
					     "\x9b",
					     "\xff",
					     "\xd8\x9c",
					     "\x7f",
					     "\"",
					     ",",
					     "'",
					     "$where",
					     "a.b",
					     "<script>",
					     "caf\xc3\xa9",
					     "\xe6\xbc\xa2",
					     "web",
					     "\xe2\x80"};
	size_t length = 0;

	for (unsigned n = (unsigned)rand_r(&state_of_random) % 6 + 1; n > 0; n--) {
		const char *piece =
			pieces[(unsigned)rand_r(&state_of_random) % (sizeof(pieces) / sizeof(pieces[0]))];

		if (length + strlen(piece) + 2 > size)
			break;
		length += (size_t)snprintf(ret + length, size - length, "%s", piece);
		if (rand_r(&state_of_random) % 3 == 0)
			ret[length++] = (char)(1 + rand_r(&state_of_random) % 255);
		ret[length] = '\0';
	}
}

/* True if no terminal would interpret anything in it. Written independently of the filter. */
static bool is_plain(const char *text, size_t length, const char *allowed)
{
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)text[i],
				    next = i + 1 < length ? (unsigned char)text[i + 1] : 0;

		if ((c < ' ' && !(c && strchr(allowed, c))) || c == 0x7f)
			return false;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			return false;
		if (c == 0xe2 && i + 2 < length &&
		    (memcmp(text + i, "\xe2\x80\xae", 3) == 0 || memcmp(text + i, "\xe2\x81\xa6", 3) == 0))
			return false;
		if (c >= 0x80 && c < 0xc0 && (i == 0 || (unsigned char)text[i - 1] < 0x80))
			return false;
	}
	return true;
}

static char logged[4096];

static void take_line(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)level;
	(void)token;
	(void)snprintf(logged, sizeof(logged), "%s", line);
}

static void names_in_each_output(void **state)
{
	struct batch cell = {0};
	char name[300], copy[300];

	(void)state;
	state_of_random = random_begin();
	log_set_sink(take_line, NULL);
	for (int i = 0; i < 20000; i++) {
		make_name(name, sizeof(name));
		(void)text_copy_plain(name, copy, sizeof(copy));
		assert_true(is_plain(copy, strlen(copy), ""));
		assert_int_equal(strlen(copy), strlen(name));
		log_warning("test", 0, "container '%s'", name);
		assert_true(is_plain(logged, strlen(logged), ""));
		batch_clear(&cell);
		assert_int_equal(csv_put_cell(&cell, name, true), 0);
		assert_true(is_plain((char *)cell.data, cell.length, ""));
		if (cell.length) {
			const char first = (char)(cell.data[0] == '"' ? cell.data[1] : cell.data[0]);

			assert_null(memchr("=+-@", first, 4));
		}
	}
	log_set_sink(NULL, NULL);
	batch_done(&cell);
}

static void harmless_text_is_unchanged(void **state)
{
	static const char *const names[] = {
		"web", "caf\xc3\xa9", "\xe6\xbc\xa2\xe5\xad\x97", "a b-c.d_e/f:g@h", "\xf0\x9f\x90\xb3",
		"1=2"};
	struct batch cell = {0};
	char copy[100];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_string_equal(text_copy_plain(names[i], copy, sizeof(copy)), names[i]);
		batch_clear(&cell);
		assert_int_equal(csv_put_cell(&cell, names[i], true), 0);
		assert_int_equal(cell.length, strlen(names[i]));
		assert_memory_equal(cell.data, names[i], cell.length);
	}
	batch_clear(&cell);
	assert_int_equal(csv_put_cell(&cell, "=1+1", true), 0);
	assert_memory_equal(cell.data, "'=1+1", 5);
	batch_done(&cell);
}

/* JSON cannot hold bytes that are not UTF-8: the word is still there, and distinct from every other. */
static void words_in_json(void **state)
{
	static const char *const words[][2] = {{"plain", "plain"},      {"caf\xc3\xa9", "caf\xc3\xa9"},
					       {"caf\xe9", "caf\\xE9"}, {"caf\xe8", "caf\\xE8"},
					       {"\xff", "\\xFF"},       {"", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		json_t *value = json_from_word(words[i][0]);

		assert_string_equal(json_string_value(value), words[i][1]);
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_each_output),
		cmocka_unit_test(harmless_text_is_unchanged),
		cmocka_unit_test(words_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

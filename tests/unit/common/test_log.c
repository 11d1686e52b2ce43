/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: levels, error texts, no forged lines; and a replaceable clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char last[4096];
static unsigned n_lines;

static void keep(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)snprintf(last, sizeof(last), "%d %s %s", (int)level, token, line);
	n_lines++;
}

static void level_and_errno(void **state)
{
	(void)state;
	log_set_sink(keep, NULL);
	errno = 42;
	assert_int_equal(log_error("priv", -ENOENT, "cannot open '%s'", "/x"), -ENOENT);
	assert_int_equal(errno, 42);
	assert_string_equal(last, "3 priv cannot open '/x': No such file or directory");
	assert_int_equal(log_info("a", 0, "hello"), 0);
	assert_string_equal(last, "6 a hello");
	unsigned before = n_lines;
	assert_int_equal(log_debug("a", -5, "quiet"), -5);
	assert_int_equal(n_lines, before);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("a", 0, "loud");
	assert_int_equal(n_lines, before + 1);
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(NULL, NULL);
}

static void one_line_for_any_message(void **state)
{
	char huge[5000];

	(void)state;
	log_set_sink(keep, NULL);
	log_info("a", 0, "name %s", "x\n<3>forged\x1b[2J");
	assert_null(strchr(last, '\n'));
	assert_null(strchr(last, '\x1b'));
	memset(huge, 'h', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	log_error("a", -EIO, "%s", huge);
	assert_true(strlen(last) < 2100);
	log_set_sink(NULL, NULL);
}

/* Whatever a name contains: no control character of ASCII or C1, no directional mark, no invalid UTF-8. */
static void no_terminal_control_characters(void **state)
{
	static const char *const parts[] = {
		"a",
		"\xc3\xa4",
		"\xe2\x82\xac",
		"\xf0\x9f\x90\xb3",
		"\x1b]0;x\x07",
		"\r",
		"\n",
		"\xc2\x9b",
		"\xc2\x85",
		"\xe2\x80\xae",
		"\xe2\x81\xa6",
		"\x9b",
		"\xc2",
		"\xe2\x80",
		"\x7f",
		"\xff",
	};
	static const char *const bad[] = {"\xc2\x85", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x81\xa6"};

	(void)state;
	srand(random_begin());
	log_set_sink(keep, NULL);
	for (unsigned round = 0; round < 20000; round++) {
		char name[128] = "";

		for (int n = rand() % 12; n >= 0; n--)
			(void)strcat(name, parts[(unsigned)rand() % (sizeof(parts) / sizeof(*parts))]);
		log_info("a", 0, "name %s", name);
		for (const char *at = last; *at; at += text_utf8_length(at)) {
			assert_true(text_utf8_length(at) > 0);
			assert_false((unsigned char)*at < ' ' || *at == 0x7f);
		}
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
			assert_null(strstr(last, bad[i]));
	}
	log_info("a", 0, "%s", "Grün € \xf0\x9f\x90\xb3");
	assert_non_null(strstr(last, "Grün € \xf0\x9f\x90\xb3"));
	log_set_sink(NULL, NULL);
}

/* Checks one warning on a pipe, with $JOURNAL_STREAM naming that pipe plus `inode_offset`. */
static void check_line_on_pipe(long long inode_offset, const char *expected)
{
	char line[256], stream[64];
	int ends[2], saved = dup(STDERR_FILENO);
	struct stat status;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fstat(ends[1], &status), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		       (unsigned long long)status.st_ino + (unsigned long long)inode_offset);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_set_name("sensor collect");
	(void)dup2(ends[1], STDERR_FILENO);
	log_warning("store", 0, "away");
	(void)dup2(saved, STDERR_FILENO);
	log_set_name(NULL);
	(void)unsetenv("JOURNAL_STREAM");
	ssize_t n = read(ends[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	assert_string_equal(line, expected);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(saved);
}

static void prefix_for_the_journal_only(void **state)
{
	(void)state;
	check_line_on_pipe(0, "<4>sensor collect: warning: store: away\n");
	check_line_on_pipe(1, "sensor collect: warning: store: away\n");
}

static void level_names(void **state)
{
	(void)state;
	assert_string_equal(log_level_names[0], "error");
	assert_string_equal(log_level_names[LOG_LEVEL_DEBUG - LOG_LEVEL_ERROR], "debug");
	assert_null(log_level_names[LOG_LEVEL_DEBUG - LOG_LEVEL_ERROR + 1]);
}

static uint64_t fixed_ns(void *data)
{
	return *(uint64_t *)data;
}

static int64_t fixed_ms(void *data)
{
	(void)data;
	return -7;
}

static void clocks(void **state)
{
	uint64_t now = 5;
	const struct clock_source source = {fixed_ns, fixed_ms, &now};

	(void)state;
	uint64_t before = clock_monotonic_ns();
	assert_true(clock_monotonic_ns() >= before);
	assert_true(clock_realtime_ms() > INT64_C(1500000000000));
	clock_replace(&source);
	assert_int_equal(clock_monotonic_ns(), 5);
	assert_int_equal(clock_realtime_ms(), -7);
	clock_replace(NULL);
	assert_true(clock_monotonic_ns() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(level_and_errno),
		cmocka_unit_test(one_line_for_any_message),
		cmocka_unit_test(no_terminal_control_characters),
		cmocka_unit_test(prefix_for_the_journal_only),
		cmocka_unit_test(level_names),
		cmocka_unit_test(clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

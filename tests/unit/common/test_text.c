/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers, units, times, similar words, CPU lists, small files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void whole_numbers(void **state)
{
	static const char *const wrong[] = {"", " 1", "1 ", "-1", "+1", "1x", "0x", "x", "1.0", "1e3", "0xg"};
	static const char *const wrong_signed[] = {"", "-", "--1", "- 1", "+-1", "1-"};
	uint64_t u;
	int64_t i;

	(void)state;
	assert_int_equal(text_parse_u64("18446744073709551615", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(text_parse_u64("0x1F", &u), 0);
	assert_int_equal(u, 31);
	assert_int_equal(text_parse_u64("010", &u), 0);
	assert_int_equal(u, 10);
	assert_int_equal(text_parse_u64("18446744073709551616", &u), -ERANGE);
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		assert_int_equal(text_parse_u64(wrong[n], &u), -EINVAL);
	assert_int_equal(text_parse_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(text_parse_i64("+9223372036854775807", &i), 0);
	assert_true(i == INT64_MAX);
	assert_int_equal(text_parse_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(text_parse_i64("-9223372036854775809", &i), -ERANGE);
	for (size_t n = 0; n < sizeof(wrong_signed) / sizeof(wrong_signed[0]); n++)
		assert_int_equal(text_parse_i64(wrong_signed[n], &i), -EINVAL);
}

static void real_numbers(void **state)
{
	static const char *const wrong[] = {"",   "nan", "inf", "-inf", "1,5", "1 ",
					    " 1", ".",   "-",   "e5",   "0x"};
	double value;

	(void)state;
	(void)setlocale(LC_ALL, "de_DE.UTF-8"); /* if it exists; the result must not change */
	assert_int_equal(text_parse_double("2.5", &value), 0);
	assert_true(value == 2.5);
	assert_int_equal(text_parse_double("-1e-3", &value), 0);
	assert_true(value == -1e-3);
	assert_int_equal(text_parse_double(".5", &value), 0);
	assert_int_equal(text_parse_double("1e999", &value), -ERANGE);
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		assert_int_equal(text_parse_double(wrong[n], &value), -EINVAL);
	(void)setlocale(LC_ALL, "C");
}

static void durations_and_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} durations[] = {{"500ms", 500},   {"1s", 1000},   {"5m", 300000}, {"2h", 7200000},
			 {"1d", 86400000}, {"1.5s", 1500}, {"250", 250},   {"0.5 s", 500}};
	static const char *const wrong[] = {"",    "s",      "-1s",  "1y",
					    "1ss", "1.2.3s", "1s 2", "99999999999999999999d"};
	uint64_t value;

	(void)state;
	for (size_t n = 0; n < sizeof(durations) / sizeof(durations[0]); n++) {
		assert_int_equal(text_parse_duration_ms(durations[n].text, 1, &value), 0);
		assert_int_equal(value, durations[n].ms);
	}
	assert_int_equal(text_parse_duration_ms("3", 1000, &value), 0);
	assert_int_equal(value, 3000);
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		assert_true(text_parse_duration_ms(wrong[n], 1, &value) < 0);
	assert_int_equal(text_parse_size("64M", &value), 0);
	assert_int_equal(value, 64 * 1024 * 1024);
	assert_int_equal(text_parse_size("1G", &value), 0);
	assert_int_equal(value, 1 << 30);
	assert_int_equal(text_parse_size("4096", &value), 0);
	assert_int_equal(value, 4096);
	assert_int_equal(text_parse_size("1X", &value), -EINVAL);
}

static void times(void **state)
{
	static const int64_t wrong[] = {INT64_MIN, INT64_MIN + 807, -1, TEXT_TIME_MS_MAX + 1, INT64_MAX};
	char text[TEXT_TIME_SIZE];

	(void)state;
	assert_true(text_format_time(0, text, sizeof(text)));
	assert_string_equal(text, "1970-01-01T00:00:00.000");
	assert_true(text_format_time(INT64_C(1700000000123), text, sizeof(text)));
	assert_string_equal(text, "2023-11-14T22:13:20.123");
	assert_true(text_format_time(TEXT_TIME_MS_MAX, text, sizeof(text)));
	assert_string_equal(text, "9999-12-31T23:59:59.999");
	assert_false(text_format_time(0, text, sizeof(text) - 1));
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
		assert_false(text_format_time(wrong[n], text, sizeof(text)));
		assert_string_equal(text, "");
	}
}

static void booleans(void **state)
{
	bool value;

	(void)state;
	assert_int_equal(text_parse_bool("Yes", &value), 0);
	assert_true(value);
	assert_int_equal(text_parse_bool("off", &value), 0);
	assert_false(value);
	assert_int_equal(text_parse_bool("maybe", &value), -EINVAL);
	assert_int_equal(text_parse_bool("", &value), -EINVAL);
}

static void nearest(void **state)
{
	static const char *const known[] = {"frequency", "name", "cgroup-basepath", "output", "system",
					    "container", "n"};
	const size_t n = sizeof(known) / sizeof(known[0]);

	(void)state;
	assert_string_equal(text_nearest("frequncy", known, n), "frequency");
	assert_string_equal(text_nearest("nmae", known, n), "name");
	assert_string_equal(text_nearest("cgroup_basepath", known, n), "cgroup-basepath");
	assert_string_equal(text_nearest("Ouput", known, n), "output");
	assert_string_equal(text_nearest("sytsem", known, n), "system");
	assert_null(text_nearest("zzz", known, n));
	assert_null(text_nearest("x", known, n));
	assert_null(text_nearest("", known, n));
	assert_null(text_nearest("name", known, 0));
	char huge[1000];
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_null(text_nearest(huge, known, n));
}

static void collect_cpu(void *data, unsigned cpu)
{
	char *list = data;
	size_t length = strlen(list);

	(void)snprintf(list + length, 256 - length, "%u ", cpu);
}

static void cpulists(void **state)
{
	static const char *const wrong[] = {"a",  "0-",  "-1",    "3-1",      "0,,1",
					    "0,", "1 2", "0-1-2", "99999999", "0-70000"};
	char seen[256] = "";

	(void)state;
	assert_int_equal(text_parse_cpulist("0-3,8,10-11\n", collect_cpu, seen), 0);
	assert_string_equal(seen, "0 1 2 3 8 10 11 ");
	seen[0] = '\0';
	assert_int_equal(text_parse_cpulist("", collect_cpu, seen), 0);
	assert_string_equal(seen, "");
	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
		seen[0] = '\0';
		assert_int_equal(text_parse_cpulist(wrong[n], collect_cpu, seen), -EINVAL);
	}
}

static void small_files(void **state)
{
	char path[] = "/tmp/test_text.XXXXXX", buffer[8];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc\n\n", 5), 5);
	assert_int_equal(text_read_file(buffer, sizeof(buffer), "%s", path), 3);
	assert_string_equal(buffer, "abc");
	assert_int_equal(text_read_file(buffer, 5, "%s", path), -EFBIG);
	assert_int_equal(text_read_file(buffer, 5, "/proc/nonexistent"), -ENOENT);
	assert_int_equal(text_read_file(buffer, 5, "/tmp"), -EISDIR);
	(void)unlink(path);
	(void)close(fd);
}

/* A pipe reports no size; text at the limit is read, one more byte is refused. */
static void whole_files(void **state)
{
	static const size_t limits[] = {0, 1, 8190, 8191, 8192, 8193, 20000};
	static char bytes[20001];
	char *text;
	size_t length;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (size_t more = 0; more < 2; more++) {
			size_t n = limits[i] + more;
			int ends[2];

			assert_int_equal(pipe(ends), 0);
			assert_int_equal(write(ends[1], bytes, n), (ssize_t)n);
			(void)close(ends[1]);
			assert_int_equal(text_read_whole(ends[0], limits[i], &text, &length),
					 more ? -EFBIG : 0);
			(void)close(ends[0]);
			if (more)
				continue;
			assert_int_equal(length, n);
			assert_int_equal(strlen(text), n);
			free(text);
		}
	assert_int_equal(text_read_whole(-1, 10, &text, &length), -EBADF);
}

static void assert_hidden(const char *text, const char *expected)
{
	char buffer[200];

	(void)snprintf(buffer, sizeof(buffer), "%s", text);
	text_hide_passwords(buffer, sizeof(buffer));
	assert_string_equal(buffer, expected);
}

static void passwords(void **state)
{
	char tight[] = "a://u:p@h";
	char long_line[64] = "x://user:";

	(void)state;
	assert_hidden("cannot open 'mongodb://u:secret@h:1/db': no",
		      "cannot open 'mongodb://u:***@h:1/db': no");
	assert_hidden("mongodb://u:s@cr/et@h", "mongodb://u:***@h");
	assert_hidden("two a://b:c@d e://f:g@h.", "two a://b:***@d e://f:***@h.");
	assert_hidden("http://[::1]:4443/x, and user@host", "http://[::1]:4443/x, and user@host");
	assert_hidden("mongodb://user@host:27017", "mongodb://user@host:27017");
	assert_hidden("a://:@h", "a://:***@h");
	assert_hidden("://", "://");
	assert_hidden("mongodb://u:***@h", "mongodb://u:***@h");
	assert_hidden("", "");
	/* No room to grow. */
	text_hide_passwords(tight, sizeof(tight));
	assert_string_equal(tight, "a://u:*@h");
	/* A truncated line: without its '@' nothing shows whether it holds a password. */
	memset(long_line + 9, 'p', sizeof(long_line) - 10);
	text_hide_passwords(long_line, sizeof(long_line));
	assert_int_equal(strlen(long_line), sizeof(long_line) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(real_numbers),
		cmocka_unit_test(durations_and_sizes),
		cmocka_unit_test(times),
		cmocka_unit_test(booleans),
		cmocka_unit_test(nearest),
		cmocka_unit_test(cpulists),
		cmocka_unit_test(small_files),
		cmocka_unit_test(whole_files),
		cmocka_unit_test(passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

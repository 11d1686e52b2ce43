/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing numbers and words from text, independent of the locale and without silent overflow; times as text;
 * the nearest known word for "did you mean"; reading small files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/*
 * A whole string as a number: 0, -EINVAL (not a number, or trailing characters) or -ERANGE. Base 10; "0x" is
 * accepted too.
 */
int text_parse_u64(const char *text, uint64_t *ret_value);
int text_parse_i64(const char *text, int64_t *ret_value);
/* Decimal point in any locale; infinities and NaN are rejected. */
int text_parse_double(const char *text, double *ret_value);
/* "500ms", "1s", "5m", "2h", "1d"; a bare number is in `bare_ms` milliseconds. */
int text_parse_duration_ms(const char *text, uint64_t bare_ms, uint64_t *ret_ms);
/* "64M", "1G", "4096" (bytes, powers of 1024). */
int text_parse_size(const char *text, uint64_t *ret_bytes);
int text_parse_bool(const char *text, bool *ret_value);

/* A small error is not shown as none: "<0.001" if three decimals would show 0.000; else NULL. */
static inline const char *text_small_error(double value)
{
	return value > 0 && value < 0.0005 ? "<0.001" : NULL;
}

/* "45 seconds", "26 minutes", "36 hours", "3 days". Returns ret. */
const char *text_duration(double seconds, char *ret, size_t size);

#define TEXT_TIME_MS_MAX INT64_C(253402300799999) /* end of the year 9999 */
#define TEXT_TIME_SIZE   sizeof("2023-11-14T22:13:20.123")
/* "2023-11-14T22:13:20.123", UTC, without a zone suffix; false and "" before 1970 or beyond 9999. */
bool text_format_time(int64_t time_ms, char *ret, size_t size);
/*
 * The reverse; also accepts a space for the T, and a time that ends after the day, the minute or the second.
 * Returns the rest, which may be a zone; NULL: not a time.
 */
const char *text_parse_time(const char *text, int64_t *ret_time_ms);
/* A time followed by nothing but a zone, "Z", "+01:00" or "-0130"; without one it is UTC. */
bool text_parse_zoned_time(const char *text, int64_t *ret_time_ms);
/*
 * A number since 1970 in seconds, milliseconds, microseconds or nanoseconds, which cannot be confused for
 * times from 2001 to 2262. INT64_MAX: none of them.
 */
int64_t text_time_of_number(double number);

/* The word nearest to `word` by edit distance; NULL if none is close enough to be a likely typo. */
const char *text_nearest(const char *word, const char *const *known, size_t n_known);

/* "a, b, c", as in "known: a, b, c". Returns `ret`. */
const char *text_join(const char *const *words, size_t n_words, char *ret, size_t size);

/* Eight bytes at a time: called for the names in every document. */
static inline bool text_is_ascii(const char *text, size_t length)
{
	uint64_t all = 0, eight;
	uint32_t four, last;

	for (size_t at = 0; at + sizeof(eight) <= length; at += sizeof(eight)) {
		memcpy(&eight, text + at, sizeof(eight));
		all |= eight;
	}
	if (length >= sizeof(eight)) {
		memcpy(&eight, text + length - sizeof(eight), sizeof(eight));
		return ((all | eight) & UINT64_C(0x8080808080808080)) == 0;
	}
	if (length >= sizeof(four)) {
		memcpy(&four, text, sizeof(four));
		memcpy(&last, text + length - sizeof(last), sizeof(last));
		return ((four | last) & UINT32_C(0x80808080)) == 0;
	}
	return length == 0 || ((text[0] | text[length / 2] | text[length - 1]) & 0x80) == 0;
}
/* Length of the valid UTF-8 character at `at` (1 to 4); 0 for an invalid one or the end. */
size_t text_utf8_length(const char *at);
bool text_begins(const char *text, const char *prefix);
/*
 * Copies an untrusted name as valid UTF-8 without control characters (C0, DEL, C1) and of at most size - 1
 * bytes, truncated at a character. Other bytes become \xE9 etc., so that two names never become one.
 * text[length] can be read. Returns the length.
 */
#define TEXT_ESCAPED_MAX 4 /* bytes instead of one */
size_t text_escape(const char *text, size_t length, char *ret, size_t size);
/* For messages, not for names: replaces every byte that is not UTF-8 by '?', in place. */
void text_make_utf8(char *text);
/*
 * Makes untrusted text safe for a terminal or a log line, in place: control characters (C0, DEL, C1), line
 * ends, direction marks and invalid UTF-8 bytes become `instead`.
 */
void text_make_plain(char *text, char instead);
/* The same for a copy, which is truncated if it does not fit; '?' instead. Returns `ret`. */
const char *text_copy_plain(const char *text, char *ret, size_t size);

/* A list of CPU numbers as sysfs prints it ("0-3,8"). Calls `each` for every number; -EINVAL on anything
 * else. */
int text_parse_cpulist(const char *text, void (*each)(void *data, unsigned cpu), void *data);

/*
 * Reads a small file into buffer[0..size-1] and terminates it with a NUL; trailing newlines are removed. The
 * path is given as a printf format. Returns the length, or a negative errno (-EFBIG if it does not fit).
 */
ssize_t text_read_file(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Reads a file that contains only a whole number. 0, or a negative errno. */
int text_read_u64(uint64_t *ret_value, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * The rest of a file or a pipe, with a NUL that `ret_length` does not include; -EFBIG beyond `max` bytes.
 */
int text_read_whole(int fd, size_t max, char **ret_text, size_t *ret_length);
/*
 * Replaces the password of each URI in a sentence ("mongodb://user:password@host") by "***". The text grows
 * by no more than fits into `size`; at most the first bytes of a password are left.
 */
void text_hide_passwords(char *text, size_t size);
/* A part of a URL, with %XX for all except unreserved characters. Owned by the caller; NULL: no memory. */
char *text_escape_url(const char *text);

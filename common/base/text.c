/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict numbers from text, without locale; CPU lists; UTF-8; the nearest known word for "did you mean". Used
 * by all our parsers. Also the only filter of untrusted text for terminals and log lines (CSV, JSON, HTML and
 * queries have their own rules in their own modules), and of passwords in messages. Pure.
 */
#include "base/text.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX    64
#define HIDDEN      "***"
#define CPULIST_MAX 65536 /* more CPUs than any kernel supports */

static bool has_hex_head(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && isxdigit((unsigned char)text[2]);
}

int text_parse_u64(const char *text, uint64_t *ret_value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, has_hex_head(text) ? 16 : 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_parse_i64(const char *text, int64_t *ret_value)
{
	bool negative = text[0] == '-';
	uint64_t size;
	int r = text_parse_u64(text + (negative || text[0] == '+'), &size);

	if (r < 0)
		return r;
	if (size > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret_value = negative ? (int64_t)(~size + 1) : (int64_t)size;
	return 0;
}

/* The locale whose decimal separator is a point; made once and kept. */
static locale_t c_locale(void)
{
	static locale_t locale;

	if (!locale)
		locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	return locale;
}

int text_parse_double(const char *text, double *ret_value)
{
	size_t sign = text[0] == '-' || text[0] == '+';
	char *end;

	if (!isdigit((unsigned char)text[sign]) && text[sign] != '.')
		return -EINVAL;
	locale_t locale = c_locale();
	if (!locale)
		return -ENOMEM;
	double value = strtod_l(text, &end, locale);
	if (end == text || *end)
		return -EINVAL;
	if (!isfinite(value))
		return -ERANGE;
	*ret_value = value;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

/* Number and unit: "1.5h". An empty unit name in the table stands for a bare number. */
static int parse_with_unit(const char *text, const struct unit *units, size_t n_units, double *ret_value)
{
	char number[64];
	size_t length = strspn(text, "0123456789.");
	double value;

	if (length == 0 || length >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, length);
	number[length] = '\0';
	int r = text_parse_double(number, &value);
	if (r < 0)
		return r;
	const char *unit = text + length;
	while (*unit == ' ')
		unit++;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(unit, units[i].name) == 0) {
			*ret_value = value * units[i].factor;
			return 0;
		}
	}
	return -EINVAL;
}

/* Above 2^53 a double cannot represent every integer; none of our durations or sizes is that large. */
static int to_u64(double value, uint64_t *ret_value)
{
	if (value > 9007199254740992.0)
		return -ERANGE;
	*ret_value = (uint64_t)llround(value);
	return 0;
}

int text_parse_duration_ms(const char *text, uint64_t bare_ms, uint64_t *ret_ms)
{
	const struct unit units[] = {{"", (double)bare_ms}, {"ms", 1},     {"s", 1000},   {"m", 60e3},
				     {"min", 60e3},         {"h", 3600e3}, {"d", 86400e3}};
	double value;
	int r = parse_with_unit(text, units, ARRAY_SIZE(units), &value);

	return r < 0 ? r : to_u64(value, ret_ms);
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"k", 1024},
		{"K", 1024},
		{"KiB", 1024},
		{"M", 1048576},
		{"MiB", 1048576},
		{"G", 1073741824},
		{"GiB", 1073741824},
		{"T", 1099511627776},
		{"TiB", 1099511627776},
	};
	double value;
	int r = parse_with_unit(text, units, ARRAY_SIZE(units), &value);

	return r < 0 ? r : to_u64(value, ret_bytes);
}

int text_parse_bool(const char *text, bool *ret_value)
{
	static const char *const words[2][5] = {{"false", "no", "off", "0", "n"},
						{"true", "yes", "on", "1", "y"}};

	for (size_t value = 0; value < 2; value++) {
		for (size_t i = 0; i < 5; i++) {
			if (strcasecmp(text, words[value][i]) == 0) {
				*ret_value = value == 1;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static int take_cpu(const char **at, unsigned *ret_cpu)
{
	unsigned cpu = 0;

	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	for (; isdigit((unsigned char)**at); (*at)++) {
		cpu = cpu * 10 + (unsigned)(**at - '0');
		if (cpu >= CPULIST_MAX)
			return -EINVAL;
	}
	*ret_cpu = cpu;
	return 0;
}

int text_parse_cpulist(const char *text, void (*each)(void *data, unsigned cpu), void *data)
{
	const char *at = text;

	while (*at && *at != '\n') {
		unsigned first, last;
		if (take_cpu(&at, &first) < 0)
			return -EINVAL;
		last = first;
		if (*at == '-') {
			at++;
			if (take_cpu(&at, &last) < 0 || last < first)
				return -EINVAL;
		}
		if (*at == ',' && isdigit((unsigned char)at[1]))
			at++;
		else if (*at && *at != '\n')
			return -EINVAL;
		for (unsigned cpu = first; cpu <= last; cpu++)
			each(data, cpu);
	}
	return 0;
}

/* Smallest code point that needs this many bytes: a longer form of a smaller one is not UTF-8 (RFC 3629). */
static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

size_t text_utf8_length(const char *at)
{
	const unsigned char *bytes = (const unsigned char *)at;
	uint32_t code = bytes[0];
	size_t length;

	if (code < 0x80)
		return code ? 1 : 0;
	if (code >= 0xc2 && code < 0xe0) {
		length = 2;
		code &= 0x1f;
	} else if (code >= 0xe0 && code < 0xf0) {
		length = 3;
		code &= 0x0f;
	} else if (code >= 0xf0 && code < 0xf5) {
		length = 4;
		code &= 0x07;
	} else {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

size_t text_escape(const char *text, size_t length, char *ret, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0, bytes; i < length; i += bytes) {
		const unsigned char *at = (const unsigned char *)text + i;
		bool control;

		bytes = text_utf8_length(text + i);
		control =
			bytes == 1 ? *at < 0x20 || *at == 0x7f : bytes == 2 && at[0] == 0xc2 && at[1] < 0xa0;
		if (bytes == 0 || bytes > length - i || control) {
			if (n + TEXT_ESCAPED_MAX >= size)
				break;
			memcpy(ret + n, (char[]){'\\', 'x', digits[*at >> 4], digits[*at & 15]},
			       TEXT_ESCAPED_MAX);
			n += TEXT_ESCAPED_MAX;
			bytes = 1;
		} else {
			if (n + bytes >= size)
				break;
			memcpy(ret + n, at, bytes);
			n += bytes;
		}
	}
	ret[n] = '\0';
	return n;
}

void text_make_utf8(char *text)
{
	while (*text) {
		size_t length = text_utf8_length(text);
		if (length == 0)
			*text = '?';
		text += length ? length : 1;
	}
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* The same letter except for case, and '-' for '_'. */
static bool same(char a, char b)
{
	a = a == '_' ? '-' : a;
	b = b == '_' ? '-' : b;
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Optimal string alignment distance (insert, delete, replace, swap of adjacent letters), three rows of the
 * table at a time. Both words are shorter than WORD_MAX.
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

const char *text_join(const char *const *words, size_t n_words, char *ret, size_t size)
{
	size_t length = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < n_words && length < size; i++)
		length += (size_t)snprintf(ret + length, size - length, "%s%s", i ? ", " : "", words[i]);
	return ret;
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

char *text_escape_url(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *escaped = malloc(3 * strlen(text) + 1);
	char *at = escaped;

	if (!escaped)
		return NULL;
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (strchr(plain, byte)) {
			*at++ = (char)byte;
			continue;
		}
		*at++ = '%';
		*at++ = hex[byte >> 4];
		*at++ = hex[byte & 15];
	}
	*at = '\0';
	return escaped;
}

bool text_begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Length of the character at `at` if it must not reach a terminal; 0: it may. */
static size_t obeyed_length(const unsigned char *at)
{
	const size_t length = text_utf8_length((const char *)at);
	/* C0, DEL, and C1 as UTF-8, which can replace ESC; some terminals take invalid UTF-8 as C1. */
	const bool control = length == 0 || (length == 1 && (at[0] < ' ' || at[0] == 0x7f)) ||
			     (length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
	/* Line and paragraph separators, and marks that change the direction of text. */
	const bool turns =
		(length == 2 && at[0] == 0xd8 && at[1] == 0x9c) ||
		(length == 3 && at[0] == 0xe2 &&
		 ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae))) ||
		  (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9)));

	return control || turns ? (length ? length : 1) : 0;
}

void text_make_plain(char *text, char instead)
{
	for (unsigned char *at = (unsigned char *)text; *at;) {
		const size_t obeyed = obeyed_length(at);

		if (obeyed)
			memset(at, instead, obeyed);
		at += obeyed ? obeyed : text_utf8_length((char *)at);
	}
}

const char *text_copy_plain(const char *text, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", text);
	text_make_plain(ret, '?');
	return ret;
}

/* The end of a URI that begins at `at`: a space or quote, or the end of the sentence. */
static char *uri_end(char *at)
{
	return at + strcspn(at, " \t\n\"'`<>");
}

/* The '@' after user and password; the last one if the password has a slash or another '@'. NULL: none. */
static char *userinfo_end(char *start, const char *end)
{
	for (char *at = start + (end - start); at > start; at--) {
		if (at[-1] == '@')
			return at - 1;
	}
	return NULL;
}

void text_hide_passwords(char *text, size_t size)
{
	for (char *at = text; (at = strstr(at, "://")) != NULL;) {
		char *start = at + 3, *end = uri_end(start), *host = userinfo_end(start, end), *password;
		size_t hidden = strlen(HIDDEN), tail;

		at = start;
		password = host ? memchr(start, ':', (size_t)(host - start)) : NULL;
		if (!password)
			continue;
		password++;
		tail = strlen(host) + 1;
		/* No room to grow: a short password becomes as many stars. */
		if ((size_t)(password - text) + hidden + tail > size)
			hidden = (size_t)(host - password);
		memmove(password + hidden, host, tail);
		memset(password, '*', hidden);
		at = password + hidden;
	}
}

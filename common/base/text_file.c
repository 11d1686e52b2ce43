/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as text, read completely and up to a given limit.
 */
#include "base/text.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The next bytes, retried if interrupted: their number, 0 at the end, or a negative errno. */
static ssize_t read_some(int fd, char *buffer, size_t size)
{
	ssize_t n;

	do
		n = read(fd, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

__attribute__((format(printf, 3, 0))) static ssize_t read_file(char *buffer, size_t size, const char *format,
							       va_list arguments)
{
	cleanup_(cleanup_close) int fd = -1;
	char path[2 * PATH_MAX];
	size_t length = 0;
	ssize_t n = 1;

	if (size == 0)
		return -EFBIG;
	if (vsnprintf(path, sizeof(path), format, arguments) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	while (n > 0 && length < size) {
		n = read_some(fd, buffer + length, size - length);
		length += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return n;
	if (length == size)
		return -EFBIG;
	while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
		length--;
	buffer[length] = '\0';
	return (ssize_t)length;
}

ssize_t text_read_file(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	ssize_t n;

	va_start(arguments, format);
	n = read_file(buffer, size, format, arguments);
	va_end(arguments);
	return n;
}

int text_read_u64(uint64_t *ret_value, const char *format, ...)
{
	char text[64];
	va_list arguments;
	ssize_t n;

	va_start(arguments, format);
	n = read_file(text, sizeof(text), format, arguments);
	va_end(arguments);
	return n < 0 ? (int)n : text_parse_u64(text, ret_value);
}

int text_read_whole(int fd, size_t max, char **ret_text, size_t *ret_length)
{
	cleanup_(cleanup_free) char *text = NULL;
	size_t length = 0, capacity = 0;
	ssize_t n = 1;

	while (n > 0) {
		if (length + 1 >= capacity) {
			size_t wanted = capacity ? capacity * 2 : 8192;
			char *grown;

			/* One extra byte shows that there is more, one is for the NUL. */
			if (wanted > max + 2)
				wanted = max + 2;
			grown = wanted > capacity ? realloc(text, wanted) : NULL;
			if (!grown)
				return wanted > capacity ? -ENOMEM : -EFBIG;
			text = grown;
			capacity = wanted;
		}
		n = read_some(fd, text + length, capacity - 1 - length);
		length += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return (int)n;
	if (length > max)
		return -EFBIG;
	text[length] = '\0';
	*ret_text = TAKE_POINTER(text);
	*ret_length = length;
	return 0;
}

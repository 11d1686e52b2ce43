/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads field by field: eight-byte numbers, and bytes preceded by their length. Both ends are the same
 * binary, so the byte order is the machine's. Pure; after the first short or over-long field, everything
 * fails.
 */
#include "process/ipc.h"

#include "document/batch.h"

#include <string.h>

struct ipc_cursor ipc_cursor_init(const void *payload, size_t length)
{
	return (struct ipc_cursor){.at = payload, .left = length};
}

static const void *take(struct ipc_cursor *cursor, size_t length)
{
	if (cursor->failed || length > cursor->left) {
		cursor->failed = 1;
		return NULL;
	}
	const uint8_t *at = cursor->at;
	cursor->at += length;
	cursor->left -= length;
	return at;
}

void ipc_get_numbers(struct ipc_cursor *cursor, void *ret, size_t size)
{
	const void *at = take(cursor, size);

	memset(ret, 0, size);
	if (at)
		memcpy(ret, at, size);
}

uint64_t ipc_get_u64(struct ipc_cursor *cursor)
{
	uint64_t value;

	ipc_get_numbers(cursor, &value, sizeof(value));
	return value;
}

int64_t ipc_get_i64(struct ipc_cursor *cursor)
{
	return (int64_t)ipc_get_u64(cursor);
}

const void *ipc_get_bytes(struct ipc_cursor *cursor, size_t *ret_length)
{
	uint64_t length = ipc_get_u64(cursor);

	*ret_length = 0;
	if (length > cursor->left) {
		cursor->failed = 1;
		return NULL;
	}
	const void *at = take(cursor, (size_t)length);
	if (at)
		*ret_length = (size_t)length;
	return at;
}

const char *ipc_get_string(struct ipc_cursor *cursor)
{
	size_t length;
	const char *at = ipc_get_bytes(cursor, &length);

	if (!at)
		return "";
	if (length == 0 || memchr(at, '\0', length) != at + length - 1) {
		cursor->failed = 1;
		return "";
	}
	return at;
}

int ipc_put_u64(struct batch *buffer, uint64_t value)
{
	return batch_add_bytes(buffer, &value, sizeof(value));
}

int ipc_put_i64(struct batch *buffer, int64_t value)
{
	return ipc_put_u64(buffer, (uint64_t)value);
}

int ipc_put_bytes(struct batch *buffer, const void *data, size_t length)
{
	int r = batch_reserve(buffer, sizeof(uint64_t) + length);

	if (r < 0)
		return r;
	(void)ipc_put_u64(buffer, length); /* there is room */
	return batch_add_bytes(buffer, data, length);
}

int ipc_put_string(struct batch *buffer, const char *value)
{
	return ipc_put_bytes(buffer, value, strlen(value) + 1);
}
